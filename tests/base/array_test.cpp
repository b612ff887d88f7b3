#include "descent/base/array.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "descent/base/error.h"

namespace descent {
namespace {

using testing::ElementsAre;

constexpr DType kTypes[] = {DType::float32, DType::float64, DType::bfloat16, DType::int32,
                            DType::int64,   DType::uint8,   DType::boolean};

TEST(Array, BeginsAsAlignedZeros) {
  for (const auto dtype : kTypes) {
    const Array a(dtype, {3, 5});
    EXPECT_EQ(a.size(), 15);
    EXPECT_EQ(a.bytes(), 15 * size_of(dtype));
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(a.raw()) % kAlignment, 0u);
    for (const double x : a.to_vector()) EXPECT_EQ(x, 0);
  }
  EXPECT_FALSE(Array());
  EXPECT_TRUE(Array(DType::float32, {0}));
  EXPECT_EQ(Array(DType::float32, {}).size(), 1);
}

TEST(Array, ItemsAndTypes) {
  for (const auto dtype : kTypes) {
    Array a(dtype, {2});
    a.set_item(1, 1);
    EXPECT_EQ(a.item(0), 0) << name_of(dtype);
    EXPECT_EQ(a.item(1), 1) << name_of(dtype);
  }
  const Array f = Array::from<float>({1, 2.5F}, {2});
  EXPECT_EQ(f.as<float>()[1], 2.5F);
  EXPECT_THROW(f.as<double>(), Error);
  EXPECT_EQ(Array::scalar(std::int64_t{7}).item(), 7);
}

TEST(Array, CopiesShareAndClonesDoNot) {
  Array a = Array::from<float>({1, 2}, {2});
  Array shared = a, own = a.clone();
  a.set_item(0, 9);
  EXPECT_EQ(shared.item(0), 9);
  EXPECT_EQ(own.item(0), 1);
}

TEST(Array, RowsAndReshapeAreViews) {
  Array a = Array::from<std::int32_t>({0, 1, 2, 3, 4, 5}, {3, 2});
  Array middle = a.rows(1, 2);
  EXPECT_EQ(middle.shape(), (Shape{1, 2}));
  EXPECT_THAT(middle.to_vector(), ElementsAre(2, 3));
  middle.set_item(0, 7);
  EXPECT_EQ(a.item(2), 7);
  EXPECT_EQ(a.reshaped({6}).item(2), 7);
  EXPECT_THROW(a.reshaped({5}), Error);
  EXPECT_EQ(a.rows(3, 3).size(), 0);
  // A view keeps the memory alive.
  Array view;
  { view = Array::from<float>({4, 5}, {2}).rows(1, 2); }
  EXPECT_EQ(view.item(0), 5);
}

TEST(Array, Casts) {
  const Array a = Array::from<double>({0, 1, -2, 300.7}, {4});
  EXPECT_THAT(a.cast(DType::int32).to_vector(), ElementsAre(0, 1, -2, 300));
  EXPECT_THAT(a.cast(DType::float32).cast(DType::float64).to_vector(),
              ElementsAre(0, 1, -2, static_cast<double>(300.7F)));
  EXPECT_THAT(a.cast(DType::bfloat16).to_vector(), ElementsAre(0, 1, -2, 300));
  EXPECT_THAT(a.rows(0, 2).cast(DType::boolean).to_vector(), ElementsAre(0, 1));
}

TEST(Array, Identical) {
  const Array a = Array::from<float>({1, 2}, {2});
  EXPECT_TRUE(identical(a, a.clone()));
  EXPECT_FALSE(identical(a, Array::from<float>({1, 3}, {2})));
  EXPECT_FALSE(identical(a, a.reshaped({2, 1})));
  EXPECT_FALSE(identical(a, Array(DType::int32, {2})));
  EXPECT_FALSE(identical(Array::scalar(0.0F), Array::scalar(-0.0F)));  // bytes, not values
  EXPECT_TRUE(identical(Array(DType::float32, {0, 3}), Array(DType::float32, {0, 3})));
}

TEST(Bfloat16, RoundsToNearestEven) {
  const auto round = [](float x) { return static_cast<float>(bfloat16(x)); };
  EXPECT_EQ(round(1.0F), 1.0F);
  EXPECT_EQ(round(1.0F + 0x1p-8F), 1.0F);                // half way: to even, down
  EXPECT_EQ(round(1.0F + 3 * 0x1p-8F), 1.0F + 0x1p-6F);  // half way: to even, up
  EXPECT_EQ(round(1.0F + 0x1p-8F + 0x1p-20F), 1.0F + 0x1p-7F);
  EXPECT_EQ(round(-0.0F), 0.0F);
  EXPECT_TRUE(std::signbit(round(-0.0F)));
  constexpr float inf = std::numeric_limits<float>::infinity();
  EXPECT_EQ(round(inf), inf);
  EXPECT_EQ(round(std::numeric_limits<float>::max()), inf);
  EXPECT_TRUE(std::isnan(round(std::numeric_limits<float>::quiet_NaN())));
  EXPECT_TRUE(std::isnan(round(std::bit_cast<float>(0x7f800001u))));  // a NaN with low bits alone
}

}  // namespace
}  // namespace descent
