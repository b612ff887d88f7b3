// A rule that looks at all parameters together (a norm, a distance, a step size of all), or that
// keeps numbers besides tensors like the parameters. What Rule (rule.h) is for one at a time.
#pragma once
#include "descent/optim/rule.h"

namespace descent::optim {

struct Joint {
  Values& updates;  // one per parameter, replaced
  const UpdateContext& context;
  std::span<Value> state;  // slots by parameter, then the numbers

  std::size_t count() const { return updates.size(); }
  // Slot s of every parameter; assign the new values.
  std::span<Value> slot(std::size_t s) const { return state.subspan(s * count(), count()); }
  Value& number(std::size_t k, std::size_t slots) const { return state[slots * count() + k]; }
  const Value& parameter(std::size_t i) const { return context.parameters[i]; }
  bool decays(std::size_t i, Decayed decayed) const {
    return context.info[i].decay || decayed == every_parameter;
  }
};

struct JointRule {
  std::string name;                 // begins the names of its state
  std::vector<Rule::Slot> slots;    // per parameter, of its type
  std::vector<Rule::Slot> numbers;  // of the whole
  std::vector<HostScalar> scalars;
  std::function<void(const Joint&)> update;  // not called where there are no parameters
  // The weight to evaluate and save, from a parameter and its slots after a step. Null: none.
  std::function<Value(const Value& parameter, std::span<const Value> slots)> averaged = {};
  std::int64_t variants = 1;  // as Transform::variants() and variant(); null: always 0
  std::function<std::int64_t(std::int64_t step)> variant = {};
};
Optimizer joint(JointRule rule);

// 1 in the run's first step, else 0: for state that begins as a copy of the parameters,
//   start = select(scalars[k], parameter, start)
HostScalar first_step();

Value sum_of_squares(ValueSpan values);  // of all elements of all; not for none
Value sum_of_products(ValueSpan a, ValueSpan b);

}  // namespace descent::optim
