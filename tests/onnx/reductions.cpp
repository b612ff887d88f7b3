#include "descent/ops/ops.h"
#include "tests/onnx/node.h"

namespace descent::onnx_test {
namespace {

using Reduce = std::function<Value(const Value&, const std::vector<int>& axes, bool keep)>;

// The axes are an attribute, or since opset 13 an input; none: all.
Operator reduction(const Reduce& f) {
  return [f](const Node& n) {
    const auto given = n.has(1) ? n.integers_of(1) : n.integers("axes");
    if (given.empty() && n.integer("noop_with_empty_axes", 0) != 0) return Values{n[0]};
    const std::vector<int> axes(given.begin(), given.end());
    return Values{f(n[0], axes, n.integer("keepdims", 1) != 0)};
  };
}

Value log_sum_exp(const Value& x, const std::vector<int>& axes, bool keep) {
  if (axes.size() == 1) return logsumexp(x, axes[0], keep);
  const Value m = max(x, axes, true);
  const Value y = log(sum(exp(x - m), axes, true)) + m;
  return keep ? y : reshape(y, sum(x, axes).shape());
}

Values arg_max(const Node& n) {
  n.require("select_last_index", 0);
  const int axis = static_cast<int>(n.integer("axis", 0));
  const Value y = argmax(n[0], axis);
  return {n.integer("keepdims", 1) == 0 ? y : expand_dims(y, axis < 0 ? axis + n[0].rank() : axis)};
}

}  // namespace

void add_reductions(Table& table) {
  using Axes = const std::vector<int>&;
  table["ReduceSum"] = reduction([](const Value& x, Axes a, bool k) { return sum(x, a, k); });
  table["ReduceMean"] = reduction([](const Value& x, Axes a, bool k) { return mean(x, a, k); });
  table["ReduceMax"] = reduction([](const Value& x, Axes a, bool k) { return max(x, a, k); });
  table["ReduceMin"] = reduction([](const Value& x, Axes a, bool k) { return min(x, a, k); });
  table["ReduceL1"] = reduction([](const Value& x, Axes a, bool k) { return sum(abs(x), a, k); });
  table["ReduceL2"] =
      reduction([](const Value& x, Axes a, bool k) { return sqrt(sum(square(x), a, k)); });
  table["ReduceSumSquare"] =
      reduction([](const Value& x, Axes a, bool k) { return sum(square(x), a, k); });
  table["ReduceLogSum"] =
      reduction([](const Value& x, Axes a, bool k) { return log(sum(x, a, k)); });
  table["ReduceLogSumExp"] = reduction(log_sum_exp);
  table["ArgMax"] = arg_max;
}

}  // namespace descent::onnx_test
