#include "descent/data/augment.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numbers>

#include "descent/base/error.h"
#include "descent/base/random.h"
#include "descent/data/text.h"

namespace descent::data {
namespace {

// One image of a batch, and room for a copy of it.
template <class T>
struct Picture {
  T *pixels, *scratch;
  std::int64_t channels, height, width;

  std::int64_t size() const { return channels * height * width; }
  T* plane(std::int64_t c) const { return pixels + c * height * width; }
};

// ---- what can be done to an image ----

// Line y of the crop is line y + down of the image, shifted by `right`; done in place, in the order
// that reads a line before it is written.
template <class T>
void crop_plane(T* plane, std::int64_t height, std::int64_t width, std::int64_t down,
                std::int64_t right) {
  const std::int64_t begin = std::clamp<std::int64_t>(-right, 0, width);
  const std::int64_t end = std::clamp<std::int64_t>(width - right, begin, width);
  for (std::int64_t k = 0; k < height; ++k) {
    const std::int64_t y = down >= 0 ? k : height - 1 - k, from = y + down;
    T* line = plane + y * width;
    if (from < 0 || from >= height) {
      std::fill(line, line + width, T(0));
      continue;
    }
    std::memmove(line + begin, plane + from * width + begin + right,
                 static_cast<std::size_t>(end - begin) * sizeof(T));
    std::fill(line, line + begin, T(0));
    std::fill(line + end, line + width, T(0));
  }
}

struct Crop {
  template <class T>
  static void run(const Picture<T>& picture, double amount, RandomStream& random) {
    const auto margin = static_cast<std::int64_t>(amount);
    const auto draw = [&] {
      return static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(2 * margin + 1))) -
             margin;
    };
    const std::int64_t down = draw(), right = draw();
    for (std::int64_t c = 0; c < picture.channels; ++c) {
      crop_plane(picture.plane(c), picture.height, picture.width, down, right);
    }
  }
};

struct Flip {
  template <class T>
  static void run(const Picture<T>& picture, double probability, RandomStream& random) {
    if (random.uniform() >= probability) return;
    for (std::int64_t y = 0; y < picture.channels * picture.height; ++y) {
      std::reverse(picture.pixels + y * picture.width, picture.pixels + (y + 1) * picture.width);
    }
  }
};

struct Cutout {
  template <class T>
  static void run(const Picture<T>& picture, double amount, RandomStream& random) {
    const auto side = static_cast<std::int64_t>(amount);
    // The part of the square around a random pixel that lies inside.
    const auto draw = [&](std::int64_t extent) {
      const auto middle =
          static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(extent)));
      const std::int64_t begin = middle - side / 2;
      return std::pair(std::max<std::int64_t>(begin, 0), std::min(begin + side, extent));
    };
    const auto [top, bottom] = draw(picture.height);
    const auto [left, right] = draw(picture.width);
    for (std::int64_t c = 0; c < picture.channels; ++c) {
      for (std::int64_t y = top; y < bottom; ++y) {
        T* line = picture.plane(c) + y * picture.width;
        std::fill(line + left, line + right, T(0));
      }
    }
  }
};

struct Rotate {
  // A coordinate between two pixels: the first of them, and the distance from it.
  template <class T>
  struct Place {
    std::int64_t at;
    T rest;
    explicit Place(T x) : at(static_cast<std::int64_t>(x)) {
      at -= static_cast<T>(at) > x ? 1 : 0;  // floor, without a call of the library
      rest = x - static_cast<T>(at);
    }
    bool inside(std::int64_t extent) const { return at >= 0 && at + 1 < extent; }
  };

  // Writes to `to`, in each channel, what lies between the four pixels around (y, x); 0 outside.
  template <class T>
  static void between(const Picture<T>& p, Place<T> y, Place<T> x, T* to) {
    const T below = y.rest, above = 1 - below, right = x.rest, left = 1 - right;
    const T weights[] = {above * left, above * right, below * left, below * right};
    const std::int64_t plane = p.height * p.width;
    if (y.inside(p.height) && x.inside(p.width)) {
      const T* from = p.scratch + y.at * p.width + x.at;
      for (std::int64_t c = 0; c < p.channels; ++c, from += plane, to += plane) {
        *to = weights[0] * from[0] + weights[1] * from[1] + weights[2] * from[p.width] +
              weights[3] * from[p.width + 1];
      }
      return;
    }
    for (std::int64_t c = 0; c < p.channels; ++c, to += plane) {
      *to = 0;
      for (std::int64_t k = 0; k < 4; ++k) {
        const std::int64_t i = y.at + k / 2, j = x.at + k % 2;
        if (i < 0 || i >= p.height || j < 0 || j >= p.width) continue;
        *to += weights[k] * p.scratch[c * plane + i * p.width + j];
      }
    }
  }

  template <class T>
  static void run(const Picture<T>& p, double degrees, RandomStream& random) {
    const double angle = (2 * random.uniform() - 1) * degrees * std::numbers::pi / 180;
    const T cosine = static_cast<T>(std::cos(angle)), sine = static_cast<T>(std::sin(angle));
    const T middle_y = static_cast<T>(p.height - 1) / 2, middle_x = static_cast<T>(p.width - 1) / 2;
    std::copy_n(p.pixels, p.size(), p.scratch);
    T* to = p.pixels;
    for (std::int64_t y = 0; y < p.height; ++y) {
      const T dy = static_cast<T>(y) - middle_y;
      for (std::int64_t x = 0; x < p.width; ++x) {
        const T dx = static_cast<T>(x) - middle_x;
        between(p, Place<T>(middle_y + cosine * dy - sine * dx),
                Place<T>(middle_x + sine * dy + cosine * dx), to++);
      }
    }
  }
};

// ---- mixing rows ----

// log of a draw from Gamma(a, 1): Marsaglia & Tsang 2000 for a + 1, times U^(1/a). In logarithms,
// since draws for small a underflow.
double log_gamma_draw(double a, RandomStream& random) {
  const double d = a + 1 - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  const double boost = std::log(1 - random.uniform()) / a;
  while (true) {
    const double x = random.normal(), root = 1 + c * x;
    if (root <= 0) continue;
    const double v = root * root * root;
    if (std::log(1 - random.uniform()) < x * x / 2 + d - d * v + d * std::log(v)) {
      return std::log(d * v) + boost;
    }
  }
}

// A draw from Beta(a, a): X / (X + Y) of two draws from Gamma(a, 1).
double beta_draw(double a, RandomStream& random) {
  const double x = log_gamma_draw(a, random), y = log_gamma_draw(a, random);
  return 1 / (1 + std::exp(y - x));
}

// Rows a and b of an array become l a + (1 - l) b and l b + (1 - l) a.
template <class T>
void mix_rows(Array& array, std::int64_t a, std::int64_t b, T l) {
  const std::int64_t width = array.size() / array.shape()[0];
  T* x = reinterpret_cast<T*>(array.raw()) + a * width;
  T* y = reinterpret_cast<T*>(array.raw()) + b * width;
  const T rest = 1 - l;
  for (std::int64_t i = 0; i < width; ++i) {
    const T first = x[i], second = y[i];
    x[i] = l * first + rest * second;
    y[i] = l * second + rest * first;
  }
}

// Random pairs, rather than the permutation of the paper: they need no copy of the batch.
template <class T>
void mix(Batch& batch, double alpha, std::uint64_t key) {
  RandomStream random(key);
  const T l = static_cast<T>(beta_draw(alpha, random));
  const Permutation order(static_cast<std::uint64_t>(batch.rows), fold_in(key, 1));
  for (std::int64_t k = 0; k + 1 < batch.rows; k += 2) {
    const auto a = static_cast<std::int64_t>(order(static_cast<std::uint64_t>(k)));
    const auto b = static_cast<std::int64_t>(order(static_cast<std::uint64_t>(k + 1)));
    mix_rows(batch.features, a, b, l);
    if (batch.targets) mix_rows(batch.targets, a, b, l);
    if (batch.weights) mix_rows(batch.weights, a, b, l);
  }
}

template <class T>
using OnPicture = void (*)(const Picture<T>&, double amount, RandomStream&);

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
constexpr double kLarge = 4096;

}  // namespace

// The table of operations. Without functions on images: the whole batch is mixed.
struct Augment::Kind {
  const char *name, *amount, *example;
  double fallback;   // the amount where none is given; NaN: it must be
  double low, high;  // bounds of the amount, inclusive
  bool whole;        // the amount is a whole number
  OnPicture<float> on_float;
  OnPicture<double> on_double;
};

namespace {

constexpr Augment::Kind kKinds[] = {
    {"crop", "margin in pixels", "crop:4", kNone, 1, kLarge, true, Crop::run, Crop::run},
    {"flip", "probability", "flip:0.5", 0.5, 0, 1, false, Flip::run, Flip::run},
    {"rotate", "angle in degrees", "rotate:10", kNone, 0, 180, false, Rotate::run, Rotate::run},
    {"cutout", "side in pixels", "cutout:8", kNone, 1, kLarge, true, Cutout::run, Cutout::run},
    {"mixup", "alpha", "mixup:0.2", kNone, 1e-3, 1e3, false, nullptr, nullptr},
};

[[noreturn]] void fail(const std::string& what, const std::string& remedy) {
  throw Error(ErrorKind::usage, what, "option \"data.augment\"", remedy);
}

const Augment::Kind& kind_of(const std::string& name) {
  std::vector<std::string> names;
  for (const auto& kind : kKinds) {
    if (name == kind.name) return kind;
    names.emplace_back(kind.name);
  }
  fail(fmt::format("no augmentation is called {}", printable(name)), did_you_mean(name, names));
}

// The number behind the colon of `text`, or the fallback.
double amount_of(const Augment::Kind& kind, const std::string& text, std::size_t colon) {
  double amount = kind.fallback;
  const bool number = colon == text.size() || parse_number(text.substr(colon + 1), amount);
  const bool fits = number && amount >= kind.low && amount <= kind.high &&
                    (!kind.whole || amount == std::floor(amount));
  if (fits) return amount;
  fail(fmt::format("{}: the {} must be a {}number from {:g} to {:g}", printable(text), kind.amount,
                   kind.whole ? "whole " : "", kind.low, kind.high),
       fmt::format("for example \"{}\"", kind.example));
}

}  // namespace

Augment::Augment(const std::vector<std::string>& operations, const Shape& sample,
                 std::uint64_t seed, std::int64_t batch_size)
    : sample_(sample), batch_size_(batch_size) {
  const std::uint64_t key = fold_in(seed, hash_text("augment"));
  for (const auto& text : operations) {
    const auto colon = std::min(text.find(':'), text.size());
    const Kind& kind = kind_of(text.substr(0, colon));
    const double amount = amount_of(kind, text, colon);
    if (kind.on_float != nullptr && sample.rank() != 3) {
      fail(fmt::format("{} is for images, the rows are {}", kind.name, to_string(sample)),
           "images are rows of [channels, height, width]; take it out of data.augment");
    }
    operations_.push_back({&kind, amount, fold_in(key, operations_.size())});
  }
}

bool Augment::mixes() const {
  return std::ranges::any_of(operations_,
                             [](const auto& o) { return o.kind->on_float == nullptr; });
}

template <class T>
void Augment::run(Batch& batch) {
  const auto epoch = static_cast<std::uint64_t>(batch.cursor.epoch);
  for (const auto& [kind, amount, key] : operations_) {
    const std::uint64_t of_epoch = fold_in(key, epoch);
    OnPicture<T> change = nullptr;
    if constexpr (std::is_same_v<T, float>) {
      change = kind->on_float;
    } else {
      change = kind->on_double;
    }
    if (change == nullptr) {
      mix<T>(batch, amount, fold_in(of_epoch, static_cast<std::uint64_t>(batch.cursor.batch)));
      continue;
    }
    Picture<T> picture{reinterpret_cast<T*>(batch.features.raw()),
                       reinterpret_cast<T*>(scratch_.raw()), sample_[0], sample_[1], sample_[2]};
    for (std::int64_t i = 0; i < batch.rows; ++i, picture.pixels += picture.size()) {
      const auto position = static_cast<std::uint64_t>(batch.cursor.batch * batch_size_ + i);
      RandomStream random(fold_in(of_epoch, position));
      change(picture, amount, random);
    }
  }
}

void Augment::operator()(Batch& batch) {
  const DType dtype = batch.features.dtype();
  if (batch.targets && batch.targets.dtype() != dtype && mixes()) {
    throw Error(ErrorKind::internal, "class labels cannot be mixed", "mixup",
                "set LoaderOptions::one_hot to the number of classes");
  }
  if (!scratch_ || scratch_.dtype() != dtype) scratch_ = Array(dtype, sample_);
  if (dtype == DType::float64) {
    run<double>(batch);
  } else {
    run<float>(batch);
  }
}

}  // namespace descent::data
