// The umbrella header alone is enough for a program, with everything in reach.
#include <gtest/gtest.h>

#include "descent/descent.h"

namespace {

using namespace descent;  // NOLINT(google-build-using-namespace): as users write it

TEST(Umbrella, IsEnoughForAProgram) {
  const auto model = nn::sequential(nn::linear(64), nn::relu(), nn::linear(1));
  const auto variables = nn::describe(model, {DType::float32, {1, 13}});
  EXPECT_EQ(variables.size(), 4u);
  const auto optimizer = optim::adam({.lr = 1e-3});
  EXPECT_NE(optimizer, nullptr);
  EXPECT_NE(optim::optimizers().find("adam"), nullptr);
}

}  // namespace
