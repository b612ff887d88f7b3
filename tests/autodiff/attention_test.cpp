// Attention in types that differences cannot check, and its dropout.
#include <gtest/gtest.h>

#include "descent/base/error.h"
#include "descent/ops/random.h"
#include "tests/support/gradients.h"

namespace descent::test {
namespace {

Value sum_of_sines(const Value& qkv) { return sum(sin(packed_attention(qkv, {.causal = true}))); }

// Operands are converted where they are read, so that everything after is float32's.
TEST(Attention, OfBfloat16IsFloat32sOfTheRoundedNumbers) {
  const Array x = random_array({2, 7, 3, 2, 20}, 1, -2, 2, DType::float32);
  const auto rounded =
      evaluate([](ValueSpan in) { return Values{cast(in[0], DType::bfloat16)}; }, {x});
  const ScalarFn half = [](ValueSpan in) { return sum_of_sines(in[0]); };
  const auto a = evaluate(value_and_grad(half), rounded);
  const auto b = evaluate(
      [&](ValueSpan in) { return value_and_grad(half)(Values{cast(in[0], DType::float32)}); },
      rounded);
  ASSERT_EQ(a[1].dtype(), DType::float32);  // as all cotangents of bfloat16
  expect_identical(a, b, "value and gradient");
}

constexpr double kRate = 0.3;

Value key_of(std::int64_t key) { return constant(Array::scalar<std::int64_t>(key)); }

// The composition: softmax, and then the mask, an operation of its own.
Value composed(ValueSpan in, const Value& key) {
  const Value &q = in[0], &k = in[1], &v = in[2];
  const auto &s = q.shape(), &t = k.shape();
  const Type drawn{q.dtype(), {s[0], s[1], t[2], (s[2] + 3) / 4 * 4}, q.per_shard()};
  const Value u = slice(uniform_of_stream(key, drawn, dropout_stream(0)), 3, 0, s[2]);
  const Value mask = transpose(greater_equal_mask(u, scalar(kRate, q.dtype())), {0, 1, 3, 2});
  const double scale = 1 / std::sqrt(static_cast<double>(s[3]));
  const Value p = softmax(scale * matmul(q, k, false, true));
  return matmul(p * mask / (1 - kRate), v);
}

std::vector<Array> operands(DType dtype) {
  return {random_array({2, 3, 70, 20}, 1, -2, 2, dtype),
          random_array({2, 3, 150, 20}, 2, -2, 2, dtype),
          random_array({2, 3, 150, 20}, 3, -2, 2, dtype)};
}

void expect_the_composition(DType dtype, double tolerance) {
  const ScalarFn own = [](ValueSpan in) {
    return sum(sin(attention(in[0], in[1], in[2], {.dropout = kRate, .key = key_of(5)})));
  };
  const ScalarFn composition = [](ValueSpan in) { return sum(sin(composed(in, key_of(5)))); };
  const auto a = evaluate(value_and_grad(own), operands(dtype)),
             b = evaluate(value_and_grad(composition), operands(dtype));
  for (std::size_t i = 0; i < b.size(); ++i) {
    double most = 1;
    for (const double x : b[i].to_vector()) most = std::max(most, std::abs(x));
    for (std::int64_t j = 0; j < b[i].size(); ++j)
      ASSERT_NEAR(a[i].item(j), b[i].item(j), tolerance * most) << "result " << i << " at " << j;
  }
}

// The same terms, summed in another order: 150 keys of probability 1 in all, and 20 numbers for a
// score, rounded to 1.1e-16 and 6e-8; the sum of 8,400 sines is compared to its own size.
TEST(AttentionDropout, EqualsTheCompositionWithItsMask) {
  expect_the_composition(DType::float64, 1e-12);
  expect_the_composition(DType::float32, 1e-4);
}

// The noise has mean 1. Its variance is r / (1 - r) = 0.43 for each of 6 probabilities that add up
// to 1, times values below 1: a deviation of at most 0.65 / sqrt(4000) = 0.010 in the mean, of
// which five are allowed.
TEST(AttentionDropout, LeavesTheMeanOverKeys) {
  const std::vector<Array> x{random_array({1, 2, 5, 4}, 1), random_array({1, 2, 6, 4}, 2),
                             random_array({1, 2, 6, 4}, 3)};
  const Fn plain = [](ValueSpan in) { return Values{attention(in[0], in[1], in[2])}; };
  const Array want = evaluate(plain, x)[0];
  auto with_key = x;
  with_key.push_back(Array::scalar<std::int64_t>(0));
  std::vector<PlanInput> inputs;
  for (const auto& a : with_key) inputs.push_back({.type = {a.dtype(), a.shape()}, .storage = a});
  Plan plan = compile(
      [](ValueSpan in) {
        return Values{attention(in[0], in[1], in[2], {.dropout = kRate, .key = in[3]})};
      },
      inputs);
  std::vector<double> mean(static_cast<std::size_t>(want.size()));
  constexpr int kKeys = 4000;
  double apart = 0;
  for (int key = 0; key < kKeys; ++key) {
    with_key[3].set_item(0, key);
    plan.run();
    const auto got = plan.output(0).to_vector();
    for (std::size_t i = 0; i < mean.size(); ++i) {
      mean[i] += got[i] / kKeys;
      apart = std::max(apart, std::abs(got[i] - want.item(static_cast<std::int64_t>(i))));
    }
  }
  for (std::size_t i = 0; i < mean.size(); ++i)
    EXPECT_NEAR(mean[i], want.item(static_cast<std::int64_t>(i)), 0.05);
  EXPECT_GT(apart, 0.1);  // and it is noise
}

TEST(AttentionDropout, AtRate0IsTheOperationWithout) {
  const ScalarFn without = [](ValueSpan in) { return sum(sin(attention(in[0], in[1], in[2]))); };
  const ScalarFn with = [](ValueSpan in) {
    return sum(sin(attention(in[0], in[1], in[2], {.dropout = 0, .key = key_of(5)})));
  };
  const auto x = operands(DType::float32);
  expect_identical(evaluate(value_and_grad(with), x), evaluate(value_and_grad(without), x),
                   "value and gradient");
}

// A row's numbers are a function of its place in the whole batch.
TEST(AttentionDropout, DoesNotDependOnShardsAndThreads) {
  const Array qkv = random_array({4, 37, 3, 2, 8}, 1, -2, 2, DType::float32);
  const auto run = [&](int shards, int threads) {
    CompileOptions options{.shards = shards};
    options.pool = std::make_shared<ThreadPool>(threads);
    const Type cut{DType::float32, {4 / shards, 37, 3, 2, 8}, true};
    Plan plan = compile(
        [](ValueSpan in) {
          const AttentionOptions dropped{.causal = true, .dropout = kRate, .key = in[1]};
          const Value y = packed_attention(in[0], dropped);
          Values all{y};
          const ScalarFn f = [&](ValueSpan x) {
            return all_reduce_sum(sum(square(packed_attention(x[0], dropped))));
          };
          for (const auto& g : grad(f)(in.first(1))) all.push_back(g);
          return all;
        },
        {{cut, "qkv", qkv}, {{DType::int64, {}}, "key", Array::scalar<std::int64_t>(9)}}, options);
    plan.run();
    std::vector<Array> results;
    for (int i = 0; i < plan.outputs(); ++i) results.push_back(plan.output(i).clone());
    return results;
  };
  const auto one = run(1, 1);
  for (const int shards : {1, 2, 4}) {
    for (const int threads : {1, 2}) {
      expect_identical(run(shards, threads), one,
                       std::to_string(shards) + " shards, " + std::to_string(threads) + " threads");
    }
  }
}

TEST(AttentionDropout, DiffersByKeyStreamAndModule) {
  const auto of = [](std::int64_t key, std::uint64_t stream, const char* module) {
    return evaluate(
        [&](ValueSpan in) {
          const NameScope scope(module);
          return Values{attention(in[0], in[1], in[2],
                                  {.dropout = kRate, .key = key_of(key), .stream = stream})};
        },
        operands(DType::float32))[0];
  };
  const Array a = of(1, 0, "a");
  EXPECT_TRUE(identical(a, of(1, 0, "a")));
  EXPECT_FALSE(identical(a, of(2, 0, "a")));
  EXPECT_FALSE(identical(a, of(1, 1, "a")));
  EXPECT_FALSE(identical(a, of(1, 0, "b")));
}

TEST(AttentionDropout, WantsARateBelow1AndAKey) {
  const Value qkv = input({DType::float32, {2, 5, 3, 2, 4}});
  EXPECT_THROW(packed_attention(qkv, {.dropout = 1, .key = key_of(1)}), Error);
  EXPECT_THROW(packed_attention(qkv, {.dropout = -0.1, .key = key_of(1)}), Error);
  EXPECT_THROW(packed_attention(qkv, {.dropout = 0.1}), Error);
  EXPECT_THROW(packed_attention(qkv, {.dropout = 0.1, .key = scalar(1, DType::float32)}), Error);
}

TEST(Attention, RefusesWhatDoesNotFit) {
  const auto of = [](Shape q, Shape k) {
    return [q, k] {
      attention(input({DType::float32, q}), input({DType::float32, k}), input({DType::float32, k}));
    };
  };
  EXPECT_NO_THROW(of({1, 2, 3, 4}, {1, 2, 5, 4})());
  EXPECT_THROW(of({1, 2, 3, 4}, {1, 2, 5, 3})(), Error);  // another size of head
  EXPECT_THROW(of({1, 2, 3, 4}, {1, 1, 5, 4})(), Error);  // fewer heads
  EXPECT_THROW(of({2, 3, 4}, {2, 5, 4})(), Error);
  const Value qkv = input({DType::float32, {2, 5, 3, 2, 4}});
  EXPECT_THROW(packed_attention(qkv, {.key_mask = input({DType::boolean, {2, 4}})}), Error);
  EXPECT_THROW(packed_attention(input({DType::float32, {2, 5, 2, 2, 4}})), Error);
}

}  // namespace
}  // namespace descent::test
