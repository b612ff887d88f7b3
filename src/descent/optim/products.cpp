#include "descent/optim/products.h"

#include <unordered_map>

#include "descent/autodiff/autodiff.h"
#include "descent/ir/graph.h"
#include "descent/ir/op.h"
#include "descent/ops/linalg.h"
#include "descent/ops/ops.h"

namespace descent::optim {
namespace {

bool is(const Node& node, std::string_view name) { return node.op->name() == name; }

// Hands the parameter on as it is.
bool renames(const Node& node) {
  return is(node, "identity") || is(node, "cast") || is(node, "reshape");
}

bool multiplies(const Node& node) {
  if (is(node, "matmul")) {
    return node.op->attributes() == "b^T" && node.inputs[0].rank() == 2 &&
           node.inputs[1].rank() == 2;
  }
  return is(node, "conv2d") && node.inputs[0].shape()[1] == node.inputs[1].shape()[1];
}

std::int64_t rows_of(const Shape& s) { return s.rank() == 4 ? s[0] * s[2] * s[3] : s[0]; }

// [rows, channels] of images [n, channels, h, w].
Value as_rows(const Value& x) {
  if (x.rank() == 2) return x;
  return reshape(transpose(x, {0, 2, 3, 1}), {rows_of(x.shape()), x.shape()[1]});
}

}  // namespace

Value Product::inputs(DType dtype) const {
  const auto& node = *s_.node();
  const Value &x = node.inputs[0], &w = node.inputs[1];
  if (x.rank() == 2) return cast(x, dtype);
  // The patches of the images are what filters with a single 1 give.
  const auto n = w.shape().size() / w.shape()[0];
  const Value one = cast(eye(n), w.dtype());
  Shape filters = w.shape();
  filters[0] = n;
  return cast(as_rows(apply(node.op, {x, reshape(one, filters)})), dtype);
}

Value Product::output_gradient(const Value& loss, DType dtype) const {
  const auto g = gradients(Values{loss}, Values{s_}, Values{ones_like(loss)});
  return cast(as_rows(g[0]), dtype);
}

std::int64_t Product::samples() const {
  const Value* x = &s_.node()->inputs[0];
  if (x->rank() == 4) return x->shape()[0];
  // Sequences [n, t, ...] are flattened to rows before they are multiplied.
  while (is(*x->node(), "cast")) x = &x->node()->inputs[0];
  if (!is(*x->node(), "reshape")) return x->shape()[0];
  const auto& before = x->node()->inputs[0].shape();
  const bool flattened = before.rank() > 2 && before[-1] == x->shape()[1];
  return flattened ? before[0] : x->shape()[0];
}

std::int64_t Product::places() const { return rows_of(s_.shape()) / samples(); }

std::vector<std::optional<Product>> products(const Value& loss, ValueSpan parameters) {
  std::unordered_map<Value, std::size_t, ValueHash> names;  // of the parameters
  for (std::size_t i = 0; i < parameters.size(); ++i) names.emplace(parameters[i], i);
  std::vector<std::optional<Product>> found(parameters.size());
  std::vector<int> uses(parameters.size());
  for (Node* node : topological(Values{loss})) {
    for (std::size_t k = 0; k < node->inputs.size(); ++k) {
      const auto at = names.find(node->inputs[k]);
      if (at == names.end()) continue;
      const auto i = at->second;
      const Value out(node->shared_from_this());
      if (renames(*node)) {
        names.emplace(out, i);
        continue;
      }
      ++uses[i];
      if (k == 1 && multiplies(*node)) found[i] = Product(out);
    }
  }
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (uses[i] != 1) found[i].reset();
  }
  return found;
}

}  // namespace descent::optim
