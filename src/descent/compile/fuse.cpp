// Fusion: neighbouring elementwise operations of one shape, and sums over the rows of what they
// give, become one tile program. Nodes are visited in order; a node joins the groups of its
// operands unless one of them has already been read by a node outside (the group runs where its
// last member stood, so such a reader would come too early).
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <functional>
#include <unordered_map>

#include "descent/compile/fused.h"
#include "descent/compile/partial_sums.h"
#include "descent/compile/passes.h"
#include "descent/ir/graph.h"
#include "descent/ops/eltwise.h"
#include "descent/ops/shards.h"

namespace descent {
namespace {

using kernels::TileProgram;

bool fusable(const Node& node, const PassContext& context) {
  const auto* op = node.op.get();
  if (dynamic_cast<const EltwiseOp*>(op) != nullptr) return true;
  if (const auto* c = dynamic_cast<const CastOp*>(op)) {
    return kernels::cast_kernel(node.inputs[0].dtype(), c->to) != nullptr;
  }
  // Many shards make long programs of loads; two to eight are cheaper than a pass of their own.
  return dynamic_cast<const AllReduceSumOp*>(op) != nullptr && context.shards >= 2 &&
         context.shards <= 8;
}

// Not a sum at the end of a chain.
bool is_elementwise(const Node& node) { return !node.op->sums_rows(input_types(node)).has_value(); }

// A sum that can end the group which makes its operand. With several threads long sums of
// replicated rows are left alone: their elementwise part is split over threads, a sum is not.
bool ends_chain(const Node& node, const PassContext& context) {
  if (node.inputs.size() != 1) return false;
  const Type& in = node.inputs[0].type();
  const auto inner = node.op->sums_rows(std::array{in});
  if (!inner || !TileProgram::sums_tiles(in.shape.size(), *inner, in.dtype)) return false;
  return context.threads == 1 || in.per_shard || *inner == 1 ||
         in.shape.size() < 16 * TileProgram::kTile;
}

struct Group {
  std::vector<Node*> members;
  bool closed = false;
  Shape shape;
  bool per_shard = false;
};

// Union of groups as nodes are visited.
class Grouping {
 public:
  Grouping(const std::vector<Node*>& order, const PassContext& context)
      : one_shard_(context.shards == 1) {
    for (Node* node : order) {
      if (fusable(*node, context)) place(node);
      if (ends_chain(*node, context)) append_sum(node);
      close_read(node);
    }
  }
  Group* of(const Node* node) const {
    const auto it = group_.find(node);
    return it == group_.end() ? nullptr : it->second;
  }

 private:
  void place(Node* node) {
    const Type& out = node->outputs[0];
    // A sum is there when its whole group has run.
    for (const auto& v : node->inputs) {
      if (Group* g = of(v.node()); g != nullptr && !is_elementwise(*v.node())) g->closed = true;
    }
    std::vector<Group*> joined;
    for (const auto& v : node->inputs) {
      Group* g = of(v.node());
      const bool together = one_shard_ || (g != nullptr && g->per_shard == out.per_shard &&
                                           v.per_shard() == out.per_shard);
      const bool fits = g != nullptr && !g->closed && g->shape == out.shape && together;
      if (fits && std::find(joined.begin(), joined.end(), g) == joined.end()) joined.push_back(g);
    }
    if (joined.empty()) {
      groups_.push_back(std::make_unique<Group>(Group{{}, false, out.shape, out.per_shard}));
      joined.push_back(groups_.back().get());
    }
    Group* into = joined[0];
    for (std::size_t i = 1; i < joined.size(); ++i) {
      for (Node* member : joined[i]->members) group_[member] = into;
      into->members.insert(into->members.end(), joined[i]->members.begin(),
                           joined[i]->members.end());
      joined[i]->members.clear();
    }
    into->members.push_back(node);
    group_[node] = into;
  }
  // The sum joins the group of its operand, whose shape stays.
  void append_sum(Node* node) {
    Group* g = of(node->inputs[0].node());
    if (g == nullptr || g->closed || !(g->shape == node->inputs[0].shape())) return;
    g->members.push_back(node);
    group_[node] = g;
  }
  // What a node reads from another group must be in memory before it.
  void close_read(const Node* node) {
    for (const auto& v : node->inputs) {
      Group* g = of(v.node());
      if (g != nullptr && g != of(node)) g->closed = true;
    }
  }
  bool one_shard_;
  std::vector<std::unique_ptr<Group>> groups_;
  std::unordered_map<const Node*, Group*> group_;
};

// Writes one group as a program.
class Writer {
 public:
  Writer(const Group& group, const PassContext& context, std::function<Value(const Value&)> mapped)
      : shards_(context.shards),
        threads_share_(context.threads > 1 && (context.shards == 1 || !group.per_shard)),
        mapped_(std::move(mapped)) {
    op_->shards = context.shards;
    op_->shape = group.shape;
    members_ = group.members;
    std::sort(members_.begin(), members_.end(),
              [](const Node* a, const Node* b) { return a->id < b->id; });
    for (const Node* node : members_) inside_.insert({node, true});
  }

  // `wanted`: members whose value is read outside.
  Values write(const std::vector<Node*>& wanted) {
    for (Node* node : members_) add_inputs(*node);
    next_ = static_cast<int>(op_->inputs.size());
    std::vector<std::string> names;
    for (Node* node : members_) {
      const int before = next_;
      add_instruction(node);
      if (next_ > before || !is_elementwise(*node)) names.emplace_back(node->op->name());
    }
    op_->text = fmt::format("{}", fmt::join(names, "+"));
    // Elementwise results first, then sums.
    std::vector<Node*> ordered = wanted;
    std::stable_partition(ordered.begin(), ordered.end(),
                          [](const Node* node) { return is_elementwise(*node); });
    for (Node* node : ordered) {
      if (is_elementwise(*node)) {
        op_->outputs.push_back(operand_.at(node));
      } else {
        op_->sums.push_back(
            {operand(node->inputs[0], false), *node->op->sums_rows(input_types(*node))});
      }
    }
    if (threads_share_) op_->piece = piece_for_sums(*op_);
    const auto partial = [this](const Node* node) {
      return op_->piece > 0 && !is_elementwise(*node);
    };
    for (Node* node : ordered) {
      const Type& type = node->outputs[0];
      op_->output_types.push_back(partial(node) ? partial_type(*op_, type) : type);
    }
    const Values out = apply_all(op_, arguments_);
    Values result;
    for (Node* node : wanted) {
      const Value& v = out[static_cast<std::size_t>(
          std::find(ordered.begin(), ordered.end(), node) - ordered.begin())];
      result.push_back(partial(node) ? combine_partial(v, node->outputs[0]) : v);
    }
    return result;
  }

 private:
  void add_input(const Value& v, bool reduced) {
    for (std::size_t i = 0; i < arguments_.size(); ++i) {
      if (arguments_[i] == v && op_->reduced[i] == reduced) return;
    }
    first_[{v.node(), v.index() * 2 + (reduced ? 1 : 0)}] = static_cast<int>(op_->inputs.size());
    arguments_.push_back(v);
    op_->reduced.push_back(reduced);
    for (int s = 0; s < (reduced ? shards_ : 1); ++s) op_->inputs.push_back({v.dtype(), v.shape()});
  }
  bool reduces(const Node& node) const { return node.op->name() == "all_reduce_sum"; }
  void add_inputs(const Node& node) {
    for (const auto& v : node.inputs) {
      if (!inside_.contains(v.node())) add_input(mapped_(v), reduces(node));
    }
  }
  int operand(const Value& v, bool reduced) const {
    if (const auto it = operand_.find(v.node()); it != operand_.end()) return it->second;
    const Value m = mapped_(v);
    return first_.at({m.node(), m.index() * 2 + (reduced ? 1 : 0)});
  }
  void push(TileProgram::Instruction instruction) {
    op_->instructions.push_back(instruction);
    ++next_;
  }
  void add_instruction(Node* node) {
    if (!is_elementwise(*node)) return;  // a sum
    const DType dtype = node->outputs[0].dtype;
    if (reduces(*node)) {
      int sum = operand(node->inputs[0], true);
      const int first = sum;
      for (int s = 1; s < shards_; ++s) {
        push({.code = kernels::Eltwise::add, .dtype = dtype, .in = {sum, first + s, -1}});
        sum = next_ - 1;
      }
      operand_[node] = sum;
      return;
    }
    TileProgram::Instruction instruction{.dtype = dtype};
    for (std::size_t i = 0; i < node->inputs.size(); ++i)
      instruction.in[i] = operand(node->inputs[i], false);
    if (const auto* e = dynamic_cast<const EltwiseOp*>(node->op.get())) {
      instruction.code = e->code;
    } else {
      instruction.is_cast = true;
      instruction.from = node->inputs[0].dtype();
    }
    // What unshare_cheap() told apart is one again where its readers came together.
    const auto same = std::ranges::find(op_->instructions, instruction);
    if (same != op_->instructions.end()) {
      operand_[node] = next_ - static_cast<int>(op_->instructions.end() - same);
      return;
    }
    push(instruction);
    operand_[node] = next_ - 1;
  }

  struct PairHash {
    std::size_t operator()(const std::pair<const Node*, int>& p) const {
      return std::hash<const void*>()(p.first) * 31 + static_cast<std::size_t>(p.second);
    }
  };
  int shards_, next_ = 0;
  bool threads_share_;  // the program is run once for the batch, by several threads
  std::function<Value(const Value&)> mapped_;
  std::shared_ptr<FusedOp> op_ = std::make_shared<FusedOp>();
  std::vector<Node*> members_;
  std::unordered_map<const Node*, bool> inside_;
  std::unordered_map<const Node*, int> operand_;
  std::unordered_map<std::pair<const Node*, int>, int, PairHash> first_;
  Values arguments_;
};

// The operand of a sum, difference or product as large as the result, where the other is smaller;
// else null.
const Value* large_operand(const Node& node) {
  using kernels::Eltwise;
  const auto* op = dynamic_cast<const EltwiseOp*>(node.op.get());
  if (op == nullptr) return nullptr;
  if (op->code != Eltwise::add && op->code != Eltwise::sub && op->code != Eltwise::mul) {
    return nullptr;
  }
  const auto large = [&](const Value& v) { return v.shape() == node.outputs[0].shape; };
  const Value &a = node.inputs[0], &b = node.inputs[1];
  return large(a) == large(b) ? nullptr : large(a) ? &a : &b;
}

// What is in memory anyway, combined with something small up to twice: batch normalisation adds a
// bias to its input and centres it, for the variance, for the result and for the gradient.
bool combines_again(const Node& node, const PassContext& context, int more = 1) {
  const Value* large = large_operand(node);
  if (large == nullptr) return false;
  const Node& source = *large->node();
  if (fusable(source, context)) return more > 0 && combines_again(source, context, more - 1);
  return !source.inputs.empty();
}
// An operation that is cheaper to compute again for each reader than to keep in memory, which a
// reader in another group would need: that, or a square, which the norm of a gradient and Adam's
// update both take.
bool cheap_again(const Node& node, const PassContext& context) {
  const auto* op = dynamic_cast<const EltwiseOp*>(node.op.get());
  const bool square = op != nullptr && op->code == kernels::Eltwise::square;
  return square || combines_again(node, context);
}
// v as an operation of its own, and what it combines.
Value again(const Value& v, const PassContext& context) {
  Values operands = v.node()->inputs;
  for (auto& x : operands) {
    if (combines_again(*x.node(), context)) x = again(x, context);
  }
  return apply(v.node()->op, std::move(operands));
}
Values unshare_cheap(const Values& outputs, const PassContext& context) {
  return rewrite(outputs, [&](const Node& node, const Values& in) -> std::optional<Values> {
    if (dynamic_cast<const EltwiseOp*>(node.op.get()) == nullptr) return std::nullopt;
    Values operands = in;
    bool any = false;
    for (auto& v : operands) {
      if (!cheap_again(*v.node(), context)) continue;
      v = again(v, context);
      any = true;
    }
    if (!any) return std::nullopt;
    return Values{apply(node.op, std::move(operands))};
  });
}

}  // namespace

Values fuse(const Values& given, const PassContext& context) {
  const Values outputs = unshare_cheap(given, context);
  const auto order = topological(outputs);
  const Grouping grouping(order, context);
  // Members that somebody outside reads.
  std::unordered_map<const Node*, bool> read;
  for (const auto& v : outputs) read[v.node()] = true;
  for (const Node* node : order) {
    for (const auto& v : node->inputs) {
      if (grouping.of(v.node()) != grouping.of(node)) read[v.node()] = true;
    }
  }
  ValueMap replace;
  const auto mapped = [&replace](const Value& v) {
    const auto it = replace.find(v);
    return it == replace.end() ? v : it->second;
  };
  for (Node* node : order) {
    const AtScope scope(node->scope);
    const Group* group = grouping.of(node);
    if (group == nullptr) {
      Values in;
      bool changed = false;
      for (const auto& v : node->inputs) {
        in.push_back(mapped(v));
        changed = changed || !(in.back() == v);
      }
      if (!changed) continue;
      const Values out = apply_all(node->op, std::move(in));
      for (const auto& v : out)
        replace.insert_or_assign(Value(node->shared_from_this(), v.index()), v);
      continue;
    }
    const Node* last =
        *std::max_element(group->members.begin(), group->members.end(),
                          [](const Node* a, const Node* b) { return a->id < b->id; });
    if (node != last) continue;  // the group runs where its last member stood
    std::vector<Node*> wanted;
    for (Node* member : group->members) {
      if (read.contains(member)) wanted.push_back(member);
    }
    const Values out = Writer(*group, context, mapped).write(wanted);
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      replace.insert_or_assign(Value(wanted[i]->shared_from_this(), 0), out[i]);
    }
  }
  Values result;
  for (const auto& v : outputs) result.push_back(mapped(v));
  return result;
}

bool FusedOp::in_place(int input, int output) const {
  if (reduced[static_cast<std::size_t>(input)]) return false;
  int first = 0;
  for (int i = 0; i < input; ++i) first += reduced[static_cast<std::size_t>(i)] ? shards : 1;
  if (static_cast<std::size_t>(output) >= outputs.size()) return false;
  for (const auto& sum : sums) {
    if (sum.operand == first) return false;
  }
  const auto& in = inputs[static_cast<std::size_t>(first)];
  const auto& out = output_types[static_cast<std::size_t>(output)];
  // TileProgram::run sees to what is read again after the output was written.
  return in.shape == out.shape && in.dtype == out.dtype;
}

std::size_t FusedOp::scratch_bytes(std::span<const Type>, std::span<const Type>) const {
  return piece > 0 ? piece_scratch_bytes(*this) : program().scratch_bytes();
}

double FusedOp::flops(std::span<const Type>, std::span<const Type>) const {
  return static_cast<double>(shape.size()) * static_cast<double>(instructions.size() + sums.size());
}

Kernel FusedOp::bind(const Binding& b) const {
  if (piece > 0) return bind_pieces(*this, b);
  const auto size = shape.size();
  constexpr auto tile = TileProgram::kTile;
  // A sum needs all tiles in order.
  const std::int64_t extent =
      sums.empty() ? std::max<std::int64_t>(1, (size + tile - 1) / tile) : 1;
  std::vector<const void*> in(b.in.begin(), b.in.end());
  std::vector<void*> out(b.out.begin(), b.out.end());
  auto p = program();
  if (p.small()) return {p.bind_small(in, b.constant, out, b.scratch), 1};
  return {[p = std::move(p), in = std::move(in), out = std::move(out), scratch = b.scratch, size,
           extent](std::int64_t begin, std::int64_t end) {
            p.run(in.data(), out.data(), scratch, begin * tile,
                  end == extent ? size : std::min(size, end * tile));
          },
          extent};
}

}  // namespace descent
