// What the tests of layers and losses share: numbers that PyTorch's script makes too, a function of
// named arrays that is computed at once on any number of shards, and the checks of derivatives.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "descent/autodiff/autodiff.h"
#include "descent/base/error.h"
#include "descent/base/options.h"
#include "descent/ops/ops.h"

namespace descent::nn::test {

// ---- numbers: as in tests/golden/nn_golden.py, exact in float32 ----

class Generator {
 public:
  explicit Generator(std::uint32_t seed) : state_(seed) {}
  std::uint32_t next() { return (state_ = 1664525u * state_ + 1013904223u) >> 12; }

 private:
  std::uint32_t state_;
};

inline std::uint32_t seed_of(const std::string& name) {
  std::uint32_t sum = 0;
  for (const char c : name) sum += static_cast<unsigned char>(c);
  return sum;
}

// Multiples of 2^-18 in [-2, 2).
inline Array numbers(const Shape& shape, const std::string& name, DType dtype = DType::float64) {
  Array array(dtype, shape);
  Generator generator(seed_of(name));
  for (std::int64_t i = 0; i < array.size(); ++i) array.set_item(i, generator.next() * 0x1p-18 - 2);
  return array;
}

inline Array tokens(const Shape& shape, std::int64_t classes, const std::string& name) {
  Array array(DType::int64, shape);
  Generator generator(seed_of(name));
  for (auto& token : array.as<std::int64_t>()) token = generator.next() % classes;
  return array;
}
inline Array labels(std::int64_t rows, std::int64_t classes, const std::string& name) {
  return tokens({rows}, classes, name);
}

template <class F>
Array mapped(const Array& x, F f) {
  Array y = x.clone();
  for (std::int64_t i = 0; i < y.size(); ++i) y.set_item(i, f(y.item(i)));
  return y;
}

// ---- options ----

using Integers = std::vector<std::int64_t>;

inline Options with(std::vector<std::pair<std::string, OptionValue>> values) {
  Options options;
  for (auto& [key, value] : values) options.set(key, std::move(value));
  return options;
}

// ---- shards ----

// A value that is the given array, or its rows in `shards` equal parts.
inline Value leaf(const Array& whole, bool batch, int shards) {
  if (!batch) return computed({whole}, false);
  const auto rows = whole.shape()[0] / shards;
  std::vector<Array> parts;
  for (int s = 0; s < shards; ++s) parts.push_back(whole.rows(s * rows, (s + 1) * rows).clone());
  return computed(std::move(parts), true);
}

inline Array whole(const Value& value, int shards) {
  if (!value.per_shard()) return value.array();
  Shape shape = value.shape();
  shape[0] *= shards;
  Array all(value.dtype(), shape);
  std::int64_t at = 0;
  for (int s = 0; s < shards; ++s) {
    const auto part = value.array(s);
    for (std::int64_t i = 0; i < part.size(); ++i) all.set_item(at++, part.item(i));
  }
  return all;
}

// ---- a function of named arrays ----

struct Function {
  int shards = 1;
  std::vector<std::string> names;
  std::vector<Array> arguments;
  std::vector<bool> batch;  // which arguments are cut into shards
  // A scalar of the arguments, of the whole batch.
  ScalarFn objective;

  Values leaves(const std::vector<Array>& arrays) const {
    Values values;
    for (std::size_t i = 0; i < arrays.size(); ++i) {
      values.push_back(leaf(arrays[i], batch[i], shards));
    }
    return values;
  }
};

inline std::vector<Array> gradient(const Function& f, const std::vector<Array>& at) {
  const EagerScope eager({.shards = f.shards});
  std::vector<Array> result;
  for (const auto& g : grad(f.objective)(f.leaves(at))) result.push_back(whole(g, f.shards));
  return result;
}

inline double value(const Function& f, const std::vector<Array>& at) {
  const EagerScope eager({.shards = f.shards});
  return f.objective(f.leaves(at)).item();
}

// The direction that derivatives are checked along.
inline std::vector<Array> direction(const Function& f) {
  std::vector<Array> all;
  for (std::size_t i = 0; i < f.names.size(); ++i) {
    all.push_back(
        numbers(f.arguments[i].shape(), "direction of " + f.names[i], f.arguments[i].dtype()));
  }
  return all;
}

inline std::vector<Array> moved(const std::vector<Array>& x, double step,
                                const std::vector<Array>& v) {
  std::vector<Array> result;
  for (std::size_t i = 0; i < x.size(); ++i) {
    result.push_back(x[i].clone());
    for (std::int64_t k = 0; k < x[i].size(); ++k) {
      result[i].set_item(k, x[i].item(k) + step * v[i].item(k));
    }
  }
  return result;
}

inline double inner(const std::vector<Array>& a, const std::vector<Array>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    for (std::int64_t k = 0; k < a[i].size(); ++k) sum += a[i].item(k) * b[i].item(k);
  }
  return sum;
}

// ---- comparisons ----

inline double largest(const Array& a) {
  double most = 0;
  for (const double x : a.to_vector()) most = std::max(most, std::abs(x));
  return most;
}

// Every element within `tolerance` of `scale`: the largest element (1 where all are 0) by default.
inline void expect_close(const Array& got, const Array& expected, double tolerance,
                         const std::string& what, double scale = 0) {
  ASSERT_EQ(to_string(got.shape()), to_string(expected.shape())) << what;
  if (scale == 0) scale = largest(expected) > 0 ? largest(expected) : 1;
  for (std::int64_t i = 0; i < got.size(); ++i) {
    // Negated, so that NaN fails.
    if (!(std::abs(got.item(i) - expected.item(i)) <= tolerance * scale)) {
      FAIL() << what << "[" << i << "] is " << got.item(i) << ", expected " << expected.item(i)
             << " within " << tolerance * scale;
    }
  }
}

// ---- derivatives ----

// Central differences with step h err by h^2 / 6 times the third derivative and by rounding,
// 1e-16 / h: both about 1e-11 of the value for h = 1e-5. Directions in which the derivative is a
// hundredth of its parts, and third derivatives of a few hundred, still leave 1e-6.
inline constexpr double kStep = 1e-5, kDifferences = 1e-6;

inline void check_reverse_mode(const Function& f) {
  const auto v = direction(f);
  const double slope = inner(gradient(f, f.arguments), v);
  const double difference =
      (value(f, moved(f.arguments, kStep, v)) - value(f, moved(f.arguments, -kStep, v))) /
      (2 * kStep);
  ASSERT_GT(std::abs(slope), 1e-3) << "nothing to compare";
  EXPECT_NEAR(difference / slope, 1, kDifferences);
}

// Both modes multiply the same factors in another order: rounding of some hundred terms, 1e-14,
// relative to terms that may cancel to a hundredth.
inline void check_forward_mode(const Function& f) {
  const auto v = direction(f);
  const double slope = inner(gradient(f, f.arguments), v);
  const EagerScope eager({.shards = f.shards});
  const auto values = f.leaves(f.arguments);
  const Fn all = [&f](ValueSpan x) -> Values { return {f.objective(x)}; };
  EXPECT_NEAR(jvp(all, values, f.leaves(v)).second[0].item() / slope, 1, 1e-11);
}

inline void check_second_order(const Function& f) {
  const auto v = direction(f);
  const auto ahead = gradient(f, moved(f.arguments, kStep, v));
  const auto behind = gradient(f, moved(f.arguments, -kStep, v));
  const EagerScope eager({.shards = f.shards});
  std::vector<Array> products, differences;
  double most = 0;
  for (const auto& product : hvp(f.objective, f.leaves(f.arguments), f.leaves(v))) {
    const auto i = products.size();
    products.push_back(whole(product, f.shards));
    differences.push_back(products[i].clone());
    for (std::int64_t k = 0; k < ahead[i].size(); ++k) {
      differences[i].set_item(k, (ahead[i].item(k) - behind[i].item(k)) / (2 * kStep));
    }
    most = std::max(most, largest(differences[i]));
  }
  ASSERT_GT(most, 1e-3) << "nothing to compare";
  for (std::size_t i = 0; i < products.size(); ++i) {
    expect_close(products[i], differences[i], kDifferences, "hvp for " + f.names[i], most);
  }
}

// ---- golden files ----

inline nlohmann::json golden(const std::string& file) {
  std::ifstream in(std::string(DESCENT_GOLDEN_DIR) + "/nn/" + file);
  EXPECT_TRUE(in) << file;
  return nlohmann::json::parse(in);
}

inline std::vector<std::string> golden_cases(const std::string& file) {
  const auto cases = golden(file);
  std::vector<std::string> names;
  for (const auto& [name, unused] : cases.items()) names.push_back(name);
  return names;
}

inline Array array_of(const nlohmann::json& stored) {
  return Array::from(stored.at("values").get<std::vector<double>>(),
                     Shape(stored.at("shape").get<Integers>()));
}

template <class Case>
std::string case_name(const testing::TestParamInfo<Case>& info) {
  return info.param.name;
}

}  // namespace descent::nn::test
