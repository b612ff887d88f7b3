#include "descent/optim/registry.h"

#include <fmt/format.h>

#include <algorithm>

#include "descent/base/error.h"
#include "descent/optim/proximal.h"
#include "descent/optim/rule.h"
#include "descent/optim/wrappers.h"

namespace descent::optim {
namespace {

// The options that every optimizer has.
std::vector<Option> shared_options(const OptimizerRow& row) {
  const std::string meaning =
      row.decoupled
          ? "decoupled weight decay: parameters shrink by lr * weight_decay each step"
          : "L2 penalty: weight_decay * parameter is added to the gradient (adds up with l2)";
  return {
      number_option("lr", row.lr, "learning rate"),
      number_option("weight_decay", row.weight_decay, meaning),
      number_option("clip_norm", 0,
                    "scale all gradients down to this Euclidean norm together; 0: off"),
      number_option("clip_value", 0,
                    "cut each element of the gradient to [-clip_value, clip_value]; 0: off"),
      number_option("clip_percentile", 0,
                    "scale all gradients down to this percentile of their last norms; 0: off", 0,
                    100),
      {.key = "clip_window",
       .type = OptionType::integer,
       .fallback = std::int64_t{1000},
       .help = "how many norms clip_percentile looks back on",
       .min = 1},
      number_option("clip_each", 0,
                    "scale the gradient of each parameter down to this norm; 0: off"),
      number_option("clip_adaptive", 0,
                    "scale the gradient of each unit down to this part of the norm of its weights; "
                    "0: off"),
      number_option("l1", 0, "L1 penalty: l1 * sign(parameter) is added to the gradient"),
      number_option(
          "l2", 0, "L2 penalty: l2 * parameter is added to the gradient, whatever weight_decay is"),
      {.key = "prox",
       .type = OptionType::text,
       .help = "proximal step after each step, with its rate: l1:RATE (exact zeros), group:RATE "
               "(rows of weights become 0), box:LOW,HIGH, simplex (rows of weights sum to 1), "
               "ball:RADIUS; default: none"},
      boolean_option(
          "decay_all",
          "weight_decay, l1, l2 and prox act on biases and normalisation parameters too"),
  };
}

// The options that every schedule has.
std::vector<Option> shared_options() {
  return {
      {.key = "warmup_steps",
       .type = OptionType::integer,
       .fallback = std::int64_t{0},
       .help = "steps in which the rate rises linearly to the schedule's first rate; the schedule "
               "begins after them",
       .min = 0},
      number_option("warmup_start_factor", 0,
                    "part of the schedule's first rate that the warm-up starts at", 0, 1),
      {.key = "unit",
       .type = OptionType::text,
       .fallback = std::string("step"),
       .help = "what the schedule counts: steps, or epochs (the rate is then constant within one); "
               "warmup_steps are always steps",
       .choices = {"step", "epoch"}},
  };
}

Schedule make_schedule(const ScheduleRow& row, const Options& options, const RunLength& run) {
  const auto warmup_steps = options.integer("warmup_steps");
  const bool epochs = options.text("unit") == "epoch";
  if (epochs && run.steps_per_epoch < 1) {
    throw Error(ErrorKind::usage,
                fmt::format("{}: unit = \"epoch\" needs the steps of an epoch, which are not known",
                            row.name),
                "", "use unit = \"step\"");
  }
  RunLength rest = run;
  if (run.steps > 0) {
    rest.steps = std::max<std::int64_t>(run.steps - warmup_steps, 1);
    if (epochs) rest.steps = (rest.steps + run.steps_per_epoch - 1) / run.steps_per_epoch;
  }
  auto schedule = row.make(options, rest);
  if (epochs) {
    schedule = [inner = std::move(schedule), steps = run.steps_per_epoch](std::int64_t step) {
      return inner(step / steps);
    };
  }
  if (warmup_steps == 0) return schedule;
  return warmup(warmup_steps, std::move(schedule), options.number("warmup_start_factor"));
}

bool says_decoupled(const Options& o) {
  return convention_of(o) == Convention::keras ||
         (o.has("decoupled_weight_decay") && o.boolean("decoupled_weight_decay"));
}

}  // namespace

const OptimizerRegistry& optimizers() {
  static const auto all = [] {
    OptimizerRegistry registry("optimizer");
    register_all(registry);
    return registry;
  }();
  return all;
}

const ScheduleRegistry& schedules() {
  static const auto all = [] {
    ScheduleRegistry registry("schedule");
    register_all(registry);
    return registry;
  }();
  return all;
}

void add_optimizer(OptimizerRegistry& registry, const OptimizerRow& row) {
  auto options = row.options;
  const auto owns = [&](const std::string& key) {
    return std::ranges::find(row.options, key, &Option::key) != row.options.end();
  };
  const bool own_decay = owns("weight_decay"), own_l1 = owns("l1"), own_l2 = owns("l2");
  for (auto& option : shared_options(row)) {
    if (!owns(option.key)) options.push_back(std::move(option));
  }
  for (auto& option : wrapper_options()) options.push_back(std::move(option));
  auto make = [=, rule = row.rule, whole = row.whole, always = row.decoupled](
                  const Options& o, const Schedule& rate) {
    const double weight_decay = own_decay ? 0 : o.number("weight_decay");
    const bool decoupled = always || says_decoupled(o);
    const auto update = whole ? whole(o, rate) : nullptr;
    auto inner = around(
        update ? update : rule(o),
        {.lr = rate,
         .clip_norm = o.number("clip_norm"),
         .clip_value = o.number("clip_value"),
         .l1 = own_l1 ? 0 : o.number("l1"),
         .l2 = (own_l2 ? 0 : o.number("l2")) + (decoupled ? 0 : weight_decay),
         .weight_decay = decoupled ? weight_decay : 0,
         .decayed = decayed_by(o),
         .clip_percentile = o.number("clip_percentile"),
         .clip_each = o.number("clip_each"),
         .clip_adaptive = o.number("clip_adaptive"),
         .clip_window = o.integer("clip_window"),
         .before_rule = before_rule_from(o),
         .whole = static_cast<bool>(update),
         .after = o.has("prox") ? proximal_step(prox_from(o.text("prox")), rate, decayed_by(o))
                                : nullptr});
    auto links = after_rate_from(o);
    const auto sharpness = sharpness_from(o);
    if (links.empty() && !sharpness) return inner;
    links.insert(links.begin(), std::move(inner));
    if (sharpness) links.insert(links.begin(), sharpness);
    return chain(std::move(links));
  };
  registry.add({row.name, row.help, std::move(options), std::move(make)});
}

Decayed decayed_by(const Options& options) {
  return options.boolean("decay_all") ? every_parameter : except_bias_and_norm;
}

void add_schedule(ScheduleRegistry& registry, const ScheduleRow& row) {
  auto options = row.options;
  for (auto& option : shared_options()) options.push_back(std::move(option));
  auto make = [row](const Options& o, const RunLength& run) { return make_schedule(row, o, run); };
  registry.add({row.name, row.help, std::move(options), std::move(make)});
}

Option number_option(std::string key, double fallback, std::string help, double min,
                     std::optional<double> max) {
  return {.key = std::move(key),
          .type = OptionType::number,
          .fallback = fallback,
          .help = std::move(help),
          .min = min,
          .max = max};
}

Option convention_option(std::vector<std::string> choices, const std::string& help) {
  Option option{.key = "convention", .type = OptionType::text, .help = help};
  option.fallback = choices.front();
  option.choices = std::move(choices);
  return option;
}

Convention convention_of(const Options& options) {
  if (!options.has("convention")) return Convention::torch;
  const auto& name = options.text("convention");
  if (name == "keras") return Convention::keras;
  return name == "paper" ? Convention::paper : Convention::torch;
}

Option open_option(std::string key, std::string help, std::optional<double> max) {
  return {.key = std::move(key),
          .type = OptionType::number,
          .help = std::move(help),
          .min = 0,
          .max = max};
}

double number_or(const Options& options, const std::string& key, double fallback) {
  return options.has(key) ? options.number(key) : fallback;
}

Option boolean_option(std::string key, std::string help) {
  return {.key = std::move(key),
          .type = OptionType::boolean,
          .fallback = false,
          .help = std::move(help)};
}

Option decay_steps_option() {
  return {.key = "decay_steps",
          .type = OptionType::integer,
          .help = "length of the decay; default: the rest of the run after the warm-up",
          .min = 1};
}

std::int64_t decay_steps(const Options& options, const RunLength& run) {
  if (options.has("decay_steps")) return options.integer("decay_steps");
  if (run.steps > 0) return run.steps;
  throw Error(ErrorKind::usage, "the schedule needs the length of the run, which is not known", "",
              "set decay_steps");
}

namespace {
[[noreturn]] void refuse(const char* where, const char* name, const char* rule, double value) {
  throw Error(ErrorKind::usage, fmt::format("{} must be {}, not {:g}", name, rule, value), where);
}
}  // namespace

void require_fraction(const char* where, const char* name, double value) {
  if (!(value >= 0 && value < 1)) refuse(where, name, "at least 0 and less than 1", value);
}

void require_not_negative(const char* where, const char* name, double value) {
  if (!(value >= 0)) refuse(where, name, "at least 0", value);
}

void require_positive(const char* where, const char* name, double value) {
  if (!(value > 0)) refuse(where, name, "greater than 0", value);
}

}  // namespace descent::optim
