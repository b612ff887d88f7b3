// An optimizer of training as a minimiser: each step takes the full gradient.
#include <cstring>
#include <map>

#include "descent/autodiff/autodiff.h"
#include "descent/base/random.h"
#include "descent/compile/plan.h"
#include "descent/optim/registry.h"
#include "descent/optim/run.h"
#include "descent/optim/schedule.h"

namespace descent::optim {
namespace {

// {x, state, gradient, loss, key, scalars} to {x, state}, both updated in place: a plan for each
// variant of the optimizer's step.
class CompiledUpdate {
 public:
  CompiledUpdate(Optimizer optimizer, const ScalarFn& value, const Vector& start)
      : optimizer_(std::move(optimizer)), value_(value) {
    const Type vector{DType::float64, {start.size()}, false}, number{DType::float64, {}, false};
    info_ = {{"x", vector}};
    add(vector, "x");
    for (const auto& tensor : optimizer_->state(info_)) {
      Array& a = add(tensor.type, tensor.name);
      for (std::int64_t i = 0; i < a.size(); ++i) a.set_item(i, tensor.initial);
    }
    states_ = inputs_.size() - 1;
    add(vector, "gradient");
    add(number, "loss");
    add({DType::int64, {}, false}, "key");
    scalars_ = optimizer_->scalars(DType::float64);
    for (const auto& scalar : scalars_) add(number, scalar.name);
    set_x(start);
  }

  void set_x(const Vector& x) { std::memcpy(memory(0), x.data(), bytes(x)); }
  void step(std::int64_t t, double value, const Vector& gradient) {
    const auto at = states_ + 1;
    std::memcpy(memory(at), gradient.data(), bytes(gradient));
    *memory(at + 1) = value;
    inputs_[at + 2].storage.as<std::int64_t>()[0] =
        static_cast<std::int64_t>(fold_in(hash_text("minimize"), static_cast<std::uint64_t>(t)));
    for (std::size_t i = 0; i < scalars_.size(); ++i) *memory(at + 3 + i) = scalars_[i].at(t);
    const auto variant = optimizer_->variant(t);
    auto& plan = plans_[variant];
    if (!plan) plan = compiled(variant);
    plan.run();
  }
  Eigen::Map<const Vector> x() const { return {memory(0), inputs_[0].storage.size()}; }

 private:
  static std::size_t bytes(const Vector& v) {
    return static_cast<std::size_t>(v.size()) * sizeof(double);
  }
  double* memory(std::size_t i) const { return inputs_[i].storage.as<double>().data(); }
  Array& add(const Type& type, const std::string& name) {
    inputs_.push_back({type, name, Array(type.dtype, type.shape)});
    return inputs_.back().storage;
  }

  Plan compiled(std::int64_t variant) const {
    CompileOptions options;
    for (int i = 0; i <= static_cast<int>(states_); ++i) options.donate[i] = i;
    const Fn step = [&](ValueSpan in) {
      const auto parameters = in.first(1), rest = in.subspan(states_ + 1);
      UpdateContext context{.parameters = parameters,
                            .info = info_,
                            .scalars = rest.subspan(3),
                            .variant = variant,
                            .loss = rest[1],
                            .key = rest[2]};
      if (value_) {
        context.gradient_at = [&](ValueSpan at) { return grad(value_)(at); };
        context.hessian_product = [&](ValueSpan v) { return hvp(value_, parameters, v); };
      }
      auto out = apply_optimizer(optimizer_, rest.first(1), in.subspan(1, states_), context);
      Values all = std::move(out.parameters);
      all.insert(all.end(), out.state.begin(), out.state.end());
      return all;
    };
    return compile(step, inputs_, options);
  }

  Optimizer optimizer_;
  ScalarFn value_;
  std::vector<Parameter> info_;
  std::vector<PlanInput> inputs_;
  std::vector<HostScalar> scalars_;
  std::size_t states_ = 0;
  std::map<std::int64_t, Plan> plans_;
};

void run_optimizer(Run& run, const Optimizer& optimizer) {
  CompiledUpdate update(optimizer, run.objective.value, run.x);
  while (run.goes_on()) {
    update.step(run.iteration(), run.value, run.gradient);
    const Vector to = run.inside(update.x());
    if (run.has_bounds()) update.set_x(to);
    run.move_to(to);
  }
}

}  // namespace

std::shared_ptr<const Minimizer> optimizer_minimizer(const std::string& name,
                                                     const Options& options) {
  const auto& entry = optimizers().at(name);
  const auto optimizer = entry.make(options, constant(options.number("lr")));
  const MinimizerRow row{.name = name,
                         .help = entry.help,
                         .options = entry.options,
                         .method = [optimizer](const Options&) -> Method {
                           return [optimizer](Run& run) { run_optimizer(run, optimizer); };
                         },
                         .bounds = Bounds::kept};
  return minimizer_of(row, options);
}

}  // namespace descent::optim
