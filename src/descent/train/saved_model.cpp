#include "descent/train/saved_model.h"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>

#include "descent/base/error.h"
#include "descent/base/file.h"
#include "descent/io/safetensors.h"
#include "descent/ops/ops.h"
#include "descent/train/evaluate.h"
#include "descent/train/job.h"

namespace descent::train {
namespace fs = std::filesystem;
namespace {

constexpr const char* kFormat = "descent model 1";

fs::path json_path(const std::string& path) {
  fs::path p(path);
  if (fs::is_directory(p)) return p / "model.json";
  if (p.extension() == ".safetensors") return p.replace_extension(".json");
  return p;
}

// The variables in the model's order, checked against what it asks for.
nn::Tree take_variables(const io::TensorFile& file, const std::vector<nn::Variable>& wanted,
                        const std::string& where) {
  nn::Tree tree;
  for (const auto& v : wanted) {
    const Array& a = file.at(v.name, where);
    if (!(a.shape() == v.type.shape)) {
      throw Error(ErrorKind::data,
                  fmt::format("\"{}\" has shape {}, the model wants {}", v.name,
                              to_string(a.shape()), to_string(v.type.shape)),
                  where, "model.json and model.safetensors belong to different runs");
    }
    tree.emplace_back(v.name, a.dtype() == v.type.dtype ? a : a.cast(v.type.dtype));
  }
  return tree;
}

}  // namespace

std::string model_tensors(const std::string& path) {
  fs::path file(path);
  if (fs::is_directory(file)) file /= "model.safetensors";
  if (file.extension() == ".json") file.replace_extension(".safetensors");
  if (fs::exists(file)) return file.string();
  throw Error(ErrorKind::data, fmt::format("there is no model at {}", path), file.string(),
              "give a .safetensors file or the directory of a run that has ended");
}

void SavedModel::save(const std::string& directory) const {
  io::TensorFile file;
  file.tensors = variables;
  file.metadata["format"] = kFormat;
  io::save_safetensors((fs::path(directory) / "model.safetensors").string(), file);
  const nlohmann::json json = {
      {"format", kFormat}, {"config", to_json(config)}, {"transform", transform.to_json()}};
  write_file_atomic((fs::path(directory) / "model.json").string(), json.dump(1) + "\n");
}

SavedModel SavedModel::load(const std::string& path) {
  const fs::path description = json_path(path);
  const std::string where = description.string();
  if (!fs::exists(description)) {
    throw Error(ErrorKind::data, fmt::format("there is no model at {}", path), where,
                "give a run directory (with model.json), or let the training end: an interrupted "
                "run goes on with `descent train --resume`");
  }
  nlohmann::json json;
  try {
    json = nlohmann::json::parse(read_file(where));
  } catch (const nlohmann::json::exception& e) {
    throw Error(ErrorKind::data, fmt::format("not JSON ({})", e.what()), where);
  }
  if (!json.is_object() || json.value("format", "") != kFormat || !json.contains("config") ||
      !json.contains("transform")) {
    throw Error(ErrorKind::data,
                fmt::format("not a model description (its format is not \"{}\")", kFormat), where);
  }
  SavedModel m;
  m.config = config_from_json(json.at("config"));
  m.transform = data::Transform::from_json(json.at("transform"));
  m.model = build_model(m.config, m.transform);
  const auto wanted = nn::describe(m.model, one_row(m.transform, m.config), dtype_of(m.config));
  const std::string tensors = (description.parent_path() / "model.safetensors").string();
  m.variables = take_variables(io::load_safetensors(tensors), wanted, tensors);
  return m;
}

namespace {

std::vector<data::Token> encoded(const data::Tokenizer& tokenizer, const std::string& text,
                                 std::size_t number) {
  try {
    return tokenizer.encode(text);
  } catch (const Error& e) {
    throw e.at(fmt::format("text {}", number + 1));
  }
}

}  // namespace

struct Predictor::Impl {
  const SavedModel& saved;
  nn::Loss loss;
  std::vector<nn::Variable> variables;
  nn::Tree parameters, buffers;
  DType dtype;
  StepOptions options;
  std::unique_ptr<EvalStep> step;

  Impl(const SavedModel& m, int threads)
      : saved(m),
        loss(build_loss(m.config)),
        variables(nn::describe(m.model, one_row(m.transform, m.config), dtype_of(m.config))),
        dtype(dtype_of(m.config)) {
    for (std::size_t i = 0; i < variables.size(); ++i)
      (variables[i].trained ? parameters : buffers).push_back(m.variables.at(i));
    options.shards = std::max(1, static_cast<int>(m.config.train.integer("shards")));
    options.pool = std::make_shared<ThreadPool>(
        std::min(threads > 0 ? threads : processors(), options.shards));
    options.dtype = dtype;
    options.mixed = m.config.train.text("precision") == "bf16";
    use(summary_for(m.transform));
  }
  // What evaluation keeps of the model's output.
  void use(const EvalStep::Summary& summary) {
    step = std::make_unique<EvalStep>(saved.model, loss, variables, parameters, buffers, options,
                                      summary);
  }
};

Predictor::Predictor(const SavedModel& model, int threads)
    : impl_(std::make_unique<Impl>(model, threads)) {}
Predictor::~Predictor() = default;

Array Predictor::outputs(const data::Dataset& rows) {
  if (impl_->saved.transform.task() == data::Task::language) {
    throw Error(ErrorKind::usage, "a language model has no single output a row", {},
                "score texts with it, or generate some");
  }
  data::Dataset without = rows;
  without.targets = {};
  without.weights = {};
  return evaluate_rows(*impl_->step, without, impl_->saved.transform, impl_->dtype).outputs;
}

Array Predictor::predict(const data::Dataset& rows) {
  Array y = outputs(rows).cast(DType::float64);
  const auto& transform = impl_->saved.transform;
  if (transform.task() != data::Task::classification) {
    transform.restore_targets(y);
    return y;
  }
  const std::int64_t n = y.shape()[0], k = y.size() / std::max<std::int64_t>(n, 1);
  Array p(DType::float64, {n, std::max<std::int64_t>(k, 2)});
  for (std::int64_t i = 0; i < n; ++i) {
    if (k == 1) {  // one logit: the log-odds of class 1
      const double one = 1 / (1 + std::exp(-y.item(i)));
      p.set_item(2 * i, 1 - one);
      p.set_item(2 * i + 1, one);
      continue;
    }
    double largest = y.item(i * k), sum = 0;
    for (std::int64_t c = 1; c < k; ++c) largest = std::max(largest, y.item(i * k + c));
    for (std::int64_t c = 0; c < k; ++c) sum += std::exp(y.item(i * k + c) - largest);
    for (std::int64_t c = 0; c < k; ++c)
      p.set_item(i * k + c, std::exp(y.item(i * k + c) - largest) / sum);
  }
  return p;
}

std::vector<TextScore> Predictor::score(const std::vector<std::string>& texts) {
  const auto& how = impl_->saved.transform.text();
  if (impl_->saved.transform.task() != data::Task::language) {
    throw Error(ErrorKind::usage, "the model is no language model");
  }
  impl_->use(
      [](const Value& logits, const Value& next) { return softmax_cross_entropy(logits, next); });
  // All windows of all texts, and how many positions of each count.
  std::vector<TextScore> scores(texts.size());
  std::vector<std::int64_t> tokens, next, counts;
  std::vector<std::size_t> owner;
  for (std::size_t k = 0; k < texts.size(); ++k) {
    const auto all = encoded(*how.tokenizer, texts[k], k);
    const auto last = static_cast<std::int64_t>(all.size()) - 1;
    for (std::int64_t begin = 0; begin < last; begin += how.context) {
      counts.push_back(std::min(how.context, last - begin));
      owner.push_back(k);
      for (std::int64_t i = 0; i < how.context; ++i) {  // what lies behind changes nothing before
        const auto at = static_cast<std::size_t>(std::min(begin + i, last - 1));
        tokens.push_back(all[at]);
        next.push_back(all[at + 1]);
      }
    }
  }
  const Shape shape{static_cast<std::int64_t>(counts.size()), how.context};
  const data::Dataset windows{.features = Array::from(tokens, shape),
                              .targets = Array::from(next, shape)};
  const Array losses =
      evaluate_rows(*impl_->step, windows, impl_->saved.transform, impl_->dtype).outputs;
  for (std::size_t w = 0; w < counts.size(); ++w) {
    auto& score = scores[owner[w]];
    score.predicted += counts[w];
    for (std::int64_t i = 0; i < counts[w]; ++i) {
      score.log_likelihood -= losses.item(static_cast<std::int64_t>(w) * how.context + i);
    }
  }
  return scores;
}

Metrics evaluate(const SavedModel& model, const data::Dataset& rows, int threads) {
  Predictor::Impl impl(model, threads);
  return evaluate_rows(*impl.step, rows, model.transform, impl.dtype).metrics;
}

}  // namespace descent::train
