#include "descent/data/block.h"

#include <fmt/format.h>

#include "descent/base/error.h"
#include "descent/data/registry.h"
#include "descent/data/text.h"

namespace descent::data {

Table block_table(Array block, const std::string& where) {
  if (block.shape().rank() == 0) {
    throw Error(ErrorKind::data, "the array is a single number, expected rows", where);
  }
  if (block.dtype() == DType::uint8 && block.shape().rank() == 3) {
    const auto& s = block.shape();
    block = block.reshaped({s[0], 1, s[1], s[2]});
  }
  Table table;
  table.where = where;
  table.rows = block.shape()[0];
  table.block = std::move(block);
  return table;
}

std::vector<Column> columns_of(const Array& targets, const std::string& name,
                               const std::string& where) {
  const auto& shape = targets.shape();
  if (shape.rank() < 1 || shape.rank() > 2) {
    throw Error(
        ErrorKind::data,
        fmt::format("targets of shape {}, expected [rows] or [rows, outputs]", to_string(shape)),
        where);
  }
  const std::int64_t rows = shape[0], width = shape.rank() == 2 ? shape[1] : 1;
  std::vector<Column> columns(static_cast<std::size_t>(width));
  for (std::int64_t k = 0; k < width; ++k) {
    auto& column = columns[static_cast<std::size_t>(k)];
    column.name = width == 1 ? name : fmt::format("{}{}", name, k);
    column.numbers.resize(static_cast<std::size_t>(rows));
    for (std::int64_t i = 0; i < rows; ++i) {
      column.numbers[static_cast<std::size_t>(i)] = targets.item(i * width + k);
    }
  }
  return columns;
}

void attach_targets(Table& table, const std::string& path, const Options& options) {
  Options plain = options;
  plain.set("source", "auto");
  plain.set("task", "regression");  // labels in a .txt are a table
  Table targets = read_tables(path, plain).train;
  if (targets.rows != table.rows) {
    throw Error(ErrorKind::data,
                fmt::format("{} of targets for {} of features in {}", counted(targets.rows, "row"),
                            counted(table.rows, "row"), table.where),
                path, "the two files must have a row for each other's, in the same order");
  }
  if (targets.block) targets.columns = columns_of(targets.block, "target", path);
  if (table.block) table.columns.clear();  // labels found beside the file give way
  for (auto& column : targets.columns) {
    if (targets.names_generated) column.name = "target" + column.name.substr(1);
    if (targets.names_generated && targets.columns.size() == 1) column.name = "target";
    while (table.find(column.name) != nullptr) column.name += "_target";
    table.columns.push_back(std::move(column));
  }
  for (auto& warning : targets.warnings) table.warnings.push_back(std::move(warning));
}

}  // namespace descent::data
