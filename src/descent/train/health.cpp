#include "descent/train/health.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "descent/train/registry.h"

namespace descent::train {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::int64_t kFirstLosses = 10;  // whose mean is what a run began with
constexpr int kMessages = 3;               // of a rule on the terminal; the file has all

const char* severity_of(const std::string& rule) { return rule == "plateau" ? "note" : "warning"; }

// Six digits are enough to look at; JSON has no NaN.
std::string number_text(double x) { return std::isfinite(x) ? fmt::format("{:.6g}", x) : "null"; }

// One layer's part of a line.
struct LayerSeen {
  std::string name;
  bool has_parameters = false;
  double gradient = 0, weight = 0, update = 0;
  const ActivationSeen* activation = nullptr;
};

}  // namespace

const HealthRegistry& health_rules() {
  static const HealthRegistry all = [] {
    HealthRegistry registry("health rule");
    register_all(registry);
    return registry;
  }();
  return all;
}

std::vector<Option> health_options() {
  using T = OptionType;
  std::vector<Option> all = {
      {"enabled", T::boolean, true,
       "Watch the run and tell what is wrong with it: on the terminal and in health.jsonl. Changes "
       "no weight."},
      {"every",
       T::integer,
       std::int64_t{100},
       "Steps between closer looks (norms of gradients, updates and weights, statistics of "
       "activations); five times as often in the first two such spans. A look costs about a third "
       "of a step.",
       {},
       1,
       {}},
      {"ignore", T::texts, std::vector<std::string>{},
       "Rules that are not looked at: dead_relu, diverging, exploding_gradient, "
       "initial_variance, loss_spike, not_learning, overfitting, plateau, saturated, unchanged, "
       "update_ratio, vanishing_gradient."},
  };
  for (const auto& [name, entry] : health_rules().entries())
    all.insert(all.end(), entry.options.begin(), entry.options.end());
  return all;
}

// Hears what one rule reports.
class Watch::Listener final : public Findings {
 public:
  Listener(Watch& watch, const std::string& rule) : watch_(watch), rule_(rule) {}
  void check(const std::string& subject, bool holds, std::int64_t needed,
             const std::function<Words(std::int64_t)>& words) override {
    watch_.check(rule_, subject, holds, needed, words);
  }

 private:
  Watch& watch_;
  const std::string& rule_;
};

Watch::Watch(const Config& config, const std::string& directory, track::Sink& sink)
    : enabled_(config.health.boolean("enabled")),
      every_(config.health.integer("every")),
      base_lr_(config.optimizer.has("lr") ? config.optimizer.number("lr") : 0),
      sink_(sink) {
  if (!enabled_) return;
  if (!directory.empty())
    file_.emplace((std::filesystem::path(directory) / "health.jsonl").string());
  const auto ignored = config.health.texts("ignore");
  for (const auto& name : ignored) health_rules().at(name, "option \"health.ignore\"");
  for (const auto& [name, entry] : health_rules().entries()) {
    if (std::ranges::find(ignored, name) == ignored.end())
      rules_.emplace_back(name, entry.make(config.health));
  }
}

Watch::~Watch() = default;

void Watch::begin(std::int64_t first_step) {
  if (file_) file_->begin(first_step);
}

bool Watch::observes(std::int64_t step) const {
  if (!enabled_) return false;
  const std::int64_t often = std::max<std::int64_t>(1, every_ / 5);
  return step % every_ == 0 || (step < 2 * every_ && step % often == 0);
}

void Watch::step(StepSeen seen) {
  if (!enabled_) return;
  if (first_count_ < kFirstLosses) {
    first_losses_ += seen.loss;
    ++first_count_;
  }
  seen.base_lr = base_lr_;
  seen.first_loss = first_losses_ / static_cast<double>(first_count_);
  last_ = seen;
  for (const auto& [name, rule] : rules_) {
    Listener listener(*this, name);
    rule->step(seen, listener);
  }
  flush();
}

void Watch::observe(Observation seen) {
  // A trial from which a search goes back, not what is trained.
  const auto none = [](const ParameterSeen& p) { return !std::isfinite(p.gradient_norm); };
  if (std::ranges::any_of(seen.parameters, none)) return;
  seen.step = last_.step;
  seen.epoch = last_.epoch;
  seen.loss = last_.loss;
  seen.gradient_norm = last_.gradient_norm;
  seen.lr = last_.lr;
  if (file_) file_->write(observation_line(seen));
  for (const auto& [name, rule] : rules_) {
    Listener listener(*this, name);
    rule->observe(seen, listener);
  }
  flush();
}

void Watch::epoch(std::int64_t epoch, double train_loss, double valid_loss) {
  if (!enabled_) return;
  const EpochSeen seen{.step = last_.step,
                       .epoch = epoch,
                       .train_loss = train_loss,
                       .valid_loss = valid_loss,
                       .lr = last_.lr,
                       .base_lr = base_lr_,
                       .first_loss = last_.first_loss};
  last_.epoch = epoch;
  for (const auto& [name, rule] : rules_) {
    Listener listener(*this, name);
    rule->epoch(seen, listener);
  }
  flush();
}

void Watch::check(const std::string& rule, const std::string& subject, bool holds,
                  std::int64_t needed, const std::function<Words(std::int64_t)>& words) {
  Tally& tally = tallies_[rule + "/" + subject];
  if (holds) {
    if (tally.held++ == 0 && !tally.active) tally.since = last_.step;
    tally.failed = 0;
    if (tally.active || tally.held < needed) return;
    tally.active = true;
    found_.push_back({rule, severity_of(rule), tally.since, words(tally.since), tally.told++ > 0});
    return;
  }
  tally.held = 0;
  if (!tally.active || ++tally.failed < needed) return;
  tally.active = false;
  tally.failed = 0;
  Words over = words(tally.since);
  over.text =
      fmt::format("{}{}, since step {}: over",
                  over.layer.empty() ? "" : "layer " + over.layer + ": ", rule, tally.since);
  over.remedy.clear();
  found_.push_back({rule, "ended", tally.since, std::move(over), true});
}

// What one look has found: a line of the file for each, one message for each rule.
void Watch::flush() {
  for (std::size_t i = 0; i < found_.size(); ++i) {
    write(found_[i], last_.step, last_.epoch);
    const Found& first = found_[i];
    if (first.again || first.severity == "ended") continue;
    const auto same = [&](const Found& f) {
      return f.rule == first.rule && f.severity == first.severity && !f.again;
    };
    const auto begin = found_.begin(), here = begin + static_cast<std::ptrdiff_t>(i);
    if (std::any_of(begin, here, same)) continue;  // told with the first of them
    if (messages_[first.rule]++ >= kMessages) continue;
    std::string others;
    for (auto at = here + 1; at != found_.end(); ++at) {
      if (same(*at)) others += (others.empty() ? "" : ", ") + at->words.layer;
    }
    sink_.message(
        first.severity == "note" ? track::Level::note : track::Level::warning, "health",
        fmt::format("{}{}; {}", first.words.text,
                    others.empty() ? "" : " (the same in " + others + ")", first.words.remedy));
  }
  found_.clear();
}

void Watch::write(const Found& found, std::int64_t step, std::int64_t epoch) {
  if (!file_) return;
  const ordered_json line = {{"kind", "finding"},
                             {"step", step},
                             {"epoch", epoch},
                             {"rule", found.rule},
                             {"layer", found.words.layer},
                             {"severity", found.severity},
                             {"since", found.since},
                             {"evidence", found.words.evidence},
                             {"text", found.words.text},
                             {"remedy", found.words.remedy}};
  file_->write(line.dump(-1, ' ', false, ordered_json::error_handler_t::replace));
}

void Watch::tell(const std::string& rule, const std::string& severity, const Words& words,
                 std::int64_t step, std::int64_t epoch) {
  if (enabled_) write({rule, severity, step, words, false}, step, epoch);
}

// Written by hand: a look of a small model takes less time than a JSON object of it.
std::string Watch::observation_line(const Observation& seen) const {
  std::vector<LayerSeen> layers;
  const auto layer = [&](const std::string& name) -> LayerSeen& {
    const auto found = std::ranges::find(layers, name, &LayerSeen::name);
    if (found != layers.end()) return *found;
    return layers.emplace_back(LayerSeen{.name = name});
  };
  for (const auto& p : seen.parameters) {
    LayerSeen& l = layer(p.layer());
    l.has_parameters = true;
    l.gradient = std::hypot(l.gradient, p.gradient_norm);
    l.weight = std::hypot(l.weight, p.weight_norm);
    l.update = std::hypot(l.update, p.update_norm);
  }
  for (const auto& a : seen.activations) layer(a.name).activation = &a;
  std::string line = fmt::format(
      R"({{"kind":"observation","step":{},"epoch":{},"loss":{},"lr":{},"total_grad_norm":{})",
      seen.step, seen.epoch, number_text(seen.loss), number_text(seen.lr),
      number_text(seen.gradient_norm));
  const auto list = [&](const char* key, const auto& text_of) {
    line += fmt::format(",\"{}\":[", key);
    for (std::size_t i = 0; i < layers.size(); ++i) {
      if (i > 0) line += ',';
      line += text_of(layers[i]);
    }
    line += ']';
  };
  const auto numbers = [&](const char* key, const auto& value_of) {
    list(key, [&](const LayerSeen& l) { return number_text(value_of(l)); });
  };
  const auto norm = [](double LayerSeen::*member) {
    return [member](const LayerSeen& l) { return l.has_parameters ? l.*member : NAN; };
  };
  const auto share = [](double ActivationSeen::*member) {
    return [member](const LayerSeen& l) {
      return l.activation == nullptr || l.activation->*member < 0 ? NAN : l.activation->*member;
    };
  };
  list("layers", [](const LayerSeen& l) { return json(l.name).dump(); });
  numbers("grad_norm", norm(&LayerSeen::gradient));
  numbers("weight_norm", norm(&LayerSeen::weight));
  numbers("update_norm", norm(&LayerSeen::update));
  numbers("update_ratio",
          [](const LayerSeen& l) { return l.has_parameters ? l.update / l.weight : NAN; });
  numbers("mean",
          [](const LayerSeen& l) { return l.activation == nullptr ? NAN : l.activation->mean; });
  numbers("std", share(&ActivationSeen::deviation));
  numbers("dead", share(&ActivationSeen::dead));
  numbers("saturated", share(&ActivationSeen::saturated));
  return line + "}";
}

std::string Watch::memory() const {
  if (!enabled_) return {};
  json tallies = json::object(), rules = json::object();
  for (const auto& [key, t] : tallies_) {
    if (t.held == 0 && t.told == 0) continue;
    tallies[key] = {t.since, t.held, t.failed, t.told, t.active};
  }
  for (const auto& [name, rule] : rules_) {
    auto memory = rule->memory();
    if (!memory.is_null()) rules[name] = std::move(memory);
  }
  return json{{"first", {first_losses_, first_count_}},
              {"last", {last_.step, last_.epoch, last_.loss, last_.gradient_norm, last_.lr}},
              {"messages", messages_},
              {"tallies", std::move(tallies)},
              {"rules", std::move(rules)}}
      .dump();
}

void Watch::restore(const std::string& memory) {
  if (!enabled_ || memory.empty()) return;
  const auto all = json::parse(memory);
  first_losses_ = all.at("first").at(0);
  first_count_ = all.at("first").at(1);
  const auto& last = all.at("last");
  const auto real = [](const json& x) { return x.is_null() ? NAN : x.get<double>(); };
  last_ = {
      .step = last.at(0),
      .epoch = last.at(1),
      .loss = real(last.at(2)),
      .gradient_norm = real(last.at(3)),
      .lr = real(last.at(4)),
      .base_lr = base_lr_,
      .first_loss = first_losses_ / static_cast<double>(std::max<std::int64_t>(1, first_count_))};
  all.at("messages").get_to(messages_);
  tallies_.clear();
  for (const auto& [key, t] : all.at("tallies").items())
    tallies_[key] = {
        .since = t.at(0), .held = t.at(1), .failed = t.at(2), .told = t.at(3), .active = t.at(4)};
  for (const auto& [name, rule] : rules_) {
    if (all.at("rules").contains(name)) rule->restore(all.at("rules").at(name));
  }
}

void Watch::rewind(std::int64_t step, const std::string& memory) {
  if (file_) file_->rewind(step);
  restore(memory);
}

std::string rounded_rate(double rate) {
  if (!(rate > 0) || !std::isfinite(rate)) return "that of now";
  const double power = std::floor(std::log10(rate));
  return fmt::format("{:.0f}e{}", std::max(1.0, std::floor(rate / std::pow(10, power) + 0.05)),
                     static_cast<int>(power));
}

std::string percent(double share) { return fmt::format("{:.0f} %", 100 * share); }

}  // namespace descent::train
