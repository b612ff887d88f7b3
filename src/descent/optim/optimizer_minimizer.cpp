// An optimizer of training as a minimiser: each step takes the full gradient.
#include <cstring>

#include "descent/compile/plan.h"
#include "descent/optim/registry.h"
#include "descent/optim/run.h"
#include "descent/optim/schedule.h"

namespace descent::optim {
namespace {

// {x, state, gradient, scalars} to {x, state}, both updated in place.
class CompiledUpdate {
 public:
  CompiledUpdate(const Optimizer& optimizer, const Vector& start) {
    const Type vector{DType::float64, {start.size()}, false};
    const std::vector<Parameter> info = {{"x", vector}};
    std::vector<PlanInput> inputs = {{vector, "x", {}}};
    CompileOptions options;
    const auto state = optimizer->state(info);
    for (const auto& tensor : state) {
      Array a(tensor.type.dtype, tensor.type.shape);
      for (std::int64_t i = 0; i < a.size(); ++i) a.set_item(i, tensor.initial);
      inputs.push_back({tensor.type, tensor.name, a});
    }
    const auto s = state.size();
    for (int i = 0; i <= static_cast<int>(s); ++i) options.donate[i] = i;
    gradient_ = static_cast<int>(inputs.size());
    inputs.push_back({vector, "gradient", {}});
    scalars_ = optimizer->scalars(DType::float64);
    for (const auto& scalar : scalars_)
      inputs.push_back({{DType::float64, {}, false}, scalar.name, {}});
    const Fn step = [&](ValueSpan in) {
      auto out = apply_optimizer(optimizer, info, in.first(1), in.subspan(s + 1, 1),
                                 in.subspan(1, s), in.subspan(s + 2));
      Values all = std::move(out.parameters);
      all.insert(all.end(), out.state.begin(), out.state.end());
      return all;
    };
    plan_ = compile(step, inputs, options);
    set_x(start);
  }

  void set_x(const Vector& x) { std::memcpy(memory(0), x.data(), bytes(x)); }
  void step(std::int64_t t, const Vector& gradient) {
    std::memcpy(memory(gradient_), gradient.data(), bytes(gradient));
    for (std::size_t i = 0; i < scalars_.size(); ++i)
      *memory(gradient_ + 1 + static_cast<int>(i)) = scalars_[i].at(t);
    plan_.run();
  }
  Eigen::Map<const Vector> x() const { return {memory(0), plan_.input(0).size()}; }

 private:
  static std::size_t bytes(const Vector& v) {
    return static_cast<std::size_t>(v.size()) * sizeof(double);
  }
  double* memory(int input) const { return plan_.input(input).as<double>().data(); }

  Plan plan_;
  std::vector<HostScalar> scalars_;
  int gradient_ = 0;
};

void run_optimizer(Run& run, const Optimizer& optimizer) {
  CompiledUpdate update(optimizer, run.x);
  while (run.goes_on()) {
    update.step(run.iteration(), run.gradient);
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
