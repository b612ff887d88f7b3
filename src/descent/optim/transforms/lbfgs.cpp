// Limited-memory BFGS.
//
//   d = -H g, H from the last `history` pairs s = change of theta, y = change of g (pair_memory.h)
//   theta <- theta + t d
//
// line_search = none: t = lr, in the first step lr min(1, 1 / |g|_1). A pair is kept where s'y >
// 1e-10. This is PyTorch's LBFGS with max_iter = 1 and one step() a step; its tolerances, below
// which it stands still, are not kept (train.stop_gradient_norm ends a run). Its history is 100.
//
// line_search = strong_wolfe: t by a search (wolfe_steps.h), each evaluation of which is a step of
// the run: the weights of a step are a trial, and the accepted point is what is validated and
// saved. The first trial is t = lr, without pairs lr min(1, 1 / |g|_1). A pair is kept where s'y >
// eps y'y with the type's eps. Where no point is lower, or d does not descend, the pairs are
// forgotten and the search begins anew along -g, and if that was d, with a shorter step. A loss
// that is not finite makes the step shorter, and is told as the loss of the accepted point. For
// full batches and a loss without chance (no dropout).
//
// pairs = same_batch: y = g_B(theta + t d) - g_B(theta) + damping s, both gradients of the step's
// batch B, at about twice the cost: what tells batches apart is not in y (oLBFGS). The first H is
// the mean of s'y / y'y over the pairs, t = lr, without pairs lr min(1, 1 / |g|_1); kept are pairs
// with s'y > 1e-8 s's. Batches that are too small still make H noisy: lr below 1 and falling.
//
// weight_decay and l2 are an L2 penalty of the loss that is searched, too. State: 2 history + 2 to
// 3 times the parameters.
//
// Nocedal 1980, "Updating quasi-Newton matrices with limited storage"; Liu & Nocedal 1989, "On the
// limited memory BFGS method for large scale optimization"; Schraudolph, Yu & Guenter 2007, "A
// stochastic quasi-Newton method for online convex optimization" (oLBFGS, which divides its rate by
// 10: lr is the whole of it here).
#include "descent/optim/lbfgs.h"

#include <fmt/format.h>

#include <limits>

#include "descent/base/error.h"
#include "descent/ops/ops.h"
#include "descent/optim/joint.h"
#include "descent/optim/pair_memory.h"
#include "descent/optim/wolfe_steps.h"

namespace descent::optim {
namespace {

DType dtype_of(const std::vector<Parameter>& info) {
  return info.empty() ? DType::float32 : info.front().type.dtype;
}

Value both(const Value& a, const Value& b) { return a * b; }

// What all forms share.
class Lbfgs : public Transform {
 public:
  explicit Lbfgs(LbfgsOptions o) : o_(std::move(o)) {}

  std::string name() const override { return "lbfgs"; }
  std::vector<HostScalar> scalars(DType) const override { return {{"lbfgs.lr", o_.lr.schedule()}}; }

 protected:
  std::vector<StateTensor> pairs(const std::vector<Parameter>& info) const {
    return PairMemory::state("lbfgs", o_.history, joined_size(info), dtype_of(info));
  }
  static StateTensor vector(const char* slot, const std::vector<Parameter>& info) {
    return {std::string("lbfgs.") + slot, {dtype_of(info), {joined_size(info)}, false}};
  }
  static StateTensor number(const char* slot, const std::vector<Parameter>& info) {
    return {std::string("lbfgs.") + slot, {dtype_of(info), {}, false}};
  }

  bool penalised(const Parameter& p) const {
    return o_.l2 != 0 && (p.decay || o_.decayed == every_parameter);
  }
  Value penalised_gradient(ValueSpan gradients, const UpdateContext& context) const {
    Values all(gradients.begin(), gradients.end());
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (penalised(context.info[i])) all[i] = all[i] + o_.l2 * context.parameters[i];
    }
    return joined(all);
  }
  Value penalised_loss(const UpdateContext& context) const {
    Value loss = loss_of(context, "lbfgs");
    for (std::size_t i = 0; i < context.info.size(); ++i) {
      if (penalised(context.info[i]))
        loss = loss + 0.5 * o_.l2 * sum(square(context.parameters[i]));
    }
    return loss;
  }

  // lr, and of a direction that is a gradient no more than a step of length 1 in the sum of sizes.
  static Value first_step(const Value& lr, const Value& g) {
    return lr * minimum(1.0 / maximum(sum(abs(g)), 1e-30), 1.0);
  }

  LbfgsOptions o_;
};

// y = g - g of the step before.
class OfSteps final : public Lbfgs {
 public:
  using Lbfgs::Lbfgs;

  Batches batches() const override { return Batches::full_wanted; }

  std::vector<StateTensor> state(const std::vector<Parameter>& info) const override {
    if (info.empty()) return {};
    auto all = pairs(info);
    all.push_back(vector("parameters", info));
    all.push_back(vector("gradient", info));
    all.push_back(number("begun", info));
    return all;
  }

  void update(Values& updates, Values& state, const UpdateContext& context) const override {
    if (updates.empty()) return;
    auto &before = state[PairMemory::kTensors], &gradient = state[PairMemory::kTensors + 1],
         &begun = state[PairMemory::kTensors + 2];
    const Value theta = joined(context.parameters), g = penalised_gradient(updates, context);
    const Value s = theta - before, y = g - gradient + o_.damping * s;
    PairMemory memory(std::span<Value>(state).first(PairMemory::kTensors));
    memory.push(s, y, both(begun, greater_mask(dot(s, y), 1e-10)));
    const auto& lr = context.scalars[0];
    const Value t = select(begun, lr, first_step(lr, g));
    updates = parted(t * memory.direction(g), context.info);
    memory.store();
    before = theta;
    gradient = g;
    begun = ones_like(begun);
  }
};

// y of one batch.
class OfSameBatch final : public Lbfgs {
 public:
  using Lbfgs::Lbfgs;

  std::vector<StateTensor> state(const std::vector<Parameter>& info) const override {
    return info.empty() ? std::vector<StateTensor>{} : pairs(info);
  }

  void update(Values& updates, Values& state, const UpdateContext& context) const override {
    if (updates.empty()) return;
    const Value g = penalised_gradient(updates, context);
    PairMemory memory(state, FirstScale::mean);
    const auto& lr = context.scalars[0];
    const Value t = select(memory.count(), lr, first_step(lr, g));
    const Value s = t * memory.direction(g);
    updates = parted(s, context.info);
    Values next;
    for (std::size_t i = 0; i < updates.size(); ++i)
      next.push_back(context.parameters[i] + updates[i]);
    // Not `updates` as they came in: these may be clipped.
    Values change = gradient_at(context, next, "lbfgs");
    const Values here = gradient_at(context, context.parameters, "lbfgs");
    for (std::size_t i = 0; i < change.size(); ++i) {
      change[i] = change[i] - here[i];
      if (penalised(context.info[i])) change[i] = change[i] + o_.l2 * updates[i];
    }
    const Value y = joined(change) + o_.damping * s;
    const Value sy = dot(s, y), yy = dot(y, y);
    // Both, so that no pair divides by 0 or by what is not finite.
    const Value curved = both(greater_mask(sy, 1e-8 * dot(s, s)), greater_mask(yy, 0.0));
    memory.push(s, y, both(curved, is_finite(sy + yy)));
    memory.store();
  }
};

// theta = base + t d, t by a search.
class Searching final : public Lbfgs {
 public:
  using Lbfgs::Lbfgs;

  Batches batches() const override { return Batches::full_needed; }
  bool searches() const override { return true; }

  std::vector<StateTensor> state(const std::vector<Parameter>& info) const override {
    if (info.empty()) return {};
    auto all = pairs(info);
    for (auto& tensor : WolfeSteps::state("lbfgs", dtype_of(info))) all.push_back(tensor);
    for (const char* slot : {"base", "gradient", "direction"}) all.push_back(vector(slot, info));
    for (const char* slot : {"begun", "loss", "norm"}) all.push_back(number(slot, info));
    return all;
  }

  Accepted accepted(ValueSpan state, const std::vector<Parameter>& info) const override {
    if (info.empty()) return {scalar(0), scalar(0), scalar(0)};
    return {state[kBegun], state[kLoss], state[kNorm]};
  }

  Values averaged(ValueSpan, ValueSpan state, const std::vector<Parameter>& info) const override {
    return info.empty() ? Values{} : parted(state[kBase], info);
  }

  void update(Values& updates, Values& state, const UpdateContext& context) const override {
    if (updates.empty()) return;
    const auto& lr = context.scalars[0];
    PairMemory memory(std::span<Value>(state).first(PairMemory::kTensors));
    const Value pairs = memory.count();
    WolfeSteps search(std::span<Value>(state).subspan(PairMemory::kTensors, WolfeSteps::kTensors),
                      {.c1 = o_.c1, .c2 = o_.c2, .max_evaluations = o_.max_evaluations});
    auto &base = state[kBase], &gradient = state[kGradient], &direction = state[kDirection],
         &begun = state[kBegun], &loss = state[kLoss], &norm = state[kNorm];

    // The point, with numbers in the place of what is none.
    const Value theta = joined(context.parameters), raw = penalised_gradient(updates, context);
    const Value raw_loss = penalised_loss(context), size = sqrt(sum(square(raw)));
    const Value finite = is_finite(raw_loss + size);
    const Value g = select(finite, raw, zeros_like(raw));
    const Value value = select(finite, raw_loss, zeros_like(raw_loss));
    const auto verdict = search.take(value, dot(g, direction), finite);
    const Value start = both(1.0 - begun, finite);
    const Value moved = maximum(start, both(begun, verdict.accepted));
    const Value failed = both(begun, verdict.failed);

    const Value s = theta - base, y = g - gradient;
    const Value sy = dot(s, y), yy = dot(y, y);
    const Value curved = both(greater_mask(sy, epsilon(g.dtype()) * yy), greater_mask(yy, 0.0));
    memory.push(s, y, both(both(begun, verdict.accepted), curved));
    base = select(moved, theta, base);
    gradient = select(moved, g, gradient);
    loss = select(moved, select(finite, context.loss, zeros_like(loss)), loss);
    norm = select(moved, select(finite, size, zeros_like(size)), norm);

    const Value wanted = memory.direction(gradient), slope = dot(gradient, wanted);
    const Value descends = both(less_mask(slope, 0.0), is_finite(slope));
    const Value steepest = maximum(failed, both(moved, 1.0 - descends));
    memory.clear(steepest);
    const Value anew = maximum(moved, failed);
    direction = select(anew, select(steepest, -gradient, wanted), direction);
    // Along -g in vain: on from where that ended.
    const Value on = both(both(failed, equal_mask(pairs, 0.0)), greater_mask(search.trial(), 0.0));
    const Value first = select(memory.count(), lr, first_step(lr, gradient));
    search.begin(anew, select(moved, value, search.value()),
                 select(steepest, -dot(gradient, gradient), slope),
                 select(on, search.trial(), first));
    begun = maximum(begun, start);
    memory.store();
    updates = parted(base + search.trial() * direction, context.info);
  }

 private:
  static constexpr std::size_t kBase = PairMemory::kTensors + WolfeSteps::kTensors,
                               kGradient = kBase + 1, kDirection = kBase + 2, kBegun = kBase + 3,
                               kLoss = kBase + 4, kNorm = kBase + 5;

  static double epsilon(DType dtype) {
    return dtype == DType::float64 ? std::numeric_limits<double>::epsilon()
                                   : std::numeric_limits<float>::epsilon();
  }
};

// A search compares values and slopes of one function.
void refuse_beside_search(const Options& o) {
  const auto refuse = [](const std::string& key) {
    throw Error(ErrorKind::usage,
                fmt::format("{} changes gradients or weights, and line_search = \"strong_wolfe\" "
                            "needs those of the loss itself",
                            key),
                "[optimizer]", fmt::format("leave out {}, or set line_search = \"none\"", key));
  };
  for (const char* key : {"clip_norm", "clip_value", "clip_percentile", "clip_each",
                          "clip_adaptive", "l1", "sam", "gradient_noise", "ema_decay"}) {
    if (o.number(key) != 0) refuse(key);
  }
  if (o.boolean("centralize")) refuse("centralize");
  if (o.integer("lookahead_steps") != 0) refuse("lookahead_steps");
  for (const char* key : {"prox", "swa_start"}) {
    if (o.has(key)) refuse(key);
  }
}

Optimizer configured(const Options& o, const Schedule& rate) {
  const bool search = o.text("line_search") == "strong_wolfe";
  if (search) refuse_beside_search(o);
  return lbfgs({.lr = rate,
                .history = o.integer("history"),
                .line_search = search ? LbfgsOptions::LineSearch::strong_wolfe
                                      : LbfgsOptions::LineSearch::none,
                .pairs = o.text("pairs") == "same_batch" ? LbfgsOptions::PairsOf::same_batch
                                                         : LbfgsOptions::PairsOf::steps,
                .damping = o.number("damping"),
                .c1 = o.number("c1"),
                .c2 = o.number("c2"),
                .max_evaluations = o.integer("max_evaluations"),
                .l2 = o.number("weight_decay") + o.number("l2"),
                .decayed = decayed_by(o)});
}

}  // namespace

Optimizer lbfgs(const LbfgsOptions& o) {
  require_positive("lbfgs", "history", static_cast<double>(o.history));
  require_positive("lbfgs", "max_evaluations", static_cast<double>(o.max_evaluations));
  require_not_negative("lbfgs", "damping", o.damping);
  require_not_negative("lbfgs", "l2", o.l2);
  if (!(o.c1 > 0 && o.c1 < o.c2 && o.c2 < 1)) {
    throw Error(ErrorKind::usage,
                fmt::format("c1 and c2 must be 0 < c1 < c2 < 1, not {:g} and {:g}", o.c1, o.c2),
                "lbfgs");
  }
  if (o.line_search == LbfgsOptions::LineSearch::strong_wolfe) {
    if (o.pairs == LbfgsOptions::PairsOf::same_batch || o.damping != 0) {
      throw Error(ErrorKind::usage,
                  "pairs = \"same_batch\" and damping are for small batches, line_search = "
                  "\"strong_wolfe\" is for full ones",
                  "lbfgs", "leave one of them out");
    }
    return std::make_shared<Searching>(o);
  }
  if (o.pairs == LbfgsOptions::PairsOf::same_batch) return std::make_shared<OfSameBatch>(o);
  return std::make_shared<OfSteps>(o);
}

void register_lbfgs(OptimizerRegistry& registry) {
  const auto choice = [](std::string key, std::vector<std::string> choices, std::string help) {
    return Option{.key = std::move(key),
                  .type = OptionType::text,
                  .fallback = choices.front(),
                  .help = std::move(help),
                  .choices = choices};
  };
  const auto count = [](std::string key, std::int64_t fallback, std::string help) {
    return Option{.key = std::move(key),
                  .type = OptionType::integer,
                  .fallback = fallback,
                  .help = std::move(help),
                  .min = 1};
  };
  const std::string penalty = "L2 penalty: {} |parameters|^2 / 2 is added to the loss";
  add_optimizer(
      registry,
      {.name = "lbfgs",
       .help = "limited-memory BFGS (Liu & Nocedal 1989); for full batches, or with pairs = "
               "\"same_batch\" for others",
       .lr = 1.0,
       .options =
           {count("history", 10, "pairs of steps and gradient changes kept; PyTorch: 100"),
            choice("line_search", {"none", "strong_wolfe"},
                   "how the length of a step is found: it is lr (PyTorch's default), or by strong "
                   "Wolfe conditions, each trial a step of the run, for full batches"),
            choice("pairs", {"steps", "same_batch"},
                   "which gradients are compared: those of two steps, or the batch's own before "
                   "and after its step, for small batches at twice the cost (Schraudolph et al. "
                   "2007)"),
            number_option("damping", 0, "this part of the step is added to the gradient's change"),
            number_option("c1", 1e-4, "decrease that a step must bring (Armijo)", 0, 1),
            number_option("c2", 0.9, "part of the slope that may be left (Wolfe)", 0, 1),
            count("max_evaluations", 25, "steps of the run that one line search may take"),
            number_option("weight_decay", 0, fmt::format(fmt::runtime(penalty), "weight_decay")),
            number_option("l2", 0, fmt::format(fmt::runtime(penalty), "l2") + ", besides")},
       .rule = {},
       .whole = configured});
}

}  // namespace descent::optim
