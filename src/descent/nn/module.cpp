#include "descent/nn/module.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "descent/autodiff/autodiff.h"
#include "descent/base/error.h"
#include "descent/ir/value.h"
#include "descent/ops/ops.h"

namespace descent::nn {
namespace {

std::string joined(const std::string& path, const std::string& name) {
  return path.empty() ? name : path + "." + name;
}

// "linear" of "linear(64)".
std::string kind_of(const Module& module) {
  const auto text = module.describe();
  return text.substr(0, text.find('('));
}

// The same error with its place as "layer 3 (linear)"; an inner layer has already said where.
Error located(const Error& error, const std::string& path, const Module& module) {
  const auto plain = "layer " + path;
  const auto place = (path.empty() ? "model" : plain) + fmt::format(" ({})", kind_of(module));
  const auto& where = error.where();
  if (where.empty() || where == plain) {
    return Error(error.kind(), error.message(), place, error.remedy());
  }
  return where.starts_with("layer ") ? error : error.at(place);
}

[[noreturn]] void used_twice(const std::string& full) {
  throw Error(ErrorKind::usage,
              fmt::format("\"{}\" is sparse and is used in two places (tied weights): its gradient "
                          "is more than the rows that are looked up",
                          full),
              {}, "set sparse = false, or give each place weights of its own");
}

// The placeholder of a batch: activations are per shard.
Value batch_input(Type batch) {
  batch.per_shard = true;
  return input(std::move(batch), "batch");
}

}  // namespace

Scope::Scope(DType dtype) : dtype_(dtype) {}

Scope::Scope(std::map<std::string, Value> bound, bool training, Value key, DType dtype)
    : dtype_(dtype),
      describing_(false),
      training_(training),
      key_(std::move(key)),
      bound_(std::move(bound)) {}

Value Scope::parameter(const std::string& name, const Shape& shape, const Initializer& init,
                       bool decay) {
  return variable(name, shape, init, true, decay);
}

Value Scope::rows(const std::string& name, const Shape& shape, const Initializer& init,
                  const Value& index, bool sparse) {
  const auto full = joined(path_, name);
  if (sparse && describing_ && bound_.contains(full)) used_twice(full);
  if (sparse && !describing_ && look_up) {
    if (Value own = look_up(full, index)) return own;
  }
  const Value table = parameter(name, shape, init);
  if (sparse && describing_) variables_.back().sparse = true;
  return gather(table, index);
}

Value Scope::buffer(const std::string& name, const Shape& shape, const Initializer& init) {
  return variable(name, shape, init, false, false);
}

Value Scope::variable(const std::string& name, const Shape& shape, const Initializer& init,
                      bool trained, bool decay) {
  const auto full = joined(path_, name);
  return describing_ ? described(full, shape, init, trained, decay) : handed_out(full, shape);
}

Value Scope::described(const std::string& full, const Shape& shape, const Initializer& init,
                       bool trained, bool decay) {
  if (const auto before = bound_.find(full); before != bound_.end()) {
    for (const auto& v : variables_) {
      if (v.name == full && v.sparse) used_twice(full);
    }
    if (before->second.shape() == shape) return before->second;
    throw Error(ErrorKind::usage,
                fmt::format("\"{}\" is asked for with shape {} and with shape {}", full,
                            to_string(before->second.shape()), to_string(shape)),
                {}, "give one of them another name");
  }
  const Type type{dtype_, shape, false};
  variables_.push_back({full, type, init, trained, decay});
  return bound_[full] = input(type, full);
}

Value Scope::handed_out(const std::string& full, const Shape& shape) const {
  const auto found = bound_.find(full);
  if (found == bound_.end()) {
    std::vector<std::string> names;
    for (const auto& [name, value] : bound_) names.push_back(name);
    throw Error(ErrorKind::usage, fmt::format("nothing is bound to \"{}\"", full), {},
                names.empty() ? "no names are bound"
                              : fmt::format("bound names: {}", fmt::join(names, ", ")));
  }
  const auto& value = found->second;
  if (value.shape() == shape) return value;
  throw Error(ErrorKind::usage,
              fmt::format("\"{}\" has shape {} where the layer needs {}", full,
                          to_string(value.shape()), to_string(shape)),
              {}, "the parameters belong to another model, or its inputs have changed");
}

void Scope::update_buffer(const std::string& name, Value value) {
  const auto full = joined(path_, name);
  const auto buffer = bound_.find(full);
  if (buffer == bound_.end() || buffer->second.type() != value.type()) {
    throw Error(ErrorKind::internal,
                fmt::format("update of \"{}\" with {}, which is no buffer of that type", full,
                            to_string(value.type())));
  }
  if (training_) updated_[full] = std::move(value);
}

void Scope::decode(Value position, std::int64_t context, std::map<std::string, Value> caches) {
  position_ = std::move(position);
  context_ = context;
  kept_ = std::move(caches);
}

Value Scope::cache(const std::string& name, Shape shape) {
  const auto full = joined(path_, name);
  if (const auto found = kept_.find(full); found != kept_.end()) return found->second;
  if (!describing_) throw Error(ErrorKind::internal, fmt::format("no cache \"{}\"", full));
  const Type type{dtype_, std::move(shape), false};
  caches_.push_back({full, type, zeros(), false, false});
  return kept_[full] = input(type, full);
}

void Scope::update_cache(const std::string& name, Value value) {
  const auto full = joined(path_, name);
  const auto cache = kept_.find(full);
  if (cache == kept_.end() || cache->second.type() != value.type()) {
    throw Error(ErrorKind::internal,
                fmt::format("update of \"{}\" with {}, which is no cache of that type", full,
                            to_string(value.type())));
  }
  cache->second = std::move(value);
}

Value Scope::key() const {
  if (describing_) return input({DType::int64, {}, false}, "key");
  if (key_) return key_;
  throw Error(ErrorKind::usage, "a random operation needs a key and none was given", {},
              "give the Scope an int64 key, or evaluate with training = false");
}

Value Scope::traced(const Module& module, const Value& x) {
  const auto row = rows_.size();
  const auto first = variables_.size();
  if (describing_) rows_.push_back({path_, module.describe(), {}, 0});
  try {
    const Value y = module(*this, x);
    if (outputs != nullptr) outputs->push_back({path_, kind_of(module), y});
    if (!describing_) return y;
    std::vector<std::int64_t> sample(y.shape().begin() + std::min(y.rank(), 1), y.shape().end());
    rows_[row].output = Shape(std::move(sample));
    for (auto i = first; i < variables_.size(); ++i) {
      if (variables_[i].trained) rows_[row].parameters += variables_[i].type.shape.size();
    }
    // What the layers inside hold is theirs.
    for (auto i = row + 1; i < rows_.size(); ++i) rows_[row].parameters -= rows_[i].parameters;
    return y;
  } catch (const Error& error) {
    throw located(error, path_, module);
  }
}

Value Scope::rematerialised(const std::function<Value(const Value&)>& body, const Value& x) {
  auto before = std::move(updated_);
  const Value mask_before = mask;
  std::vector<std::string> names;
  rematerialise = false;  // inside of a block nothing is kept anyway
  auto* const watched = std::exchange(outputs, nullptr);  // nor can it be looked at
  const auto results = checkpoint([&](ValueSpan in) {
    updated_.clear();
    Values out{body(in[0])};
    for (const auto& [name, value] : updated_) {
      names.push_back(name);
      out.push_back(value);
    }
    if (mask != mask_before) out.push_back(mask);
    return out;
  })(ValueSpan(&x, 1));
  rematerialise = true;
  outputs = watched;
  updated_ = std::move(before);
  for (std::size_t i = 0; i < names.size(); ++i) updated_[names[i]] = results[i + 1];
  if (results.size() > names.size() + 1) mask = results.back();
  return results[0];
}

Value call(const Layer& module, Scope& scope, const std::string& name, const Value& x) {
  if (!module) throw Error(ErrorKind::usage, fmt::format("the module \"{}\" is null", name));
  struct Inside {
    Inside(std::string& path, const std::string& to) : path_(path), before_(path.size()) {
      path_ = joined(path_, to);
    }
    ~Inside() { path_.resize(before_); }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;
    std::string& path_;
    std::size_t before_;
  };
  const NameScope names(name);
  const Inside path(scope.path_, name);
  if (!scope.rematerialise || scope.describing_ || module->children().empty()) {
    return scope.traced(*module, x);
  }
  return scope.rematerialised([&](const Value& v) { return scope.traced(*module, v); }, x);
}

class Sequential final : public Module {
 public:
  explicit Sequential(std::vector<Layer> layers) : layers_(std::move(layers)) {
    if (std::ranges::find(layers_, nullptr) != layers_.end()) {
      throw Error(ErrorKind::usage, "a layer is null", "sequential");
    }
  }

  Value operator()(Scope& scope, const Value& x) const override {
    if (!scope.rematerialise || scope.describing() || has_blocks()) {
      return part(scope, x, 0, layers_.size());
    }
    // Chen et al. 2016: the root of the length costs least memory.
    const auto n = layers_.size();
    const auto length = static_cast<std::size_t>(std::ceil(std::sqrt(static_cast<double>(n))));
    Value y = x;
    for (std::size_t i = 0; i < n; i += length) {
      const auto run = [&](const Value& v) { return part(scope, v, i, std::min(i + length, n)); };
      // The last one's results are needed at once.
      y = i + length < n ? scope.rematerialised(run, y) : run(y);
    }
    return y;
  }

  std::string describe() const override {
    return fmt::format("sequential({} layer{})", layers_.size(), layers_.size() == 1 ? "" : "s");
  }

  std::vector<std::pair<std::string, Layer>> children() const override {
    std::vector<std::pair<std::string, Layer>> named;
    for (const auto& layer : layers_) named.emplace_back(std::to_string(named.size()), layer);
    return named;
  }

 private:
  bool has_blocks() const {
    return std::ranges::any_of(layers_, [](const Layer& l) { return !l->children().empty(); });
  }
  Value part(Scope& scope, const Value& x, std::size_t first, std::size_t last) const {
    Value y = x;
    for (auto i = first; i < last; ++i) y = call(layers_[i], scope, std::to_string(i), y);
    return y;
  }

  std::vector<Layer> layers_;
};

Layer sequential(std::vector<Layer> layers) {
  return std::make_shared<const Sequential>(std::move(layers));
}

std::vector<Variable> describe(const Layer& model, const Type& batch, DType dtype) {
  Scope scope(is_floating(batch.dtype) ? batch.dtype : dtype);
  const auto input = batch_input(batch);
  try {
    (*model)(scope, input);
  } catch (const Error& error) {
    throw located(error, {}, *model);
  }
  return scope.variables();
}

Tree initialize(const std::vector<Variable>& variables, std::uint64_t key) {
  Tree tree;
  for (const auto& v : variables) {
    try {
      tree.emplace_back(
          v.name, v.init(v.type.dtype, v.type.shape, fold_in(key, hash_text(v.name.c_str()))));
    } catch (const Error& error) {
      throw error.at(fmt::format("parameter \"{}\"", v.name));
    }
  }
  return tree;
}

std::vector<LayerRow> summarize(const Layer& model, const Type& batch) {
  Scope scope(is_floating(batch.dtype) ? batch.dtype : DType::float32);
  scope.traced(*model, batch_input(batch));
  std::vector<LayerRow> rows;
  for (std::size_t i = 0; i < scope.rows_.size(); ++i) {
    const auto& row = scope.rows_[i];
    // Outer before inner: a container is followed by a row whose path goes on from its own.
    const bool container =
        i + 1 < scope.rows_.size() && scope.rows_[i + 1].name.starts_with(joined(row.name, ""));
    if (!container || row.parameters > 0) rows.push_back(row);
  }
  return rows;
}

}  // namespace descent::nn
