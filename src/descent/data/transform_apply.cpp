// Transform::apply: a table's rows as features, targets and weights.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <numeric>

#include "descent/base/error.h"
#include "descent/data/block_layout.h"
#include "descent/data/pipeline.h"
#include "descent/data/target.h"
#include "descent/data/text.h"

namespace descent::data {

class TransformApplier {
 public:
  TransformApplier(const Transform& transform, const Table& table,
                   std::span<const std::int64_t> rows, std::vector<std::string>* warnings)
      : t_(transform), table_(table), rows_(rows), warnings_(warnings) {
    name_columns();
  }

  Dataset apply(bool need_target) {
    Dataset out;
    if (t_.block_.present) {
      apply_block(out);
    } else if (t_.has_tokens()) {
      apply_text(out);
    } else {
      apply_columns(out);
    }
    if (need_target || has_targets()) apply_targets(out, need_target);
    if (!t_.weights_name_.empty()) apply_weights(out, need_target);
    return out;
  }

 private:
  std::size_t count() const { return rows_.size(); }
  std::int64_t rows() const { return static_cast<std::int64_t>(rows_.size()); }
  void warn(std::string text) {
    if (warnings_ != nullptr) warnings_->push_back(std::move(text));
  }
  std::string line(std::int64_t row) const {
    return fmt::format("{}:{}", table_.where, table_.line_of(row));
  }

  // ---- columns by name ----

  void name_columns() {
    const auto is_target = [&](const std::string& name) {
      return std::ranges::find(t_.target_names_, name) != t_.target_names_.end();
    };
    // Without headers columns count from c0: a file that lacks the targets alone counts on past
    // their places.
    const auto targets = t_.target_names_.size();
    const bool lacks_targets = t_.names_generated_ && table_.names_generated &&
                               table_.columns.size() + targets == t_.all_names_.size();
    // The columns of a block are its labels, whatever their file calls them.
    const bool labels = t_.block_.present && table_.columns.size() == targets;
    std::size_t c = 0;
    for (const auto& column : table_.columns) {
      std::string name = labels ? t_.target_names_[named_.size()] : column.name;
      if (lacks_targets) {
        while (is_target(t_.all_names_[c])) ++c;
        name = t_.all_names_[c++];
      }
      named_.emplace(name, &column);
    }
  }

  const Column* find(const std::string& name) const {
    const auto it = named_.find(name);
    return it == named_.end() ? nullptr : it->second;
  }

  const Column& at(const std::string& name) const {
    if (const Column* column = find(name)) return *column;
    std::string remedy;
    if (t_.names_generated_ != table_.names_generated) {
      remedy = t_.names_generated_ ? "the training file had no header line: set data.header = false"
                                   : "the training file had a header line, this one has none";
    } else {
      std::vector<std::string> names;
      for (const auto& [key, column] : named_) names.push_back(key);
      remedy = names.empty() ? "the file has no named columns" : did_you_mean(name, names);
    }
    throw Error(ErrorKind::data, fmt::format("column \"{}\" is missing", name), table_.where,
                remedy);
  }

  void check_all_there() const {
    std::string missing;
    int n = 0;
    for (const auto& fitted : t_.columns_) {
      if (find(fitted.name) != nullptr) continue;
      if (++n <= 5) missing += (missing.empty() ? "\"" : ", \"") + fitted.name + "\"";
    }
    if (n < 2) return;  // at() words a single one
    throw Error(ErrorKind::data,
                fmt::format("{} columns are missing: {}{}", n, missing, n > 5 ? ", ..." : ""),
                table_.where,
                t_.names_generated_ != table_.names_generated
                    ? "one of this file and the training file has a header line, the other not"
                    : "the file must have the columns that the model was trained on");
  }

  // ---- features from columns ----

  void apply_columns(Dataset& out) {
    if (table_.block && named_.empty()) {
      throw Error(ErrorKind::data, "the file has no named columns, the model was trained on some",
                  table_.where);
    }
    check_all_there();
    std::int64_t width = 0;
    for (const auto& fitted : t_.columns_) width += fitted.width();
    out.features = Array(DType::float32, {rows(), width});
    float* to = out.features.as<float>().data();
    for (const auto& fitted : t_.columns_) {
      const Column& column = at(fitted.name);
      if (fitted.kind == Column::Kind::numeric) {
        write_numbers(fitted, column, to, width);
      } else {
        write_categories(fitted, column, to, width);
      }
      to += fitted.width();
    }
  }

  // The column's numbers; a text column is read as numbers where all its texts are.
  std::vector<double> numbers_of(const Column& column) const {
    if (column.kind == Column::Kind::numeric) return column.numbers;
    std::vector<double> values(column.codes.size(), std::nan(""));
    for (const auto row : rows_) {
      const auto code = column.codes[static_cast<std::size_t>(row)];
      if (code < 0) continue;
      const auto& text = column.dictionary[static_cast<std::size_t>(code)];
      if (!parse_number(text, values[static_cast<std::size_t>(row)])) {
        throw Error(ErrorKind::data,
                    fmt::format("expected a number in column \"{}\", found {}", column.name,
                                printable(text)),
                    line(row), "the training file had numbers there");
      }
    }
    return values;
  }

  void write_numbers(const FittedColumn& fitted, const Column& column, float* to,
                     std::int64_t width) const {
    std::vector<double> converted;
    if (column.kind == Column::Kind::text) converted = numbers_of(column);
    const auto& values = column.kind == Column::Kind::text ? converted : column.numbers;
    for (const auto row : rows_) {
      const double given = values[static_cast<std::size_t>(row)];
      const double x = std::isnan(given) ? fitted.fill : given;
      *to = static_cast<float>((x - fitted.shift) * fitted.scale);
      if (!std::isfinite(*to)) {
        throw Error(ErrorKind::data,
                    fmt::format("column \"{}\": {} is too large for float32", column.name, given),
                    line(row));
      }
      to += width;
    }
  }

  void write_categories(const FittedColumn& fitted, const Column& column, float* to,
                        std::int64_t width) {
    std::map<std::string, std::int64_t> places;
    for (const auto& category : fitted.categories) {
      places.emplace(category, static_cast<std::int64_t>(places.size()));
    }
    const auto place_of = [&](const std::string& text) {
      const auto it = places.find(text);
      return it == places.end() ? -1 : it->second;
    };
    std::vector<std::int64_t> by_code;
    for (const auto& text : column.dictionary) by_code.push_back(place_of(text));
    const std::int64_t gap = fitted.missing_category ? fitted.width() - 1 : -1;
    std::int64_t unseen = 0;
    std::string example;
    for (const auto row : rows_) {
      const auto i = static_cast<std::size_t>(row);
      std::int64_t place = gap;
      if (!cell_missing(column, row)) {
        const bool text = column.kind == Column::Kind::text;
        place = text ? by_code[static_cast<std::size_t>(column.codes[i])]
                     : place_of(format_number(column.numbers[i]));
        if (place < 0 && unseen++ == 0) {
          example = text ? column.dictionary[static_cast<std::size_t>(column.codes[i])]
                         : format_number(column.numbers[i]);
        }
      }
      if (place >= 0) to[place] = 1;
      to += width;
    }
    if (unseen > 0) {
      warn(
          fmt::format("column \"{}\": {} with a category that the training rows never had, e.g. {}",
                      fitted.name, counted(unseen, "row"), printable(example)));
    }
  }

  // ---- tokens ----

  void apply_text(Dataset& out) {
    const Column& column = at(t_.text_.column);
    const auto context = t_.text_.context;
    out.features = Array(DType::int64, {rows(), context});  // 0: padding
    auto* to = out.features.as<std::int64_t>().data();
    std::int64_t unknown = 0, cut = 0;
    for (const auto row : rows_) {
      const auto tokens = t_.text_.tokenizer->encode(text_of(column, row), &unknown);
      cut += static_cast<std::int64_t>(tokens.size()) > context;
      const auto n = std::min(static_cast<std::int64_t>(tokens.size()), context);
      for (std::int64_t i = 0; i < n; ++i)
        to[i] = std::int64_t{1} + tokens[static_cast<std::size_t>(i)];
      to += context;
    }
    if (cut > 0) {
      warn(fmt::format("column \"{}\": {} cut to {} tokens (data.context)", column.name,
                       counted(cut, "text"), context));
    }
    if (unknown > 0) {
      warn(fmt::format("column \"{}\": {} that the training texts never had left out", column.name,
                       counted(unknown, "character")));
    }
  }

  static std::string text_of(const Column& column, std::int64_t row) {
    if (cell_missing(column, row)) return {};
    const auto i = static_cast<std::size_t>(row);
    return column.kind == Column::Kind::text
               ? column.dictionary[static_cast<std::size_t>(column.codes[i])]
               : format_number(column.numbers[i]);
  }

  // ---- features from blocks ----

  void apply_block(Dataset& out) {
    const FittedBlock& fitted = t_.block_;
    if (!table_.block) {
      throw Error(ErrorKind::data,
                  fmt::format("expected an array with rows of {}, found a table of columns",
                              to_string(fitted.shape)),
                  table_.where, "give a file of the format that the model was trained on");
    }
    const Shape given = sample_shape_of(table_.block);
    if (given != fitted.shape && !(fitted.sparse && given.rank() == 1)) {
      throw Error(ErrorKind::data,
                  fmt::format("rows of shape {}, expected {} as in training", to_string(given),
                              to_string(fitted.shape)),
                  table_.where);
    }
    if (fitted.keep_uint8 && table_.block.dtype() == DType::uint8) {
      gather_bytes(out);
    } else {
      dispatch(table_.block.dtype(), [&](auto t) { scale_elements<decltype(t)>(out, given); });
    }
  }

  Shape out_shape() const {
    std::vector<std::int64_t> dims = {rows()};
    dims.insert(dims.end(), t_.block_.shape.begin(), t_.block_.shape.end());
    return Shape(std::move(dims));
  }

  // Stays uint8; the loader scales.
  void gather_bytes(Dataset& out) const {
    out.features = Array(DType::uint8, out_shape());
    const auto size = static_cast<std::size_t>(t_.block_.shape.size());
    std::byte* to = out.features.raw();
    for (const auto row : rows_) {
      std::memcpy(to, table_.block.raw() + static_cast<std::size_t>(row) * size, size);
      to += size;
    }
    out.shift.assign(t_.block_.shift.begin(), t_.block_.shift.end());
    out.scale.assign(t_.block_.scale.begin(), t_.block_.scale.end());
  }

  template <class T>
  void scale_elements(Dataset& out, const Shape& given) {
    const FittedBlock& fitted = t_.block_;
    const BlockLayout layout(fitted.shape, fitted.keep_uint8);
    out.features = Array(DType::float32, out_shape());
    float* to = out.features.template as<float>().data();
    const auto* from = reinterpret_cast<const T*>(table_.block.raw());
    const std::int64_t width = layout.size(), there = given.size();
    std::int64_t beyond = 0;  // non-zero elements of columns that training did not have
    for (const auto row : rows_) {
      const T* sample = from + row * there;
      std::int64_t j = 0;
      for (std::size_t c = 0; c < fitted.shift.size(); ++c) {
        for (std::int64_t i = 0; i < layout.inner; ++i, ++j) {
          const double x = j < there ? value_of(sample[j]) : 0;
          const double filled = std::isnan(x) ? fitted.fill[c] : x;
          to[j] = static_cast<float>((filled - fitted.shift[c]) * fitted.scale[c]);
          if (!std::isfinite(to[j])) fail_large(row, x);
        }
      }
      for (; j < there; ++j) beyond += value_of(sample[j]) != 0;
      to += width;
    }
    if (beyond > 0) {
      warn(fmt::format("{} beyond the {} columns of the training rows left out",
                       counted(beyond, "value"), with_commas(width)));
    }
  }
  template <class T>
  static double value_of(T x) {
    if constexpr (std::is_same_v<T, bfloat16>)
      return static_cast<float>(x);
    else
      return static_cast<double>(x);
  }
  [[noreturn]] void fail_large(std::int64_t row, double x) const {
    throw Error(ErrorKind::data, fmt::format("{} is infinite or too large for float32", x),
                line(row));
  }

  // ---- targets and weights ----

  // Whether every row has every target, so that they can be given without being asked for.
  bool has_targets() const {
    for (const auto& name : t_.target_names_) {
      const Column* column = find(name);
      if (column == nullptr) return false;
      for (const auto row : rows_) {
        if (cell_missing(*column, row)) return false;
      }
    }
    return true;
  }

  void apply_targets(Dataset& out, bool need) {
    if (t_.task_ == Task::classification) {
      apply_classes(out, need);
    } else {
      apply_numbers(out, need);
    }
  }

  void apply_numbers(Dataset& out, bool need) const {
    const auto outputs = static_cast<std::int64_t>(t_.target_names_.size());
    Array targets(DType::float32, {rows(), outputs});
    const auto to = targets.as<float>();
    for (std::size_t k = 0; k < t_.target_names_.size(); ++k) {
      const Column& column = at(t_.target_names_[k]);
      if (!need && column.kind == Column::Kind::text) return;
      const auto values = numbers_of(column);
      for (std::size_t i = 0; i < count(); ++i) {
        const double x = values[static_cast<std::size_t>(rows_[i])];
        const double scaled = (x - t_.target_mean_[k]) / t_.target_scale_[k];
        if (need && !std::isfinite(scaled)) fail_target(column, rows_[i]);
        to[i * t_.target_names_.size() + k] = static_cast<float>(scaled);
      }
    }
    out.targets = std::move(targets);
  }

  [[noreturn]] void fail_target(const Column& column, std::int64_t row) const {
    throw Error(ErrorKind::data, fmt::format("target \"{}\" is missing", column.name), line(row),
                "fill it in or leave the row out");
  }

  // The class of a text, or -1. A full stop behind it is forgiven (adult.test writes "<=50K."),
  // numbers are compared by value.
  std::int64_t class_of(const std::string& text, bool& stripped) const {
    const auto look = [&](const std::string& name) -> std::int64_t {
      const auto it = std::ranges::find(t_.class_names_, name);
      return it == t_.class_names_.end() ? -1 : it - t_.class_names_.begin();
    };
    std::int64_t k = look(text);
    double x;
    if (k < 0 && parse_number(text, x)) k = look(format_number(x));
    if (k < 0 && text.ends_with('.')) {
      k = look(text.substr(0, text.size() - 1));
      stripped |= k >= 0;
    }
    return k;
  }

  void apply_classes(Dataset& out, bool need) {
    const Column& column = at(t_.target_names_.front());
    const bool text = column.kind == Column::Kind::text;
    bool stripped = false;
    std::vector<std::int64_t> by_code;
    for (const auto& name : column.dictionary) by_code.push_back(class_of(name, stripped));
    std::map<double, std::int64_t> by_value;
    Array targets(DType::int64, {rows()});
    const auto to = targets.as<std::int64_t>();
    for (std::size_t i = 0; i < count(); ++i) {
      const auto row = static_cast<std::size_t>(rows_[i]);
      if (cell_missing(column, rows_[i])) fail_target(column, rows_[i]);
      if (text) {
        to[i] = by_code[static_cast<std::size_t>(column.codes[row])];
      } else {
        const auto [it, fresh] = by_value.try_emplace(column.numbers[row], -1);
        if (fresh) it->second = class_of(format_number(column.numbers[row]), stripped);
        to[i] = it->second;
      }
      if (to[i] >= 0) continue;
      if (!need) return;
      const std::string found = text
                                    ? column.dictionary[static_cast<std::size_t>(column.codes[row])]
                                    : format_number(column.numbers[row]);
      throw Error(ErrorKind::data,
                  fmt::format("class {} of target \"{}\" is not one of the model's",
                              printable(found), column.name),
                  line(rows_[i]), did_you_mean(found, t_.class_names_));
    }
    if (stripped) {
      warn(fmt::format("target \"{}\": classes are written with a full stop, which is ignored",
                       column.name));
    }
    out.targets = std::move(targets);
  }

  void apply_weights(Dataset& out, bool need) const {
    if (!need && find(t_.weights_name_) == nullptr) return;
    const auto values = numbers_of(at(t_.weights_name_));
    out.weights = Array(DType::float32, {rows()});
    const auto to = out.weights.as<float>();
    for (std::size_t i = 0; i < count(); ++i) {
      const double x = values[static_cast<std::size_t>(rows_[i])];
      to[i] = static_cast<float>(x);
      if (!(x >= 0) || !std::isfinite(to[i])) {
        throw Error(ErrorKind::data,
                    fmt::format("weight \"{}\" is {}, expected a number from 0", t_.weights_name_,
                                std::isnan(x) ? "missing" : format_number(x)),
                    line(rows_[i]));
      }
    }
  }

  const Transform& t_;
  const Table& table_;
  std::span<const std::int64_t> rows_;
  std::vector<std::string>* warnings_;
  std::map<std::string, const Column*> named_;
};

Dataset Transform::apply(const Table& table, std::span<const std::int64_t> rows, bool need_target,
                         std::vector<std::string>* warnings) const {
  return TransformApplier(*this, table, rows, warnings).apply(need_target);
}

Dataset Transform::apply(const Table& table, bool need_target,
                         std::vector<std::string>* warnings) const {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(table.rows));
  std::iota(rows.begin(), rows.end(), std::int64_t{0});
  return apply(table, rows, need_target, warnings);
}

}  // namespace descent::data
