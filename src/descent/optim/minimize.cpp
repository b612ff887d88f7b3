#include "descent/optim/minimize.h"

#include <algorithm>

#include "descent/optim/evaluator.h"
#include "descent/optim/registry.h"
#include "descent/optim/run.h"

namespace descent::optim {
namespace {

class MethodMinimizer final : public Minimizer {
 public:
  MethodMinimizer(MinimizerRow row, Method method)
      : row_(std::move(row)), method_(std::move(method)) {}

  Minimum run(const Objective& objective, std::vector<double> start,
              const MinimizeOptions& options) const override {
    if (row_.bounds == Bounds::refused && (!objective.lower.empty() || !objective.upper.empty())) {
      throw Error(ErrorKind::usage, "the method keeps no bounds", row_.name,
                  "use lbfgs, gd or projected_gradient");
    }
    Run run(objective, start, options, row_.iterations);
    method_(run);
    return run.finish();
  }

 private:
  MinimizerRow row_;
  Method method_;
};

}  // namespace

const MinimizerRegistry& minimizers() {
  static const auto all = [] {
    MinimizerRegistry registry("minimiser");
    register_all(registry);
    return registry;
  }();
  return all;
}

std::shared_ptr<const Minimizer> minimizer_of(const MinimizerRow& row, const Options& options) {
  return std::make_shared<MethodMinimizer>(row, row.method(options));
}

void add_minimizer(MinimizerRegistry& registry, const MinimizerRow& row) {
  auto make = [row](const Options& options) { return minimizer_of(row, options); };
  registry.add({row.name, row.help, row.options, std::move(make)});
}

std::vector<std::string> minimizer_names() {
  auto names = minimizers().names();
  for (const auto& name : optimizers().names()) {
    if (!minimizers().find(name)) names.push_back(name);
  }
  std::ranges::sort(names);
  return names;
}

const std::vector<Option>& minimizer_options(const std::string& name) {
  if (const auto* entry = minimizers().find(name)) return entry->options;
  if (const auto* entry = optimizers().find(name)) return entry->options;
  throw Error(ErrorKind::usage, "no method of minimisation is called \"" + name + "\"", "",
              did_you_mean(name, minimizer_names()));
}

std::shared_ptr<const Minimizer> minimizer(const std::string& name, const Options& given) {
  const auto options = resolve(minimizer_options(name), given, name);
  if (const auto* entry = minimizers().find(name)) return entry->make(options);
  return optimizer_minimizer(name, options);
}

Objective compiled(Objective objective) {
  if (!objective.evaluator) objective.evaluator = std::make_shared<Evaluator>(objective);
  return objective;
}

Minimum minimize(const Objective& objective, std::vector<double> start,
                 const std::shared_ptr<const Minimizer>& with, const MinimizeOptions& options) {
  const auto& method = with ? with : minimizer("lbfgs");
  return method->run(objective, std::move(start), options);
}

Minimum minimize(const ScalarFn& f, std::vector<double> start,
                 const std::shared_ptr<const Minimizer>& with, const MinimizeOptions& options) {
  Objective objective;
  objective.size = std::ssize(start);
  objective.value = f;
  return minimize(objective, std::move(start), with, options);
}

Minimum minimize(const std::function<Value(const Value&)>& f, std::vector<double> start,
                 const std::shared_ptr<const Minimizer>& with, const MinimizeOptions& options) {
  return minimize(ScalarFn([f](ValueSpan x) { return f(x[0]); }), std::move(start), with, options);
}

Option integer_option(std::string key, std::int64_t fallback, std::string help, std::int64_t min) {
  return {.key = std::move(key),
          .type = OptionType::integer,
          .fallback = fallback,
          .help = std::move(help),
          .min = static_cast<double>(min)};
}

Option choice_option(std::string key, std::string fallback, std::string help,
                     std::vector<std::string> choices) {
  return {.key = std::move(key),
          .type = OptionType::text,
          .fallback = std::move(fallback),
          .help = std::move(help),
          .choices = std::move(choices)};
}

}  // namespace descent::optim
