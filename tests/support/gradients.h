// expect_gradients(f, x): one call checks everything that can be known of a function's derivatives
// without knowing the function (after Stan's expect_ad and JAX's check_grads): reverse mode against
// central differences and against forward mode, second order in two ways, and the compiled plan
// against the eager run, bit for bit.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "descent/autodiff/autodiff.h"
#include "descent/base/random.h"
#include "descent/compile/plan.h"
#include "descent/ops/ops.h"

namespace descent::test {

inline Array random_array(const Shape& shape, std::uint64_t key, double low = -1, double high = 1,
                          DType dtype = DType::float64) {
  Array a(dtype, shape);
  RandomStream random(key);
  for (std::int64_t i = 0; i < a.size(); ++i) a.set_item(i, low + (high - low) * random.uniform());
  return a;
}

inline double inner(const std::vector<Array>& a, const std::vector<Array>& b) {
  double total = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    for (std::int64_t k = 0; k < a[i].size(); ++k) total += a[i].item(k) * b[i].item(k);
  }
  return total;
}

inline std::vector<Array> along(const std::vector<Array>& x, const std::vector<Array>& v,
                                double h) {
  std::vector<Array> moved;
  for (std::size_t i = 0; i < x.size(); ++i) {
    moved.push_back(x[i].clone());
    for (std::int64_t k = 0; k < x[i].size(); ++k)
      moved[i].set_item(k, x[i].item(k) + h * v[i].item(k));
  }
  return moved;
}

inline void expect_identical(const std::vector<Array>& a, const std::vector<Array>& b,
                             const std::string& what) {
  ASSERT_EQ(a.size(), b.size()) << what;
  for (std::size_t i = 0; i < a.size(); ++i)
    EXPECT_TRUE(identical(a[i], b[i])) << what << ": result " << i << " differs";
}

// The same function, operation by operation.
inline std::vector<Array> eager(const Fn& f, const std::vector<Array>& x,
                                bool check_finite = true) {
  const EagerScope scope({.shards = 1, .check_finite = check_finite});
  Values inputs;
  for (const auto& a : x) inputs.push_back(computed({a}, false));
  std::vector<Array> result;
  for (const auto& v : f(inputs)) result.push_back(v.array().clone());
  return result;
}

inline Values as_values(ValueSpan v) { return {v.begin(), v.end()}; }

// f may give any number of results of any shape: they are joined into one number by fixed weights.
// order 1: no second derivatives. Central differences in float64 with h = 1e-5 leave an error of
// about h^2 f''' + eps / h = 1e-10 + 1e-11, relative to values of order 1: 1e-7 has room for larger
// third derivatives; each test states where it needs more.
inline void expect_gradients(const Fn& f, const std::vector<Array>& x, int order = 2,
                             double tolerance = 1e-7) {
  const ScalarFn scalar_f = [&f](ValueSpan in) {
    Value total;
    std::uint64_t k = 0;
    for (const auto& y : f(in)) {
      if (!is_floating(y.dtype())) continue;
      const Value part = sum(y * constant(random_array(y.shape(), 900 + k++, 0.5, 1.5, y.dtype())));
      total = total ? total + part : part;
    }
    return total;
  };
  std::vector<Array> v, w;
  for (std::size_t i = 0; i < x.size(); ++i) {
    v.push_back(random_array(x[i].shape(), 100 + i));
    w.push_back(random_array(x[i].shape(), 200 + i));
  }
  const auto value = [&](const std::vector<Array>& at) {
    return evaluate([&](ValueSpan in) { return Values{scalar_f(in)}; }, at)[0].item();
  };
  const auto gradient = [&](const std::vector<Array>& at) {
    return evaluate(grad(scalar_f), at, {.verify = true});
  };
  const auto directional = [&](const std::vector<Array>& at, const std::vector<Array>& d) {
    std::vector<Array> all = at;
    all.insert(all.end(), d.begin(), d.end());
    return evaluate(
               [&](ValueSpan in) {
                 return jvp([&](ValueSpan y) { return Values{scalar_f(y)}; }, in.first(x.size()),
                            in.subspan(x.size()))
                     .second;
               },
               all)[0]
        .item();
  };
  constexpr double h = 1e-5;
  const auto g = gradient(x);
  const double reverse = inner(g, v);
  const double forward = directional(x, v);
  const double difference = (value(along(x, v, h)) - value(along(x, v, -h))) / (2 * h);
  const double size = 1 + std::abs(difference);
  EXPECT_NEAR(reverse, difference, tolerance * size) << "reverse mode against central differences";
  EXPECT_NEAR(forward, reverse, 1e-12 * size)
      << "forward mode against reverse mode";  // the same sums in another order
  expect_identical(gradient(x), eager(grad(scalar_f), x), "compiled against eager");
  if (order < 2) return;
  std::vector<Array> all = x;
  all.insert(all.end(), v.begin(), v.end());
  const auto hv = evaluate(
      [&](ValueSpan in) { return hvp(scalar_f, in.first(x.size()), in.subspan(x.size())); }, all,
      {.verify = true});
  const auto reverse_over_reverse = evaluate(
      [&](ValueSpan in) {
        return grad([&](ValueSpan y) {
          const Values gy = grad(scalar_f)(y);
          Value total = scalar(0, DType::float64);
          for (std::size_t i = 0; i < gy.size(); ++i) total = total + dot(gy[i], in[x.size() + i]);
          return total;
        })(in.first(x.size()));
      },
      all);
  const double second =
      (inner(gradient(along(x, v, h)), w) - inner(gradient(along(x, v, -h)), w)) / (2 * h);
  const double second_size = 1 + std::abs(second);
  EXPECT_NEAR(inner(hv, w), second, tolerance * second_size)
      << "Hessian-vector product against differences of the gradient";
  EXPECT_NEAR(inner(reverse_over_reverse, w), inner(hv, w), 1e-10 * second_size)
      << "reverse over reverse against forward over reverse";
}

}  // namespace descent::test
