// Value: an immutable handle on one output of a node of the lazy graph. Operations on values build
// nodes; nothing is computed until a plan is compiled (or at once inside an EagerScope).
//
// A value is replicated (the same for the whole batch: parameters, a loss) or per shard (each
// logical shard of the batch has its own: activations). Operations on per-shard values give
// per-shard values; only all_reduce_sum() leads back. See docs/architecture.md, "Shards".
#pragma once
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "descent/base/array.h"
#include "descent/base/dtype.h"
#include "descent/base/shape.h"

namespace descent {

struct Type {
  DType dtype = DType::float32;
  Shape shape;
  bool per_shard = false;  // shape is then that of one shard
  std::size_t bytes() const { return static_cast<std::size_t>(shape.size()) * size_of(dtype); }
  friend bool operator==(const Type&, const Type&) = default;
};
// "float32[128, 784]", "float32[64, 784] per shard"
std::string to_string(const Type& type);

class Op;
struct Node;

class Value {
 public:
  Value() = default;
  Value(std::shared_ptr<Node> node, int index = 0) : node_(std::move(node)), index_(index) {}

  explicit operator bool() const { return node_ != nullptr; }
  const Type& type() const;
  const Shape& shape() const { return type().shape; }
  DType dtype() const { return type().dtype; }
  bool per_shard() const { return type().per_shard; }
  int rank() const { return shape().rank(); }
  Node* node() const { return node_.get(); }
  const std::shared_ptr<Node>& shared_node() const { return node_; }
  int index() const { return index_; }
  // The computed elements, where the value was made inside an EagerScope or is a constant; one
  // array, or for a per-shard value that of the given shard.
  const Array& array(int shard = 0) const;
  double item() const { return array().item(); }
  Value operator[](std::int64_t i) const;  // row i along the first axis, that axis dropped (ops.h)

  friend bool operator==(const Value&, const Value&) = default;

 private:
  std::shared_ptr<Node> node_;
  int index_ = 0;
};

using Values = std::vector<Value>;
using ValueSpan = std::span<const Value>;

struct Node : std::enable_shared_from_this<Node> {
  std::shared_ptr<const Op> op;
  Values inputs;
  std::vector<Type> outputs;
  std::string scope;                         // the module path it was made in: "encoder.0.attn"
  std::uint64_t id = 0;                      // order of creation
  std::vector<std::vector<Array>> computed;  // eager: [output][shard]
  ~Node();
};

// Makes the node of an operation: infers its types (errors name operation, shapes and scope) and,
// inside an EagerScope, computes it.
Values apply_all(std::shared_ptr<const Op> op, Values inputs);
Value apply(std::shared_ptr<const Op> op, Values inputs);

// A placeholder that a plan or a transformation binds later.
Value input(Type type, std::string name = "input");
// A constant array; a scalar of a type.
Value constant(Array array);
Value scalar(double value, DType dtype = DType::float32);

// Names what is built while it lives: scopes nest, "encoder" then "0" gives "encoder.0".
class NameScope {
 public:
  explicit NameScope(const std::string& name);
  ~NameScope();
  NameScope(const NameScope&) = delete;
  NameScope& operator=(const NameScope&) = delete;
  static const std::string& current();

 private:
  std::size_t before_;
};

// Goes back to a known path for a while: what is derived from a node (its derivative, its copy)
// carries the node's own name.
class AtScope {
 public:
  explicit AtScope(std::string path);
  ~AtScope();
  AtScope(const AtScope&) = delete;
  AtScope& operator=(const AtScope&) = delete;

 private:
  std::string before_;
};

// Debugging: while it lives, each operation is computed as soon as it is called, so that an error
// or the first NaN is reported at the user's own line, with layer and operation. Per-shard
// constants carry one array per shard.
struct EagerOptions {
  int shards = 1;
  bool check_finite = true;  // throw Error(diverged) at the first NaN or Inf result
};
class EagerScope {
 public:
  explicit EagerScope(EagerOptions options = {});
  ~EagerScope();
  EagerScope(const EagerScope&) = delete;
  EagerScope& operator=(const EagerScope&) = delete;

 private:
  EagerOptions options_;
  const EagerOptions* outer_;
};
// Builds a graph inside an EagerScope after all: to find the types of what a function gives.
class GraphScope {
 public:
  GraphScope();
  ~GraphScope();
  GraphScope(const GraphScope&) = delete;
  GraphScope& operator=(const GraphScope&) = delete;

 private:
  const EagerOptions* outer_;
};
// A value that is already computed: `shards` arrays of one shard each make a per-shard value.
Value computed(std::vector<Array> shards, bool per_shard);

}  // namespace descent
