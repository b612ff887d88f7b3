// Every operation's derivatives, over random shapes and broadcasting. The elementwise table is
// walked whole: a row without a domain here fails.
#include <gmock/gmock.h>

#include <map>

#include "descent/kernels/eltwise.h"
#include "descent/ops/eltwise.h"
#include "descent/ops/linalg.h"
#include "tests/support/gradients.h"

namespace descent::test {
namespace {

struct Domain {
  double low, high;              // where the function is smooth and well conditioned
  double low_b = 0, high_b = 0;  // of the second operand; equal: as the first
};

// Piecewise functions are sampled away from their kinks: no sample of [0.1, 0.9] crosses one.
const std::map<std::string, Domain>& domains() {
  static const std::map<std::string, Domain> all = {
      {"neg", {-2, 2}},
      {"abs", {0.1, 2}},
      {"sign", {0.1, 2}},
      {"square", {-2, 2}},
      {"reciprocal", {0.5, 2}},
      {"sqrt", {0.5, 2}},
      {"rsqrt", {0.5, 2}},
      {"exp", {-2, 2}},
      {"expm1", {-2, 2}},
      {"log", {0.5, 3}},
      {"log1p", {-0.5, 2}},
      {"sin", {-3, 3}},
      {"cos", {-3, 3}},
      {"tanh", {-2, 2}},
      {"sinh", {-2, 2}},
      {"cosh", {-2, 2}},
      {"atan", {-2, 2}},
      {"asin", {-0.8, 0.8}},
      {"acos", {-0.8, 0.8}},
      {"sigmoid", {-3, 3}},
      {"softplus", {-3, 3}},
      {"erf", {-2, 2}},
      {"gelu_exact", {-3, 3}},
      {"gelu_slope", {-3, 3}},
      {"floor", {0.1, 0.9}},
      {"ceil", {0.1, 0.9}},
      {"round", {0.1, 0.4}},
      {"is_finite", {-1, 1}},
      {"relu", {0.1, 2}},
      {"step", {0.1, 2}},
      {"add", {-2, 2}},
      {"sub", {-2, 2}},
      {"mul", {-2, 2}},
      {"div", {-2, 2, 0.5, 2}},
      {"pow", {0.5, 2, -2, 2}},
      {"atan2", {0.5, 2, 0.5, 2}},
      {"maximum", {-1, 0, 0.1, 1}},
      {"minimum", {-1, 0, 0.1, 1}},
      {"less_mask", {-1, 0, 0.1, 1}},
      {"less_equal_mask", {-1, 0, 0.1, 1}},
      {"greater_mask", {-1, 0, 0.1, 1}},
      {"greater_equal_mask", {-1, 0, 0.1, 1}},
      {"equal_mask", {-1, 0, 0.1, 1}},
      {"not_equal_mask", {-1, 0, 0.1, 1}},
      {"select", {0.1, 1}},
  };
  return all;
}

class Eltwise : public testing::TestWithParam<int> {};

TEST_P(Eltwise, GradientsOverShapesAndBroadcasting) {
  const auto code = static_cast<kernels::Eltwise>(GetParam());
  const auto& info = kernels::info(code);
  const auto it = domains().find(std::string(info.name));
  ASSERT_NE(it, domains().end()) << "no domain for " << info.name << ": add a row";
  const Domain d = it->second;
  const bool same = d.low_b == d.high_b;
  const std::vector<std::vector<Shape>> shapes =
      info.arity == 1
          ? std::vector<std::vector<Shape>>{{{}}, {{1}}, {{7}}, {{3, 5}}, {{2, 3, 4}}, {{33, 67}}}
      : info.arity == 2
          ? std::vector<std::vector<Shape>>{{{}, {}},
                                            {{5}, {}},
                                            {{}, {5}},
                                            {{3, 4}, {4}},
                                            {{3, 1}, {3, 4}},
                                            {{3, 1}, {1, 4}},
                                            {{2, 3, 4}, {3, 1}},
                                            {{40, 33}, {33}}}
          : std::vector<std::vector<Shape>>{{{4}, {4}, {4}}, {{3, 4}, {4}, {3, 1}}, {{}, {5}, {5}}};
  for (std::size_t k = 0; k < shapes.size(); ++k) {
    std::vector<Array> x;
    for (std::size_t i = 0; i < shapes[k].size(); ++i) {
      const bool first = i == 0 || same;
      x.push_back(random_array(shapes[k][i], 10 * k + i, first ? d.low : d.low_b,
                               first ? d.high : d.high_b));
    }
    SCOPED_TRACE(std::string(info.name) + " of " + to_string(shapes[k][0]));
    expect_gradients([code](ValueSpan in) { return Values{apply(EltwiseOp(code), as_values(in))}; },
                     x);
  }
}

INSTANTIATE_TEST_SUITE_P(Table, Eltwise,
                         testing::Range(0, static_cast<int>(kernels::Eltwise::count)),
                         [](const auto& p) {
                           return std::string(
                               kernels::info(static_cast<kernels::Eltwise>(p.param)).name);
                         });

struct Row {
  std::string name;
  Fn f;
  std::vector<Shape> shapes;
  double low = -1, high = 1;
};

const Array& indices() {
  static const Array a = Array::from<std::int64_t>({2, 0, 2, 1}, {4});
  return a;
}

// x [..., 4, 4] with eigenvalues apart from each other and from zero.
Value spread(const Value& x) {
  return 0.3 * x +
         constant(Array::from<double>({2, 0, 0, 0, 0, 4, 0, 0, 0, 0, 6, 0, 0, 0, 0, 8}, {4, 4}));
}

// Which keys the two rows of a batch see.
const Array& key_mask() {
  static const Array a = Array::from<double>({1, 1, 0, 1, 0, 0, 0, 1, 1, 1}, {2, 5});
  return a;
}

Value key() { return constant(Array::scalar<std::int64_t>(7)); }

std::vector<Row> rows() {
  const auto one = [](auto f) { return Fn([f](ValueSpan x) { return Values{f(x)}; }); };
  return {
      {"cast_round_trip",
       one([](ValueSpan x) { return cast(square(x[0]), DType::float64); }),
       {{3}}},
      {"where",
       one([](ValueSpan x) { return where(less(x[0], x[1]), square(x[0]), exp(x[1])); }),
       {{3, 4}, {4}}},
      {"clamp", one([](ValueSpan x) { return clamp(x[0], -5, 5) * x[0]; }), {{6}}},
      {"silu", one([](ValueSpan x) { return silu(x[0]); }), {{6}}},
      {"gelu_erf", one([](ValueSpan x) { return gelu(x[0]); }), {{3, 5}}},
      {"gelu_tanh", one([](ValueSpan x) { return gelu(x[0], Gelu::tanh); }), {{3, 5}}},
      {"sum_all", one([](ValueSpan x) { return square(sum(x[0])); }), {{3, 4}}},
      {"sum_first", one([](ValueSpan x) { return square(sum(x[0], {0})); }), {{3, 4}}},
      {"sum_last_keep", one([](ValueSpan x) { return square(sum(x[0], {-1}, true)); }), {{3, 4}}},
      {"sum_apart",
       one([](ValueSpan x) {
         return square(sum(x[0], {0, 2, 3}));
       }),
       {{2, 3, 2, 2}}},
      {"mean", one([](ValueSpan x) { return square(mean(x[0], {1})); }), {{3, 4}}},
      {"max", one([](ValueSpan x) { return square(max(x[0], {1})); }), {{3, 40}}},
      {"min", one([](ValueSpan x) { return square(min(x[0], {0}, true)); }), {{30, 4}}},
      {"logsumexp", one([](ValueSpan x) { return logsumexp(x[0], 0); }), {{5, 3}}},
      {"softmax", one([](ValueSpan x) { return softmax(x[0], -1); }), {{5, 3}}},
      {"log_softmax", one([](ValueSpan x) { return log_softmax(x[0], 1); }), {{4, 10}}},
      {"softmax_cross_entropy",
       one([](ValueSpan x) { return square(softmax_cross_entropy(x[0], constant(indices()))); }),
       {{4, 3}}},
      {"softmax_cross_entropy_positions",
       one([](ValueSpan x) {
         return softmax_cross_entropy(x[0], constant(indices().reshaped({2, 2}))) * x[1];
       }),
       {{2, 2, 70}, {2, 2}}},
      {"norm", one([](ValueSpan x) { return norm(x[0]); }), {{4, 10}}, 0.1, 1},
      {"dot", one([](ValueSpan x) { return dot(x[0], x[1]); }), {{7}, {7}}},
      {"reshape",
       one([](ValueSpan x) {
         return square(reshape(x[0], {2, -1}));
       }),
       {{4, 3}}},
      {"flatten", one([](ValueSpan x) { return square(flatten(x[0])); }), {{2, 3, 4}}},
      {"transpose",
       one([](ValueSpan x) { return square(transpose(x[0])) * x[1]; }),
       {{4, 3}, {3, 4}}},
      {"permute",
       one([](ValueSpan x) {
         return square(transpose(x[0], {2, 0, 1})) * x[1];
       }),
       {{2, 3, 4}, {4, 2, 3}}},
      {"broadcast_to",
       one([](ValueSpan x) {
         return square(broadcast_to(x[0], {2, 3, 4})) * x[1];
       }),
       {{3, 1}, {2, 3, 4}}},
      {"slice", one([](ValueSpan x) { return square(slice(x[0], 1, 1, 4)); }), {{3, 5}}},
      {"slice_rows", one([](ValueSpan x) { return square(slice(x[0], 0, 1, 3)); }), {{4, 5}}},
      {"slice_step", one([](ValueSpan x) { return square(slice(x[0], 0, 1, 8, 3)); }), {{9, 2}}},
      {"pad", one([](ValueSpan x) { return square(pad(x[0], 1, 2, 1)) * x[1]; }), {{2, 3}, {2, 6}}},
      {"pad_step", one([](ValueSpan x) { return square(pad(x[0], 0, 1, 2, 3)); }), {{3, 2}}},
      {"concat",
       one([](ValueSpan x) {
         return square(concat({x[0], x[1]}, 1)) * x[2];
       }),
       {{2, 3}, {2, 2}, {2, 5}}},
      {"dynamic_slice",
       one([](ValueSpan x) { return square(dynamic_slice(x[0], 1, scalar(2, DType::int64), 3)); }),
       {{2, 6, 3}}},
      {"dynamic_update",
       one([](ValueSpan x) {
         return square(dynamic_update(x[0], x[1], 1, scalar(2, DType::int64)));
       }),
       {{2, 6, 3}, {2, 3, 3}}},
      {"stack",
       one([](ValueSpan x) {
         return square(stack({x[0], x[1], x[0]}));
       }),
       {{4}, {4}}},
      {"row", one([](ValueSpan x) { return square(x[0][1]) * x[0][0]; }), {{3, 4}}},
      {"gather",
       one([](ValueSpan x) { return square(gather(x[0], constant(indices()))); }),
       {{3, 2}}},
      {"scatter_add",
       one([](ValueSpan x) { return square(scatter_add(x[0], constant(indices()), 5)); }),
       {{4, 2}}},
      {"one_hot_loss",
       one([](ValueSpan x) {
         return sum(one_hot(constant(indices()), 3, DType::float64) * log_softmax(x[0]));
       }),
       {{4, 3}}},
      {"matmul", one([](ValueSpan x) { return square(matmul(x[0], x[1])); }), {{3, 4}, {4, 5}}},
      {"matmul_ta",
       one([](ValueSpan x) { return square(matmul(x[0], x[1], true, false)); }),
       {{4, 3}, {4, 5}}},
      {"matmul_tb",
       one([](ValueSpan x) { return square(matmul(x[0], x[1], false, true)); }),
       {{3, 4}, {5, 4}}},
      {"matmul_tab",
       one([](ValueSpan x) { return square(matmul(x[0], x[1], true, true)); }),
       {{4, 3}, {5, 4}}},
      {"matmul_batched",
       one([](ValueSpan x) { return square(matmul(x[0], x[1], false, true)); }),
       {{2, 3, 4}, {2, 5, 4}}},
      {"matmul_batched_ta",
       one([](ValueSpan x) { return square(matmul(x[0], x[1], true)); }),
       {{2, 4, 3}, {2, 4, 5}}},
      {"matmul_left_shared",
       one([](ValueSpan x) { return square(matmul(x[0], x[1])); }),
       {{3, 4}, {2, 4, 5}}},
      {"matmul_right_shared",
       one([](ValueSpan x) { return square(matmul(x[0], x[1], true)); }),
       {{2, 4, 3}, {4, 5}}},
      {"matmul_tall",
       one([](ValueSpan x) { return square(matmul(x[0], x[1])); }),
       {{2, 3, 4}, {4, 5}}},
      {"eigh_values", one([](ValueSpan x) { return square(eigh(spread(x[0])).values); }), {{4, 4}}},
      {"eigh_vectors",
       one([](ValueSpan x) { return square(eigh(spread(x[0])).vectors) * x[1]; }),
       {{4, 4}, {4, 4}}},
      {"eigh_both",
       one([](ValueSpan x) {
         const auto e = eigh(spread(x[0]));
         return e.vectors * expand_dims(square(e.values), -2);
       }),
       {{4, 4}}},
      {"eigh_batched",
       one([](ValueSpan x) {
         const auto e = eigh(spread(x[0]));
         return e.vectors * expand_dims(e.values, -2);
       }),
       {{2, 1, 4, 4}}},
      {"solve_spd",
       one([](ValueSpan x) { return square(solve_spd(spread(x[0]), x[1])); }),
       {{4, 4}, {4, 3}}},
      {"solve_spd_batched",
       one([](ValueSpan x) { return square(solve_spd(spread(x[0]), x[1])); }),
       {{3, 4, 4}, {3, 4, 2}}},
      {"layer_norm", one([](ValueSpan x) { return square(layer_norm(x[0])); }), {{3, 7}}, 0, 3},
      {"layer_norm_weight",
       one([](ValueSpan x) { return square(layer_norm(x[0], x[1])); }),
       {{2, 3, 5}, {5}}},
      {"layer_norm_bias",
       one([](ValueSpan x) { return square(layer_norm(x[0], {}, x[1])); }),
       {{2, 3, 5}, {5}}},
      {"layer_norm_axes",
       one([](ValueSpan x) {
         return square(layer_norm(x[0], x[1], x[2], {.axes = 2, .eps = 1e-2}));
       }),
       {{40, 3, 5}, {3, 5}, {3, 5}}},
      {"rms_norm", one([](ValueSpan x) { return square(rms_norm(x[0]) + x[1]); }), {{3, 7}, {7}}},
      {"rms_norm_weight",
       one([](ValueSpan x) { return square(rms_norm(x[0], x[1], {.eps = 1e-2})); }),
       {{2, 3, 21}, {21}}},
      {"attention",
       one([](ValueSpan x) { return square(attention(x[0], x[1], x[2])); }),
       {{2, 2, 3, 4}, {2, 2, 5, 4}, {2, 2, 5, 4}}},
      {"attention_causal",
       one([](ValueSpan x) { return square(attention(x[0], x[1], x[2], {.causal = true})); }),
       {{2, 1, 3, 4}, {2, 1, 5, 4}, {2, 1, 5, 4}}},
      // The first two queries see no key.
      {"attention_more_queries",
       one([](ValueSpan x) {
         return square(attention(x[0], x[1], x[2], {.causal = true, .scale = 0.7}));
       }),
       {{1, 2, 5, 3}, {1, 2, 3, 3}, {1, 2, 3, 3}}},
      {"attention_masked",
       one([](ValueSpan x) {
         return square(attention(x[0], x[1], x[2], {.key_mask = constant(key_mask())}));
       }),
       {{2, 2, 3, 4}, {2, 2, 5, 4}, {2, 2, 5, 4}}},
      {"packed_attention",
       one([](ValueSpan x) { return square(packed_attention(x[0], {.causal = true})); }),
       {{2, 5, 3, 2, 4}}},
      {"packed_attention_masked",
       one([](ValueSpan x) {
         return square(packed_attention(x[0], {.causal = true, .key_mask = constant(key_mask())}));
       }),
       {{2, 5, 3, 2, 4}}},
      {"attention_dropout",
       one([](ValueSpan x) {
         return square(attention(x[0], x[1], x[2], {.causal = true, .dropout = 0.4, .key = key()}));
       }),
       {{2, 2, 3, 4}, {2, 2, 5, 4}, {2, 2, 5, 4}}},
      {"packed_attention_dropout",
       one([](ValueSpan x) {
         return square(packed_attention(
             x[0], {.key_mask = constant(key_mask()), .dropout = 0.4, .key = key()}));
       }),
       {{2, 5, 3, 2, 4}}},
      {"conv2d",
       one([](ValueSpan x) { return square(conv2d(x[0], x[1], {.pad_h = 1, .pad_w = 1})); }),
       {{2, 3, 5, 4}, {4, 3, 3, 3}}},
      {"conv2d_stride_dilation",
       one([](ValueSpan x) {
         return square(
             conv2d(x[0], x[1], {.stride_h = 2, .stride_w = 1, .pad_h = 2, .dilation_h = 2}));
       }),
       {{2, 2, 7, 5}, {3, 2, 3, 2}}},
      {"conv2d_groups",
       one([](ValueSpan x) {
         return square(conv2d(x[0], x[1], {.stride_h = 2, .stride_w = 2, .groups = 2}));
       }),
       {{1, 4, 6, 6}, {6, 2, 2, 2}}},
      {"conv_transpose2d",
       one([](ValueSpan x) {
         return square(conv_transpose2d(x[0], x[1], {.stride_h = 2, .pad_h = 1, .groups = 2}, 1));
       }),
       {{2, 4, 3, 2}, {4, 1, 3, 2}}},
      {"pad_reflect",
       one([](ValueSpan x) { return square(pad(x[0], 1, 2, 1, PadMode::reflect)); }),
       {{2, 3, 2}}},
      {"pad_replicate",
       one([](ValueSpan x) { return square(pad(x[0], -1, 0, 3, PadMode::replicate)); }),
       {{2, 3}}},
      {"pad_circular",
       one([](ValueSpan x) { return square(pad(x[0], 0, 3, 1, PadMode::circular)); }),
       {{3, 2}}},
      {"max_pool2d", one([](ValueSpan x) { return square(max_pool2d(x[0])); }), {{2, 2, 4, 6}}},
      {"max_pool2d_overlap",
       one([](ValueSpan x) {
         return square(max_pool2d(x[0], {3, 3, 2, 2, 1, 1}));
       }),
       {{1, 2, 6, 5}}},
      {"avg_pool2d",
       one([](ValueSpan x) {
         return square(avg_pool2d(x[0], {3, 2, 2, 2, 1, 0}));
       }),
       {{2, 2, 5, 6}}},
      {"identity", one([](ValueSpan x) { return square(identity(x[0])); }), {{3}}},
      {"barrier",
       one([](ValueSpan x) { return square(barrier({x[0]}, {x[1]})[0]) * x[1]; }),
       {{3}, {3}}},
      {"batch_mean", one([](ValueSpan x) { return square(batch_mean(x[0], {0})); }), {{4, 3}}},
      {"checkpoint",
       [](ValueSpan x) {
         return checkpoint([w = x[1]](ValueSpan y) {
           return Values{tanh(matmul(y[0], w)), square(y[0])};
         })(x.first(1));
       },
       {{3, 4}, {4, 2}}},
      {"checkpoint_nested",
       [](ValueSpan x) {
         return checkpoint([](ValueSpan y) {
           const Value inner =
               checkpoint([](ValueSpan z) { return Values{exp(z[0]) * z[0]}; })(y)[0];
           return Values{sin(inner)};
         })(x);
       },
       {{3, 4}}},
      {"dropout", one([](ValueSpan x) { return square(dropout(x[0], key(), 0.4)); }), {{5, 5}}},
  };
}

class Operation : public testing::TestWithParam<int> {};
TEST_P(Operation, Gradients) {
  const auto all = rows();
  const Row& row = all[static_cast<std::size_t>(GetParam())];
  std::vector<Array> x;
  for (std::size_t i = 0; i < row.shapes.size(); ++i)
    x.push_back(random_array(row.shapes[i], 40 + i, row.low, row.high));
  expect_gradients(row.f, x);
}
INSTANTIATE_TEST_SUITE_P(Table, Operation, testing::Range(0, static_cast<int>(rows().size())),
                         [](const auto& p) {
                           return rows()[static_cast<std::size_t>(p.param)].name;
                         });

TEST(Gradients, OfPowAtZeroBaseAreFinite) {
  const auto g = evaluate(grad([](ValueSpan x) { return pow(x[0], 2.0); }), {Array::scalar(0.0)});
  EXPECT_EQ(g[0].item(), 0);
}

TEST(Gradients, TiesOfMaxShareTheGradient) {
  const auto g = evaluate(grad([](ValueSpan x) { return max(x[0]); }),
                          {Array::from<double>({1, 3, 3, 2}, {4})});
  EXPECT_THAT(g[0].to_vector(), testing::ElementsAre(0, 0.5, 0.5, 0));
}

TEST(Gradients, StopGradientStops) {
  const auto g = evaluate(grad([](ValueSpan x) { return stop_gradient(square(x[0])) * x[0]; }),
                          {Array::scalar(3.0)});
  EXPECT_EQ(g[0].item(), 9);
}

TEST(Gradients, GradOfGradOfGrad) {
  const ScalarFn f = [](ValueSpan x) { return pow(x[0], 5.0); };
  const ScalarFn d1 = [&](ValueSpan x) { return grad(f)(x)[0]; };
  const ScalarFn d2 = [&](ValueSpan x) { return grad(d1)(x)[0]; };
  EXPECT_NEAR(evaluate(grad(d2), {Array::scalar(2.0)})[0].item(), 240,
              1e-11);  // 60 x^2, a few roundings
}

// d/dx (x * d/dy (x + y)) = 1: an inner derivative must not see the outer variable's tangent.
TEST(Gradients, NoPerturbationConfusion) {
  const ScalarFn outer = [](ValueSpan x) {
    const ScalarFn inner = [&x](ValueSpan y) { return x[0] + y[0]; };
    return x[0] * grad(inner)(x)[0];
  };
  EXPECT_EQ(evaluate(grad(outer), {Array::scalar(3.0)})[0].item(), 1);
  const auto forward = evaluate(
      [&](ValueSpan x) {
        const Fn f = [](ValueSpan y) {
          const Fn g = [&y](ValueSpan z) { return Values{y[0] + z[0]}; };
          return Values{y[0] * jvp(g, y, Values{ones_like(y[0])}).second[0]};
        };
        return jvp(f, x, Values{ones_like(x[0])}).second;
      },
      {Array::scalar(3.0)});
  EXPECT_EQ(forward[0].item(), 1);
}

TEST(Gradients, UnusedArgumentsHaveZeroGradients) {
  const auto g = evaluate(grad([](ValueSpan x) { return sum(x[0]); }),
                          {Array(DType::float64, {2}), Array(DType::float64, {3})});
  EXPECT_THAT(g[1].to_vector(), testing::ElementsAre(0, 0, 0));
}

TEST(Gradients, OfVectorsAreRefusedWithARemedy) {
  try {
    evaluate(grad([](ValueSpan x) { return square(x[0]); }), {Array(DType::float64, {2})});
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::usage);
    EXPECT_THAT(e.what(),
                testing::AllOf(testing::HasSubstr("float64[2]"), testing::HasSubstr("sum()")));
  }
}

TEST(Vjp, MapsCotangents) {
  const auto r = evaluate(
      [](ValueSpan x) {
        auto [y, pull] = vjp([](ValueSpan z) { return Values{sin(z[0]), z[0] * z[1]}; }, x);
        return pull(Values{ones_like(y[0]), 2.0 * ones_like(y[1])});
      },
      {Array::scalar(0.0), Array::scalar(5.0)});
  EXPECT_DOUBLE_EQ(r[0].item(), 1 + 10);
  EXPECT_DOUBLE_EQ(r[1].item(), 0);
}

}  // namespace
}  // namespace descent::test
