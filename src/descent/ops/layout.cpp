#include "descent/ops/layout.h"

#include <array>

#include "descent/ir/op.h"
#include "descent/ops/ops.h"
#include "descent/ops/transpose.h"

namespace descent {
namespace {

const std::vector<int> kToLast{0, 2, 3, 1}, kToFirst{0, 3, 1, 2};

}  // namespace

bool is_last(const Value& x) {
  const auto* op = dynamic_cast<const TransposeOp*>(x.node()->op.get());
  return op != nullptr && op->axes == kToFirst;
}

Value to_first(const Value& x) { return transpose(x, kToFirst); }

Value to_last(const Value& x) {
  const Node& node = *x.node();
  if (is_last(x)) return node.inputs[0];
  if (node.op->name() == "broadcast") {  // stretch after turning: there is less to turn
    const auto& s = x.shape();
    return broadcast_to(stretched_last(node.inputs[0]), {s[0], s[2], s[3], s[1]});
  }
  return transpose(x, kToLast);
}

Value stretched_last(const Value& x) {
  if (x.shape().size() == 1) return reshape(x, {1});
  Shape wide;
  for (int i = x.rank(); i < 4; ++i) wide.push_back(1);
  for (const auto extent : x.shape().dims()) wide.push_back(extent);
  return to_last(x.rank() == 4 ? x : reshape(x, wide));
}

int axis_last(int axis) {
  constexpr std::array<int, 4> to{0, 3, 1, 2};
  return to[static_cast<std::size_t>(axis)];
}

}  // namespace descent
