#include <algorithm>
#include <cmath>
#include <type_traits>

#include "descent/kernels/convolution_method.h"
#include "tests/kernels/support.h"

namespace descent::kernels {
namespace {
using testing::between;
using testing::Guarded;
using testing::Scratch;
using testing::turned;

double value(float x) { return x; }
double value(double x) { return x; }
double value(bfloat16 x) { return static_cast<float>(x); }

std::string text(ConvKind kind, const ConvShape& s) {
  std::string t =
      "kind " + std::to_string(static_cast<int>(kind)) + " " + std::string(name_of(s.dtype)) + ":";
  for (const auto v : {s.n, s.c, s.h, s.w, s.k, s.r, s.s, s.stride_h, s.stride_w, s.pad_h, s.pad_w,
                       s.dilation_h, s.dilation_w, s.groups})
    t += " " + std::to_string(v);
  return t;
}

// Calls f(input, weight, output) with the offsets of every product of the convolution.
template <class F>
void each_product(const ConvShape& s, const F& f) {
  const std::int64_t cg = s.c / s.groups, kg = s.k / s.groups;
  for (std::int64_t n = 0; n < s.n; ++n)
    for (std::int64_t k = 0; k < s.k; ++k)
      for (std::int64_t oh = 0; oh < s.out_h(); ++oh)
        for (std::int64_t ow = 0; ow < s.out_w(); ++ow)
          for (std::int64_t c = 0; c < cg; ++c)
            for (std::int64_t r = 0; r < s.r; ++r)
              for (std::int64_t q = 0; q < s.s; ++q) {
                const std::int64_t ih = oh * s.stride_h - s.pad_h + r * s.dilation_h;
                const std::int64_t iw = ow * s.stride_w - s.pad_w + q * s.dilation_w;
                if (ih < 0 || ih >= s.h || iw < 0 || iw >= s.w) continue;
                f(((n * s.c + k / kg * cg + c) * s.h + ih) * s.w + iw,
                  ((k * cg + c) * s.r + r) * s.s + q,
                  ((n * s.k + k) * s.out_h() + oh) * s.out_w() + ow);
              }
}

struct Sizes {
  std::int64_t input, weight, output;
};
Sizes sizes(const ConvShape& s) {
  return {s.n * s.c * s.h * s.w, s.k * s.c / s.groups * s.r * s.s,
          s.n * s.k * s.out_h() * s.out_w()};
}

// What comes out of a convolution of T.
template <class T>
using Result = std::conditional_t<std::is_same_v<T, bfloat16>, float, T>;

// What an element's roundings are measured against: its own products, or the largest such sum of
// all where a method's elements share theirs.
enum class Rounding { own, shared };

template <class T, class Method>
void check(ConvKind kind, const ConvShape& s, const Method& method,
           Rounding rounding = Rounding::own) {
  const auto size = sizes(s);
  const auto count = [&](int operand) {
    const int what = kind == ConvKind::forward          ? operand
                     : kind == ConvKind::input_gradient ? (operand == 0   ? 2
                                                           : operand == 1 ? 1
                                                                          : 0)
                                                        : (operand == 0   ? 0
                                                           : operand == 1 ? 2
                                                                          : 1);
    return what == 0 ? size.input : what == 1 ? size.weight : size.output;
  };
  Guarded<T> a(count(0)), b(count(1));
  Guarded<Result<T>> c(count(2));
  RandomStream random(5);
  for (std::int64_t i = 0; i < a.size(); ++i)
    a[i] = static_cast<T>(static_cast<float>(random.uniform() - 0.5));
  for (std::int64_t i = 0; i < b.size(); ++i)
    b[i] = static_cast<T>(static_cast<float>(random.uniform() - 0.5));
  for (std::int64_t i = 0; i < c.size(); ++i)
    c[i] = static_cast<Result<T>>(NAN);  // must not be read
  Scratch scratch(method.scratch_bytes());
  const auto run = method.bind(a.data(), b.data(), c.data(), scratch.data());
  run();
  ASSERT_TRUE(a.intact() && b.intact() && c.intact() && scratch.intact()) << text(kind, s);
  std::vector<double> want(static_cast<std::size_t>(c.size())), total(want.size()),
      terms(want.size());
  each_product(s, [&](std::int64_t in, std::int64_t weight, std::int64_t out) {
    const std::int64_t ia = kind == ConvKind::input_gradient ? out : in;
    const std::int64_t ib = kind == ConvKind::weight_gradient ? out : weight;
    const auto ic = static_cast<std::size_t>(kind == ConvKind::forward          ? out
                                             : kind == ConvKind::input_gradient ? in
                                                                                : weight);
    const double product = value(a[ia]) * value(b[ib]);
    want[ic] += product, total[ic] += std::fabs(product), terms[ic] += 1;
  });
  const double unit = sizeof(T) == 8 ? 0x1p-53 : 0x1p-24;
  if (rounding == Rounding::shared) std::ranges::fill(total, *std::ranges::max_element(total));
  for (std::int64_t i = 0; i < c.size(); ++i) {
    const auto k = static_cast<std::size_t>(i);
    const double bound = total[k] * unit * (terms[k] + 2);  // as many roundings as terms
    ASSERT_LE(std::fabs(value(c[i]) - want[k]), bound) << text(kind, s) << " element " << i;
  }
  std::vector<Result<T>> first(c.data(), c.data() + c.size());
  run();
  ASSERT_TRUE(testing::same_bits(first.data(), static_cast<const Result<T>*>(c.data()), c.size()))
      << "the same bits again";
}
template <class Method>
void check_types(ConvKind kind, const ConvShape& s, const Method& method) {
  if (s.dtype == DType::float64) return check<double>(kind, s, method);
  if (s.dtype == DType::float32) return check<float>(kind, s, method);
  check<bfloat16>(kind, s, method);
}

constexpr ConvKind kKinds[] = {ConvKind::forward, ConvKind::input_gradient,
                               ConvKind::weight_gradient};
constexpr DType kTypes[] = {DType::float32, DType::float64, DType::bfloat16};

ConvShape random_shape(RandomStream& random) {
  for (;;) {
    ConvShape s;
    s.groups = random.below(3) == 0 ? between(random, 2, 3) : 1;
    s.n = between(random, 1, 3);
    s.c = s.groups * between(random, 1, 5), s.k = s.groups * between(random, 1, 6);
    s.h = between(random, 1, 11), s.w = between(random, 1, 11);
    s.r = between(random, 1, 4), s.s = between(random, 1, 4);
    s.stride_h = between(random, 1, 3), s.stride_w = between(random, 1, 3);
    s.pad_h = between(random, 0, 2), s.pad_w = between(random, 0, 2);
    s.dilation_h = between(random, 1, 2), s.dilation_w = between(random, 1, 3);
    s.dtype = kTypes[random.below(3)];
    const bool fits = s.h + 2 * s.pad_h >= s.dilation_h * (s.r - 1) + 1 &&
                      s.w + 2 * s.pad_w >= s.dilation_w * (s.s - 1) + 1;
    if (fits) return s;
  }
}

TEST(Convolution, RandomGeometriesOfAllKinds) {
  RandomStream random(3);
  for (int trial = 0; trial < 120; ++trial) {
    const auto s = random_shape(random);
    for (const auto kind : kKinds) check_types(kind, s, Convolution(kind, s));
  }
}

TEST(Convolution, EveryMethod) {
  const ConvShape shapes[] = {
      {.n = 2, .c = 1, .h = 9, .w = 9, .k = 16, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1},
      {.n = 2,
       .c = 16,
       .h = 7,
       .w = 8,
       .k = 32,
       .r = 3,
       .s = 3,
       .stride_h = 2,
       .stride_w = 2,
       .pad_h = 1,
       .pad_w = 1},
      {.n = 2, .c = 20, .h = 6, .w = 6, .k = 24, .r = 1, .s = 1},
      {.n = 2,
       .c = 16,
       .h = 6,
       .w = 6,
       .k = 16,
       .r = 3,
       .s = 3,
       .pad_h = 1,
       .pad_w = 1,
       .groups = 16}};
  for (ConvShape s : shapes) {
    for (const auto kind : kKinds) {
      check<float>(kind, s, *unfolding_convolution(kind, s));
      ConvShape narrow = s;
      narrow.dtype = DType::bfloat16;
      check<bfloat16>(kind, narrow, *converting_convolution(kind, narrow));
      check<bfloat16>(kind, narrow, Convolution(kind, narrow));
      if (const auto library = library_convolution(kind, narrow))
        check<bfloat16>(kind, narrow, *library);
      if (const auto library = library_convolution(kind, s)) check<float>(kind, s, *library);
      check<float>(kind, s, *batch_convolution(kind, s));
    }
  }
}

// Tiles that reach beyond the image, several blocks of tiles, channels of several vectors.
std::vector<ConvShape> winograd_shapes() {
  const auto shape = [](std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w,
                        std::int64_t k, std::int64_t pad_h, std::int64_t pad_w) {
    return ConvShape{
        .n = n, .c = c, .h = h, .w = w, .k = k, .r = 3, .s = 3, .pad_h = pad_h, .pad_w = pad_w};
  };
  return {shape(3, 16, 16, 16, 16, 1, 1), shape(2, 16, 9, 7, 48, 1, 1),
          shape(1, 32, 8, 6, 16, 0, 0), shape(2, 16, 3, 7, 32, 2, 1),
          shape(2, 16, 11, 10, 16, 0, 2)};
}

TEST(Convolution, Winograd) {
  for (ConvShape s : winograd_shapes()) {
    for (const bool last : {false, true}) {
      s.channels_last = last;
      for (const auto kind : kKinds) {
        const auto method = winograd_convolution(kind, s);
        ASSERT_NE(method, nullptr) << text(kind, s);
        if (!last) check<float>(kind, s, *method, Rounding::shared);
      }
    }
  }
}

TEST(Convolution, WinogradIsAsExactAsItsPointsAllow) {
  // Its error, as root mean square, is 3 to 5.4 times that of sums in float32 here; with the points
  // 0, +-1, +-2 and infinity it would be more than twice as much.
  ConvShape s{.n = 4, .c = 32, .h = 16, .w = 16, .k = 32, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1};
  const auto size = sizes(s);
  const auto x = testing::random_vector<float>(size.input, 1),
             w = testing::random_vector<float>(size.weight, 2),
             g = testing::random_vector<float>(size.output, 3);
  for (const auto kind : kKinds) {
    const auto& a = kind == ConvKind::input_gradient ? g : x;
    const auto& b = kind == ConvKind::weight_gradient ? g : w;
    const std::int64_t count = kind == ConvKind::forward          ? size.output
                               : kind == ConvKind::input_gradient ? size.input
                                                                  : size.weight;
    const auto run = [&]<class T>(const ConvolutionMethod& method, T) {
      const std::vector<T> ta(a.begin(), a.end()), tb(b.begin(), b.end());
      std::vector<T> c(static_cast<std::size_t>(count));
      Scratch scratch(method.scratch_bytes());
      method.bind(ta.data(), tb.data(), c.data(), scratch.data())();
      return c;
    };
    const auto fast = run(*winograd_convolution(kind, s), 0.0f),
               direct = run(*unfolding_convolution(kind, s), 0.0f);
    ConvShape exact = s;
    exact.dtype = DType::float64;
    const auto want = run(*unfolding_convolution(kind, exact), 0.0);
    double of_fast = 0, of_direct = 0;
    for (std::size_t i = 0; i < want.size(); ++i) {
      of_fast += std::pow(fast[i] - want[i], 2), of_direct += std::pow(direct[i] - want[i], 2);
    }
    EXPECT_LE(std::sqrt(of_fast / of_direct), 7) << text(kind, s);
    EXPECT_GT(of_fast, 0);
  }
}

TEST(Convolution, WinogradIsForFiltersOfThreeByThree) {
  const ConvShape good{
      .n = 1, .c = 16, .h = 8, .w = 8, .k = 16, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1};
  const auto suits = [](const ConvShape& s) {
    return winograd_convolution(ConvKind::forward, s) != nullptr;
  };
  EXPECT_TRUE(suits(good));
  const auto without = [&](auto change) {
    ConvShape s = good;
    change(s);
    return !suits(s);
  };
  EXPECT_TRUE(without([](ConvShape& s) { s.r = 5; }));
  EXPECT_TRUE(without([](ConvShape& s) { s.stride_w = 2; }));
  EXPECT_TRUE(without([](ConvShape& s) { s.dilation_h = 2; }));
  EXPECT_TRUE(without([](ConvShape& s) { s.groups = 16; }));
  EXPECT_TRUE(without([](ConvShape& s) { s.c = 20; }));
  EXPECT_TRUE(without([](ConvShape& s) { s.k = 8; }));
  EXPECT_TRUE(without([](ConvShape& s) { s.pad_h = 3; }));
  EXPECT_TRUE(without([](ConvShape& s) { s.h = s.w = 2; })) << "a tile that is mostly empty";
  EXPECT_TRUE(without([](ConvShape& s) { s.c = s.k = 512; })) << "filters outweigh images";
  EXPECT_TRUE(without([](ConvShape& s) { s.dtype = DType::float64; }));
}

// As many images as fill vectors of any target, more and fewer; channels and places that fill
// blocks of registers and leave rests.
ConvShape random_batch(RandomStream& random) {
  ConvShape s = random_shape(random);
  s.dtype = DType::float32;
  s.n = between(random, 1, 2) == 1 ? 16 : between(random, 1, 35);
  s.k = s.groups * between(random, 1, 17);
  return s;
}

TEST(Convolution, BatchInLanesOfAllKinds) {
  RandomStream random(17);
  for (int trial = 0; trial < 60; ++trial) {
    const auto s = random_batch(random);
    for (const auto kind : kKinds) check<float>(kind, s, *batch_convolution(kind, s));
  }
  // More places than are in work at a time, in the middle of a row.
  const ConvShape large{.n = 16, .c = 2, .h = 19, .w = 21, .k = 9, .r = 3, .s = 4, .pad_h = 2};
  for (const auto kind : kKinds) check<float>(kind, large, *batch_convolution(kind, large));
  EXPECT_EQ(batch_convolution(
                ConvKind::forward,
                {.n = 16, .c = 1, .h = 3, .w = 3, .k = 1, .r = 1, .s = 1, .dtype = DType::float64}),
            nullptr);
}

// An image that is not finite keeps to itself, also where the last vector holds images twice.
TEST(Convolution, BatchInLanesKeepsImagesApart) {
  const ConvShape s{.n = 19, .c = 2, .h = 5, .w = 6, .k = 3, .r = 3, .s = 3};
  const auto size = sizes(s);
  auto x = testing::random_vector<float>(size.input, 1);
  const auto weight = testing::random_vector<float>(size.weight, 2);
  std::fill_n(x.begin() + 4 * s.c * s.h * s.w, s.c * s.h * s.w, NAN);  // image 4
  std::vector<float> y(static_cast<std::size_t>(size.output));
  const auto method = batch_convolution(ConvKind::forward, s);
  Scratch scratch(method->scratch_bytes());
  method->bind(x.data(), weight.data(), y.data(), scratch.data())();
  const std::int64_t image = size.output / s.n;
  for (std::int64_t i = 0; i < size.output; ++i)
    ASSERT_EQ(std::isnan(y[static_cast<std::size_t>(i)]), i / image == 4) << i;
}

TEST(Convolution, FewChannelsOfManyImagesGoIntoLanes) {
  const ConvShape few{.n = 64, .c = 3, .h = 12, .w = 12, .k = 5, .r = 5, .s = 5},
      many{.n = 64, .c = 64, .h = 12, .w = 12, .k = 64, .r = 3, .s = 3};
  EXPECT_TRUE(batch_convolution_pays(ConvKind::forward, few));
  EXPECT_EQ(Convolution(ConvKind::forward, few).copies(),
            batch_convolution(ConvKind::forward, few)->copies());
  ConvShape single = few, narrow = few, depthwise = few;
  single.n = 1;
  depthwise.groups = depthwise.k = depthwise.c;
  for (const auto kind : kKinds) {
    EXPECT_FALSE(batch_convolution_pays(kind, many));
    EXPECT_FALSE(batch_convolution_pays(kind, single));
    EXPECT_FALSE(batch_convolution_pays(kind, depthwise));
  }
  narrow.n = 17, narrow.dtype = DType::bfloat16;
  for (const auto kind : kKinds) check<bfloat16>(kind, narrow, Convolution(kind, narrow));
}

// Runs a method on images as planes and channels last; the results, both as planes, must be equal.
template <class T, class Make>
void check_layouts(ConvKind kind, ConvShape s, const Make& make) {
  const auto size = sizes(s);
  const auto in = testing::random_vector<T>(size.input, 1),
             weight = testing::random_vector<T>(size.weight, 2),
             out = testing::random_vector<T>(size.output, 3);
  const auto in_last = turned(in, s.n, s.c, s.h * s.w),
             out_last = turned(out, s.n, s.k, s.out_h() * s.out_w());
  const auto run = [&](const std::vector<T>& x, const std::vector<T>& g, bool last) {
    s.channels_last = last;
    const auto method = make(kind, s);
    Scratch scratch(method.scratch_bytes());
    const auto& a = kind == ConvKind::input_gradient ? g : x;
    const auto& b = kind == ConvKind::weight_gradient ? g : weight;
    std::vector<Result<T>> c(kind == ConvKind::forward          ? out.size()
                             : kind == ConvKind::input_gradient ? in.size()
                                                                : weight.size());
    method.bind(a.data(), b.data(), c.data(), scratch.data())();
    EXPECT_TRUE(scratch.intact());
    return c;
  };
  auto planes = run(in, out, false);
  const auto last = run(in_last, out_last, true);
  if (kind == ConvKind::forward) planes = turned(planes, s.n, s.k, s.out_h() * s.out_w());
  if (kind == ConvKind::input_gradient) planes = turned(planes, s.n, s.c, s.h * s.w);
  ASSERT_TRUE(
      testing::same_bits(planes.data(), last.data(), static_cast<std::int64_t>(planes.size())))
      << text(kind, s);
}

TEST(Convolution, BothLayoutsGiveTheSameBits) {
  RandomStream random(11);
  for (int trial = 0; trial < 60; ++trial) {
    const auto s = random_shape(random);
    for (const auto kind : kKinds) {
      const auto make = [](ConvKind k, const ConvShape& shape) { return Convolution(k, shape); };
      if (s.dtype == DType::float64) check_layouts<double>(kind, s, make);
      if (s.dtype == DType::float32) check_layouts<float>(kind, s, make);
      if (s.dtype == DType::bfloat16) check_layouts<bfloat16>(kind, s, make);
    }
  }
}

TEST(Convolution, WinogradGivesTheSameBitsInBothLayouts) {
  for (const ConvShape& s : winograd_shapes()) {
    for (const auto kind : kKinds) {
      const auto make = [](ConvKind k, const ConvShape& shape) { return Convolution(k, shape); };
      check_layouts<float>(kind, s, make);
    }
  }
}

struct InLanes {  // as Convolution
  ConvolutionMethodPtr method;
  std::size_t scratch_bytes() const { return method->scratch_bytes(); }
  std::function<void()> bind(const void* a, const void* b, void* c, void* scratch) const {
    return method->bind(a, b, c, scratch);
  }
};

TEST(Convolution, BatchInLanesGivesTheSameBitsInBothLayouts) {
  RandomStream random(19);
  for (int trial = 0; trial < 40; ++trial) {
    const auto s = random_batch(random);
    for (const auto kind : kKinds) {
      check_layouts<float>(kind, s, [](ConvKind k, const ConvShape& shape) {
        return InLanes{batch_convolution(k, shape)};
      });
    }
  }
}

TEST(Convolution, RefusesWhatDoesNotFit) {
  const ConvShape good{.n = 1, .c = 4, .h = 5, .w = 5, .k = 4, .r = 3, .s = 3};
  EXPECT_NO_THROW(Convolution(ConvKind::forward, good));
  ConvShape s = good;
  s.groups = 3;
  EXPECT_ANY_THROW(Convolution(ConvKind::forward, s));
  s = good;
  s.r = 6;
  EXPECT_ANY_THROW(Convolution(ConvKind::forward, s));
  s = good;
  s.stride_w = 0;
  EXPECT_ANY_THROW(Convolution(ConvKind::forward, s));
  s = good;
  s.dtype = DType::int32;
  EXPECT_ANY_THROW(Convolution(ConvKind::forward, s));
}

}  // namespace
}  // namespace descent::kernels
