#include "descent/train/setup.h"

#include <fmt/format.h>

#include <algorithm>

#include "descent/base/error.h"
#include "descent/base/threads.h"
#include "descent/data/augment.h"

namespace descent::train {

TrainState initial_state(const Job& job, std::int64_t seed) {
  TrainState state;
  state.seed = seed;
  const auto key = fold_in(static_cast<std::uint64_t>(seed), hash_text("parameters"));
  const nn::Tree values = nn::initialize(job.variables, key);
  for (std::size_t i = 0; i < values.size(); ++i)
    (job.variables[i].trained ? state.parameters : state.buffers).push_back(values[i]);
  state.optimizer = TrainStep::initial_state(job.optimizer, job.variables, dtype_of(job.config));
  if (!job.optimizer_state.empty()) copy_into(state.optimizer, job.optimizer_state);
  state.step = job.first_step;
  return state;
}

std::unique_ptr<data::Loader> make_loader(const Job& job, std::int64_t from, std::int64_t epoch) {
  const auto seed = static_cast<std::uint64_t>(from);
  const Options& t = job.config.train;
  data::LoaderOptions options;
  const std::int64_t batch_size = job.batches.at(epoch);
  const bool full = t.text("batch_size") == "full" && batch_size == job.batch_size;
  options.batch_size = full ? 0 : batch_size;
  options.shuffle = t.boolean("shuffle");
  options.drop_last = t.boolean("drop_last");
  options.prefetch = static_cast<int>(job.config.data.integer("prefetch"));
  options.dtype = dtype_of(job.config);
  data::Augment augment(job.config.data.texts("augment"), job.data.sample_shape, seed, batch_size);
  if (augment.mixes() && job.data.classes > 0) {
    if (job.loss.name != "cross_entropy") {
      throw Error(
          ErrorKind::usage,
          fmt::format("mixup makes probabilities of classes, which the loss \"{}\" does not "
                      "take",
                      job.loss.name),
          "option \"data.augment\"", "set loss.name = \"cross_entropy\", or leave it out");
    }
    options.one_hot = job.data.classes;
  }
  if (!augment.empty()) options.augment = std::move(augment);
  return std::make_unique<data::Loader>(job.data.train, options, seed);
}

void choose_shards(Job& job, data::Loader& loader, TrainState& state) {
  if (job.config.train.integer("shards") != 0) return;
  const data::Cursor at = loader.cursor();
  TrainStep probe(job.model, job.loss, job.optimizer, job.variables, state,
                  {.dtype = dtype_of(job.config)});
  const double flops = probe.flops(loader.next());
  loader.seek(at);
  const std::int64_t shards =
      flops < 4e6 ? 1
                  : std::clamp<std::int64_t>(job.batch_size / 16, 1, std::min(processors(), 16));
  job.config.train.set("shards", shards);
}

std::string rematerialisation_trade(const TrainStep& step, data::Loader& loader) {
  const data::Cursor at = loader.cursor();
  const data::Batch& batch = loader.next();
  const auto with = step.statistics_of(batch, true), without = step.statistics_of(batch, false);
  loader.seek(at);
  const auto mib = [](std::size_t bytes) { return static_cast<double>(bytes) / 1048576; };
  return fmt::format(
      "a step's values take {:.1f} MiB instead of {:.1f} MiB, for {:.0f} % more operations "
      "(train.rematerialise)",
      mib(with.arena_bytes), mib(without.arena_bytes),
      100 * (with.flops / std::max(1.0, without.flops) - 1));
}

StepOptions step_options(const Job& job, int threads) {
  const Options& t = job.config.train;
  StepOptions options;
  options.shards = static_cast<int>(t.integer("shards"));
  options.pool =
      std::make_shared<ThreadPool>(std::min(threads > 0 ? threads : processors(), options.shards));
  options.dtype = dtype_of(job.config);
  options.mixed = t.text("precision") == "bf16";
  options.without_passes = t.texts("without_passes");
  options.rematerialise = t.boolean("rematerialise");
  return options;
}

}  // namespace descent::train
