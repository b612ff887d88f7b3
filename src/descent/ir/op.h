// Op: what an operation is, in one place: types and shapes, derivatives both ways, kernel.
#pragma once
#include <concepts>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "descent/base/error.h"
#include "descent/ir/value.h"

namespace descent {

// What a kernel is bound to: types, memory, and which shard of how many it computes.
class Binding {
 public:
  Binding() = default;
  Binding(int shard, int of_shards) : shards(of_shards), shard_(shard) {}

  std::span<const Type> in_types, out_types;
  std::vector<const std::byte*>
      in;                      // one per input; of a collective per-shard input, one per shard
  std::vector<bool> constant;  // of each `in`: what lies there never changes
  std::vector<std::byte*> out;
  std::byte* scratch = nullptr;  // scratch_bytes() of it, aligned
  int shards = 1;
  // Which of them. A kernel that was bound without asking is that of every shard whose operands and
  // scratch lie there.
  int shard() const {
    asked_ = true;
    return shard_;
  }
  bool same_kernel(const Binding& other) const {
    return !asked_ && !other.asked_ && in == other.in && out == other.out &&
           scratch == other.scratch;
  }

 private:
  int shard_ = 0;
  mutable bool asked_ = false;
};

// A bound call. run(begin, end) computes pieces [begin, end) of `extent` independent ones (1: not
// divisible); it allocates nothing and may throw only where data are at fault (an index out of
// range).
struct Kernel {
  std::function<void(std::int64_t begin, std::int64_t end)> run;
  std::int64_t extent = 1;
};
// A kernel that is not divisible.
template <class F>
Kernel whole(F f) {
  return {[f = std::move(f)](std::int64_t, std::int64_t) { f(); }, 1};
}

class Op {
 public:
  virtual ~Op() = default;
  virtual std::string_view name() const = 0;
  // Parameters as text, for printing and hashing: "axes=[0], keep".
  virtual std::string attributes() const { return {}; }
  // Same class and parameters: two nodes with equal ops and inputs are one (common subexpressions).
  virtual bool same_as(const Op& other) const = 0;

  // Output types; throws fail() where the inputs do not fit.
  virtual std::vector<Type> infer(std::span<const Type> in) const = 0;

  // Reverse mode: cotangents of the outputs (null: zero) to cotangents of the inputs (null: zero).
  // Cotangents have the type of the value they belong to, except that the cotangent of a replicated
  // input may be per shard: grad() then sums it over the shards.
  virtual Values vjp(ValueSpan in, ValueSpan out, ValueSpan cotangent) const;
  // Forward mode: tangents of the inputs (null: zero) to tangents of the outputs (null: zero).
  virtual Values jvp(ValueSpan in, ValueSpan out, ValueSpan tangent) const;

  virtual Kernel bind(const Binding& binding) const = 0;
  virtual std::size_t scratch_bytes(std::span<const Type> in, std::span<const Type> out) const;

  // True where the output may be computed in the memory of the input.
  virtual bool in_place(int input, int output) const {
    (void)input, (void)output;
    return false;
  }
  // Where the output is a part of input 0's memory: its offset in bytes (a view costs nothing).
  virtual std::optional<std::int64_t> view(std::span<const Type> in) const {
    (void)in;
    return std::nullopt;
  }
  // True where it reads the input in all shards (all_reduce_sum); its outputs are replicated.
  virtual bool collective(int input) const {
    (void)input;
    return false;
  }
  // The same outputs, bit for bit, with images lying channels last inside (ops/layout.h), where the
  // operation can: how a plan keeps one layout over the whole step. Nothing: it stays as it is.
  virtual std::optional<Values> channels_last(ValueSpan in) const {
    (void)in;
    return std::nullopt;
  }
  // Nodes that a plan expands before it schedules (checkpoint): their inlined outputs, or nothing.
  virtual std::optional<Values> expand(ValueSpan in) const {
    (void)in;
    return std::nullopt;
  }
  // Where it only sums rows, its operand viewed as [n, inner], to [inner]: `inner`. Such an
  // operation can be the end of a fused chain.
  virtual std::optional<std::int64_t> sums_rows(std::span<const Type> in) const {
    (void)in;
    return std::nullopt;
  }
  // How often it copies an operand into another layout, for the profile.
  virtual int copies(std::span<const Type> in, std::span<const Type> out) const {
    (void)in, (void)out;
    return 0;
  }
  // Floating-point operations, for the profile and cost model.
  virtual double flops(std::span<const Type> in, std::span<const Type> out) const;

  // An error in the user's words: "matmul: inner extents differ: float32[128, 784] x float32[512,
  // 10]".
  [[noreturn]] void fail(const std::string& why, std::span<const Type> in,
                         const std::string& remedy = {}) const;
};

// Gives same_as() from a defaulted operator== of the operation's parameters:
//   struct Transpose : OpBase<Transpose> { std::vector<int> axes; bool operator==(const Transpose&)
//   const = default; ... };
template <class Derived>
struct OpBase : Op {
  bool same_as(const Op& other) const final {
    const auto* same = dynamic_cast<const Derived*>(&other);
    return same != nullptr && static_cast<const Derived&>(*this) == *same;
  }
  bool operator==(const OpBase&) const { return true; }
};

template <std::derived_from<Op> O>
Value apply(O op, Values inputs) {
  return apply(std::static_pointer_cast<const Op>(std::make_shared<const O>(std::move(op))),
               std::move(inputs));
}

// Leaves of the graph.
struct InputOp final : Op {
  explicit InputOp(Type t, std::string n) : type(std::move(t)), label(std::move(n)) {}
  Type type;
  std::string label;
  std::string_view name() const override { return "input"; }
  std::string attributes() const override { return label; }
  bool same_as(const Op& other) const override { return this == &other; }
  std::vector<Type> infer(std::span<const Type>) const override { return {type}; }
  Kernel bind(const Binding&) const override;
};
struct ConstantOp final : Op {
  explicit ConstantOp(Array a) : array(std::move(a)) {}
  Array array;
  std::string_view name() const override { return "constant"; }
  std::string attributes() const override;
  bool same_as(const Op& other) const override;
  std::vector<Type> infer(std::span<const Type>) const override {
    return {{array.dtype(), array.shape(), false}};
  }
  Kernel bind(const Binding&) const override;
};
// The scalar that a value is, where it is a constant with one element.
std::optional<double> constant_scalar(const Value& value);

// True where any is per shard.
bool any_per_shard(std::span<const Type> types);

}  // namespace descent
