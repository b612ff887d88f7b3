#include <cmath>
#include <limits>

#include "descent/kernels/convolution.h"
#include "tests/kernels/support.h"

namespace descent::kernels {
namespace {
using testing::between;
using testing::Guarded;
using testing::turned;

template <class T>
class Pooling : public ::testing::Test {};
using Floats = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Pooling, Floats);

std::vector<PoolShape> pool_shapes() {
  std::vector<PoolShape> all = {
      {.n = 2, .c = 3, .h = 8, .w = 8, .r = 2, .s = 2, .stride_h = 2, .stride_w = 2},
      {.n = 2, .c = 6, .h = 6, .w = 22, .r = 2, .s = 2, .stride_h = 2, .stride_w = 2},
      {.n = 2, .c = 3, .h = 3, .w = 3, .r = 3, .s = 3, .stride_h = 3, .stride_w = 3, .pad_h = 1}};
  RandomStream random(9);
  while (all.size() < 60) {
    PoolShape p{.n = 2,
                .c = all.size() % 3 == 0 ? between(random, 1, 18) : 2,
                .h = between(random, 1, 9),
                .w = between(random, 1, 9),
                .r = between(random, 1, 4),
                .s = between(random, 1, 4)};
    p.stride_h = between(random, 1, 3), p.stride_w = between(random, 1, 3);
    p.pad_h = between(random, 0, p.r / 2), p.pad_w = between(random, 0, p.s / 2);
    if (p.h + 2 * p.pad_h >= p.r && p.w + 2 * p.pad_w >= p.s) all.push_back(p);
  }
  return all;
}

// Calls f(plane, output element of all, pixel of the plane, inside) for every place of every
// window.
template <class F>
void each_place(const PoolShape& p, const F& f) {
  std::int64_t o = 0;
  for (std::int64_t plane = 0; plane < p.n * p.c; ++plane)
    for (std::int64_t oh = 0; oh < p.out_h(); ++oh)
      for (std::int64_t ow = 0; ow < p.out_w(); ++ow, ++o)
        for (std::int64_t r = 0; r < p.r; ++r)
          for (std::int64_t q = 0; q < p.s; ++q) {
            const std::int64_t h = oh * p.stride_h - p.pad_h + r, w = ow * p.stride_w - p.pad_w + q;
            if (h >= 0 && h < p.h && w >= 0 && w < p.w) f(plane, o, h * p.w + w);
          }
}

TYPED_TEST(Pooling, MaximumItsPlaceAndItsTranspose) {
  using T = TypeParam;
  for (const auto& p : pool_shapes()) {
    const std::int64_t size = p.n * p.c * p.h * p.w, plane_size = p.h * p.w,
                       outs = p.n * p.c * p.out_h() * p.out_w();
    Guarded<T> x(size), y(outs), again(outs), dx(size), g(outs);
    Guarded<std::int32_t> index(outs);
    RandomStream random(4);
    for (std::int64_t i = 0; i < size; ++i)
      x[i] = static_cast<T>(static_cast<int>(random.below(5))) - 9,  // equals, all negative
          dx[i] = static_cast<T>(NAN);                               // must not be read
    if (size > 5) x[5] = static_cast<T>(NAN);
    for (std::int64_t i = 0; i < outs; ++i) g[i] = static_cast<T>(i + 1);
    max_pool(p, x.data(), y.data(), index.data());
    std::vector<T> want(static_cast<std::size_t>(outs), -std::numeric_limits<T>::infinity());
    std::vector<std::int32_t> place(static_cast<std::size_t>(outs), -1);
    std::vector<T> want_dx(static_cast<std::size_t>(size));
    each_place(p, [&](std::int64_t plane, std::int64_t o, std::int64_t pixel) {
      auto& best = want[static_cast<std::size_t>(o)];
      const T v = x[plane * plane_size + pixel];
      if (v > best || (std::isnan(v) && !std::isnan(best)))
        best = v, place[static_cast<std::size_t>(o)] = static_cast<std::int32_t>(pixel);
    });
    pool_gather(p, x.data(), index.data(), again.data());
    pool_scatter(p, g.data(), index.data(), dx.data());
    ASSERT_TRUE(x.intact() && y.intact() && index.intact() && again.intact() && dx.intact());
    for (std::int64_t o = 0; o < outs; ++o) {
      ASSERT_TRUE(testing::same_bits(y[o], want[static_cast<std::size_t>(o)]));
      ASSERT_EQ(index[o], place[static_cast<std::size_t>(o)]);
      ASSERT_TRUE(testing::same_bits(again[o], y[o]));
      want_dx[static_cast<std::size_t>(o / (p.out_h() * p.out_w()) * plane_size + index[o])] +=
          g[o];
    }
    ASSERT_TRUE(testing::same_bits(static_cast<const T*>(dx.data()),
                                   static_cast<const T*>(want_dx.data()), size));
  }
}

TYPED_TEST(Pooling, BothLayoutsGiveTheSameBits) {
  using T = TypeParam;
  for (auto p : pool_shapes()) {
    const std::int64_t in = p.n * p.c * p.h * p.w, places = p.out_h() * p.out_w(),
                       out = p.n * p.c * places;
    auto x = testing::random_vector<T>(in, 1);
    const auto g = testing::random_vector<T>(out, 2);
    if (in > 5) x[5] = static_cast<T>(NAN);
    const auto x_last = turned(x, p.n, p.c, p.h * p.w), g_last = turned(g, p.n, p.c, places);
    struct Result {
      std::vector<T> largest, gathered, scattered, mean, gradient;
      std::vector<std::int32_t> index;
    };
    const auto run = [&](const std::vector<T>& image, const std::vector<T>& gradient, bool last) {
      p.channels_last = last;
      const auto n_in = static_cast<std::size_t>(in), n_out = static_cast<std::size_t>(out);
      const auto nan = static_cast<T>(NAN);
      Result r{std::vector<T>(n_out), std::vector<T>(n_out),     std::vector<T>(n_in, nan),
               std::vector<T>(n_out), std::vector<T>(n_in, nan), std::vector<std::int32_t>(n_out)};
      max_pool(p, image.data(), r.largest.data(), r.index.data());
      pool_gather(p, image.data(), r.index.data(), r.gathered.data());
      pool_scatter(p, gradient.data(), r.index.data(), r.scattered.data());
      average_pool(p, image.data(), r.mean.data());
      average_pool_gradient(p, gradient.data(), r.gradient.data());
      return r;
    };
    const Result a = run(x, g, false), b = run(x_last, g_last, true);
    const auto same = [](const auto& u, const auto& v) {
      return testing::same_bits(u.data(), v.data(), static_cast<std::int64_t>(u.size()));
    };
    ASSERT_TRUE(same(turned(a.largest, p.n, p.c, places), b.largest));
    ASSERT_TRUE(same(turned(a.index, p.n, p.c, places), b.index));
    ASSERT_TRUE(same(turned(a.gathered, p.n, p.c, places), b.gathered));
    ASSERT_TRUE(same(turned(a.scattered, p.n, p.c, p.h * p.w), b.scattered));
    ASSERT_TRUE(same(turned(a.mean, p.n, p.c, places), b.mean));
    ASSERT_TRUE(same(turned(a.gradient, p.n, p.c, p.h * p.w), b.gradient));
  }
}

TYPED_TEST(Pooling, MeanCountsThePaddingAndItsTranspose) {
  using T = TypeParam;
  for (const auto& p : pool_shapes()) {
    const std::int64_t size = p.n * p.c * p.h * p.w, outs = p.n * p.c * p.out_h() * p.out_w();
    Guarded<T> x(size), y(outs), dx(size), g(outs);
    RandomStream random(4);
    for (std::int64_t i = 0; i < size; ++i)
      x[i] = static_cast<T>(random.uniform()), dx[i] = static_cast<T>(NAN);
    for (std::int64_t i = 0; i < outs; ++i) g[i] = static_cast<T>(random.uniform());
    average_pool(p, x.data(), y.data());
    average_pool_gradient(p, g.data(), dx.data());
    ASSERT_TRUE(x.intact() && y.intact() && dx.intact());
    std::vector<double> mean(static_cast<std::size_t>(outs)),
        want_dx(static_cast<std::size_t>(size));
    each_place(p, [&](std::int64_t plane, std::int64_t o, std::int64_t pixel) {
      const auto at = static_cast<std::size_t>(plane * p.h * p.w + pixel);
      mean[static_cast<std::size_t>(o)] +=
          static_cast<double>(x[static_cast<std::int64_t>(at)]) / static_cast<double>(p.r * p.s);
      want_dx[at] += static_cast<double>(g[o]) / static_cast<double>(p.r * p.s);
    });
    // 16 terms of at most 1: 17 roundings of at most 2^-24.
    for (std::int64_t i = 0; i < outs; ++i)
      ASSERT_NEAR(y[i], mean[static_cast<std::size_t>(i)], 17 * std::numeric_limits<T>::epsilon());
    for (std::int64_t i = 0; i < size; ++i)
      ASSERT_NEAR(dx[i], want_dx[static_cast<std::size_t>(i)],
                  17 * std::numeric_limits<T>::epsilon());
  }
}

}  // namespace
}  // namespace descent::kernels
