#include "descent/train/generate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "descent/base/error.h"
#include "descent/base/random.h"
#include "descent/ops/ops.h"
#include "descent/train/job.h"
#include "descent/train/step.h"

namespace descent::train {

void check(const Sampling& s) {
  const auto fail = [](const std::string& what, const char* remedy) {
    throw Error(ErrorKind::usage, what, "sampling", remedy);
  };
  if (!(s.temperature >= 0 && std::isfinite(s.temperature)))
    fail(fmt::format("the temperature is {}", s.temperature), "give a number from 0");
  if (s.top_k < 0) fail(fmt::format("top-k is {}", s.top_k), "give a number from 0 (0: all)");
  if (!(s.top_p > 0 && s.top_p <= 1))
    fail(fmt::format("top-p is {}", s.top_p), "give a number above 0, at most 1");
}

std::int64_t draw(std::span<const double> logits, const Sampling& s, double u) {
  const auto largest = std::max_element(logits.begin(), logits.end());
  if (s.temperature == 0) return largest - logits.begin();
  std::vector<double> p;
  for (const double x : logits) p.push_back(std::exp((x - *largest) / s.temperature));
  std::vector<std::int64_t> order(p.size());
  std::iota(order.begin(), order.end(), std::int64_t{0});
  const auto at = [&](std::int64_t i) { return p[static_cast<std::size_t>(i)]; };
  if (s.top_k > 0 || s.top_p < 1) {
    std::ranges::stable_sort(order, [&](auto a, auto b) { return at(a) > at(b); });
    if (s.top_k > 0 && s.top_k < std::ssize(order)) order.resize(static_cast<std::size_t>(s.top_k));
  }
  double total = 0;
  for (const auto i : order) total += at(i);
  if (s.top_p < 1) {
    double sum = 0;
    std::size_t n = 0;
    while (n < order.size() && sum < s.top_p * total) sum += at(order[n++]);
    order.resize(std::max<std::size_t>(n, 1));
    total = n == 0 ? at(order[0]) : sum;
  }
  double left = u * total;
  for (const auto i : order) {
    left -= at(i);
    if (left < 0) return i;
  }
  return order.back();  // rounding
}

// Runs the model over the whole window for each token. What stands behind a token changes nothing
// before it, so that one plan serves all lengths.
struct Generator::Impl {
  const SavedModel& saved;
  std::int64_t context;
  Plan plan;
  int bound = 0;
  std::vector<double> logits;

  explicit Impl(const SavedModel& m) : saved(m), context(m.transform.text().context) {
    const auto variables = nn::describe(m.model, one_row(m.transform, m.config));
    StepOptions options;
    options.dtype = dtype_of(m.config);
    options.mixed = m.config.train.text("precision") == "bf16";
    std::vector<PlanInput> inputs;
    for (const auto& [name, array] : m.variables)
      inputs.push_back({{array.dtype(), array.shape(), false}, name, array});
    bound = static_cast<int>(inputs.size());
    inputs.push_back({{DType::int64, {1, context}, true}, "tokens", {}});
    inputs.push_back({{DType::int64, {1}, true}, "last", {}});
    plan = compile(
        [&](ValueSpan v) {
          const auto n = static_cast<std::size_t>(bound);
          nn::Scope scope = bind_scope(variables, v.first(n), false, {}, options);
          const Value y = (*m.model)(scope, v[n]);
          return Values{gather(reshape(y, {context, -1}), v[n + 1])};
        },
        inputs, {});
  }

  std::span<const double> next(std::span<const data::Token> tokens) {
    const auto n = std::min(context, std::ssize(tokens));
    const auto last = tokens.last(static_cast<std::size_t>(n));
    std::ranges::copy(last, plan.input(bound).as<std::int64_t>().begin());
    plan.input(bound + 1).as<std::int64_t>()[0] = n - 1;
    plan.run();
    logits = plan.output(0).to_vector();
    return logits;
  }
};

Generator::Generator(const SavedModel& model) {
  if (model.transform.task() != data::Task::language) {
    throw Error(ErrorKind::usage,
                fmt::format("the model was trained for {}, not to continue texts",
                            data::name_of(model.transform.task())),
                {}, "train on a text: data.task = \"language\"");
  }
  impl_ = std::make_unique<Impl>(model);
}
Generator::~Generator() = default;

std::span<const double> Generator::next(std::span<const data::Token> tokens) {
  if (tokens.empty()) {
    throw Error(ErrorKind::usage, "the prompt has no token to go on from", "prompt",
                "give a text, or a line break");
  }
  data::check_tokens(tokens, impl_->saved.transform.text().tokenizer->vocabulary());
  return impl_->next(tokens);
}

void Generator::generate(std::vector<data::Token>& tokens, std::int64_t count,
                         const Sampling& sampling, std::uint64_t seed,
                         const std::function<bool(data::Token)>& told) {
  check(sampling);
  const auto key = fold_in(seed, hash_text("generate"));
  for (std::int64_t k = 0; k < count; ++k) {
    const double u = RandomStream(fold_in(key, static_cast<std::uint64_t>(k))).uniform();
    const auto token = static_cast<data::Token>(draw(next(tokens), sampling, u));
    tokens.push_back(token);
    if (!told(token)) return;
  }
}

}  // namespace descent::train
