#include "descent/train/generate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <numeric>
#include <optional>

#include "descent/base/error.h"
#include "descent/base/random.h"
#include "descent/nn/decode.h"
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

namespace {

// The model over a whole window for each token. What stands behind a token changes nothing before
// it, so that one plan serves all lengths.
class Window {
 public:
  explicit Window(const SavedModel& m) : context_(m.transform.text().context) {
    const auto variables =
        nn::describe(m.model, one_row(m.transform, m.config), dtype_of(m.config));
    StepOptions options;
    options.dtype = dtype_of(m.config);
    std::vector<PlanInput> inputs;
    for (const auto& [name, array] : m.variables)
      inputs.push_back({{array.dtype(), array.shape(), false}, name, array});
    first_ = static_cast<int>(inputs.size());
    inputs.push_back({{DType::int64, {1, context_}, true}, "tokens", {}});
    inputs.push_back({{DType::int64, {1}, true}, "last", {}});
    plan_ = compile(
        [&](ValueSpan v) {
          const auto n = static_cast<std::size_t>(first_);
          nn::Scope scope = bind_scope(variables, v.first(n), false, {}, options);
          const Value y = (*m.model)(scope, v[n]);
          return Values{gather(reshape(y, {context_, -1}), v[n + 1])};
        },
        inputs, {});
  }

  const Array& next(std::span<const data::Token> tokens) {
    const auto n = std::min(context_, std::ssize(tokens));
    const auto last = tokens.last(static_cast<std::size_t>(n));
    std::ranges::copy(last, plan_.input(first_).as<std::int64_t>().begin());
    plan_.input(first_ + 1).as<std::int64_t>()[0] = n - 1;
    plan_.run();
    return plan_.output(0);
  }

 private:
  std::int64_t context_;
  int first_ = 0;
  Plan plan_;
};

// The model over one token at a time, with what its modules keep of those before. The first tokens
// go through it at once.
class Cached {
 public:
  explicit Cached(const SavedModel& m) {
    decoder_ = nn::decoder(
        m.model, {.rows = 1, .context = m.transform.text().context, .dtype = dtype_of(m.config)});
    std::map<std::string, Array> variables(m.variables.begin(), m.variables.end());
    for (const auto& v : decoder_.variables)
      kept_.push_back({v.type, v.name, variables.at(v.name)});
    for (const auto& v : decoder_.caches) {
      caches_.emplace_back(v.type.dtype, v.type.shape);
      kept_.push_back({v.type, v.name, caches_.back()});
    }
    first_ = static_cast<int>(kept_.size());
    plan_ = plan_for({1});
  }

  // At most `context` tokens. Those that go on from the last call's are not computed again.
  const Array& next(std::span<const data::Token> tokens) {
    if (!goes_on(tokens)) forget();
    for (auto i = fed_.size(); i < tokens.size(); ++i) {
      plan_.input(first_).as<std::int64_t>()[0] = static_cast<std::int64_t>(i);
      plan_.input(first_ + 1).as<std::int64_t>()[0] = tokens[i];
      plan_.run();
      fed_.push_back(tokens[i]);
    }
    return plan_.output(0);
  }

  // All tokens at once, by a plan for exactly as many.
  const Array& begin(std::span<const data::Token> tokens) {
    forget();
    const auto n = std::ssize(tokens);
    if (n != length_) beginning_ = plan_for({1, n}), length_ = n;
    beginning_.input(first_).as<std::int64_t>()[0] = 0;
    std::ranges::copy(tokens, beginning_.input(first_ + 1).as<std::int64_t>().begin());
    beginning_.run();
    fed_.assign(tokens.begin(), tokens.end());
    return beginning_.output(0);
  }
  // Whether some of the tokens are known from the last call.
  bool goes_on(std::span<const data::Token> tokens) const {
    return !fed_.empty() && fed_.size() < tokens.size() &&
           std::equal(fed_.begin(), fed_.end(), tokens.begin());
  }

 private:
  void forget() {
    fed_.clear();
    for (auto& cache : caches_) std::memset(cache.raw(), 0, cache.bytes());
  }
  Plan plan_for(const Shape& tokens) const {
    auto inputs = kept_;
    inputs.push_back({{DType::int64, {}, false}, "position", {}});
    inputs.push_back({{DType::int64, tokens, false}, "tokens", {}});
    return compile(decoder_.step, inputs, {.donate = decoder_.donate()});
  }

  nn::Decoder decoder_;
  std::vector<PlanInput> kept_;  // of every plan: variables, caches
  int first_ = 0;                // the input after them
  std::vector<Array> caches_;
  std::vector<data::Token> fed_;
  std::ptrdiff_t length_ = 0;  // tokens that beginning_ takes
  Plan plan_, beginning_;
};

bool close(const Array& a, const Array& b) {
  double largest = 1, apart = 0;
  for (std::int64_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, std::abs(a.item(i)));
    apart = std::max(apart, std::abs(a.item(i) - b.item(i)));
  }
  return apart <= 1e-3 * largest;
}

}  // namespace

struct Generator::Impl {
  const SavedModel& saved;
  std::int64_t context;
  Window window;
  std::optional<Cached> cached;
  std::optional<bool> at_once;  // nothing: not found out yet
  std::vector<double> logits;

  Impl(const SavedModel& m, bool cache) : saved(m), context(m.transform.text().context), window(m) {
    if (!cache) return;
    try {
      cached.emplace(m);
    } catch (const Error& e) {
      if (e.kind() != ErrorKind::usage) throw;
      return;  // a layer that cannot take one token by itself
    }
    // A layer that looks at more than its own token and keeps nothing would take it without a word.
    const auto probe = some_tokens();
    if (!close(cached->next(probe), window.next(probe))) cached.reset();
  }

  std::vector<data::Token> some_tokens() const {
    std::vector<data::Token> some;
    for (std::int64_t i = 0; i < std::min<std::int64_t>(context, 3); ++i)
      some.push_back(static_cast<data::Token>(i % saved.transform.vocabulary()));
    return some;
  }
  // Whether a prompt may come at once: a few tokens of one, and one behind them, give what the
  // window gives. Found out where it first matters.
  bool begins_at_once() {
    if (at_once) return *at_once;
    const auto probe = some_tokens();
    const auto prompt = std::span(probe).first(probe.size() - 1);
    try {
      at_once = close(cached->begin(prompt), window.next(prompt)) &&
                close(cached->next(probe), window.next(probe));
    } catch (const Error& e) {
      if (e.kind() != ErrorKind::usage) throw;
      at_once = false;
    }
    return *at_once;
  }

  const Array& cached_next(std::span<const data::Token> tokens) {
    // For fewer tokens, compiling a plan would take longer than the steps that it saves.
    constexpr std::size_t few = 16;
    if (tokens.size() >= few && !cached->goes_on(tokens) && begins_at_once())
      return cached->begin(tokens);
    return cached->next(tokens);
  }

  std::span<const double> next(std::span<const data::Token> tokens) {
    const bool fits = std::ssize(tokens) <= context;
    logits = (cached && fits ? cached_next(tokens) : window.next(tokens)).to_vector();
    return logits;
  }
};

Generator::Generator(const SavedModel& model, bool cache) {
  if (model.transform.task() != data::Task::language) {
    throw Error(ErrorKind::usage,
                fmt::format("the model was trained for {}, not to continue texts",
                            data::name_of(model.transform.task())),
                {}, "train on a text: data.task = \"language\"");
  }
  impl_ = std::make_unique<Impl>(model, cache);
}
Generator::~Generator() = default;

bool Generator::cached() const { return impl_->cached.has_value(); }

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
