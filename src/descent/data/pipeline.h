// From files to datasets: read, split, fit the transform on the training rows, apply it to all.
//
// Everything that is learnt from data (medians, means, categories) comes from the training rows
// alone; valid and test rows only pass through Transform::apply. The names of the classes are the
// exception: they are the vocabulary of the target and are taken from the whole training file.
#pragma once
#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "descent/base/options.h"
#include "descent/data/dataset.h"
#include "descent/data/table.h"
#include "descent/data/tokenizer.h"

namespace descent::data {

// How one column becomes features. Numeric: ((missing ? fill : x) - shift) * scale, one feature.
// Text: one feature per category, 1 where the cell is that category (all 0: a category that the
// training rows never showed), and one more for "missing" where training rows had such cells.
struct FittedColumn {
  std::string name;
  Column::Kind kind = Column::Kind::numeric;
  double fill = 0, shift = 0, scale = 1;
  std::vector<std::string> categories;  // sorted
  bool missing_category = false;

  std::int64_t width() const;  // number of features
};

// How a block [rows, ...] becomes features: (x - shift[c]) * scale[c], missing (NaN) cells first
// replaced by fill[c]. c runs over columns (rank 2), channels (rank 4, axis 1), or is 0 for all.
struct FittedBlock {
  Shape shape;  // of one row; rank 0 with no elements set: there is no block
  bool present = false;
  bool keep_uint8 = false;  // stored as uint8, scaled by the loader
  bool sparse = false;      // narrower rows are padded with zeros (libsvm)
  std::vector<double> fill, shift, scale;
};

// How texts become tokens. Classification: a column's cells, one row each, cut to `context` tokens
// or filled up with 0; the tokenizer's token t is t + 1 there. Language: a whole text.
struct FittedText {
  std::string column;  // language: empty
  std::int64_t context = 0, stride = 1;
  TokenizerPtr tokenizer;
};

struct Splits;

class Transform {
 public:
  // Fits on the given rows of the table. Appends lines for the user to `warnings`. Throws a usage
  // error for unknown column names, a data error for a target that cannot be one.
  static Transform fit(const Table& table, std::span<const std::int64_t> rows,
                       const Options& options, std::vector<std::string>& warnings);

  // The table's rows (all, or those listed) as features, targets and weights. Columns are matched
  // by name. need_target: a missing target column or an unknown class is a data error; otherwise
  // targets are filled only where the table has them all. Appends lines (unseen categories) to
  // *warnings where given.
  Dataset apply(const Table& table, bool need_target,
                std::vector<std::string>* warnings = nullptr) const;
  Dataset apply(const Table& table, std::span<const std::int64_t> rows, bool need_target,
                std::vector<std::string>* warnings = nullptr) const;

  nlohmann::json to_json() const;
  // Throws a data error where the text is not a transform's.
  static Transform from_json(const nlohmann::json& json);

  Task task() const { return task_; }
  // Classification: the names, sorted (numbers by value); class k is class_names()[k].
  const std::vector<std::string>& class_names() const { return class_names_; }
  std::int64_t classes() const { return static_cast<std::int64_t>(class_names_.size()); }
  const std::vector<std::string>& target_names() const { return target_names_; }
  // Numbers that a model must put out per row: classes, or target columns; of a language model per
  // position: one for each token.
  std::int64_t outputs() const;
  Shape sample_shape() const;
  // One name per feature of a plain table ("age", "sex=female"); empty for blocks.
  std::vector<std::string> feature_names() const;
  const std::vector<FittedColumn>& columns() const { return columns_; }
  const FittedBlock& block() const { return block_; }
  // Where rows are tokens: how; else no tokenizer is set.
  const FittedText& text() const { return text_; }
  bool has_tokens() const { return text_.tokenizer != nullptr; }
  // The training file had no header: its columns are c0, c1, ...
  bool names_generated() const { return names_generated_; }
  // Rows hold numbers below this (padding included); 0: not tokens.
  std::int64_t vocabulary() const;
  // Of rows' features in a batch, where numbers are `floating`.
  DType features_dtype(DType floating) const { return has_tokens() ? DType::int64 : floating; }

  // Regression: targets in the file's units are value * target_scale()[k] + target_mean()[k].
  const std::vector<double>& target_mean() const { return target_mean_; }
  const std::vector<double>& target_scale() const { return target_scale_; }
  // Turns predictions or targets [rows, outputs] (float32 or float64) into the file's units, in
  // place; does nothing for classification.
  void restore_targets(Array& values) const;

 private:
  friend class TransformFitter;
  friend Splits load_language(Tables tables, const Options& options,
                              std::span<const double> fractions);
  friend class TransformApplier;
  Task task_ = Task::regression;
  std::vector<FittedColumn> columns_;
  FittedBlock block_;
  FittedText text_;
  std::vector<std::string> target_names_, class_names_;
  std::vector<double> target_mean_, target_scale_;
  std::string weights_name_;
  std::vector<std::string> all_names_;  // the training table's columns, in order
  bool names_generated_ = false;
};

struct Splits {
  Dataset train, valid, test;  // valid and test may have no rows
  Transform transform;
  Task task = Task::regression;
  std::vector<std::string> notes;        // what was read and how it was split, one line each
  std::vector<std::string> warnings;     // leaks, skipped rows, dropped columns, one line each
  Shape sample_shape;                    // of one row's features
  std::int64_t classes = 0;              // 0 for regression
  std::int64_t outputs = 0;              // numbers a model must put out per row (and position)
  std::vector<std::int64_t> train_rows;  // rows of the file that train has, from 0; a text: none
};

// Reads data.path (and data.valid_path, data.test_path), splits what is not given apart, fits and
// applies. The result is a function of the files, the options and the seed.
Splits load(const Options& data_options, std::uint64_t seed);

// Row numbers of the parts of a table, each ascending, disjoint, together all rows.
struct SplitRows {
  std::vector<std::int64_t> train, valid, test;
};
// Cuts `rows` rows by `fractions` [train, valid, test] (sum 1). Sizes of valid and test are
// rounded to nearest, train has the rest. `classes` (one per row) stratifies: every class is cut
// by the same fractions (largest remainder), and keeps a row in train; empty: no stratification.
// shuffle = false takes rows in file order (train first), for series in time.
SplitRows split_rows(std::int64_t rows, std::span<const double> fractions,
                     std::span<const std::int64_t> classes, bool shuffle, std::uint64_t seed);

// The numbers of rows [train, valid, test] that split_rows gives without classes.
std::array<std::int64_t, 3> split_sizes(std::int64_t rows, std::span<const double> fractions);

// Rows of a further file, for evaluate and predict.
struct LoadedRows {
  Dataset data;
  std::vector<std::int64_t> origin;  // of each row: line (text formats) or index, from 1
  std::vector<std::string> files;    // of each row, where each is a file of its own (images)
  std::vector<std::string> warnings;
};
// `part`: which part where the format has several (an MNIST folder): "train", "valid" or "test"
// (the default: test where there is one, else the only table). `targets_path`: the file of the
// targets where they lie apart; by default that which data_options give for this very path.
// `data_options` are those of the training run (separators, missing markers); images are brought to
// the size that the model was trained on.
LoadedRows load_for(const Transform& transform, const std::string& path, bool need_target,
                    const Options& data_options, const std::string& part = {},
                    const std::string& targets_path = {});
// With the default options.
LoadedRows load_for(const Transform& transform, const std::string& path, bool need_target);

}  // namespace descent::data
