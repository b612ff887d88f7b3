// Transform: its questions, and its form as JSON.
#include <fmt/format.h>

#include "descent/base/error.h"
#include "descent/data/block_layout.h"
#include "descent/data/pipeline.h"

namespace descent::data {
namespace {

using Json = nlohmann::json;

Json column_to_json(const FittedColumn& column) {
  if (column.kind == Column::Kind::numeric) {
    return {{"name", column.name},
            {"kind", "numeric"},
            {"fill", column.fill},
            {"shift", column.shift},
            {"scale", column.scale}};
  }
  return {{"name", column.name},
          {"kind", "text"},
          {"categories", column.categories},
          {"missing_category", column.missing_category}};
}

FittedColumn column_from_json(const Json& json) {
  FittedColumn column{.name = json.at("name").get<std::string>()};
  const auto kind = json.at("kind").get<std::string>();
  if (kind == "numeric") {
    column.fill = json.at("fill").get<double>();
    column.shift = json.at("shift").get<double>();
    column.scale = json.at("scale").get<double>();
  } else if (kind == "text") {
    column.kind = Column::Kind::text;
    column.categories = json.at("categories").get<std::vector<std::string>>();
    column.missing_category = json.at("missing_category").get<bool>();
  } else {
    throw Error(ErrorKind::data, fmt::format("column kind \"{}\", expected numeric or text", kind));
  }
  return column;
}

Json block_to_json(const FittedBlock& block) {
  return {{"shape", block.shape.dims()}, {"uint8", block.keep_uint8}, {"sparse", block.sparse},
          {"fill", block.fill},          {"shift", block.shift},      {"scale", block.scale}};
}

FittedBlock block_from_json(const Json& json) {
  FittedBlock block;
  block.present = true;
  block.shape = Shape(json.at("shape").get<std::vector<std::int64_t>>());
  block.keep_uint8 = json.at("uint8").get<bool>();
  block.sparse = json.at("sparse").get<bool>();
  block.fill = json.at("fill").get<std::vector<double>>();
  block.shift = json.at("shift").get<std::vector<double>>();
  block.scale = json.at("scale").get<std::vector<double>>();
  for (const auto extent : block.shape) {
    if (extent < 0) throw Error(ErrorKind::data, "the block has a negative extent");
  }
  const auto channels =
      static_cast<std::size_t>(BlockLayout(block.shape, block.keep_uint8).channels);
  if (block.fill.size() != channels || block.shift.size() != channels ||
      block.scale.size() != channels) {
    throw Error(ErrorKind::data, fmt::format("the block needs {} shifts and scales", channels));
  }
  return block;
}

Json text_to_json(const FittedText& text) {
  return {{"column", text.column},
          {"context", text.context},
          {"stride", text.stride},
          {"tokenizer", tokenizer_to_json(*text.tokenizer)}};
}

FittedText text_from_json(const Json& json) {
  FittedText text{.column = json.at("column").get<std::string>(),
                  .context = json.at("context").get<std::int64_t>(),
                  .stride = json.at("stride").get<std::int64_t>(),
                  .tokenizer = tokenizer_from_json(json.at("tokenizer"))};
  if (text.context < 1 || text.stride < 1) {
    throw Error(ErrorKind::data, "context and stride are at least 1");
  }
  return text;
}

Task task_from(const std::string& name) {
  for (const auto task : {Task::regression, Task::classification, Task::language}) {
    if (name == name_of(task)) return task;
  }
  throw Error(ErrorKind::data, fmt::format("no task is called \"{}\"", name));
}

}  // namespace

std::int64_t FittedColumn::width() const {
  if (kind == Column::Kind::numeric) return 1;
  return static_cast<std::int64_t>(categories.size()) + (missing_category ? 1 : 0);
}

std::int64_t Transform::outputs() const {
  if (task_ == Task::language) return vocabulary();
  return task_ == Task::classification ? classes()
                                       : static_cast<std::int64_t>(target_names_.size());
}

std::int64_t Transform::vocabulary() const {
  if (!has_tokens()) return 0;
  return text_.tokenizer->vocabulary() + (task_ == Task::language ? 0 : 1);
}

Shape Transform::sample_shape() const {
  if (has_tokens()) return {text_.context};
  if (block_.present) return block_.shape;
  std::int64_t width = 0;
  for (const auto& column : columns_) width += column.width();
  return {width};
}

std::vector<std::string> Transform::feature_names() const {
  std::vector<std::string> names;
  for (const auto& column : columns_) {
    if (column.kind == Column::Kind::numeric) {
      names.push_back(column.name);
      continue;
    }
    for (const auto& category : column.categories) names.push_back(column.name + "=" + category);
    if (column.missing_category) names.push_back(column.name + " missing");
  }
  return names;
}

void Transform::restore_targets(Array& values) const {
  if (task_ != Task::regression) return;
  const auto outputs = static_cast<std::int64_t>(target_mean_.size());
  for (std::int64_t i = 0; i < values.size(); ++i) {
    const auto k = static_cast<std::size_t>(i % outputs);
    values.set_item(i, values.item(i) * target_scale_[k] + target_mean_[k]);
  }
}

nlohmann::json Transform::to_json() const {
  Json json = {{"format", "descent.transform"},
               {"version", 1},
               {"task", name_of(task_)},
               {"target", {{"columns", target_names_}}},
               {"table", {{"columns", all_names_}, {"names_generated", names_generated_}}}};
  if (task_ == Task::classification) {
    json["target"]["classes"] = class_names_;
  } else if (task_ == Task::regression) {
    json["target"]["mean"] = target_mean_;
    json["target"]["scale"] = target_scale_;
  }
  if (!weights_name_.empty()) json["weights"] = weights_name_;
  if (block_.present) json["block"] = block_to_json(block_);
  if (has_tokens()) json["text"] = text_to_json(text_);
  json["columns"] = Json::array();
  for (const auto& column : columns_) json["columns"].push_back(column_to_json(column));
  return json;
}

Transform Transform::from_json(const nlohmann::json& json) {
  try {
    if (json.at("format") != "descent.transform" || json.at("version") != 1) {
      throw Error(ErrorKind::data, "expected \"descent.transform\", version 1");
    }
    Transform t;
    t.task_ = task_from(json.at("task").get<std::string>());
    const Json& target = json.at("target");
    t.target_names_ = target.at("columns").get<std::vector<std::string>>();
    if (t.task_ == Task::classification) {
      t.class_names_ = target.at("classes").get<std::vector<std::string>>();
    } else if (t.task_ == Task::regression) {
      t.target_mean_ = target.at("mean").get<std::vector<double>>();
      t.target_scale_ = target.at("scale").get<std::vector<double>>();
      if (t.target_mean_.size() != t.target_names_.size() ||
          t.target_scale_.size() != t.target_names_.size()) {
        throw Error(ErrorKind::data, "the target needs a mean and a scale per column");
      }
    }
    if (t.target_names_.empty() != (t.task_ == Task::language)) {
      throw Error(ErrorKind::data, "there is no target");
    }
    const Json& table = json.at("table");
    t.all_names_ = table.at("columns").get<std::vector<std::string>>();
    t.names_generated_ = table.at("names_generated").get<bool>();
    if (json.contains("weights")) t.weights_name_ = json.at("weights").get<std::string>();
    if (json.contains("block")) t.block_ = block_from_json(json.at("block"));
    if (json.contains("text")) t.text_ = text_from_json(json.at("text"));
    if (t.task_ == Task::language && !t.has_tokens()) {
      throw Error(ErrorKind::data, "there is no tokenizer");
    }
    for (const auto& column : json.at("columns")) t.columns_.push_back(column_from_json(column));
    return t;
  } catch (const Json::exception& e) {
    throw Error(ErrorKind::data, fmt::format("damaged description of the data ({})", e.what()),
                "transform");
  } catch (const Error& e) {
    throw e.at("transform");
  }
}

}  // namespace descent::data
