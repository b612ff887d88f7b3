#include "descent/cli/model_input.h"

#include <fmt/format.h>

#include <utility>

#include "descent/base/error.h"
#include "descent/cli/text.h"
#include "descent/track/terminal.h"

namespace descent::cli {
namespace {

void warn(const std::vector<std::string>& warnings) {
  track::TerminalSink terminal;
  for (const auto& text : warnings) terminal.message(track::Level::warning, "warning", text);
}

std::string rows_text(const data::Dataset& rows) {
  if (!rows.stream) return grouped(rows.rows()) + " rows";
  return fmt::format("{} tokens in {} windows of {}", grouped(rows.stream.size()),
                     grouped(rows.rows()), rows.context);
}

// The run's file as it is today gives the tokens that the model knows.
void check_tokenizer(const train::SavedModel& model, const data::Transform& now,
                     const std::string& path) {
  if (!model.transform.has_tokens() || !now.has_tokens()) return;
  const auto changed =
      difference(*model.transform.text().tokenizer, "the model", *now.text().tokenizer, "the data");
  if (changed.empty()) return;
  throw Error(ErrorKind::data, "the data are not those of the training: " + changed, path,
              "measure on a file with --data, which is read with the model's own tokenizer");
}

}  // namespace

ModelInput rows_of_file(const train::SavedModel& model, const std::string& path, bool need_target,
                        bool strict) {
  Options options = model.config.data;
  if (strict) options.set("strict", true);
  auto loaded =
      data::load_for(model.transform, path == "-" ? "/dev/stdin" : path, need_target, options);
  warn(loaded.warnings);
  auto description =
      fmt::format("{}, {}", path == "-" ? "standard input" : path, rows_text(loaded.data));
  return {std::move(loaded.data), std::move(description), std::move(loaded.files)};
}

ModelInput rows_of_run(const train::SavedModel& model, const std::string& part) {
  const auto& path = model.config.data.text("path");
  auto splits = data::load(model.config.data, static_cast<std::uint64_t>(model.config.seed));
  check_tokenizer(model, splits.transform, path);
  const std::pair<const char*, data::Dataset*> parts[] = {
      {"test", &splits.test}, {"valid", &splits.valid}, {"train", &splits.train}};
  for (const auto& [name, rows] : parts) {
    const bool asked = part == name;
    if (!asked && !(part.empty() && rows->rows() > 0 && rows != &splits.train)) continue;
    if (rows->rows() == 0) {
      throw Error(ErrorKind::usage, fmt::format("the run kept no {} rows", name), path,
                  "choose another --split, or name a file with --data");
    }
    auto description = fmt::format("{} split of {}, {}", name, path, rows_text(*rows));
    return {std::move(*rows), std::move(description)};
  }
  throw Error(ErrorKind::usage, "the run kept no rows apart for evaluation", path,
              "name a file with --data, or measure on the training rows with --split train");
}

}  // namespace descent::cli
