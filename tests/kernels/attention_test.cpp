// Attention against plain loops in float64: all sizes, strides, masks, with sentinels around what
// is written.
#include "descent/kernels/attention.h"

#include <algorithm>

#include "descent/kernels/reduce.h"
#include "tests/kernels/support.h"

namespace descent::kernels {
namespace {

using testing::Guarded;
using testing::random_vector;
using testing::Scratch;

struct Case {
  std::int64_t rows, heads, queries, keys, dim;
  bool causal, packed, masked;
  double dropout = 0;
};
void PrintTo(const Case& c, std::ostream* out) {
  *out << c.rows << "x" << c.heads << " " << c.queries << "x" << c.keys << "x" << c.dim
       << (c.causal ? " causal" : "") << (c.packed ? " packed" : "") << (c.masked ? " masked" : "");
  if (c.dropout > 0) *out << " dropout " << c.dropout;
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const std::int64_t time : {1, 7, 65}) {
    for (const std::int64_t dim : {8, 20, 64}) {
      all.push_back({2, 3, time, time, dim, true, true, false});
      all.push_back({2, 2, time, time, dim, false, true, true});
      all.push_back({1, 2, time, time + 5, dim, true, false, false});
    }
  }
  // More than one block of keys, and queries that see none.
  all.push_back({1, 1, 600, 600, 16, true, true, false});
  all.push_back({1, 1, 40, 530, 33, false, false, true});
  all.push_back({2, 1, 300, 270, 4, true, false, true});
  // Blocks of random numbers that begin at any place.
  all.push_back({2, 3, 7, 7, 8, false, true, false, 0.3});
  all.push_back({1, 2, 65, 65, 20, true, true, true, 0.5});
  all.push_back({2, 2, 38, 300, 16, true, false, true, 0.1});
  return all;
}

constexpr std::uint64_t kKey = 77, kStream = 1234567;
constexpr std::int64_t kFirstRow = 3;

// M as [rows heads, keys, queries], all its random numbers drawn at once.
std::vector<double> factors(const Case& c, DType computed) {
  const std::int64_t some = noise_queries(c.queries), before = kFirstRow * c.heads * c.keys * some,
                     n = c.rows * c.heads * c.keys * some;
  std::vector<float> single(static_cast<std::size_t>(n));
  std::vector<double> u(single.size()), all;
  if (computed == DType::float64) {
    random_uniform(kKey, kStream, before, n, u.data(), computed);
  } else {
    random_uniform(kKey, kStream, before, n, single.data(), computed);
    std::copy(single.begin(), single.end(), u.begin());
  }
  for (std::int64_t j = 0; j < n; ++j) {
    if (j % some < c.queries)
      all.push_back(u[static_cast<std::size_t>(j)] < c.dropout ? 0 : 1 / (1 - c.dropout));
  }
  return all;
}

// Plain loops over [rows, heads, time, dim], in double.
struct Naive {
  Naive(const Case& c_, DType computed) : c(c_), m(factors(c_, computed)) {}
  double factor(std::int64_t nh, std::int64_t j, std::int64_t i) const {
    return m[static_cast<std::size_t>((nh * c.keys + j) * c.queries + i)];
  }
  double seen(const std::vector<char>& mask, std::int64_t n, std::int64_t i, std::int64_t j) const {
    if (c.causal && j > i + c.keys - c.queries) return false;
    return !c.masked || mask[static_cast<std::size_t>(n * c.keys + j)] != 0;
  }
  std::size_t at(std::int64_t nh, std::int64_t t, std::int64_t time) const {
    return static_cast<std::size_t>((nh * time + t) * c.dim);
  }
  using Vector = std::vector<double>;
  void run(const Vector& q, const Vector& k, const Vector& v, const Vector& g,
           const std::vector<char>& mask, double scale) {
    o.assign(q.size(), 0), dq.assign(q.size(), 0);
    dk.assign(k.size(), 0), dv.assign(k.size(), 0);
    for (std::int64_t nh = 0; nh < c.rows * c.heads; ++nh) {
      for (std::int64_t i = 0; i < c.queries; ++i) row(q, k, v, g, mask, scale, nh, i);
    }
  }
  void row(const Vector& q, const Vector& k, const Vector& v, const Vector& g,
           const std::vector<char>& mask, double scale, std::int64_t nh, std::int64_t i) {
    const auto dim = static_cast<std::size_t>(c.dim), qi = at(nh, i, c.queries);
    Vector p(static_cast<std::size_t>(c.keys)), dp(p.size());
    double sum = 0, most = -1e300, delta = 0;
    for (std::int64_t j = 0; j < c.keys; ++j) {
      const auto kj = at(nh, j, c.keys), js = static_cast<std::size_t>(j);
      for (std::size_t l = 0; l < dim; ++l) p[js] += scale * q[qi + l] * k[kj + l];
      if (seen(mask, nh / c.heads, i, j)) most = std::max(most, p[js]);
    }
    for (std::int64_t j = 0; j < c.keys; ++j) {
      const auto js = static_cast<std::size_t>(j);
      p[js] = seen(mask, nh / c.heads, i, j) ? std::exp(p[js] - most) : 0;
      sum += p[js];
    }
    if (sum == 0) return;
    for (std::int64_t j = 0; j < c.keys; ++j) {
      const auto kj = at(nh, j, c.keys), js = static_cast<std::size_t>(j);
      p[js] /= sum;
      const double kept = factor(nh, j, i);
      for (std::size_t l = 0; l < dim; ++l) {
        o[qi + l] += kept * p[js] * v[kj + l];
        dp[js] += kept * g[qi + l] * v[kj + l];
        dv[kj + l] += kept * p[js] * g[qi + l];
      }
      delta += p[js] * dp[js];
    }
    for (std::int64_t j = 0; j < c.keys; ++j) {
      const auto kj = at(nh, j, c.keys), js = static_cast<std::size_t>(j);
      const double ds = scale * p[js] * (dp[js] - delta);
      for (std::size_t l = 0; l < dim; ++l) {
        dq[qi + l] += ds * k[kj + l];
        dk[kj + l] += ds * q[qi + l];
      }
    }
  }
  Case c;
  Vector m;
  Vector o, dq, dk, dv;
};

// The steps of a tensor [rows, heads, time, dim], dense or as one of three in [rows, time, 3, ...].
template <class T, class Data>
AttentionTensor<Data> tensor(Data* data, const Case& c, std::int64_t time, int part) {
  const auto width = c.heads * c.dim;
  if (!c.packed) return {data, width * time, time * c.dim, c.dim};
  return {data + part * width * static_cast<std::int64_t>(sizeof(T)), 3 * width * time, c.dim,
          3 * width};
}

template <class T, class Data>
double element(const AttentionTensor<Data>& x, std::int64_t n, std::int64_t h, std::int64_t t,
               std::int64_t l) {
  const T value = reinterpret_cast<const T*>(x.data)[n * x.row + h * x.head + t * x.time + l];
  if constexpr (std::is_same_v<T, bfloat16>)
    return static_cast<float>(value);
  else
    return static_cast<double>(value);
}

// E: of q, k and v; T: of everything else.
template <class E, class T>
class Comparison {
 public:
  Comparison(const Case& c, DType in)
      : c_(c), shape_{c.rows, c.heads, c.queries, c.keys, c.dim, c.causal} {
    shape_.in = in;
    shape_.scale = 0.4;
    shape_.dropout = c.dropout;
  }

  void expect(double tolerance) {
    const auto queries = c_.rows * c_.heads * c_.queries * c_.dim,
               keys = c_.rows * c_.heads * c_.keys * c_.dim, size = c_.packed ? 3 * keys : queries;
    Guarded<E> q(size), k(c_.packed ? 0 : keys), v(c_.packed ? 0 : keys);
    Guarded<T> dq(size), dk(k.size()), dv(v.size()), o(queries), g(queries),
        lse(c_.rows * c_.heads * c_.queries);
    fill(q, 1), fill(k, 2), fill(v, 3), fill(g, 4);
    std::vector<char> mask(static_cast<std::size_t>(c_.rows * c_.keys));
    RandomStream random(5);
    for (auto& m : mask) m = random.below(3) > 0;
    AttentionForward forward{.shape = shape_};
    forward.q = input(q, c_.queries, 0);
    forward.k = input(c_.packed ? q : k, c_.keys, 1);
    forward.v = input(c_.packed ? q : v, c_.keys, 2);
    if (c_.masked) forward.mask = reinterpret_cast<const bool*>(mask.data());
    forward.out = plain(o);
    forward.lse = lse.data();
    if (c_.dropout > 0) forward.noise = {&kKey, kStream, kFirstRow};
    AttentionBackward backward{shape_, forward.q, forward.k, forward.v, forward.mask};
    backward.noise = forward.noise;
    backward.out = plain_input(o), backward.g = plain_input(g), backward.lse = lse.data();
    backward.dq = output(dq, c_.queries, 0);
    backward.dk = output(c_.packed ? dq : dk, c_.keys, 1);
    backward.dv = output(c_.packed ? dq : dv, c_.keys, 2);

    Scratch scratch(attention_scratch_bytes(shape_)),
        more(attention_gradient_scratch_bytes(shape_));
    const long before = testing::allocations();
    attention(forward, scratch.data());
    attention_gradient(backward, more.data());
    EXPECT_EQ(testing::allocations(), before);
    for (const bool intact : {scratch.intact(), more.intact(), dq.intact(), dk.intact(),
                              dv.intact(), o.intact(), lse.intact()}) {
      EXPECT_TRUE(intact);
    }

    Naive naive(c_, dtype_of<T>);
    naive.run(numbers(forward.q, c_.queries), numbers(forward.k, c_.keys),
              numbers(forward.v, c_.keys), numbers_of(plain(g), c_.queries), mask, shape_.scale);
    compare(numbers_of(forward.out, c_.queries), naive.o, tolerance, "output");
    compare(numbers_of(backward.dq, c_.queries), naive.dq, tolerance, "dq");
    compare(numbers_of(backward.dk, c_.keys), naive.dk, tolerance, "dk");
    compare(numbers_of(backward.dv, c_.keys), naive.dv, tolerance, "dv");
  }

 private:
  template <class X>
  static void fill(Guarded<X>& x, std::uint64_t seed) {
    const auto values = random_vector<float>(x.size(), seed, -2, 2);
    for (std::int64_t i = 0; i < x.size(); ++i) x[i] = X(values[static_cast<std::size_t>(i)]);
  }
  AttentionInput input(const Guarded<E>& x, std::int64_t time, int part) const {
    return tensor<E>(reinterpret_cast<const std::byte*>(x.data()), c_, time, part);
  }
  AttentionOutput output(Guarded<T>& x, std::int64_t time, int part) const {
    return tensor<T>(reinterpret_cast<std::byte*>(x.data()), c_, time, part);
  }
  // [rows, time, heads, dim].
  AttentionOutput plain(Guarded<T>& x) const {
    const auto width = c_.heads * c_.dim;
    return {reinterpret_cast<std::byte*>(x.data()), width * c_.queries, c_.dim, width};
  }
  AttentionInput plain_input(Guarded<T>& x) const {
    const auto p = plain(x);
    return {p.data, p.row, p.head, p.time};
  }
  template <class Tensor, class X>
  std::vector<double> gathered(const Tensor& x, std::int64_t time) const {
    std::vector<double> all;
    for (std::int64_t n = 0; n < c_.rows; ++n) {
      for (std::int64_t h = 0; h < c_.heads; ++h) {
        for (std::int64_t t = 0; t < time; ++t) {
          for (std::int64_t l = 0; l < c_.dim; ++l) all.push_back(element<X>(x, n, h, t, l));
        }
      }
    }
    return all;
  }
  std::vector<double> numbers(const AttentionInput& x, std::int64_t time) const {
    return gathered<AttentionInput, E>(x, time);
  }
  std::vector<double> numbers_of(const AttentionOutput& x, std::int64_t time) const {
    return gathered<AttentionOutput, T>(x, time);
  }
  static void compare(const std::vector<double>& got, const std::vector<double>& want,
                      double tolerance, const char* what) {
    ASSERT_EQ(got.size(), want.size());
    double most = 1;  // where everything cancels, the terms are of this size
    for (const double x : want) most = std::max(most, std::abs(x));
    for (std::size_t i = 0; i < got.size(); ++i) {
      ASSERT_LE(std::abs(got[i] - want[i]), tolerance * most) << what << " at " << i;
    }
  }

  Case c_;
  AttentionShape shape_;
};

class Attention : public ::testing::TestWithParam<Case> {};

// Sums of at most 600 products, each rounded to 1.1e-16 (6e-8); exp doubles the error of a score,
// which is below 2^-50 (2^-21) times its size of some tens.
TEST_P(Attention, Float64EqualsLoops) {
  Comparison<double, double>(GetParam(), DType::float64).expect(1e-13);
}
TEST_P(Attention, Float32EqualsLoops) {
  Comparison<float, float>(GetParam(), DType::float32).expect(5e-5);
}
// The same operands rounded once, and float32 from there.
TEST_P(Attention, Bfloat16EqualsLoopsOverItsNumbers) {
  Comparison<bfloat16, float>(GetParam(), DType::bfloat16).expect(5e-5);
}

INSTANTIATE_TEST_SUITE_P(Sizes, Attention, ::testing::ValuesIn(cases()));

}  // namespace
}  // namespace descent::kernels
