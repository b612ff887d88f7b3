#include "descent/nn/initializers.h"

#include <fmt/format.h>

#include <Eigen/QR>
#include <charconv>
#include <cmath>
#include <optional>

#include "descent/base/error.h"
#include "descent/base/random.h"

namespace descent::nn {
namespace {

// Draws each element, in order, from one stream in double precision; the array's type rounds.
template <class Draw>
Array filled(DType dtype, const Shape& shape, std::uint64_t key, Draw draw) {
  Array array(dtype, shape);
  RandomStream stream(key);
  for (std::int64_t i = 0; i < array.size(); ++i) array.set_item(i, draw(stream));
  return array;
}

double symmetric(RandomStream& stream, double bound) { return bound * (2 * stream.uniform() - 1); }

// Gain of a leaky rectifier: sqrt(2 / (1 + slope^2)).
double rectifier_gain(double negative_slope) {
  return std::sqrt(2 / (1 + negative_slope * negative_slope));
}

// U(-b, b) has variance b^2 / 3.
Initializer uniform_of_variance(std::function<double(const Shape&)> variance) {
  return [variance = std::move(variance)](DType dtype, const Shape& shape, std::uint64_t key) {
    return uniform(std::sqrt(3 * variance(shape)))(dtype, shape, key);
  };
}

Initializer normal_of_variance(std::function<double(const Shape&)> variance) {
  return [variance = std::move(variance)](DType dtype, const Shape& shape, std::uint64_t key) {
    return normal(std::sqrt(variance(shape)))(dtype, shape, key);
  };
}

std::function<double(const Shape&)> xavier_variance(double gain) {
  return [gain](const Shape& shape) {
    const auto [in, out] = fans(shape);
    return 2 * gain * gain / (in + out);
  };
}

std::function<double(const Shape&)> he_variance(double negative_slope) {
  return [gain = rectifier_gain(negative_slope)](const Shape& shape) {
    return gain * gain / fans(shape).first;
  };
}

// A tall matrix with orthonormal columns, uniform over all such (Mezzadri 2007: the factor Q of a
// Gaussian matrix, with the signs of R's diagonal).
Eigen::MatrixXd random_orthonormal(std::int64_t rows, std::int64_t columns, std::uint64_t key) {
  RandomStream stream(key);
  const auto gaussian =
      Eigen::MatrixXd::NullaryExpr(rows, columns, [&stream] { return stream.normal(); }).eval();
  const Eigen::HouseholderQR<Eigen::MatrixXd> qr(gaussian);
  Eigen::MatrixXd q = qr.householderQ() * Eigen::MatrixXd::Identity(rows, columns);
  for (std::int64_t c = 0; c < columns; ++c) {
    if (qr.matrixQR()(c, c) < 0) q.col(c) *= -1;
  }
  return q;
}

// A named initializer and what its number in parentheses stands for.
struct Named {
  std::string name;
  std::optional<double> number;  // its default; none: takes no number
  std::function<Initializer(double)> make;
};

// The spreads 0.05 are those of Keras.
const std::vector<Named>& table() {
  static const std::vector<Named> rows{
      {"default", {}, [](double) { return torch_default(); }},
      {"zeros", {}, [](double) { return zeros(); }},
      {"ones", {}, [](double) { return ones(); }},
      {"constant", 0.0, [](double value) { return constant(value); }},
      {"uniform", 0.05, [](double bound) { return uniform(bound); }},
      {"normal", 0.05, [](double stddev) { return normal(stddev); }},
      {"truncated_normal", 0.05, [](double stddev) { return truncated_normal(stddev); }},
      {"xavier_uniform", 1.0, [](double gain) { return xavier_uniform(gain); }},
      {"glorot_uniform", 1.0, [](double gain) { return xavier_uniform(gain); }},
      {"xavier_normal", 1.0, [](double gain) { return xavier_normal(gain); }},
      {"glorot_normal", 1.0, [](double gain) { return xavier_normal(gain); }},
      {"he_uniform", 0.0, [](double slope) { return he_uniform(slope); }},
      {"kaiming_uniform", 0.0, [](double slope) { return he_uniform(slope); }},
      {"he_normal", 0.0, [](double slope) { return he_normal(slope); }},
      {"kaiming_normal", 0.0, [](double slope) { return he_normal(slope); }},
      {"orthogonal", 1.0, [](double gain) { return orthogonal(gain); }},
  };
  return rows;
}

// The number of "(0.02)"; nothing where the text is not of that form.
std::optional<double> number_in_parentheses(std::string_view text) {
  if (text.size() < 3 || text.front() != '(' || text.back() != ')') return std::nullopt;
  text = text.substr(1, text.size() - 2);
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(number)) {
    return std::nullopt;
  }
  return number;
}

}  // namespace

std::pair<double, double> fans(const Shape& shape) {
  if (shape.rank() < 2) {
    throw Error(ErrorKind::usage,
                fmt::format("the fan-in of shape {} is not defined", to_string(shape)),
                "initializer", "use zeros, ones, constant, uniform, normal or truncated_normal");
  }
  double field = 1;
  for (int axis = 2; axis < shape.rank(); ++axis) field *= static_cast<double>(shape[axis]);
  return {static_cast<double>(shape[1]) * field, static_cast<double>(shape[0]) * field};
}

Initializer zeros() { return constant(0); }
Initializer ones() { return constant(1); }

Initializer constant(double value) {
  return [value](DType dtype, const Shape& shape, std::uint64_t key) {
    return filled(dtype, shape, key, [value](RandomStream&) { return value; });
  };
}

Initializer uniform(double bound) {
  return [bound](DType dtype, const Shape& shape, std::uint64_t key) {
    return filled(dtype, shape, key, [bound](RandomStream& s) { return symmetric(s, bound); });
  };
}

Initializer normal(double stddev, double mean) {
  return [stddev, mean](DType dtype, const Shape& shape, std::uint64_t key) {
    return filled(dtype, shape, key,
                  [stddev, mean](RandomStream& s) { return mean + stddev * s.normal(); });
  };
}

Initializer truncated_normal(double stddev) {
  return [stddev](DType dtype, const Shape& shape, std::uint64_t key) {
    return filled(dtype, shape, key, [stddev](RandomStream& s) {
      double z = s.normal();
      while (std::abs(z) > 2) z = s.normal();
      return stddev * z;
    });
  };
}

Initializer xavier_uniform(double gain) { return uniform_of_variance(xavier_variance(gain)); }
Initializer xavier_normal(double gain) { return normal_of_variance(xavier_variance(gain)); }
Initializer he_uniform(double negative_slope) {
  return uniform_of_variance(he_variance(negative_slope));
}
Initializer he_normal(double negative_slope) {
  return normal_of_variance(he_variance(negative_slope));
}

Initializer orthogonal(double gain) {
  return [gain](DType dtype, const Shape& shape, std::uint64_t key) {
    const auto rows = shape.rank() < 2 ? std::int64_t{0} : shape[0];
    if (rows == 0) {
      throw Error(ErrorKind::usage,
                  fmt::format("shape {} is no matrix to make orthogonal", to_string(shape)),
                  "initializer", "use zeros, ones, constant, uniform, normal or truncated_normal");
    }
    const auto columns = shape.size() / rows;
    const bool wide = rows < columns;
    const auto q = random_orthonormal(std::max(rows, columns), std::min(rows, columns), key);
    Array array(dtype, shape);
    for (std::int64_t i = 0; i < array.size(); ++i) {
      const auto r = i / columns, c = i % columns;
      array.set_item(i, gain * (wide ? q(c, r) : q(r, c)));
    }
    return array;
  };
}

Initializer torch_default() {
  return uniform_of_variance([](const Shape& shape) { return 1 / (3 * fans(shape).first); });
}

Initializer initializer(const std::string& text, const std::string& where) {
  const auto open = text.find('(');
  const auto name = text.substr(0, open);
  for (const auto& row : table()) {
    if (row.name != name) continue;
    if (open == std::string::npos) return row.make(row.number.value_or(0));
    const auto number = number_in_parentheses(std::string_view(text).substr(open));
    if (number && row.number) return row.make(*number);
    throw Error(
        ErrorKind::usage, fmt::format("initializer \"{}\" cannot be read", text), where,
        row.number ? fmt::format("write {} or {}({})", name, name, *row.number) : "write " + name);
  }
  throw Error(ErrorKind::usage, fmt::format("no initializer is called \"{}\"", name), where,
              did_you_mean(name, initializer_names()));
}

std::vector<std::string> initializer_names() {
  std::vector<std::string> names;
  for (const auto& row : table()) names.push_back(row.name);
  return names;
}

}  // namespace descent::nn
