// load and load_for: files to splits, with the lines that tell the user about them.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "descent/base/error.h"
#include "descent/data/block.h"
#include "descent/data/language.h"
#include "descent/data/leak.h"
#include "descent/data/options.h"
#include "descent/data/pipeline.h"
#include "descent/data/registry.h"
#include "descent/data/target.h"
#include "descent/data/text.h"

namespace descent::data {
namespace {

using Lines = std::vector<std::string>;

bool flag(const Options& options, const char* key, bool fallback) {
  return options.has(key) ? options.boolean(key) : fallback;
}

// Moves a table's warnings to the user's; those of further files begin with the file's name.
void take_warnings(Table& table, Lines& warnings, bool named) {
  for (auto& warning : table.warnings) {
    warnings.push_back(named ? base_name(table.where) + ": " + warning : std::move(warning));
  }
  table.warnings.clear();
}

void attach(Table& table, const Options& options, const char* key) {
  if (options.has(key)) attach_targets(table, options.text(key), options);
}

Tables read_all(const Options& options, std::uint64_t seed) {
  if (!options.has("path") || options.text("path").empty()) {
    throw Error(ErrorKind::usage, "no data are named", "option \"data.path\"",
                "name a file: --data FILE, or [data] path = \"FILE\"");
  }
  Tables tables = read_tables(options.text("path"), options, seed);
  attach(tables.train, options, "targets");
  Options further = options;  // the other files hold what the first does
  if (tables.train.text) further.set("task", "language");
  if (options.has("valid_path")) {
    tables.valid = read_tables(options.text("valid_path"), further, seed).train;
    attach(*tables.valid, options, "valid_targets");
  }
  if (options.has("test_path")) {
    tables.test = read_tables(options.text("test_path"), further, seed).train;
    attach(*tables.test, options, "test_targets");
  }
  return tables;
}

// [train, valid, test] with nothing for the parts that are given apart.
std::vector<double> fractions(const Options& options, const Tables& tables) {
  auto given = options.has("split") ? options.numbers("split") : std::vector{0.8, 0.1, 0.1};
  if (given.size() == 2) given.push_back(0);
  if (given.size() != 3) return given;  // split_rows says what is wrong
  for (const auto& [k, part] : {std::pair(std::size_t{1}, &tables.valid), {2, &tables.test}}) {
    if (!*part) continue;
    given[0] += given[k];
    given[k] = 0;
  }
  return given;
}

// Rows with a target; the others are left out with a warning.
std::vector<std::int64_t> usable_rows(const Table& table, const std::vector<std::size_t>& columns,
                                      Lines& warnings) {
  auto rows = rows_with_target(table, columns);
  const auto lost = table.rows - static_cast<std::int64_t>(rows.size());
  if (lost > 0) {
    warnings.push_back(fmt::format("{}: {} without a target left out", base_name(table.where),
                                   counted(lost, "row")));
  }
  if (rows.empty()) throw Error(ErrorKind::data, "no row has a target", table.where);
  return rows;
}

// The same for a table whose target columns are found by the transform's names; a block's columns
// are all targets.
std::vector<std::int64_t> usable_rows(const Table& table, const Transform& transform,
                                      Lines& warnings) {
  std::vector<std::size_t> columns;
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    if (table.block || std::ranges::find(transform.target_names(), table.columns[c].name) !=
                           transform.target_names().end()) {
      columns.push_back(c);
    }
  }
  return usable_rows(table, columns, warnings);
}

// ---- notes ----

std::string describe_features(const Table& table, const Transform& transform) {
  const std::string rows = counted(table.rows, "row");
  if (transform.block().present) {
    return fmt::format("{} of {} {}", rows, to_string(transform.sample_shape()),
                       name_of(table.block.dtype()));
  }
  if (transform.has_tokens()) {
    const auto& how = transform.text();
    return fmt::format("{} of texts in column \"{}\": {} tokens each, of {} ({})", rows, how.column,
                       with_commas(how.context), with_commas(how.tokenizer->vocabulary()),
                       how.tokenizer->type());
  }
  std::int64_t numeric = 0, text = 0, missing = 0;
  for (const auto& fitted : transform.columns()) {
    ++(fitted.kind == Column::Kind::numeric ? numeric : text);
    missing += missing_cells(*table.find(fitted.name));
  }
  Lines kinds;
  if (numeric > 0) kinds.push_back(with_commas(numeric) + " numeric");
  if (text > 0) kinds.push_back(with_commas(text) + " categorical");
  if (missing > 0) kinds.push_back(counted(missing, "missing value") + " filled");
  return fmt::format("{}, {}: {}", rows, counted(numeric + text, "column"), fmt::join(kinds, ", "));
}

std::string describe_classes(const Target& target) {
  std::vector<std::int64_t> counts(target.classes.size());
  for (const auto code : target.codes) {
    if (code >= 0) ++counts[static_cast<std::size_t>(code)];
  }
  if (counts.size() > 5) {
    const auto [low, high] = std::ranges::minmax(counts);
    return fmt::format("{} classes ({}{} rows each)", counts.size(),
                       low < high ? with_commas(low) + " to " : "", with_commas(high));
  }
  Lines parts;
  for (const auto n : counts) parts.push_back(with_commas(n));
  return fmt::format("{} classes ({})", counts.size(), fmt::join(parts, " / "));
}

std::string describe_numbers(const Table& table, const Target& target) {
  if (target.columns.size() > 1) return fmt::format("{} numbers", target.columns.size());
  double low = INFINITY, high = -INFINITY, sum = 0, n = 0;
  for (const double x : table.columns[target.columns.front()].numbers) {
    if (std::isnan(x)) continue;
    low = std::min(low, x);
    high = std::max(high, x);
    sum += x;
    ++n;
  }
  return fmt::format("{:.6g} to {:.6g}, mean {:.6g}", low, high, sum / n);
}

std::string describe_split(const Splits& splits, const Tables& tables, const std::string& how) {
  Lines parts{with_commas(splits.train.rows()) + " train"};
  if (splits.valid.rows() > 0) {
    parts.push_back(with_commas(splits.valid.rows()) + (tables.valid ? " valid given" : " valid"));
  }
  if (splits.test.rows() > 0) {
    parts.push_back(with_commas(splits.test.rows()) + (tables.test ? " test given" : " test"));
  }
  return fmt::format("split {} ({})", fmt::join(parts, ", "), how);
}

void write_notes(Splits& splits, const Tables& tables, const Target& target,
                 const std::string& how) {
  const Table& table = tables.train;
  Lines names;
  for (const auto& name : splits.transform.target_names()) names.push_back(name);
  splits.notes.push_back(
      fmt::format("{}  {}", base_name(table.where), describe_features(table, splits.transform)));
  splits.notes.push_back(fmt::format(
      "target {}{}: {}; {}", fmt::join(names, ", "), target.by_default ? " (the last column)" : "",
      splits.task == Task::classification ? describe_classes(target)
                                          : describe_numbers(table, target),
      describe_split(splits, tables, how)));
}

// ---- the steps of load ----

SplitRows split_table(const Target& target, const std::vector<std::int64_t>& rows,
                      const Options& options, const Tables& tables, std::uint64_t seed,
                      std::string& how) {
  const bool shuffle = flag(options, "shuffle", true);
  const bool stratify =
      shuffle && target.task == Task::classification && flag(options, "stratify", true);
  std::vector<std::int64_t> classes;
  if (stratify) {
    for (const auto row : rows) classes.push_back(target.codes[static_cast<std::size_t>(row)]);
  }
  how = !shuffle   ? "file order"
        : stratify ? fmt::format("stratified, seed {}", seed)
                   : fmt::format("seed {}", seed);
  SplitRows parts = split_rows(static_cast<std::int64_t>(rows.size()), fractions(options, tables),
                               classes, shuffle, seed);
  for (auto* part : {&parts.train, &parts.valid, &parts.test}) {
    for (auto& row : *part) row = rows[static_cast<std::size_t>(row)];
  }
  return parts;
}

}  // namespace

Splits load(const Options& options, std::uint64_t seed) {
  Tables tables = read_all(options, seed);
  if (tables.train.text) {
    const auto parts = fractions(options, tables);
    return load_language(std::move(tables), options, parts);
  }
  if (options.has("task") && options.text("task") == "language") {
    throw Error(ErrorKind::usage, "the data are a table, not a text to model",
                "option \"data.source\"", "leave it out, or leave data.task out");
  }
  Splits splits;
  take_warnings(tables.train, splits.warnings, false);
  const Table& table = tables.train;
  const Target target = find_target(table, options);
  const auto rows = usable_rows(table, target.columns, splits.warnings);
  std::string how;
  const SplitRows parts = split_table(target, rows, options, tables, seed, how);

  splits.transform = Transform::fit(table, parts.train, options, splits.warnings);
  const Transform& transform = splits.transform;
  splits.train = transform.apply(table, parts.train, true, &splits.warnings);
  splits.valid = transform.apply(table, parts.valid, true, &splits.warnings);
  splits.test = transform.apply(table, parts.test, true, &splits.warnings);
  const auto apply_given = [&](std::optional<Table>& given, Dataset& out) {
    if (!given) return;
    take_warnings(*given, splits.warnings, true);
    out = transform.apply(*given, usable_rows(*given, transform, splits.warnings), true,
                          &splits.warnings);
  };
  apply_given(tables.valid, splits.valid);
  apply_given(tables.test, splits.test);

  splits.train_rows = parts.train;
  splits.task = transform.task();
  splits.sample_shape = transform.sample_shape();
  splits.classes = transform.classes();
  splits.outputs = transform.outputs();
  for (const auto& name : find_leaks(table, parts.train, transform, target)) {
    splits.warnings.push_back(fmt::format(
        "column \"{}\" predicts the target perfectly: a leak? leave it out with --drop {}", name,
        name.find(' ') == std::string::npos ? name : "\"" + name + "\""));
  }
  write_notes(splits, tables, target, how);
  return splits;
}

namespace {

Table choose_part(Tables tables, const std::string& part, const std::string& path) {
  if (part == "train") return std::move(tables.train);
  if (part == "valid" && tables.valid) return std::move(*tables.valid);
  if (part == "test" && tables.test) return std::move(*tables.test);
  if (!part.empty()) {
    throw Error(ErrorKind::usage, fmt::format("the data have no part \"{}\"", part), path);
  }
  return tables.test ? std::move(*tables.test) : std::move(tables.train);
}

// The targets that the options give for this very path.
std::string targets_for(const std::string& path, const Options& options) {
  for (const auto& [data, targets] : {std::pair("path", "targets"),
                                      {"valid_path", "valid_targets"},
                                      {"test_path", "test_targets"}}) {
    if (options.has(data) && options.has(targets) && options.text(data) == path) {
      return options.text(targets);
    }
  }
  return {};
}

// Images are read as the model takes them, texts as texts, whatever it was trained from.
Options as_trained(const Transform& transform, const Options& options) {
  Options all = options;
  if (transform.task() == Task::language) all.set("task", "language");
  if (transform.has_tokens()) {
    all.set("sentences", true);
    if (transform.names_generated() && !all.has("header")) all.set("header", false);
  }
  const Shape& shape = transform.block().shape;
  if (!transform.block().present || shape.rank() != 3) return all;
  all.set("channels", shape[0]);
  all.set("image_size", std::vector<std::int64_t>{shape[1], shape[2]});
  return all;
}

}  // namespace

LoadedRows load_for(const Transform& transform, const std::string& path, bool need_target,
                    const Options& options, const std::string& part,
                    const std::string& targets_path) {
  Table table = choose_part(read_tables(path, as_trained(transform, options)), part, path);
  if (table.text) {
    LoadedRows loaded;
    loaded.data = windows_of(transform, *table.text, path);
    return loaded;
  }
  const auto targets = targets_path.empty() ? targets_for(path, options) : targets_path;
  if (!targets.empty()) attach_targets(table, targets, options);
  LoadedRows loaded;
  take_warnings(table, loaded.warnings, false);
  std::vector<std::int64_t> rows;
  if (need_target) {
    rows = usable_rows(table, transform, loaded.warnings);
  } else {
    for (std::int64_t i = 0; i < table.rows; ++i) rows.push_back(i);
  }
  loaded.data = transform.apply(table, rows, need_target, &loaded.warnings);
  for (const auto row : rows) {
    loaded.origin.push_back(table.line_of(row));
    if (!table.files.empty()) loaded.files.push_back(table.files[static_cast<std::size_t>(row)]);
  }
  return loaded;
}

LoadedRows load_for(const Transform& transform, const std::string& path, bool need_target) {
  return load_for(transform, path, need_target, default_options());
}

}  // namespace descent::data
