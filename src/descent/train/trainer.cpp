#include "descent/train/trainer.h"

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <sstream>

#include "descent/base/error.h"
#include "descent/base/file.h"
#include "descent/base/threads.h"
#include "descent/train/accumulate.h"
#include "descent/train/averaged.h"
#include "descent/train/checkpoint.h"
#include "descent/train/divergence.h"
#include "descent/train/evaluate.h"
#include "descent/train/health.h"
#include "descent/train/histogram.h"
#include "descent/train/plateau.h"
#include "descent/train/profile.h"
#include "descent/train/saved_model.h"
#include "descent/train/setup.h"
#include "descent/train/step.h"
#include "descent/train/summary.h"

namespace descent::train {
namespace {

std::atomic<int> stop_signal{0};
using Clock = std::chrono::steady_clock;
double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// The model is fitted from the data and the state alone; this is the loop's own bookkeeping.
class Run {
 public:
  Run(Job& job, const RunOptions& options, track::Sink& sink);
  Outcome go();

 private:
  void resume();
  void build_loader();
  void build_steps();
  bool train_epoch();  // false: stop
  TrainStep::Result eager_step(const data::Batch& batch, Observation* look);
  void after_step(const TrainStep::Result& result, const data::Batch& batch);
  // Rolls back, or throws.
  void diverged(const data::Batch& batch, const TrainStep::Result& result);
  void roll_back(const std::string& why);
  void keep_good();
  bool may_roll_back() const { return job_.config.train.text("on_divergence") == "rollback"; }
  void end_epoch();
  bool improved(const Metrics& valid);
  void validate(std::int64_t epoch);
  void checkpoint(bool final_one = false);
  bool should_stop(const TrainStep::Result& result);
  void finish(Outcome& outcome);
  nlohmann::json summary(const Outcome& outcome) const;
  void write_summary(const Outcome& outcome) const;
  void tell_plan(Outcome& outcome) const;
  double elapsed() const { return state_.seconds + since(start_); }
  bool writes() const { return !options_.directory.empty(); }
  std::int64_t wanted_epochs() const {
    return job_.batches.epochs_for(job_.total_steps - job_.first_step);
  }

  Job& job_;
  RunOptions options_;
  track::Sink& sink_;
  TrainState state_;
  DType dtype_ = DType::float32;
  std::shared_ptr<ThreadPool> pool_;
  std::unique_ptr<data::Loader> loader_;
  std::unique_ptr<TrainStep> step_;
  std::unique_ptr<AccumulatedStep> accumulated_;  // null: each batch is an update
  Plateau plateau_;
  std::unique_ptr<AveragedWeights> weights_;  // those that are evaluated and saved
  std::unique_ptr<EvalStep> eval_;
  Watch watch_;
  Metrics test_;
  nlohmann::json confusion_;
  Clock::time_point began_ = Clock::now(), start_ = Clock::now(), epoch_start_ = Clock::now(),
                    last_progress_ = Clock::now();
  Clock::time_point last_checkpoint_ = Clock::now();
  bool best_changed_ = false;
  std::int64_t rows_done_ = 0, epoch_rows_timed_ = 0, last_saved_ = -1;
  std::string reason_;
};

Run::Run(Job& job, const RunOptions& options, track::Sink& sink)
    : job_(job),
      options_(options),
      sink_(sink),
      plateau_(job.config, job.data.valid.rows() > 0, job.plateau_factor),
      watch_(job.config, options.directory, sink) {
  stop_signal.store(0);
  prepare_thread();
  if (job.config.train.text("precision") == "float64") dtype_ = DType::float64;
  state_ = initial_state(job_, job_.config.seed);
  if (options.resume) resume();
  *job_.rate_factor = state_.rate_factor;
  plateau_.restore(state_);
  build_loader();
  build_steps();
}

void Run::build_loader() {
  loader_ = make_loader(job_, state_.seed, state_.epoch);
  loader_->seek({state_.epoch, state_.batch});
}

void Run::resume() {
  const auto& transform = job_.data.transform;
  if (transform.has_tokens() && has_checkpoint(options_.directory))
    check_tokenizer(options_.directory, *transform.text().tokenizer);
  auto found = load_newest(options_.directory, state_, sink_);
  if (!found) {
    sink_.message(track::Level::note, "resumed", "no checkpoint yet: from the beginning");
    return;
  }
  state_ = std::move(*found);
  watch_.restore(state_.health);
  sink_.message(track::Level::note, "resumed",
                fmt::format("from step {} (epoch {}, batch {})", state_.step, state_.epoch + 1,
                            state_.batch));
}

void Run::build_steps() {
  choose_shards(job_, *loader_, state_);
  StepOptions options = step_options(job_, options_.threads);
  options.profile = options_.profile;
  pool_ = options.pool;
  sink_.message(track::Level::note, "engine",
                fmt::format("{} shard{} on {} thread{}, batches of {}", options.shards,
                            options.shards == 1 ? "" : "s", pool_->threads(),
                            pool_->threads() == 1 ? "" : "s", job_.batch_size));
  step_ = std::make_unique<TrainStep>(job_.model, job_.loss, job_.optimizer, job_.variables, state_,
                                      options);
  if (job_.batches.accumulate() > 1) {
    if (job_.config.train.boolean("eager")) {
      throw Error(ErrorKind::usage, "train.eager takes one batch an update", "[train]",
                  "leave out train.accumulate, or train.eager");
    }
    accumulated_ =
        std::make_unique<AccumulatedStep>(job_.model, job_.loss, job_.optimizer, job_.variables,
                                          state_, options, job_.batches.accumulate());
  }
  weights_ = std::make_unique<AveragedWeights>(job_, state_, options);
  const auto note = weights_->note();
  if (!note.empty() && !state_.buffers.empty()) sink_.message(track::Level::note, "average", note);
  eval_ =
      std::make_unique<EvalStep>(job_.model, job_.loss, job_.variables, weights_->tree(),
                                 weights_->buffers(), options, summary_for(job_.data.transform));
  if (options.rematerialise) {
    sink_.message(track::Level::note, "memory", rematerialisation_trade(*step_, *loader_));
  }
}

// Where a rollback leads: places that do not depend on the time or on how often a run was stopped.
void Run::keep_good() {
  if (!may_roll_back()) return;
  state_.health = watch_.memory();
  state_.good = snapshot(state_);
}

// The compiled step has left the state as it was before.
void Run::diverged(const data::Batch& batch, const TrainStep::Result& result) {
  weights_->refresh();
  const Failure failure =
      explain({job_, state_, *step_, *eval_, *loader_, options_.directory}, batch, result);
  const Error& error = failure.error;
  const std::string text = fmt::format("{}: {}", error.where(), error.message());
  if (may_roll_back() && state_.rollbacks < job_.config.train.integer("max_rollbacks")) {
    roll_back(text);
    return;
  }
  watch_.tell("non_finite", "error", failure.words, state_.step + 1, batch.cursor.epoch + 1);
  if (writes()) {
    state_.seconds = elapsed();
    start_ = Clock::now();
    state_.health = watch_.memory();
    save_checkpoint(options_.directory, state_, job_.config.checkpoint.integer("keep"));
  }
  Outcome outcome{"diverged: " + text, static_cast<int>(ErrorKind::diverged), {}};
  outcome.summary = summary(outcome);
  write_summary(outcome);
  sink_.end(outcome.summary);
  throw error;
}

void Run::roll_back(const std::string& why) {
  state_.rate_factor /= 2;
  ++state_.rollbacks;
  state_.seconds = elapsed();
  start_ = Clock::now();
  const Words words = describe_rollback(job_.config, state_, why);
  go_back(state_, *state_.good);
  *job_.rate_factor = state_.rate_factor;
  loader_->seek({state_.epoch, state_.batch});
  watch_.rewind(state_.step, state_.health);
  sink_.rewind(state_.step);
  sink_.message(track::Level::warning, "health", words.text);
  watch_.tell("rollback", "warning", words, state_.step, state_.epoch + 1);
  checkpoint(true);  // a resumed run goes on with the new rate
}

void Run::after_step(const TrainStep::Result& result, const data::Batch& batch) {
  state_.epoch_loss += result.loss * static_cast<double>(batch.rows);
  state_.epoch_rows += static_cast<double>(batch.rows);
  rows_done_ += batch.rows;
  epoch_rows_timed_ += batch.rows;
  const auto next = loader_->cursor();
  state_.epoch = next.epoch;
  state_.batch = next.batch;
  const std::int64_t every = job_.config.train.integer("log_every");
  if (every > 0 && state_.step % every == 0) {
    sink_.record({state_.step,
                  batch.cursor.epoch + 1,
                  "train",
                  {{"loss", result.loss},
                   {"lr", job_.schedule(state_.step - 1)},
                   {"grad_norm", result.gradient_norm}},
                  elapsed()});
  }
  if (since(last_progress_) > 0.1) {
    last_progress_ = Clock::now();
    sink_.progress({batch.cursor.epoch + 1, batch.cursor.batch + 1,
                    job_.batches.steps_in(batch.cursor.epoch), state_.step,
                    state_.epoch_loss / state_.epoch_rows, job_.schedule(state_.step - 1),
                    static_cast<double>(epoch_rows_timed_) / std::max(1e-9, since(epoch_start_))});
  }
}

bool Run::should_stop(const TrainStep::Result& result) {
  const Options& t = job_.config.train;
  if (const int signal = stop_signal.load()) {
    reason_ = signal == 2 ? "interrupted (Ctrl-C)" : fmt::format("interrupted (signal {})", signal);
  } else if (t.has("stop_gradient_norm") &&
             result.gradient_norm <= t.number("stop_gradient_norm")) {
    reason_ = fmt::format("converged: gradient norm {:.3g}", result.gradient_norm);
  } else if (t.has("max_seconds") && elapsed() >= t.number("max_seconds")) {
    reason_ = "time limit";
  }
  return !reason_.empty();
}

// Operation by operation; where one is not finite, neither is the result.
TrainStep::Result Run::eager_step(const data::Batch& batch, Observation* look) {
  try {
    return step_->run_eagerly(batch, look);
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::diverged) throw;
    return {NAN, NAN};
  }
}

bool Run::train_epoch() {
  const std::int64_t epoch = state_.epoch;
  const std::int64_t every = job_.config.checkpoint.integer("every_steps");
  const bool eager = job_.config.train.boolean("eager");
  if (loader_->batch_size() != job_.batches.at(epoch)) build_loader();
  epoch_start_ = Clock::now();
  epoch_rows_timed_ = 0;
  TrainStep::Result result;
  while (state_.epoch == epoch && state_.step < job_.total_steps) {
    const data::Batch& batch =
        accumulated_ ? accumulated_->collect(*loader_, job_.config.train.boolean("drop_last"))
                     : loader_->next();
    Observation seen;
    // What is profiled or shown is the plan of every day.
    const bool plain = accumulated_ || options_.profile || options_.dump_plan;
    Observation* look = !plain && watch_.observes(state_.step) ? &seen : nullptr;
    result = accumulated_ ? accumulated_->update()
             : eager      ? eager_step(batch, look)
                          : step_->run(batch, look);
    if (!result.finite()) {
      diverged(batch, result);
      return true;
    }
    after_step(result, batch);
    watch_.step({.step = state_.step,
                 .epoch = batch.cursor.epoch + 1,
                 .rows = batch.rows,
                 .loss = result.loss,
                 .gradient_norm = result.gradient_norm,
                 .lr = job_.schedule(state_.step - 1)});
    if (look != nullptr) watch_.observe(std::move(seen));
    const bool stop = should_stop(result);
    if (every > 0 && state_.step % every == 0 && state_.epoch == epoch) {
      keep_good();
      checkpoint();
    }
    if (stop && state_.epoch == epoch) return false;
  }
  state_.train = {{"loss", state_.epoch_loss / std::max(1.0, state_.epoch_rows)},
                  {"lr", job_.schedule(std::max<std::int64_t>(0, state_.step - 1))},
                  {"grad_norm", result.gradient_norm}};
  Metrics told = state_.train;
  told.emplace_back("rows_per_second",
                    static_cast<double>(epoch_rows_timed_) / std::max(1e-9, since(epoch_start_)));
  sink_.record({state_.step, epoch + 1, "train", std::move(told), elapsed()});
  end_epoch();
  return reason_.empty();
}

bool Run::improved(const Metrics& valid) {
  const std::string name = job_.config.train.text("monitor");
  const double value = value_of(valid, name);
  if (std::isnan(value) && name != "loss") {
    std::vector<std::string> names;
    for (const auto& [key, unused] : valid) names.push_back(key);
    throw Error(ErrorKind::usage,
                fmt::format("train.monitor is \"{}\", which is not a metric of this run", name),
                "[train]", did_you_mean(name, names));
  }
  const double delta = job_.config.train.number("min_delta");
  const bool better =
      std::isnan(state_.best) ||
      (larger_is_better(name) ? value > state_.best + delta : value < state_.best - delta);
  if (better) state_.best = value;
  return better;
}

void Run::validate(std::int64_t epoch) {
  weights_->refresh();
  const auto evaluation = evaluate_rows(*eval_, job_.data.valid, job_.data.transform, dtype_);
  state_.valid = evaluation.metrics;
  sink_.record({state_.step, epoch, "valid", state_.valid, elapsed()});
  if (plateau_.observe(state_.valid, state_)) {
    sink_.message(track::Level::note, "plateau",
                  fmt::format("epoch {}: learning rate {:.3g}", epoch, job_.schedule(state_.step)));
  }
  const bool better = improved(state_.valid);
  // That of the weights the run ends with, where there are no test rows.
  if (job_.data.test.rows() == 0 && (better || !job_.config.train.boolean("restore_best"))) {
    confusion_ = confusion(job_, "valid", evaluation, job_.data.valid);
  }
  if (better) {
    state_.best_epoch = epoch;
    state_.stale = 0;
    state_.best_valid = state_.valid;
    state_.best_parameters = clone(weights_->tree());
    state_.best_buffers = clone(weights_->buffers());
    best_changed_ = true;
  } else {
    ++state_.stale;
  }
  const std::int64_t patience = job_.config.train.integer("patience");
  if (patience > 0 && state_.stale >= patience && reason_.empty()) {
    reason_ = fmt::format("early stopping: epoch {} is no better than epoch {} for {} epochs",
                          epoch, state_.best_epoch, state_.stale);
  }
}

void Run::end_epoch() {
  const bool last = state_.step >= job_.total_steps;
  // A run that ends inside an epoch counts that epoch too.
  const std::int64_t epoch = state_.batch == 0 ? state_.epoch : state_.epoch + 1;
  const double train_loss = state_.epoch_loss / std::max(1.0, state_.epoch_rows);
  state_.epoch_loss = state_.epoch_rows = 0;
  const bool validates = job_.data.valid.rows() > 0 &&
                         (last || epoch % job_.config.train.integer("validate_every") == 0);
  if (validates) validate(epoch);
  watch_.epoch(epoch, train_loss, validates ? value_of(state_.valid, "loss") : NAN);
  const Options& t = job_.config.train;
  if (t.has("stop_loss") && train_loss <= t.number("stop_loss") && reason_.empty())
    reason_ = fmt::format("converged: loss {:.4g}", train_loss);
  sink_.epoch_end(epoch);
  keep_good();
  const std::int64_t every = job_.config.checkpoint.integer("every_epochs");
  const bool soon = since(last_checkpoint_) < job_.config.checkpoint.number("min_seconds");
  if (every > 0 && (last || (epoch % every == 0 && !soon))) checkpoint();
}

void Run::checkpoint(bool final_one) {
  if (!writes() || (last_saved_ == state_.step && !final_one)) return;
  state_.seconds = elapsed();
  start_ = Clock::now();
  state_.health = watch_.memory();
  save_checkpoint(options_.directory, state_, job_.config.checkpoint.integer("keep"));
  if (best_changed_) save_best(options_.directory, state_);
  best_changed_ = false;
  last_saved_ = state_.step;
  last_checkpoint_ = Clock::now();
  sink_.checkpoint(state_.step);
}

Outcome Run::go() {
  sink_.begin({options_.directory, wanted_epochs(), job_.steps_per_epoch, job_.total_steps,
               state_.step, title_of(job_.config)});
  watch_.begin(state_.step);
  const auto& transform = job_.data.transform;
  if (writes() && transform.has_tokens() && state_.step == 0)
    save_tokenizer(options_.directory, *transform.text().tokenizer);
  if (state_.good == nullptr) keep_good();
  began_ = start_ = epoch_start_ = Clock::now();
  const std::int64_t patience = job_.config.train.integer("patience");
  if (patience > 0 && state_.stale >= patience)
    reason_ = fmt::format("early stopping after epoch {}", state_.epoch);
  if (options_.resume && (state_.step >= job_.total_steps || !reason_.empty())) {
    sink_.message(track::Level::note, "resumed",
                  "the run had already ended; its results are written again");
  }
  while (reason_.empty() && state_.step < job_.total_steps) {
    if (!train_epoch()) break;
  }
  Outcome outcome;
  tell_plan(outcome);
  if (const int signal = stop_signal.load()) {
    checkpoint(true);
    outcome.exit_code = 128 + signal;
    outcome.reason = reason_;
    outcome.summary = summary(outcome);
    write_summary(outcome);
    sink_.message(
        track::Level::note, "stopped",
        reason_ + (writes()
                       ? fmt::format(", saved at step {}; go on with: descent train --resume {}",
                                     state_.step, options_.directory)
                       : ""));
    sink_.end(outcome.summary);
    return outcome;
  }
  outcome.reason = reason_.empty() ? "finished" : reason_;
  finish(outcome);
  return outcome;
}

void Run::write_summary(const Outcome& outcome) const {
  if (!writes()) return;
  write_file_atomic((std::filesystem::path(options_.directory) / "summary.json").string(),
                    outcome.summary.dump(1) + "\n");
}

void Run::tell_plan(Outcome& outcome) const {
  if (rows_done_ == 0 || job_.config.train.boolean("eager") || accumulated_) return;
  if (options_.dump_plan) {
    std::ostringstream text;
    step_->largest_plan().dump(text);
    outcome.plan = text.str();
  }
  if (!options_.profile) return;
  outcome.profile = profile_report(step_->largest_plan(), measure_peaks());
  if (!writes()) return;
  write_file_atomic((std::filesystem::path(options_.directory) / "trace.json").string(),
                    profile_trace(step_->largest_plan()));
}

void Run::finish(Outcome& outcome) {
  checkpoint();
  const double seconds = elapsed();
  const bool restore = job_.config.train.boolean("restore_best") && !state_.best_parameters.empty();
  weights_->refresh();
  if (restore) {
    copy_into(weights_->tree(), state_.best_parameters);
    copy_into(weights_->buffers(), state_.best_buffers);
  }
  if (outcome.reason != "finished") {
    sink_.message(track::Level::note, "stopped",
                  outcome.reason + (restore ? "; best weights restored" : ""));
  }
  if (job_.data.test.rows() > 0) {
    const auto evaluation = evaluate_rows(*eval_, job_.data.test, job_.data.transform, dtype_);
    test_ = evaluation.metrics;
    confusion_ = confusion(job_, "test", evaluation, job_.data.test);
    sink_.record({state_.step, state_.epoch, "test", test_, seconds});
  }
  outcome.summary = summary(outcome);
  if (writes()) {
    SavedModel saved{job_.config, job_.data.transform, job_.model, {}};
    std::size_t p = 0, b = 0;
    for (const auto& v : job_.variables)
      saved.variables.push_back(v.trained ? weights_->tree()[p++] : weights_->buffers()[b++]);
    saved.save(options_.directory);
    write_summary(outcome);
    sink_.show("histograms", histograms(weights_->tree()));
  }
  sink_.end(outcome.summary);
}

nlohmann::json Run::summary(const Outcome& outcome) const {
  nlohmann::json j = describe_run(job_, state_);
  j["reason"] = outcome.reason;
  j["exit_code"] = outcome.exit_code;
  j["seconds"] = elapsed();
  j["samples_per_second"] = static_cast<double>(rows_done_) / std::max(1e-9, since(began_));
  j["threads"] = pool_->threads();
  j["test"] = to_json(test_);
  if (!confusion_.is_null()) j["confusion"] = confusion_;
  if (writes()) j["directory"] = options_.directory;
  return j;
}

}  // namespace

void request_stop(int signal) noexcept { stop_signal.store(signal); }

Outcome run(Job& job, const RunOptions& options, track::Sink& sink) {
  if (!options.directory.empty()) std::filesystem::create_directories(options.directory);
  return Run(job, options, sink).go();
}

}  // namespace descent::train
