// Attention in types that differences cannot check.
#include <gtest/gtest.h>

#include "descent/base/error.h"
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
