// Gradient centralisation: g - mean(g), the mean of each output's row over all axes but the first
// (in PyTorch's layout, [out, in] and [out, in, height, width]); vectors are left alone.
// Yong et al. 2020, "Gradient centralization: a new optimization technique for deep neural
// networks".
#include <numeric>

#include "descent/ops/ops.h"
#include "descent/optim/rule.h"
#include "descent/optim/wrappers.h"

namespace descent::optim {

Optimizer centralize() {
  return per_parameter({.name = "centralize", .update = [](const Item& i) {
                          const int rank = i.gradient.shape().rank();
                          if (rank < 2) return i.gradient;
                          std::vector<int> axes(static_cast<std::size_t>(rank) - 1);
                          std::iota(axes.begin(), axes.end(), 1);
                          return i.gradient - mean(i.gradient, axes, true);
                        }});
}

}  // namespace descent::optim
