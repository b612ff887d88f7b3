// Penalties and weight decay. Biases and normalisation parameters (decay == false) are left alone
// unless `decayed` says every_parameter; PyTorch leaves that choice to parameter groups.
#include "descent/ops/ops.h"
#include "descent/optim/rule.h"

namespace descent::optim {
namespace {

// update + penalty(parameter) where the parameter is to be decayed.
template <class Penalty>
Optimizer add_penalty(const char* name, double rate, Decayed decayed, Penalty penalty) {
  require_not_negative(name, "rate", rate);
  return per_parameter({.name = name, .update = [=](const Item& i) {
                          const bool applies = i.info.decay || decayed == every_parameter;
                          return applies ? i.gradient + penalty(i.parameter) : i.gradient;
                        }});
}

}  // namespace

Optimizer l1_penalty(double rate, Decayed decayed) {
  return add_penalty("l1", rate, decayed, [rate](const Value& p) { return rate * sign(p); });
}

Optimizer l2_penalty(double rate, Decayed decayed) {
  return add_penalty("l2", rate, decayed, [rate](const Value& p) { return rate * p; });
}

Optimizer decayed_weights(double rate, Decayed decayed) {
  return add_penalty("decayed_weights", rate, decayed, [rate](const Value& p) { return rate * p; });
}

Optimizer decay_by_rate(const Rate& rate, double weight_decay, Decayed decayed) {
  require_not_negative("decay_by_rate", "weight_decay", weight_decay);
  Rule rule{.name = "decay_by_rate"};
  rule.scalars = {{"decay", [schedule = rate.schedule(), weight_decay](std::int64_t step) {
                     return -schedule(step) * weight_decay;
                   }}};
  rule.update = [decayed](const Item& i) {
    const bool applies = i.info.decay || decayed == every_parameter;
    return applies ? i.gradient + i.scalars[0] * i.parameter : i.gradient;
  };
  return per_parameter(std::move(rule));
}

}  // namespace descent::optim
