// Which parameters follow Muon, and convolutions as matrices.
#include "descent/optim/muon.h"

#include <gmock/gmock.h>

#include "descent/base/error.h"
#include "tests/optim/stepper.h"

namespace descent::optim::test {
namespace {

std::vector<std::string> state_of(const Optimizer& optimizer) {
  std::vector<std::string> names;
  const std::vector<Parameter> info{{"wte.weight", {DType::float32, {5, 3}, false}},
                                    {"fc.weight", {DType::float32, {4, 3}, false}},
                                    {"fc.bias", {DType::float32, {4}, false}, false},
                                    {"conv.weight", {DType::float32, {2, 3, 2, 2}, false}},
                                    {"lm_head.weight", {DType::float32, {5, 3}, false}}};
  for (const auto& tensor : optimizer->state(info)) names.push_back(tensor.name);
  return names;
}

TEST(Muon, TakesMatricesThatAreNoEmbeddingAndNoHead) {
  const auto names = state_of(muon());
  EXPECT_THAT(names, testing::Contains("0.0.muon.b.fc.weight"));
  for (const std::string rest : {"wte.weight", "fc.bias", "conv.weight", "lm_head.weight"}) {
    EXPECT_THAT(names, testing::Contains("1.0.adam.m." + rest));
  }
  EXPECT_THAT(state_of(muon({.adam_match = {}, .convolutions = true})),
              testing::IsSupersetOf({"0.0.muon.b.wte.weight", "0.0.muon.b.conv.weight"}));
}

Array direction(const Shape& shape) {
  Array values(DType::float64, shape);
  for (std::int64_t i = 0; i < values.size(); ++i)
    values.set_item(i, static_cast<double>((7 * i) % 11) - 4.5);
  const std::vector<Parameter> info{{"p", {DType::float64, shape, false}}};
  const EagerScope scope;
  const Values p{computed({values}, false)};
  Values update = p, state{zeros(p[0].type())};
  scale_by_muon()->update(update, state, {p, info, {}});
  return update[0].array();
}

TEST(Muon, TakesAConvolutionAsAMatrix) {
  EXPECT_EQ(direction({4, 2, 3, 2}).to_vector(), direction({4, 12}).to_vector());
  EXPECT_NE(direction({4, 2, 3, 2}).to_vector(), direction({8, 6}).to_vector());
}

// The quintic's singular values end between 0.7 and 1.2 (Jordan et al. 2024); X X' of a wide matrix
// then has a trace of its rows times that squared.
TEST(Muon, StepsAreNearlyOrthogonal) {
  double trace = 0;
  for (const double x : direction({4, 12}).to_vector()) trace += x * x;
  EXPECT_GT(trace, 4 * 0.49);
  EXPECT_LT(trace, 4 * 1.44);
}

TEST(Muon, RefusesVectors) { EXPECT_THROW(direction({4}), Error); }

}  // namespace
}  // namespace descent::optim::test
