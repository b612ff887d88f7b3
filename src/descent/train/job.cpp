#include "descent/train/job.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "descent/base/error.h"
#include "descent/io/safetensors.h"
#include "descent/nn/registry.h"
#include "descent/nn/transfer.h"
#include "descent/optim/lazy_rows.h"
#include "descent/optim/partition.h"
#include "descent/optim/registry.h"
#include "descent/train/optimizer_load.h"
#include "descent/train/plateau.h"
#include "descent/train/saved_model.h"

namespace descent::train {
namespace {

std::string auto_loss(data::Task task) {
  return task == data::Task::regression ? "mse" : "cross_entropy";
}

// Numbers a model must put out: one logit where the loss takes one, else one per class or target.
std::int64_t outputs_for(const nn::Loss& loss, std::int64_t outputs) {
  const bool one_logit =
      outputs == 2 && (loss.name == "binary_cross_entropy" || loss.name == "hinge");
  return loss.classification && one_logit ? 1 : outputs;
}

std::int64_t batch_size_of(const Config& config, std::int64_t rows) {
  const std::string text = config.train.text("batch_size");
  if (text == "full") return rows;
  if (text == "auto") return std::min<std::int64_t>(rows, rows < 2000 ? 32 : 128);
  std::int64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc() || end != text.data() + text.size() || n < 1) {
    throw Error(ErrorKind::usage, fmt::format("train.batch_size is \"{}\"", text), "[train]",
                "give a number of rows, \"full\" or \"auto\"");
  }
  return std::min(n, rows);
}

void check_task(const nn::Loss& loss, data::Task task) {
  const bool fits = task == data::Task::language
                        ? loss.name == "cross_entropy"
                        : loss.classification == (task == data::Task::classification);
  if (fits) return;
  throw Error(ErrorKind::usage,
              fmt::format("the loss \"{}\" is for {}, the target is {}", loss.name,
                          loss.classification ? "classes" : "numbers",
                          task == data::Task::language         ? "the next token of a text"
                          : task == data::Task::classification ? "classes"
                                                               : "numbers"),
              "[loss]", fmt::format("use \"{}\", or say data.task", auto_loss(task)));
}

// 1234567 -> "1,234,567"
std::string grouped(std::int64_t n) {
  std::string text = std::to_string(n);
  for (int at = static_cast<int>(text.size()) - 3; at > 0; at -= 3)
    text.insert(static_cast<std::size_t>(at), ",");
  return text;
}

bool begins_with_embedding(const Config& config) {
  const std::string& name = config.model.text("name");
  if (name == "sequential") return !config.layers.empty() && config.layers[0].type == "embedding";
  return name == "gpt" || name == "char_rnn" || name == "text_classifier";
}

// A model that cannot take tokens says so in its own words, which know nothing of texts.
std::vector<nn::Variable> describe_variables(const Job& job, const Config& config) {
  try {
    return nn::describe(job.model, job.batch, dtype_of(config));
  } catch (const Error& e) {
    const bool misfit = job.data.transform.has_tokens() && !begins_with_embedding(config);
    if (!misfit || e.kind() != ErrorKind::usage) throw;
    throw Error(e.kind(), e.message(), e.where(),
                "the rows are tokens: use a model that begins with an embedding, as --model gpt, "
                "char_rnn or text_classifier");
  }
}

void tell_model(const Job& job, track::Sink& sink) {
  std::int64_t parameters = 0, frozen = 0;
  for (const auto& v : job.variables) {
    if (v.parameter()) parameters += v.type.shape.size();
    if (v.frozen) frozen += v.type.shape.size();
  }
  sink.message(
      track::Level::note, "model",
      fmt::format("{}, {} parameters{}, {}", job.config.model.text("name"), grouped(parameters),
                  frozen == 0 ? "" : fmt::format(" ({} frozen)", grouped(frozen)),
                  job.config.train.text("precision")));
}

// [model] init_from: initial values from a file.
void load_initial_values(const Config& config, std::vector<nn::Variable>& variables,
                         track::Sink& sink) {
  const std::string path = model_tensors(config.model.text("init_from"));
  const auto done = nn::transfer(variables, io::load_safetensors(path).tensors,
                                 {.map = config.model.texts("init_map"),
                                  .skip = config.model.texts("init_skip"),
                                  .strict = config.model.boolean("init_strict")},
                                 path);
  sink.message(track::Level::note, "init",
               fmt::format("{} of {} tensors from {}", done.taken.size(), variables.size(), path));
  const std::pair<const char*, const std::vector<std::string>*> left_out[] = {
      {"not in the file", &done.missing},
      {"not in the model", &done.unexpected},
      {"of another shape", &done.differing}};
  for (const auto& [what, names] : left_out) {
    if (names->empty()) continue;
    sink.message(track::Level::warning, "init",
                 fmt::format("{}: {}", what, fmt::join(*names, ", ")));
  }
}

optim::Schedule make_schedule(const Job& job, const Config& config, double lr) {
  const auto schedule = optim::schedules()
                            .at(config.schedule.text("name"), "[schedule]")
                            .make(config.schedule, {lr, job.total_steps, job.steps_per_epoch});
  const auto rate = with_plateau(config, schedule, job.plateau_factor);
  return [rate, factor = job.rate_factor](std::int64_t step) { return rate(step) * *factor; };
}

// How many updates, of how many rows.
void set_length(const Config& config, Job& job, std::int64_t rows) {
  const Options& t = config.train;
  job.batches = BatchSizes(job.batch_size, t.texts("batch_schedule"), rows, t.boolean("drop_last"),
                           t.integer("accumulate"));
  if (job.batches.change() && config.schedule.text("unit") == "epoch") {
    throw Error(ErrorKind::usage,
                "schedule.unit = \"epoch\" wants epochs of equal length, train.batch_schedule "
                "makes them unequal",
                "[schedule]", "use unit = \"step\"");
  }
  job.steps_per_epoch = job.batches.steps_in(0);
  job.total_steps = t.has("steps") ? t.integer("steps") : job.batches.steps_of(t.integer("epochs"));
}

// What needs the whole gradient of a table, or looks it up where its rows cannot be reached.
void check_sparse(const Config& config, const std::string& table) {
  const Options& t = config.train;
  const auto refuse = [&table](const char* option, const char* why) {
    throw Error(
        ErrorKind::usage,
        fmt::format("\"{}\" is sparse, which train.{} does not allow: {}", table, option, why),
        "[train]", fmt::format("leave out train.{}, or set sparse = false", option));
  };
  if (t.integer("accumulate") > 1) refuse("accumulate", "it sums whole gradients");
  if (t.boolean("rematerialise")) {
    refuse("rematerialise", "what is looked up must be there in the backward pass");
  }
}

// An update of every row, in every epoch.
bool full_updates(const Job& job, std::int64_t rows) {
  const bool drops = job.config.train.boolean("drop_last");
  const std::int64_t epochs = job.batches.epochs_for(job.total_steps - job.first_step);
  for (std::int64_t e = 0; e < epochs; ++e) {
    if (job.batches.steps_in(e) != 1 || (drops && rows % job.batches.at(e) != 0)) return false;
    if (!job.batches.change()) break;
  }
  return true;
}

// What tells batches apart is noise to an optimizer that compares steps.
void check_batches(const Job& job, std::int64_t rows, track::Sink& sink) {
  const auto wanted = job.optimizer->batches();
  if (wanted == optim::Batches::any) return;
  const auto& name = job.config.optimizer.text("name");
  if (wanted == optim::Batches::full_needed && !job.config.data.texts("augment").empty()) {
    throw Error(ErrorKind::usage,
                fmt::format("optimizer {} compares the losses of different steps, and augmentation "
                            "changes the rows from step to step",
                            name),
                "option \"data.augment\"", "leave it out, or take another optimizer");
  }
  if (full_updates(job, rows)) return;
  const auto what = fmt::format(
      "optimizer {} compares the {} of different steps, and a step is of "
      "{} of {} rows",
      name, wanted == optim::Batches::full_needed ? "losses" : "gradients",
      std::min(rows, job.batch_size * job.batches.accumulate()), rows);
  const auto remedy = fmt::format(
      "set train.batch_size=full, or train.accumulate={} where memory is short, without "
      "train.drop_last and train.batch_schedule; or an option of the optimizer for small "
      "batches, where it has one",
      (rows + job.batch_size - 1) / job.batch_size);
  if (wanted == optim::Batches::full_needed) {
    throw Error(ErrorKind::usage, what, "option \"train.batch_size\"", remedy);
  }
  sink.message(track::Level::warning, "batches", what + ": " + remedy);
}

}  // namespace

void set_schedule(Job& job, const std::function<optim::Schedule(double lr)>& schedule_of) {
  const auto& config = job.config;
  const double lr = config.optimizer.number("lr");
  job.schedule = schedule_of(lr);
  std::vector<optim::Group> groups;
  for (const auto& [options, where] : config.groups) {
    auto& group = groups.emplace_back();
    group.match = options.texts("match");
    group.schedule = schedule_of(options.has("lr") ? options.number("lr") : lr);
    if (options.has("weight_decay")) group.weight_decay = options.number("weight_decay");
  }
  std::vector<std::string> names;
  std::vector<optim::Parameter> info;
  std::vector<std::size_t> tables;
  for (const auto& v : job.variables) {
    if (!v.trained) continue;
    if (v.sparse) tables.push_back(names.size());
    names.push_back(v.name);
    info.push_back({v.name, v.type, v.decay});
  }
  optim::require_members(groups, names);
  job.optimizer =
      optim::grouped(config.optimizer.text("name"), config.optimizer, job.schedule, groups);
  if (tables.empty()) return;
  check_sparse(config, names[tables[0]]);
  job.optimizer = optim::lazy_rows(job.optimizer, info, tables);
}

std::string title_of(const Config& config) {
  auto path = config.data.has("path") ? config.data.text("path") : "";
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  const auto data = path.substr(path.rfind('/') + 1);
  const auto& model = config.model.text("name");
  return data.empty() ? model : fmt::format("{} on {}", model, data);
}

DType dtype_of(const Config& config) {
  return config.train.text("precision") == "float64" ? DType::float64 : DType::float32;
}

Type one_row(const data::Transform& transform, const Config& config) {
  Shape shape{1};
  for (const auto d : transform.sample_shape()) shape.push_back(d);
  return {transform.features_dtype(dtype_of(config)), shape, false};
}

nn::Layer build_model(const Config& config, const data::Transform& transform) {
  const std::string name = config.model.text("name");
  if (name != "sequential") {
    return nn::presets()
        .at(name, "[model]")
        .make(config.model, {.sample = transform.sample_shape(),
                             .outputs = outputs_for(build_loss(config), transform.outputs()),
                             .vocabulary = transform.vocabulary()});
  }
  return nn::sequential(nn::make_layers(config.layers));
}

nn::Loss build_loss(const Config& config) {
  return nn::losses().at(config.loss.text("name"), "[loss]").make(config.loss);
}

Job prepare(Config config, track::Sink& sink, bool fresh, const LoadData& load) {
  Job job;
  job.data = load(config.data, static_cast<std::uint64_t>(config.seed));
  for (const auto& line : job.data.notes) sink.message(track::Level::note, "data", line);
  for (const auto& line : job.data.warnings) sink.message(track::Level::warning, "warning", line);
  if (config.loss.text("name") == "auto") {
    const std::string name = auto_loss(job.data.task);
    config.loss = descent::resolve(section_options("loss", name, "[loss]"), {}, "[loss]");
    config.loss.set("name", name);
  }
  job.loss = build_loss(config);
  check_task(job.loss, job.data.task);
  if (job.data.transform.has_tokens() && !config.data.texts("augment").empty()) {
    throw Error(ErrorKind::usage, "augmentation changes images, the rows are tokens",
                "option \"data.augment\"", "leave it out");
  }
  job.batch = one_row(job.data.transform, config);
  job.model = build_model(config, job.data.transform);
  job.variables = describe_variables(job, config);
  if (fresh && config.model.has("init_from")) load_initial_values(config, job.variables, sink);
  nn::freeze(job.variables, config.train.texts("freeze"));
  const std::int64_t rows = job.data.train.rows();
  job.batch_size = batch_size_of(config, rows);
  if (config.train.text("batch_size") == "auto") {
    config.train.set("batch_size", std::to_string(job.batch_size));
  }
  set_length(config, job, rows);
  if (config.optimizer.has("load")) {
    // A resumed run has the state in its checkpoint; its configuration says the step.
    job.first_step = first_step_of(config);
    config.optimizer.set("load_step", job.first_step);
    job.total_steps += job.first_step;
  }
  job.config = std::move(config);
  set_schedule(job, [&](double lr) { return make_schedule(job, job.config, lr); });
  check_batches(job, rows, sink);
  if (fresh && job.config.optimizer.has("load")) {
    job.optimizer_state = load_optimizer(job.config, job.optimizer, job.variables, sink);
  }
  tell_model(job, sink);
  return job;
}

Job prepare_replay(Config config, data::Transform transform, std::int64_t steps_per_epoch,
                   std::int64_t total_steps) {
  Job job;
  job.data.transform = std::move(transform);
  job.loss = build_loss(config);
  job.batch = one_row(job.data.transform, config);
  job.model = build_model(config, job.data.transform);
  job.variables = describe_variables(job, config);
  nn::freeze(job.variables, config.train.texts("freeze"));
  job.steps_per_epoch = steps_per_epoch;
  job.total_steps = total_steps;
  job.config = std::move(config);
  set_schedule(job, [&](double lr) { return make_schedule(job, job.config, lr); });
  return job;
}

}  // namespace descent::train
