// Module: describes a function with named parameters. A Scope holds their values, so that a
// function of parameters is always at hand. Names, layouts and defaults follow PyTorch ("0.weight"
// of shape [out, in]), so that weights travel.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "descent/base/array.h"
#include "descent/base/random.h"
#include "descent/ir/fn.h"
#include "descent/nn/initializers.h"

namespace descent::nn {

// What a module asks for: a parameter (trained) or a buffer (kept, not trained: running means).
struct Variable {
  std::string name;  // full path: "encoder.0.weight"
  Type type;
  Initializer init;
  bool trained = true;
  bool decay = true;  // false for biases and normalisation parameters: weight decay leaves them out
  bool frozen = false;  // a parameter that is not trained any more (nn/transfer.h)
  bool sparse = false;  // a table that is looked up in one place and used in no other (Scope::rows)

  bool parameter() const { return trained || frozen; }
};

// Named arrays in order of creation: parameters, buffers, gradients, optimizer state.
using Tree = std::vector<std::pair<std::string, Array>>;

class Module;
using Layer = std::shared_ptr<const Module>;

// One row of `descent inspect`.
struct LayerRow {
  std::string name, description;
  Shape output;  // of one sample
  std::int64_t parameters = 0;
};

// What a layer gave: its full name ("encoder.0"), what it is ("relu"), and the value.
struct LayerOutput {
  std::string name, kind;
  Value value;
};

// One use of a model: either it collects what the modules ask for (describe), or it hands out the
// values that were bound (apply). Reentrant; never global.
class Scope {
 public:
  // Describing: parameters and buffers are recorded; every parameter() is a fresh placeholder.
  explicit Scope(DType dtype = DType::float32);
  // Applying: values by full name; `key` feeds random operations (null: none may be drawn).
  Scope(std::map<std::string, Value> bound, bool training, Value key, DType dtype = DType::float32);

  // A parameter of the module that is called: "encoder.0.weight" for "weight". Asking twice for one
  // name and shape shares the parameter. Applying: an error that lists the names where it is not
  // bound, and one that names both shapes where it has another.
  Value parameter(const std::string& name, const Shape& shape, const Initializer& init,
                  bool decay = true);
  // Rows of a parameter [rows, ...] by their int64 index: gather(parameter, index). `sparse` says
  // that this is all the model does with the parameter, so that its gradient may stay the rows that
  // were looked up (optim/lazy_rows.h); an error where the model asks for it twice.
  Value rows(const std::string& name, const Shape& shape, const Initializer& init,
             const Value& index, bool sparse);
  // Where it is set, it gives the rows of sparse parameters, by full name; null: none of its own.
  std::function<Value(const std::string& name, const Value& index)> look_up;
  Value buffer(const std::string& name, const Shape& shape, const Initializer& init);
  // The buffer's value after this step (ignored when not training).
  void update_buffer(const std::string& name, Value value);

  bool training() const { return training_; }
  bool describing() const { return describing_; }
  DType dtype() const { return dtype_; }  // of parameters and activations
  DType compute = DType::float32;         // of products: bfloat16 in mixed precision
  // Blocks (layers made of layers) keep only their inputs for the backward pass, which computes
  // what is inside once more; where a sequence has no blocks, runs of about the root of its length
  // do.
  bool rematerialise = false;
  // Training: update_buffer() of normalisation layers is to have the statistics of the batch alone,
  // not the running ones moved towards them.
  bool batch_statistics = false;
  // Which tokens [N, T] are none but padding: 0 there, else not 0. Null: none is.
  Value mask;
  // Where it is set, every layer that is called reports here, inner layers before outer ones.
  std::vector<LayerOutput>* outputs = nullptr;
  // Key for random operations of this step; an error when applying without one.
  Value key() const;

  // Decoding token by token (nn/decode.h): the model is called with [N, 1] tokens, `position`
  // (int64 scalar) counts those before, and caches have room for `context` of them; the first ones
  // may come together, [N, T] at position 0. Without it null.
  void decode(Value position, std::int64_t context, std::map<std::string, Value> caches = {});
  bool decoding() const { return static_cast<bool>(position_); }
  const Value& position() const { return position_; }
  std::int64_t context() const { return context_; }
  // What a module keeps from token to token, by a name of its own: zeros at first, then what it was
  // updated with.
  Value cache(const std::string& name, Shape shape);
  void update_cache(const std::string& name, Value value);
  const std::vector<Variable>& caches() const { return caches_; }     // asked for while describing
  const std::map<std::string, Value>& kept() const { return kept_; }  // by full name, after updates

  const std::vector<Variable>& variables() const { return variables_; }
  // New values of the buffers that were updated, by full name.
  const std::map<std::string, Value>& updated() const { return updated_; }

 private:
  friend Value call(const Layer& module, Scope& scope, const std::string& name, const Value& x);
  friend class Sequential;
  friend std::vector<LayerRow> summarize(const Layer& model, const Type& batch);
  Value variable(const std::string& name, const Shape& shape, const Initializer& init, bool trained,
                 bool decay);
  Value described(const std::string& full, const Shape& shape, const Initializer& init,
                  bool trained, bool decay);
  Value handed_out(const std::string& full, const Shape& shape) const;
  Value traced(const Module& module, const Value& x);
  // body(x) as one rematerialised piece; the buffers and the mask that it sets become its results.
  Value rematerialised(const std::function<Value(const Value&)>& body, const Value& x);

  DType dtype_;
  bool describing_ = true, training_ = true;
  Value key_;
  std::string path_;  // of the module that is called: "encoder.0"
  std::map<std::string, Value> bound_, updated_;
  std::vector<Variable> variables_, caches_;
  Value position_;
  std::int64_t context_ = 0;
  std::map<std::string, Value> kept_;
  std::vector<LayerRow> rows_;  // one per call, outer before inner: what summarize() tells
};

class Module {
 public:
  virtual ~Module() = default;
  // x: one shard's batch, [rows, ...].
  virtual Value operator()(Scope& scope, const Value& x) const = 0;
  // "linear(784, 128)" as far as known, for tables and errors.
  virtual std::string describe() const = 0;
  // Sub-modules by name, in order (a container has them).
  virtual std::vector<std::pair<std::string, std::shared_ptr<const Module>>> children() const {
    return {};
  }
};

// Calls a sub-module under its name: parameters become "name.weight", errors say "name (linear)".
Value call(const Layer& module, Scope& scope, const std::string& name, const Value& x);

// Layers one after another, named "0", "1", ...
Layer sequential(std::vector<Layer> layers);

// The variables of a model for inputs of `sample` (a batch of any number of rows; errors name the
// layer whose shapes do not fit). Parameters have the type of the batch; where it is of integers
// (tokens), `dtype`.
std::vector<Variable> describe(const Layer& model, const Type& batch, DType dtype = DType::float32);
// Their initial values: each drawn from fold_in(key, hash of its name), so that adding a layer
// changes no other layer's values.
Tree initialize(const std::vector<Variable>& variables, std::uint64_t key);

// A table of the layers with what each gives and holds; containers only where they hold parameters
// of their own.
std::vector<LayerRow> summarize(const Layer& model, const Type& batch);

}  // namespace descent::nn
