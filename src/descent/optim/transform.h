// An optimizer is a chain of gradient transformations (optax's idea): pure pairs of init and update
// written in the same operations as the model, so that it can be differentiated, checkpointed and
// compiled into the training step. Updates are added to the parameters at the end of the chain.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "descent/ir/fn.h"

namespace descent::optim {

// What a transformation may know of a parameter.
struct Parameter {
  std::string name;
  Type type;
  bool decay = true;  // false: bias or normalisation parameter
};

// One tensor of optimizer state; named "<transform>.<slot>.<parameter>" in a checkpoint.
struct StateTensor {
  std::string name;
  Type type;
  double initial = 0;
};

// A number that changes with the step (learning rate, bias correction): computed on the host in
// double precision and handed to the compiled step through a buffer, so that it never re-traces.
// step counts from 0.
struct HostScalar {
  std::string name;
  std::function<double(std::int64_t step)> at;
};

// What a transformation sees of a step besides the updates and its state. What a caller cannot give
// is null (a sequence of gradients has no loss); rule.h has checks that say so.
struct UpdateContext {
  ValueSpan parameters;  // current values
  const std::vector<Parameter>& info;
  ValueSpan scalars;         // this transform's host scalars, as values
  std::int64_t variant = 0;  // this transform's variant of the step
  Value loss = {};           // of this step's batch, at the current parameters
  Value key = {};            // random key of the step, int64 scalar
  // Gradients of this batch's loss at other parameters; H v, the Hessian being that of this batch's
  // loss at the current parameters. Both take and give one value per parameter.
  std::function<Values(ValueSpan parameters)> gradient_at = {};
  std::function<Values(ValueSpan v)> hessian_product = {};
  // The same batch's loss with targets drawn from the model's own distribution: the expected
  // product of its gradients is the Fisher matrix. Null also where the loss has no such
  // distribution.
  std::function<Value()> sampled_loss = {};
  // The gradients are known to be 0, all of them: what a table's row goes through in a step that
  // does not look it up (lazy_rows.h).
  bool zero_gradients = false;
};

// What a transformation expects of the loss from one step to the next. full_wanted: it compares
// gradients of different steps, and what tells batches apart disturbs it. full_needed: it compares
// losses too, and every step must be of all rows.
enum class Batches { any, full_wanted, full_needed };

// The point that a search goes back to from one that is not finite; scalars.
struct Accepted {
  Value known;                // 1 where there is such a point, else 0
  Value loss, gradient_norm;  // there
};

class Transform {
 public:
  virtual ~Transform() = default;
  virtual std::string name() const = 0;
  virtual std::vector<StateTensor> state(const std::vector<Parameter>& parameters) const {
    (void)parameters;
    return {};
  }
  virtual std::vector<HostScalar> scalars(DType dtype) const {
    (void)dtype;
    return {};
  }
  // updates: one per parameter, in: from the transformation before (the gradients first), out: to
  // the next. state: in the order of state(), replaced by its new values.
  virtual void update(Values& updates, Values& state, const UpdateContext& context) const = 0;

  // For work that is done only at some steps (a Hessian every tenth): the step is compiled once for
  // each variant, and update() finds in UpdateContext::variant which it writes. A function of the
  // step alone, so that a resumed run does as the first; in [0, variants()).
  virtual std::int64_t variants() const { return 1; }
  virtual std::int64_t variant(std::int64_t step) const {
    (void)step;
    return 0;
  }

  // The weights to validate, test and save in the place of `parameters`, where a transformation
  // keeps such (a running average), from the parameters and the state after a step. Empty: none.
  virtual Values averaged(ValueSpan parameters, ValueSpan state,
                          const std::vector<Parameter>& info) const {
    (void)parameters, (void)state, (void)info;
    return {};
  }

  virtual Batches batches() const { return Batches::any; }

  // A search (along a line): the parameters of a step are a trial, from which it may go back. Its
  // updates come out as the new parameters themselves, since a sum of far away and back is not
  // where it began; so nothing follows it. It is told of losses and gradients that are not finite,
  // as soon as accepted() is known, and must give finite parameters and state all the same; without
  // a search such a step changes nothing and ends the run. averaged() is the accepted point.
  virtual bool searches() const { return false; }
  // Of the state before a step. Only called where searches().
  virtual Accepted accepted(ValueSpan state, const std::vector<Parameter>& info) const {
    (void)state, (void)info;
    return {};
  }
};
using Optimizer = std::shared_ptr<const Transform>;

// One after another; states and scalars are concatenated, named with their place:
// "1.adam.m.0.weight".
Optimizer chain(std::vector<Optimizer> transforms);

// Learning rate as a function of the step (from 0).
using Schedule = std::function<double(std::int64_t step)>;

// The value of step t's update: parameters + updates, and the new state.
struct Updated {
  Values parameters, state;
};
Updated apply_optimizer(const Optimizer& optimizer, ValueSpan gradients, ValueSpan state,
                        const UpdateContext& context);
// Where there is no more to give than gradients.
Updated apply_optimizer(const Optimizer& optimizer, const std::vector<Parameter>& info,
                        ValueSpan parameters, ValueSpan gradients, ValueSpan state,
                        ValueSpan scalars);

}  // namespace descent::optim
