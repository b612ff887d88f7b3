// The kernels exist once per target, and this processor would show only the best: this program runs
// itself again for each of the others.
#include "hwy/targets.h"

#include <unistd.h>

#include <cstdlib>
#include <string>

#include "descent/kernels/eltwise.h"
#include "tests/kernels/support.h"

namespace descent::kernels {
namespace {

constexpr const char* kVariable = "DESCENT_TEST_TARGET";  // the target's bit, for the inner run

// Before any kernel is chosen.
const bool restricted = [] {
  const char* value = std::getenv(kVariable);
  if (value == nullptr) return false;
  hwy::SetSupportedTargetsForTest(std::strtoll(value, nullptr, 10));
  return true;
}();

TEST(Targets, EveryTargetPassesTheKernelTests) {
  if (restricted) return;
  const std::string tests =
      "EltwiseFloat*:EltwiseInteger*:Eltwise.*:Cast*:Reduce*:Random*:Strided*:Softmax*:"
      "BroadcastPattern*:TileProgram.Every*:TileProgram.Adam*:Matmul.EachMethod*:Matmul.NaN*:"
      "*Attention*:LayerNorm*:Convolution.BatchInLanes*:Pooling*:PackedProduct*:*RecurrentKernel*:"
      "Decompositions*:SymmetricEigen*:*Winograd*:DenseProduct.*:Targets."
      "IsTheOneAskedFor";
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    const std::string command = std::string(kVariable) + "=" + std::to_string(target) + " /proc/" +
                                std::to_string(::getpid()) +
                                "/exe --gtest_brief=1 --gtest_filter='" + tests + "'";
    EXPECT_EQ(std::system(command.c_str()), 0) << hwy::TargetName(target);
  }
}

TEST(Targets, IsTheOneAskedFor) {
  if (!restricted) return;
  EXPECT_EQ(simd_target(), hwy::TargetName(std::strtoll(std::getenv(kVariable), nullptr, 10)));
}

}  // namespace
}  // namespace descent::kernels
