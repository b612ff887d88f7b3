// Runs an optimizer on a problem, compiled as the trainer runs it, or eagerly, operation by
// operation.
#pragma once
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "descent/autodiff/autodiff.h"
#include "descent/compile/plan.h"
#include "descent/ops/ops.h"
#include "descent/optim/optimizers.h"
#include "descent/optim/registry.h"

namespace descent::optim::test {

using Json = nlohmann::json;

inline Json golden(const std::string& file) {
  return Json::parse(std::ifstream(DESCENT_GOLDEN_DIR "/optim/" + file));
}

// The rows of all golden/optim/trajectories*.json: each is written by a script of its own.
inline const Json& trajectories() {
  static const Json all = [] {
    Json merged = Json::object();
    for (const auto& entry : std::filesystem::directory_iterator(DESCENT_GOLDEN_DIR "/optim")) {
      const auto file = entry.path().filename().string();
      if (!file.starts_with("trajectories") || !file.ends_with(".json")) continue;
      const Json part = golden(file);
      for (const auto& [key, row] : part.items()) {
        if (key == "defaults") {
          merged[key].update(row);
        } else {
          merged[key] = row;
        }
      }
    }
    return merged;
  }();
  return all;
}

inline OptionValue value_of(const Json& json) {
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number_integer()) return json.get<std::int64_t>();
  if (json.is_number()) return json.get<double>();
  if (json.is_array() && !json.empty() && json[0].is_string()) {
    return json.get<std::vector<std::string>>();
  }
  if (json.is_array() && !json.empty() && json[0].is_number_float()) {
    return json.get<std::vector<double>>();
  }
  if (json.is_array()) return json.get<std::vector<std::int64_t>>();
  return json.get<std::string>();
}

inline Options options_of(const Json& object) {
  Options options;
  for (const auto& [key, value] : object.items()) {
    if (key != "name") options.set(key, value_of(value));
  }
  return options;
}

inline Schedule schedule_from(const std::string& name, const Json& options, const RunLength& run) {
  const auto& entry = schedules().at(name);
  return entry.make(resolve(entry.options, options_of(options), name), run);
}

// The optimizer of a golden row, as a configuration would name it.
inline Optimizer optimizer_from(const std::string& name, const Json& given, const Json& schedule,
                                std::int64_t steps) {
  const auto& entry = optimizers().at(name);
  const auto options = resolve(entry.options, options_of(given), name);
  const RunLength run{.lr = options.number("lr"), .steps = steps};
  const auto rate = schedule.is_null()
                        ? optim::constant(run.lr)
                        : schedule_from(schedule.at("name").get<std::string>(), schedule, run);
  return entry.make(options, rate);
}

// Parameters, optimizer state: all that the next steps depend on.
struct State {
  std::vector<Array> parameters, optimizer;
  State clone() const {
    State copy;
    for (const auto& a : parameters) copy.parameters.push_back(a.clone());
    for (const auto& a : optimizer) copy.optimizer.push_back(a.clone());
    return copy;
  }
};

inline bool operator==(const State& a, const State& b) {
  return std::ranges::equal(a.parameters, b.parameters, identical) &&
         std::ranges::equal(a.optimizer, b.optimizer, identical);
}

struct Problem {
  std::vector<Parameter> info;
  std::vector<Array> start;
  ScalarFn loss;                        // null: gradients are fed
  std::vector<std::vector<Array>> fed;  // by step
};

inline State start_of(const Problem& problem, const Optimizer& optimizer) {
  State state;
  for (const auto& a : problem.start) state.parameters.push_back(a.clone());
  for (const auto& tensor : optimizer->state(problem.info)) {
    Array a(tensor.type.dtype, tensor.type.shape);
    for (std::int64_t i = 0; i < a.size(); ++i) a.set_item(i, tensor.initial);
    state.optimizer.push_back(std::move(a));
  }
  return state;
}

// One training step: {parameters, optimizer state, host scalars, key, fed gradients} to the new
// {parameters, optimizer state}.
inline Fn step_function(const Problem& problem, const Optimizer& optimizer, std::int64_t variant) {
  return [problem, optimizer, variant](ValueSpan in) {
    const auto n = problem.info.size(), s = optimizer->state(problem.info).size();
    const auto k = optimizer->scalars(problem.info[0].type.dtype).size();
    const auto parameters = in.first(n);
    Values gradients(in.begin() + static_cast<std::ptrdiff_t>(n + s + k + 1), in.end());
    UpdateContext context{.parameters = parameters,
                          .info = problem.info,
                          .scalars = in.subspan(n + s, k),
                          .variant = variant,
                          .key = in[n + s + k]};
    if (problem.loss) {
      gradients = value_and_grad(problem.loss)(parameters);
      context.loss = gradients.front();
      gradients.erase(gradients.begin());
      context.gradient_at = [&](ValueSpan at) { return grad(problem.loss)(at); };
      context.hessian_product = [&](ValueSpan v) { return hvp(problem.loss, parameters, v); };
    }
    auto out = apply_optimizer(optimizer, gradients, in.subspan(n, s), context);
    Values all = std::move(out.parameters);
    all.insert(all.end(), out.state.begin(), out.state.end());
    return all;
  };
}

// What a step is given besides the state: host scalars, a random key and fed gradients.
inline std::vector<Array> extras(const Problem& problem, const Optimizer& optimizer,
                                 std::int64_t step) {
  std::vector<Array> out;
  const auto dtype = problem.info[0].type.dtype;
  for (const auto& scalar : optimizer->scalars(dtype)) {
    Array a(dtype, {});
    a.set_item(0, scalar.at(step));
    out.push_back(std::move(a));
  }
  out.push_back(Array::scalar<std::int64_t>(1000 + step));
  if (!problem.loss) {
    const auto& fed = problem.fed.at(static_cast<std::size_t>(step));
    out.insert(out.end(), fed.begin(), fed.end());
  }
  return out;
}

inline Type type_of(const Array& a) { return {a.dtype(), a.shape(), false}; }

// Replays a compiled step; the state's arrays are updated in place.
class Stepper {
 public:
  Stepper(Problem problem, Optimizer optimizer, const State& from, CompileOptions options = {})
      : state(from.clone()),
        problem_(std::move(problem)),
        optimizer_(std::move(optimizer)),
        options_(std::move(options)) {}
  void step(std::int64_t t) {
    Plan& plan = plan_at(t);
    int i = first();
    for (const auto& a : extras(problem_, optimizer_, t)) {
      std::memcpy(plan.input(i++).raw(), a.raw(), a.bytes());
    }
    plan.run();
  }
  // The plan of a step; steps of one variant share it.
  Plan& plan_at(std::int64_t t) {
    const auto variant = optimizer_->variant(t);
    Plan& plan = plans_[variant];
    if (plan) return plan;
    std::vector<PlanInput> inputs;
    for (const auto& a : state.parameters) inputs.push_back({type_of(a), "parameter", a});
    for (const auto& a : state.optimizer) inputs.push_back({type_of(a), "state", a});
    CompileOptions options = options_;
    for (int i = 0; i < first(); ++i) options.donate[i] = i;
    for (const auto& a : extras(problem_, optimizer_, 0))
      inputs.push_back({type_of(a), "extra", {}});
    return plan = compile(step_function(problem_, optimizer_, variant), std::move(inputs), options);
  }
  const Plan& plan() { return plan_at(0); }

  State state;

 private:
  int first() const { return static_cast<int>(state.parameters.size() + state.optimizer.size()); }

  Problem problem_;
  Optimizer optimizer_;
  CompileOptions options_;
  std::map<std::int64_t, Plan> plans_;
};

// The same step computed eagerly: the reference for the compiled one.
inline State eager_step(const Problem& problem, const Optimizer& optimizer, const State& state,
                        std::int64_t t) {
  Values in;
  for (const auto& a : state.parameters) in.push_back(computed({a}, false));
  for (const auto& a : state.optimizer) in.push_back(computed({a}, false));
  for (const auto& a : extras(problem, optimizer, t)) in.push_back(computed({a}, false));
  const EagerScope scope;
  State next;
  const auto out = step_function(problem, optimizer, optimizer->variant(t))(in);
  for (std::size_t i = 0; i < out.size(); ++i) {
    (i < problem.info.size() ? next.parameters : next.optimizer).push_back(out[i].array());
  }
  return next;
}

// The weights that the optimizer would have evaluated and saved; none: empty.
inline std::vector<Array> averages(const Problem& problem, const Optimizer& optimizer,
                                   const State& state) {
  const EagerScope scope;
  Values parameters, tensors;
  for (const auto& a : state.parameters) parameters.push_back(computed({a}, false));
  for (const auto& a : state.optimizer) tensors.push_back(computed({a}, false));
  std::vector<Array> out;
  for (const auto& v : optimizer->averaged(parameters, tensors, problem.info))
    out.push_back(v.array());
  return out;
}

inline Array array_of(const Json& flat, Shape shape, DType dtype) {
  return Array::from(flat.get<std::vector<double>>(), std::move(shape)).cast(dtype);
}

// The problem of optim_golden.py: a small network with a loss that is not convex,
//   mean((tanh(x w + bias) u - y)^2) + 0.1 mean(sin(3 u)),
// or its sequence of fed gradients.
inline Problem golden_problem(const Json& json, DType dtype, bool fed) {
  Problem problem;
  std::vector<Shape> shapes;
  for (const char* name : {"w", "bias", "u"}) {
    shapes.emplace_back(json.at("shapes").at(name).get<std::vector<std::int64_t>>());
    problem.info.push_back({name, {dtype, shapes.back(), false}, std::string(name) != "bias"});
    problem.start.push_back(array_of(json.at("start").at(name), shapes.back(), dtype));
  }
  if (fed) {
    for (const auto& step : json.at("fed")) {
      auto& gradients = problem.fed.emplace_back();
      for (std::size_t i = 0; i < 3; ++i) gradients.push_back(array_of(step[i], shapes[i], dtype));
    }
    return problem;
  }
  const auto table = [&](const char* name) {
    std::vector<double> flat;
    for (const auto& row : json.at(name))
      for (const auto& x : row) flat.push_back(x.get<double>());
    const auto rows = static_cast<std::int64_t>(json.at(name).size());
    return Array::from(flat, {rows, static_cast<std::int64_t>(flat.size()) / rows}).cast(dtype);
  };
  problem.loss = [x = table("x"), y = table("y")](ValueSpan p) {
    const auto hidden = tanh(matmul(descent::constant(x), p[0]) + p[1]);
    return mean(square(matmul(hidden, p[2]) - descent::constant(y))) + 0.1 * mean(sin(3.0 * p[2]));
  };
  return problem;
}

}  // namespace descent::optim::test
