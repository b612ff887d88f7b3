#include "descent/train/divergence.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <filesystem>

#include "descent/base/file.h"
#include "descent/train/health.h"

namespace descent::train {
namespace {

// Rows of an array of numbers that are not finite; the place of the first of them.
std::vector<std::int64_t> bad_rows(const Array& a, std::int64_t rows, const char* name,
                                   std::string& cause) {
  std::vector<std::int64_t> bad;
  if (!a || rows == 0 || !is_floating(a.dtype())) return bad;
  const std::int64_t width = a.size() / rows;
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t k = 0; k < width; ++k) {
      const double x = a.item(i * width + k);
      if (std::isfinite(x)) continue;
      if (bad.empty()) cause = fmt::format("{} {} is {}", name, k, x);
      bad.push_back(i);
      break;
    }
  }
  return bad;
}

// The largest number of a row by magnitude, and where: what overflows.
struct Largest {
  double value = 0;
  std::string place = "none";
};

Largest largest_of(const data::Batch& batch, std::int64_t row) {
  Largest found;
  for (const auto& [array, name] :
       {std::pair(&batch.features, "feature"), std::pair(&batch.targets, "target")}) {
    if (!*array || !is_floating(array->dtype())) continue;
    const std::int64_t width = array->size() / batch.rows;
    for (std::int64_t k = 0; k < width; ++k) {
      const double x = array->item(row * width + k);
      if (std::abs(x) > std::abs(found.value)) found = {x, fmt::format("{} {}", name, k)};
    }
  }
  return found;
}

// Rows whose loss alone is not finite and whose numbers are of another size than the others'.
// Where weights have blown up, rows overflow that are like the rest.
void find_overflow(Divergence& d, EvalStep& eval, const data::Batch& batch) {
  constexpr double factor = 100;
  const EvalStep::Result result = eval.run(batch);
  if (!result.losses) return;
  std::vector<std::int64_t> bad;
  double smallest = INFINITY, usual = 0;
  for (std::int64_t i = 0; i < batch.rows; ++i) {
    const double size = std::abs(largest_of(batch, i).value);
    if (std::isfinite(result.losses.item(i))) {
      usual = std::max(usual, size);
    } else {
      bad.push_back(i);
      smallest = std::min(smallest, size);
    }
  }
  if (bad.empty() || std::ssize(bad) == batch.rows || smallest < factor * usual) return;
  const Largest first = largest_of(batch, bad.front());
  d.cause =
      fmt::format("{} is {:.3g}, in other rows at most {:.3g}", first.place, first.value, usual);
  d.rows = std::move(bad);
}

void find_rows(Divergence& d, EvalStep& eval, const data::Batch& batch) {
  for (const auto& [array, name] :
       {std::pair(&batch.features, "feature"), std::pair(&batch.targets, "target"),
        std::pair(&batch.weights, "weight")}) {
    d.rows = bad_rows(*array, batch.rows, name, d.cause);
    if (!d.rows.empty()) return;
  }
  find_overflow(d, eval, batch);
}

// Where the operation belongs to no layer (the gradient's norm): the first layer or gradient with
// something that is not finite, else the largest gradient's.
std::string layer_by_ranges(const std::vector<ValueRange>& ranges) {
  const ValueRange* found = nullptr;
  const auto size = [](const ValueRange& r) { return std::max(std::abs(r.low), std::abs(r.high)); };
  for (const auto& r : ranges) {
    if (r.bad > 0) {
      found = &r;
      break;
    }
    if (r.kind == "gradient" && (found == nullptr || size(r) > size(*found))) found = &r;
  }
  if (found == nullptr) return {};
  if (found->kind != "gradient") return "layer " + found->name;
  return "layer " + ParameterSeen{.name = found->name}.layer() + ", gradient of " + found->name;
}

// "0" of "layer 0 (linear)".
std::string layer_name(const std::string& place) {
  if (!place.starts_with("layer ")) return {};
  return place.substr(6, place.find_first_of(" ,", 6) - 6);
}

}  // namespace

Divergence examine(TrainStep& step, EvalStep& eval, const data::Batch& batch,
                   const TrainStep::Result& result) {
  Divergence d{.what = fmt::format("the loss is {} and the gradient norm {}", result.loss,
                                   result.gradient_norm)};
  try {
    step.check(batch);
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::diverged) throw;
    d.what = e.message();
    d.layer = e.where();
  }
  if (d.layer.empty()) d.layer = layer_by_ranges(step.ranges(batch));
  find_rows(d, eval, batch);
  return d;
}

Failure explain(const FailingRun& run, const data::Batch& batch, const TrainStep::Result& result) {
  std::vector<std::int64_t> rows;  // of the batch, as rows of the training data
  for (std::int64_t i = 0; i < batch.rows; ++i) {
    rows.push_back(
        run.loader.row_at(batch.cursor.epoch, batch.cursor.batch * run.loader.batch_size() + i));
  }
  const Job& job = run.job;
  const std::int64_t step = run.state.step + 1;
  std::string replay;
  if (!run.directory.empty()) {
    replay = (std::filesystem::path(run.directory) / fmt::format("replay-{}.safetensors", step))
                 .string();
    write_file_atomic(replay, encode_replay(job, run.state, batch, rows));
  }
  const Divergence d = examine(run.step, run.eval, batch, result);
  const auto training = picked(rows, d.rows), file = picked(job.data.train_rows, training);
  std::string what = d.what, remedy;
  if (!d.rows.empty()) {
    what += fmt::format("; the cause is row {} of the training data{}: {}", listed(training),
                        file.empty() ? "" : fmt::format(" ({} of the file, from 0)", listed(file)),
                        d.cause);
    remedy = "mend these rows or leave them out, or set data.normalize = \"standard\"";
  } else {
    remedy = fmt::format(
        "try a smaller learning rate (now {:.3g}), --set optimizer.clip_norm=1, or data.normalize "
        "= \"standard\"",
        job.schedule(run.state.step));
  }
  const std::string where = fmt::format("step {} (epoch {}, batch {})", step,
                                        batch.cursor.epoch + 1, batch.cursor.batch + 1) +
                            (d.layer.empty() ? "" : ", " + d.layer);
  const Words words{
      .layer = layer_name(d.layer),
      .text = fmt::format("{}: {}", where, what),
      .remedy = remedy,
      .evidence = {{"loss", result.loss},
                   {"grad_norm", result.gradient_norm},
                   {"batch", batch.cursor.batch + 1},
                   {"rows", training},
                   {"file_rows", file},
                   {"replay", replay.empty() ? nlohmann::json() : nlohmann::json(replay)}}};
  remedy += run.directory.empty()
                ? "; the last good state is lost (no run directory)"
                : fmt::format(
                      "; the last good state is {}/checkpoints; look at the step again: "
                      "descent replay {}",
                      run.directory, replay);
  return {Error(ErrorKind::diverged, what, where, remedy), words};
}

Words describe_rollback(const Config& config, const TrainState& state, const std::string& why) {
  return {
      .layer = {},
      .text = fmt::format("{}; back to step {} with {:.3g} times the learning rate (rollback {} "
                          "of {})",
                          why, state.good->step, state.rate_factor, state.rollbacks,
                          config.train.integer("max_rollbacks")),
      .remedy = "begin with a learning rate of " +
                rounded_rate(config.optimizer.number("lr") * state.rate_factor),
      .evidence = {{"failed_step", state.step + 1},
                   {"rate_factor", state.rate_factor},
                   {"rollbacks", state.rollbacks}}};
}

std::vector<std::int64_t> picked(const std::vector<std::int64_t>& of,
                                 const std::vector<std::int64_t>& rows) {
  std::vector<std::int64_t> out;
  for (const auto i : rows) {
    if (i < std::ssize(of)) out.push_back(of[static_cast<std::size_t>(i)]);
  }
  return out;
}

std::string listed(const std::vector<std::int64_t>& rows) {
  constexpr std::size_t most = 10;
  if (rows.size() <= most) return fmt::format("{}", fmt::join(rows, ", "));
  return fmt::format("{} and {} more", fmt::join(rows.begin(), rows.begin() + most, ", "),
                     rows.size() - most);
}

}  // namespace descent::train
