// Transform::fit: everything that is learnt from the training rows.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "descent/base/error.h"
#include "descent/data/block_layout.h"
#include "descent/data/options.h"
#include "descent/data/pipeline.h"
#include "descent/data/target.h"
#include "descent/data/text.h"

namespace descent::data {
namespace {

constexpr std::size_t kMostCategories = 1000;
constexpr std::size_t kLongestText = 256;  // tokens of a row where data.context is not set

struct Affine {
  double shift = 0, scale = 1;  // (x - shift) * scale
};

// Running count, mean and squared deviations (Welford), with the bounds.
struct Moments {
  double n = 0, mean = 0, squares = 0;
  double low = std::numeric_limits<double>::infinity(), high = -low;

  void add(double x, double times = 1) {
    n += times;
    const double d = x - mean;
    mean += d * times / n;
    squares += times * d * (x - mean);
    low = std::min(low, x);
    high = std::max(high, x);
  }
  // A constant is only shifted to 0. Differences below 1e-300 have no finite inverse.
  Affine affine(const std::string& normalize) const {
    if (normalize == "minmax") return {low, high - low > 1e-300 ? 1 / (high - low) : 1};
    if (normalize != "standard") return {};
    if (!std::isfinite(squares)) return {0, 1 / std::max(std::abs(low), std::abs(high))};
    const double deviation = std::sqrt(squares / n);
    return {mean, high > low && deviation > 1e-300 ? 1 / deviation : 1};
  }
};

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return std::midpoint(*std::max_element(values.begin(), middle), *middle);
}

}  // namespace

class TransformFitter {
 public:
  TransformFitter(const Table& table, std::span<const std::int64_t> rows, const Options& options,
                  std::vector<std::string>& warnings)
      : table_(table), rows_(rows), options_(options), warnings_(warnings) {
    normalize_ = options.has("normalize") ? options.text("normalize") : "standard";
  }

  Transform fit() {
    if (rows_.empty()) throw Error(ErrorKind::data, "there are no training rows", table_.where);
    t_.all_names_ = table_.names();
    t_.names_generated_ = table_.names_generated;
    fit_target();
    if (table_.block) {
      fit_block();
    } else if (const Column* column = text_column()) {
      fit_text(*column);
    } else {
      for (const auto c : choose_features()) fit_column(table_.columns[c]);
      if (t_.columns_.empty()) {
        throw Error(ErrorKind::data, "no column is left to learn from", table_.where,
                    warnings_.empty() ? "look at data.features and data.drop" : warnings_.back());
      }
    }
    return std::move(t_);
  }

 private:
  void fit_target() {
    target_ = find_target(table_, options_);
    t_.task_ = target_.task;
    t_.class_names_ = target_.classes;
    const bool scaled =
        options_.has("normalize_target") ? options_.boolean("normalize_target") : true;
    for (const auto c : target_.columns) {
      const Column& column = table_.columns[c];
      t_.target_names_.push_back(column.name);
      if (t_.task_ == Task::classification) continue;
      Moments moments;
      for (const auto row : rows_) moments.add(column.numbers[static_cast<std::size_t>(row)]);
      const Affine affine = scaled ? moments.affine("standard") : Affine{};
      t_.target_mean_.push_back(affine.shift);
      t_.target_scale_.push_back(1 / affine.scale);
    }
    if (options_.has("weights")) {
      t_.weights_name_ =
          table_.columns[find_column(table_, options_.text("weights"), "data.weights")].name;
      if (std::ranges::find(t_.target_names_, t_.weights_name_) != t_.target_names_.end()) {
        throw Error(ErrorKind::usage,
                    fmt::format("column \"{}\" is target and weight at once", t_.weights_name_),
                    "data.weights", "name another target with data.target");
      }
    }
  }

  // Columns to learn from: those of data.features, or all; without data.drop, target and weights.
  std::vector<std::size_t> choose_features() const {
    std::vector<bool> use(table_.columns.size(), true);
    const auto names = [&](const char* key) {
      return options_.has(key) ? options_.texts(key) : std::vector<std::string>{};
    };
    if (const auto features = names("features"); !features.empty()) {
      use.assign(use.size(), false);
      for (const auto& name : features) use[find_column(table_, name, "data.features")] = true;
    }
    for (const auto& name : names("drop")) use[find_column(table_, name, "data.drop")] = false;
    for (const auto c : target_.columns) use[c] = false;
    std::vector<std::size_t> chosen;
    for (std::size_t c = 0; c < use.size(); ++c) {
      if (use[c] && table_.columns[c].name != t_.weights_name_) chosen.push_back(c);
    }
    return chosen;
  }

  void fit_column(const Column& column) {
    if (column.kind == Column::Kind::numeric) {
      fit_numbers(column);
    } else {
      fit_categories(column);
    }
  }

  void fit_numbers(const Column& column) {
    std::vector<double> values;
    values.reserve(rows_.size());
    for (const auto row : rows_) {
      const double x = column.numbers[static_cast<std::size_t>(row)];
      if (!std::isnan(x)) values.push_back(x);
    }
    if (values.empty()) {
      warnings_.push_back(
          fmt::format("column \"{}\" is left out: no training row has a value", column.name));
      return;
    }
    Moments moments;
    for (const double x : values) moments.add(x);
    FittedColumn fitted{.name = column.name, .kind = column.kind, .fill = median(values)};
    // Filled cells count as well: the features' mean is then 0.
    if (const auto gaps = rows_.size() - values.size(); gaps > 0) {
      moments.add(fitted.fill, static_cast<double>(gaps));
    }
    const Affine affine = moments.affine(normalize_);
    fitted.shift = affine.shift;
    fitted.scale = affine.scale;
    t_.columns_.push_back(std::move(fitted));
  }

  // Different texts that cannot be categories.
  bool too_many(std::size_t n) const {
    return n > kMostCategories || (n > 10 && 2 * n > rows_.size());
  }

  void fit_categories(const Column& column) {
    std::vector<bool> used(column.dictionary.size());
    FittedColumn fitted{.name = column.name, .kind = column.kind};
    for (const auto row : rows_) {
      const auto code = column.codes[static_cast<std::size_t>(row)];
      if (code < 0) {
        fitted.missing_category = true;
      } else {
        used[static_cast<std::size_t>(code)] = true;
      }
    }
    for (std::size_t i = 0; i < used.size(); ++i) {
      if (used[i]) fitted.categories.push_back(column.dictionary[i]);
    }
    std::ranges::sort(fitted.categories);
    const auto n = fitted.categories.size();
    if (too_many(n)) {
      warnings_.push_back(
          fmt::format("column \"{}\" is left out: {} different texts in {} rows, an identifier?",
                      column.name, with_commas(static_cast<std::int64_t>(n)),
                      with_commas(static_cast<std::int64_t>(rows_.size()))));
      return;
    }
    t_.columns_.push_back(std::move(fitted));
  }

  // ---- texts ----

  // The column that data.text names, or the only feature where it holds texts that repeat too
  // seldom to be categories; or null.
  const Column* text_column() const {
    if (options_.has("text")) {
      const auto& column = table_.columns[find_column(table_, options_.text("text"), "data.text")];
      if (std::ranges::find(t_.target_names_, column.name) != t_.target_names_.end()) {
        throw Error(ErrorKind::usage,
                    fmt::format("column \"{}\" is target and text at once", column.name),
                    "data.text", "name another target with data.target");
      }
      return &column;
    }
    const auto features = choose_features();
    if (features.size() != 1) return nullptr;
    const Column& column = table_.columns[features.front()];
    if (column.kind != Column::Kind::text) return nullptr;
    std::set<std::int32_t> different;
    for (const auto row : rows_) different.insert(column.codes[static_cast<std::size_t>(row)]);
    return too_many(different.size()) ? &column : nullptr;
  }

  void fit_text(const Column& column) {
    t_.text_.column = column.name;
    if (column.kind != Column::Kind::text) {
      throw Error(ErrorKind::usage,
                  fmt::format("column \"{}\" holds numbers, not texts", column.name), "data.text");
    }
    std::vector<std::string_view> texts;
    for (const auto row : rows_) {
      const auto code = column.codes[static_cast<std::size_t>(row)];
      if (code >= 0) texts.emplace_back(column.dictionary[static_cast<std::size_t>(code)]);
    }
    Options options = with_defaults(options_);
    if (options.text("tokenizer") == "auto") options.set("tokenizer", "word");
    try {
      t_.text_.tokenizer = fit_tokenizer(texts, options);
    } catch (const Error& e) {
      throw e.kind() == ErrorKind::data && e.where().empty() ? e.at(table_.where) : e;
    }
    if (options_.has("context")) {
      t_.text_.context = options_.integer("context");
      return;
    }
    std::size_t longest = 1;
    for (const auto text : texts) {
      std::int64_t unknown = 0;
      longest = std::max(longest, t_.text_.tokenizer->encode(text, &unknown).size());
    }
    t_.text_.context = static_cast<std::int64_t>(std::min(longest, kLongestText));
  }

  // ---- blocks ----

  void fit_block() {
    const Array& block = table_.block;
    FittedBlock& fitted = t_.block_;
    fitted.present = true;
    fitted.sparse = table_.sparse;
    fitted.keep_uint8 = block.dtype() == DType::uint8;
    fitted.shape = sample_shape_of(block);
    const BlockLayout layout(fitted.shape, fitted.keep_uint8);
    std::vector<Moments> moments(static_cast<std::size_t>(layout.channels));
    if (fitted.keep_uint8) {
      count_bytes(layout, moments);
    } else {
      dispatch(block.dtype(), [&](auto t) { add_elements<decltype(t)>(layout, moments); });
    }
    for (const auto& m : moments) {
      if (m.n == 0) throw Error(ErrorKind::data, "a channel has no numbers", table_.where);
      Affine affine = m.affine(normalize_);
      if (fitted.keep_uint8 && normalize_ == "unit") affine.scale = 1.0 / 255;
      fitted.fill.push_back(m.mean);
      fitted.shift.push_back(affine.shift);
      fitted.scale.push_back(affine.scale);
    }
  }

  // Histograms: exact, and one pass over many bytes.
  void count_bytes(const BlockLayout& layout, std::vector<Moments>& moments) const {
    std::vector<std::array<std::int64_t, 256>> counts(moments.size());
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(table_.block.raw());
    for (const auto row : rows_) {
      const auto* sample = bytes + row * layout.size();
      for (auto& count : counts) {
        for (std::int64_t i = 0; i < layout.inner; ++i) ++count[*sample++];
      }
    }
    for (std::size_t c = 0; c < moments.size(); ++c) {
      for (std::size_t x = 0; x < 256; ++x) {
        if (counts[c][x] > 0) {
          moments[c].add(static_cast<double>(x), static_cast<double>(counts[c][x]));
        }
      }
    }
  }

  template <class T>
  void add_elements(const BlockLayout& layout, std::vector<Moments>& moments) const {
    if constexpr (!std::is_same_v<T, bfloat16>) {
      const auto* elements = reinterpret_cast<const T*>(table_.block.raw());
      for (const auto row : rows_) {
        const T* sample = elements + row * layout.size();
        for (auto& m : moments) {
          for (std::int64_t i = 0; i < layout.inner; ++i) {
            const auto x = static_cast<double>(*sample++);
            if (std::isinf(x)) fail_infinite(row);
            if (!std::isnan(x)) m.add(x);
          }
        }
      }
    }
  }
  [[noreturn]] void fail_infinite(std::int64_t row) const {
    throw Error(ErrorKind::data,
                fmt::format("row {} holds an infinite number", table_.line_of(row)), table_.where,
                "replace it by NaN (missing) or leave the row out");
  }

  const Table& table_;
  std::span<const std::int64_t> rows_;
  const Options& options_;
  std::vector<std::string>& warnings_;
  std::string normalize_;
  Target target_;
  Transform t_;
};

Transform Transform::fit(const Table& table, std::span<const std::int64_t> rows,
                         const Options& options, std::vector<std::string>& warnings) {
  return TransformFitter(table, rows, options, warnings).fit();
}

}  // namespace descent::data
