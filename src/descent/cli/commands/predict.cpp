// descent predict: one CSV row for each input row. Classifiers: the most probable class and the
// probability of each; regressions: the value of each target; language models: how probable each
// line of a text is. Images have their file before it.
// With --json one object a line.
#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string_view>

#include "descent/base/error.h"
#include "descent/base/file.h"
#include "descent/cli/model_input.h"
#include "descent/cli/registry.h"

namespace descent::cli {
namespace {

struct Arguments {
  std::string run, input, out;
  int threads = 0;
  bool json = false;
};

// A CSV field, in quotes where it needs them.
std::string field(const std::string& text) {
  const bool plain = text.find_first_of(",\"\r\n") == std::string::npos &&
                     (text.empty() || (text.front() != ' ' && text.back() != ' '));
  if (plain) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

std::string header(const data::Transform& transform) {
  std::string out = "prediction";
  if (transform.task() == data::Task::classification) {
    for (const auto& name : transform.class_names()) out += "," + field("p_" + name);
    return out + "\n";
  }
  const auto& targets = transform.target_names();
  if (targets.size() < 2) return out + "\n";
  out.clear();
  for (const auto& name : targets) out += (out.empty() ? "" : ",") + field("prediction_" + name);
  return out + "\n";
}

// The shortest text that reads back as the number, in its own precision.
void append(std::string& out, const Array& values, std::int64_t at) {
  const double x = values.item(at);
  if (values.dtype() == DType::float32) {
    fmt::format_to(std::back_inserter(out), "{}", static_cast<float>(x));
  } else {
    fmt::format_to(std::back_inserter(out), "{}", x);
  }
}

std::size_t most_probable(const Array& values, std::int64_t row, std::int64_t width) {
  std::int64_t best = 0;
  for (std::int64_t k = 1; k < width; ++k) {
    if (values.item(row * width + k) > values.item(row * width + best)) best = k;
  }
  return static_cast<std::size_t>(best);
}

// `files`: a column before the others, where each row is a file of its own.
std::string to_csv(const data::Transform& transform, const Array& values,
                   const std::vector<std::string>& files) {
  const bool classes = transform.task() == data::Task::classification;
  const auto rows = values ? values.shape()[0] : 0;
  const auto width = rows == 0 ? 0 : values.size() / rows;
  std::vector<std::string> names;
  for (const auto& name : transform.class_names()) names.push_back(field(name));
  std::string out = (files.empty() ? "" : "file,") + header(transform);
  for (std::int64_t row = 0; row < rows; ++row) {
    if (!files.empty()) out += field(files[static_cast<std::size_t>(row)]) + ",";
    if (classes) out += names.at(most_probable(values, row, width));
    for (std::int64_t k = 0; k < width; ++k) {
      if (classes || k > 0) out += ',';
      append(out, values, row * width + k);
    }
    out += '\n';
  }
  return out;
}

// {"prediction":"yes","probabilities":{"no":0.25,"yes":0.75}}, {"prediction":1.5}, or with several
// targets {"prediction":{"x":1.5,"y":2}}. Images have their "file" before it.
std::string to_json_lines(const data::Transform& transform, const Array& values,
                          const std::vector<std::string>& files) {
  const bool classes = transform.task() == data::Task::classification;
  const auto& names = classes ? transform.class_names() : transform.target_names();
  const auto rows = values ? values.shape()[0] : 0;
  const auto width = rows == 0 ? 0 : values.size() / rows;
  std::string out;
  for (std::int64_t row = 0; row < rows; ++row) {
    nlohmann::ordered_json line, all;
    if (!files.empty()) line["file"] = files[static_cast<std::size_t>(row)];
    for (std::int64_t k = 0; k < width && k < std::ssize(names); ++k)
      all[names[static_cast<std::size_t>(k)]] = values.item(row * width + k);
    if (classes) {
      line["prediction"] = names.at(most_probable(values, row, width));
      line["probabilities"] = std::move(all);
    } else if (width == 1) {
      line["prediction"] = values.item(row);
    } else {
      line["prediction"] = std::move(all);
    }
    out += line.dump() + "\n";
  }
  return out;
}

// Each line by itself: its tokens but the first, their log-likelihood in nats, and the perplexity
// exp(-log_likelihood / tokens), empty where a line has none.
std::string score_lines(const train::SavedModel& model, const std::string& path, int threads,
                        bool json) {
  std::vector<std::string> lines;
  std::string text = read_unpacked(path);
  if (text.ends_with('\n')) text.pop_back();
  for (std::size_t begin = 0; begin <= text.size();) {
    const auto end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    if (lines.back().ends_with('\r')) lines.back().pop_back();
    begin = end + 1;
  }
  std::string out = json ? "" : "tokens,log_likelihood,perplexity\n";
  for (const auto& score : train::Predictor(model, threads).score(lines)) {
    const auto n = static_cast<double>(score.predicted);
    const double perplexity = std::exp(-score.log_likelihood / n);
    if (json) {
      nlohmann::ordered_json line = {{"tokens", score.predicted},
                                     {"log_likelihood", score.log_likelihood},
                                     {"perplexity", nullptr}};
      if (score.predicted > 0) line["perplexity"] = perplexity;
      out += line.dump() + "\n";
      continue;
    }
    out += fmt::format("{},{:.6g},", score.predicted, score.log_likelihood);
    if (score.predicted > 0) out += fmt::format("{:.6g}", perplexity);
    out += '\n';
  }
  return out;
}

std::string predictions(const train::SavedModel& model, const Arguments& a) {
  if (model.transform.task() == data::Task::language) {
    return score_lines(model, a.input == "-" ? "/dev/stdin" : a.input, a.threads, a.json);
  }
  const auto input = rows_of_file(model, a.input, /*need_target=*/false, /*strict=*/true);
  Array values;  // none for an input without rows
  if (input.rows.rows() > 0) values = train::Predictor(model, a.threads).predict(input.rows);
  return a.json ? to_json_lines(model.transform, values, input.files)
                : to_csv(model.transform, values, input.files);
}

int run(const Arguments& a) {
  const auto model = train::SavedModel::load(a.run);
  const auto text = predictions(model, a);
  if (a.out.empty() || a.out == "-") {
    std::fwrite(text.data(), 1, text.size(), stdout);
  } else {
    write_file_atomic(a.out, text);
  }
  return 0;
}

void describe(CLI::App& command, Arguments& a) {
  command.add_option("RUN_DIR", a.run, "Run directory, or its model.json")->required();
  command.add_option("INPUT", a.input, "File with the model's columns; - for standard input")
      ->required();
  command.add_option("--out", a.out, "File to write [standard output]")->type_name("FILE");
  add_threads(command, a.threads, "Threads [all processors]");
  command.add_flag("--json", a.json, "One JSON object a line instead of CSV");
}

}  // namespace

void register_predict(Commands& commands) {
  commands.add<Arguments>("predict", "Apply a trained model to new rows", describe, run);
}

}  // namespace descent::cli
