// What is to be predicted: which columns, and whether they are classes or numbers.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "descent/base/options.h"
#include "descent/data/dataset.h"
#include "descent/data/table.h"

namespace descent::data {

struct Target {
  std::vector<std::size_t> columns;  // of the table
  bool by_default = false;           // nobody named it: the last column
  Task task = Task::regression;
  // Classification: the classes' names, sorted (numbers by value), and of every row its class, -1
  // where the cell is missing.
  std::vector<std::string> classes;
  std::vector<std::int64_t> codes;
};

// Reads data.target and data.task. Throws a usage error for an unknown column, a data error where
// the column cannot be a target of that task.
Target find_target(const Table& table, const Options& options);

// The column that `word` names: its name, "last", or an index (-1 the last).
std::size_t find_column(const Table& table, const std::string& word, const char* option);

// Rows whose targets are all there, ascending.
std::vector<std::int64_t> rows_with_target(const Table& table,
                                           const std::vector<std::size_t>& columns);
bool cell_missing(const Column& column, std::int64_t row);

}  // namespace descent::data
