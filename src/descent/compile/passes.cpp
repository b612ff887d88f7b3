#include "descent/compile/passes.h"

#include <fmt/format.h>

#include <unordered_map>

#include "descent/ir/graph.h"
#include "descent/ir/op.h"
#include "descent/ops/eltwise.h"
#include "descent/ops/layout.h"
#include "descent/ops/matmul.h"
#include "descent/ops/ops.h"
#include "descent/ops/shards.h"
#include "descent/ops/transpose.h"

namespace descent {
namespace {

using kernels::Eltwise;

const EltwiseOp* eltwise(const Node& node) { return dynamic_cast<const EltwiseOp*>(node.op.get()); }

bool is_mask(Eltwise code) {
  switch (code) {
    case Eltwise::less_mask:
    case Eltwise::less_equal_mask:
    case Eltwise::greater_mask:
    case Eltwise::greater_equal_mask:
    case Eltwise::equal_mask:
    case Eltwise::not_equal_mask:
    case Eltwise::step:
    case Eltwise::is_finite:
      return true;
    default:
      return false;
  }
}

// a - 0, a * 1, a / 1: a. (a + 0 changes the sign of -0 and a * 0 hides NaN: both stay as they
// are.)
std::optional<Values> neutral(Eltwise code, const Node& node, const Values& in) {
  if (in.size() != 2) return std::nullopt;
  const auto is = [&](int i, double c) {
    return constant_scalar(in[static_cast<std::size_t>(i)]) == c;
  };
  const auto keep = [&](int i) -> std::optional<Values> {
    const Value& v = in[static_cast<std::size_t>(i)];
    if (!(v.type() == node.outputs[0])) return std::nullopt;
    return Values{v};
  };
  const bool one_right = (code == Eltwise::mul || code == Eltwise::div) && is(1, 1);
  const bool zero_right = code == Eltwise::sub && is(1, 0);
  if (one_right || zero_right) return keep(0);
  if (code == Eltwise::mul && is(0, 1)) return keep(1);
  return std::nullopt;
}

// The operand where v is an operation `code` on values, else nothing.
std::optional<Values> operands_of(Eltwise code, const Value& v) {
  const auto* op = eltwise(*v.node());
  if (op == nullptr || op->code != code) return std::nullopt;
  return v.node()->inputs;
}
Array negative(const Value& constant) {
  EagerScope scope({.shards = 1, .check_finite = false});
  return (-constant).array();
}

// Signs that need no operation of their own, the same bits: a + (-b) = a - b, a - (-b) = a + b,
// (-a) c = a (-c) with a constant c, a + (-b) c = a - b c. Not where others read what is negated or
// multiplied: it would be computed all the same.
std::optional<Values> signs(Eltwise code, const Node& node, const Values& in,
                            const Readers& readers) {
  // The operand that in[k] negates; `before` is what in[k] was before this pass.
  const auto negated = [&readers](const Value& v, const Value& before) {
    const auto operand = operands_of(Eltwise::neg, v);
    return operand && readers.at(before.node()) == 1 ? std::optional((*operand)[0]) : std::nullopt;
  };
  // a b where v is (-a) b.
  const auto negated_product = [&](const Value& v, const Value& before) -> std::optional<Value> {
    const auto factors = operands_of(Eltwise::mul, v), were = operands_of(Eltwise::mul, before);
    if (!factors || !were || readers.at(before.node()) != 1) return std::nullopt;
    if (const auto a = negated((*factors)[0], (*were)[0])) return *a * (*factors)[1];
    if (const auto b = negated((*factors)[1], (*were)[1])) return (*factors)[0] * *b;
    return std::nullopt;
  };
  if (code == Eltwise::mul) {
    for (const std::size_t k : {0u, 1u}) {
      const auto a = negated(in[k], node.inputs[k]);
      if (a && constant_scalar(in[1 - k])) return Values{*a * constant(negative(in[1 - k]))};
    }
  }
  if (code != Eltwise::add && code != Eltwise::sub) return std::nullopt;
  for (const std::size_t k : {1u, 0u}) {
    if (k == 0 && code == Eltwise::sub) break;
    auto b = negated(in[k], node.inputs[k]);
    if (!b) b = negated_product(in[k], node.inputs[k]);
    if (b) return Values{code == Eltwise::add ? in[1 - k] - *b : in[0] + *b};
  }
  return std::nullopt;
}

// An operation on scalar constants, or on those as every shard's own, is computed now.
std::optional<Values> fold(const Node& node, const Values& in) {
  Values constants;
  for (const auto& v : in) {
    const bool own = v.node()->op->name() == "to_shards";
    constants.push_back(own ? v.node()->inputs[0] : v);
    if (!constant_scalar(constants.back())) return std::nullopt;
  }
  const Type& type = node.outputs[0];
  if (type.shape.size() != 1) return std::nullopt;
  const auto result = [&] {
    EagerScope scope({.shards = 1, .check_finite = false});
    return apply(node.op, constants).array().reshaped(type.shape);
  }();
  return Values{type.per_shard ? to_shards(constant(result)) : constant(result)};
}

// An operand that is only stretched is handed over as it is: the tile program stretches it.
Values unstretched(const Node& node, const Values& in) {
  Values result = in;
  for (std::size_t i = 0; i < in.size(); ++i) {
    if (result[i].node()->op->name() != "broadcast") continue;
    Shape shape = result[i].node()->inputs[0].shape();
    for (std::size_t k = 0; k < result.size(); ++k) {
      if (k != i) shape = *broadcast(shape, result[k].shape());
    }
    if (shape == node.outputs[0].shape) result[i] = result[i].node()->inputs[0];
  }
  return result;
}

// A transposition that moves nothing but axes of extent 1.
bool moves_nothing(const TransposeOp& op, const Shape& shape) {
  int before = -1;
  for (const int axis : op.axes) {
    if (shape[axis] == 1) continue;
    if (axis < before) return false;
    before = axis;
  }
  return true;
}

std::optional<Values> simplify_node(const Node& node, const Values& in, const Readers& readers) {
  const auto name = node.op->name();
  if (name == "identity" || name == "stop_gradient") return Values{in[0]};
  if (name == "reshape" && in[0].node()->op->name() == "reshape")
    return Values{reshape(in[0].node()->inputs[0], node.outputs[0].shape)};
  if (const auto* turn = dynamic_cast<const TransposeOp*>(node.op.get())) {
    if (moves_nothing(*turn, in[0].shape())) return Values{reshape(in[0], node.outputs[0].shape)};
  }
  if (const auto* cast_op = dynamic_cast<const CastOp*>(node.op.get())) {
    // cast(cast(mask, bool), T) of a mask that is already 0 and 1 in T.
    const Node& inner = *in[0].node();
    if (in[0].dtype() == DType::boolean && inner.op->name() == "cast" &&
        inner.inputs[0].dtype() == cast_op->to) {
      const auto* producer = eltwise(*inner.inputs[0].node());
      if (producer != nullptr && is_mask(producer->code)) return Values{inner.inputs[0]};
    }
    return fold(node, in);
  }
  if (const auto* op = eltwise(node)) {
    if (auto constant = fold(node, in)) return constant;
    const Values operands = unstretched(node, in);
    if (auto same = neutral(op->code, node, operands)) return same;
    if (auto same = signs(op->code, node, operands, readers)) return same;
    return Values{apply(node.op, operands)};
  }
  return std::nullopt;
}

}  // namespace

Values expand(const Values& outputs, const PassContext& context) {
  bool any = false;
  Values result = rewrite(outputs, [&any](const Node& node, const Values& in) {
    auto body = node.op->expand(in);
    any = any || body;
    return body;
  });
  return any ? expand(result, context) : result;  // a checkpoint may hold another
}

Values merge_shards(const Values& outputs, const PassContext& context) {
  if (context.shards != 1) return outputs;
  return rewrite(outputs, [](const Node& node, const Values& in) -> std::optional<Values> {
    const auto name = node.op->name();
    if (name == "all_reduce_sum" || name == "to_shards") return Values{in[0]};
    if (name == "shard_count") return Values{scalar(1, node.outputs[0].dtype)};
    return std::nullopt;
  });
}

Values simplify(const Values& outputs, const PassContext&) {
  const Readers readers = count_readers(outputs);
  return rewrite(outputs, [&readers](const Node& node, const Values& in) {
    return simplify_node(node, in, readers);
  });
}

Values channels_last(const Values& outputs, const PassContext& context) {
  bool any = false;
  const Values turned = rewrite(outputs, [&any](const Node& node, const Values& in) {
    auto result = node.op->channels_last(in);
    any = any || result;
    return result;
  });
  return any ? merge_common(simplify(turned, context), context) : outputs;
}

Values merge_common(const Values& outputs, const PassContext&) {
  std::unordered_map<std::size_t, std::vector<Values>> seen;
  const auto key = [](const Node& node, const Values& in) {
    std::size_t h = std::hash<std::string_view>()(node.op->name());
    for (const auto& v : in) h = h * 1099511628211u + ValueHash()(v);
    return h;
  };
  return rewrite(outputs, [&](const Node& node, const Values& in) -> std::optional<Values> {
    if (dynamic_cast<const InputOp*>(node.op.get()) != nullptr) return std::nullopt;
    auto& bucket = seen[key(node, in)];
    for (const auto& found : bucket) {
      const Node& other = *found[0].node();
      if (other.inputs == in && other.op->same_as(*node.op)) return found;
    }
    bucket.push_back(apply_all(node.op, in));
    return bucket.back();
  });
}

Values share_transposes(const Values& outputs, const PassContext& context) {
  const auto turned_operand = [](const Node& node) {
    const auto* op = dynamic_cast<const MatmulOp*>(node.op.get());
    const bool turned = op != nullptr && node.inputs[1].rank() == 2 &&
                        kernels::turns_b(op->shape(input_types(node)));
    return turned ? node.inputs[1] : Value();
  };
  const auto is_shards_own = [](const Value& b) { return b.node()->op->name() == "to_shards"; };
  const auto whole = [&](const Value& b) { return is_shards_own(b) ? b.node()->inputs[0] : b; };
  std::unordered_map<Value, int, ValueHash> products;  // of all shards
  for (const Node* node : topological(outputs)) {
    if (const Value b = turned_operand(*node)) {
      const bool each = node->outputs[0].per_shard && !whole(b).per_shard();
      products[whole(b)] += each ? context.shards : 1;
    }
  }
  // Several threads meet once more when a matrix is transposed before the shards' products, which
  // takes a microsecond; an element takes 0.08 ns.
  const auto worth = [&](const Value& b) {
    const int several = products.at(b);
    if (context.threads == 1 || context.shards == 1 || b.per_shard()) return several >= 2;
    return 0.08e-3 * static_cast<double>(b.shape().size()) * several / context.threads > 1;
  };
  bool any = false;
  const Values turned =
      rewrite(outputs, [&](const Node& node, const Values& in) -> std::optional<Values> {
        const Value b = turned_operand(node);
        if (!b || !worth(whole(b))) return std::nullopt;
        any = true;
        const auto& op = dynamic_cast<const MatmulOp&>(*node.op);
        const Value once = transpose(whole(in[1]), {1, 0});
        return Values{apply(MatmulOp(op.transpose_a, false, op.out),
                            {in[0], is_shards_own(in[1]) ? to_shards(once) : once})};
      });
  return any ? merge_common(turned, context) : outputs;
}

const std::vector<Pass>& passes() {
  static const std::vector<Pass> all = {
      {"expand", expand},
      {"merge_shards", merge_shards},
      {"simplify", simplify},
      {"merge_common", merge_common},
      {"channels_last", channels_last},
      {"sum_products", sum_products},
      {"share_transposes", share_transposes},
      {"fuse", fuse},
  };
  return all;
}

void verify(const Values& before, const Values& after, const std::string& pass) {
  const auto broken = [&pass](const std::string& why) {
    throw Error(ErrorKind::internal, fmt::format("pass {}: {}", pass, why), "",
                "please report it; --set train.without_passes can switch it off");
  };
  for (std::size_t i = 0; i < before.size(); ++i) {
    const auto &a = before[i].type(), &b = after.at(i).type();
    if (a.dtype != b.dtype || !(a.shape == b.shape))
      broken(fmt::format("output {} was {}, is {}", i, to_string(a), to_string(b)));
  }
  for (const Node* node : topological(after)) {
    std::vector<Type> types;
    for (const auto& v : node->inputs) {
      if (v.node()->id >= node->id) broken(fmt::format("{} uses a later value", node->op->name()));
      types.push_back(v.type());
    }
    if (node->op->infer(types) != node->outputs)
      broken(fmt::format("{} has other types than it infers", node->op->name()));
  }
}

}  // namespace descent
