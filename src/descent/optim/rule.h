// What an optimizer is written with. A new one is a file of transforms/ with its rule and its row:
//
//   Optimizer scale_by_sign() {
//     return per_parameter({.name = "sign", .update = [](const Item& i) { return sign(i.gradient);
//     }});
//   }
//   void register_signsgd(OptimizerRegistry& registry) {
//     add_optimizer(registry, {.name = "signsgd", .help = "...",
//                              .rule = [](const Options&) { return scale_by_sign(); }});
//   }
#pragma once
#include <optional>
#include <span>

#include "descent/optim/optimizers.h"
#include "descent/optim/registry.h"

namespace descent::optim {

// One parameter at one step, as a rule sees it.
struct Item {
  const Value& gradient;   // from the transformation before
  const Value& parameter;  // its current value
  const Parameter& info;
  std::span<Value> state;  // one per slot; assign the new values
  ValueSpan scalars;       // of this step, in the order of Rule::scalars
  std::int64_t variant = 0;
};

// A rule that treats every parameter alone and in the same way.
struct Rule {
  struct Slot {
    std::string name;
    double initial = 0;
    std::optional<Shape> shape = {};  // none: the parameter's
  };
  std::string name;         // "adam": begins the names of its state
  std::vector<Slot> slots;  // state tensors that each parameter has, of the parameter's type
  std::vector<HostScalar> scalars;
  std::function<Value(const Item&)> update;
  std::int64_t variants = 1;  // as Transform::variants() and variant(); null: always 0
  std::function<std::int64_t(std::int64_t step)> variant = {};
  // In the place of slots, where they differ from parameter to parameter.
  std::function<std::vector<Slot>(const Parameter&)> slots_of = {};
  std::optional<std::size_t> averaged = {};  // the slot that Transform::averaged() offers
};
Optimizer per_parameter(Rule rule);

// For transformations made of others: the variants of all of them as one number, the first as the
// lowest digit: digit = variant % transforms[0]->variants(), rest = variant / ..., and so on.
std::int64_t count_variants(const std::vector<Optimizer>& transforms);
std::int64_t joint_variant(const std::vector<Optimizer>& transforms, std::int64_t step);

// What the context has, or a usage error that says that `who` needs it.
const Value& loss_of(const UpdateContext& context, const std::string& who);
const Value& key_of(const UpdateContext& context, const std::string& who);
Values gradient_at(const UpdateContext& context, ValueSpan parameters, const std::string& who);
Values hessian_product(const UpdateContext& context, ValueSpan v, const std::string& who);

// ---- whole optimizers ----

// What stands around a rule; 0 leaves a piece out. Order: clip_norm, clip_percentile, clip_each,
// clip_adaptive, clip_value, before_rule, l1, l2, the rule, weight_decay (decoupled), -lr, after.
struct Around {
  Rate lr = 1e-3;
  double clip_norm = 0, clip_value = 0, l1 = 0, l2 = 0, weight_decay = 0;
  Decayed decayed = except_bias_and_norm;
  double clip_percentile = 0, clip_each = 0, clip_adaptive = 0;
  std::int64_t clip_window = 1000;
  std::vector<Optimizer> before_rule = {};
  bool whole = false;  // the rule gives the update itself: no decoupled decay and no -lr after it
  Optimizer after = nullptr;  // the last link: sees the update
};
// rule may be null: plain gradient descent.
Optimizer around(const Optimizer& rule, const Around& pieces);

// A row of the registry: the options that are its own; those that all share (lr, weight_decay,
// the clips, l1, l2, prox, decay_all) are appended. A row that has one of weight_decay, l1 and l2
// among its own does that itself, and nothing of it stands around its rule.
struct OptimizerRow {
  std::string name, help;
  double lr = 1e-3;         // default of the option
  double weight_decay = 0;  // default of the option
  // What weight_decay means: decoupled decay, or an L2 penalty. Options may say so too: Keras's
  // convention, and PyTorch's decoupled_weight_decay.
  bool decoupled = false;
  std::vector<Option> options;
  std::function<Optimizer(const Options&)> rule;  // gradient to direction of ascent; may give null
  // In the place of rule, where rate and decay belong into the rule: gradient (clipped, with the
  // penalties l1 and l2, and with weight_decay where it is not decoupled) to the final update. May
  // give null: then the rule stands as usual.
  std::function<Optimizer(const Options&, const Schedule&)> whole = {};
};
// What the shared option decay_all says.
Decayed decayed_by(const Options& options);
// The option `convention`, whose first choice is the default: whose arithmetic it is.
Option convention_option(std::vector<std::string> choices, const std::string& help);
Convention convention_of(const Options& options);
// An option whose default depends on others: it has none of its own, and its help says which.
Option open_option(std::string key, std::string help, std::optional<double> max = {});
double number_or(const Options& options, const std::string& key, double fallback);
void add_optimizer(OptimizerRegistry& registry, const OptimizerRow& row);

// A schedule's row: warmup_steps, warmup_start_factor and unit are appended, and `make` sees the
// run's length without the warm-up, in the unit that is asked for.
struct ScheduleRow {
  std::string name, help;
  std::vector<Option> options;
  std::function<Schedule(const Options&, const RunLength&)> make;
};
void add_schedule(ScheduleRegistry& registry, const ScheduleRow& row);

// update - rate * weight_decay * parameter, with the rate of the step: decoupled decay behind a
// rule that has the rate in it.
Optimizer decay_by_rate(const Rate& rate, double weight_decay, Decayed decayed);
// 1 - b^t, exact also where b is near 1; and 1 / (1 - b^t) of the t-th step, from 1.
double one_minus_power(double b, std::int64_t t);
HostScalar bias_correction(std::string name, double b);

// Options by type. Bounds are inclusive; a bound that must be missed is checked by the constructor.
Option number_option(std::string key, double fallback, std::string help, double min = 0,
                     std::optional<double> max = {});
Option boolean_option(std::string key, std::string help);
// decay_steps: the length of the run where it is not set; an error where neither is known.
Option decay_steps_option();
std::int64_t decay_steps(const Options& options, const RunLength& run);

// Throw a usage error, "adam: beta1 must be at least 0 and less than 1, not 1.5".
void require_fraction(const char* where, const char* name, double value);      // [0, 1)
void require_not_negative(const char* where, const char* name, double value);  // [0, inf)
void require_positive(const char* where, const char* name, double value);      // (0, inf)

}  // namespace descent::optim
