// Table: what a reader makes of a file before anything is fitted to it. Named columns of numbers
// or texts, or one dense block of numbers per row (images, arrays), with its labels as columns; or
// a whole text, for language models.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "descent/base/array.h"

namespace descent::data {

// One named column with a cell for every row. Numeric: `numbers`, NaN where the cell is missing.
// Text: `codes` are indices in `dictionary` (distinct texts in order of appearance), -1 missing.
struct Column {
  enum class Kind { numeric, text };
  std::string name;
  Kind kind = Kind::numeric;
  std::vector<double> numbers;
  std::vector<std::int32_t> codes;
  std::vector<std::string> dictionary;
  bool labels = false;  // the format says that they are classes, however many
};

struct Table {
  std::string where;  // the file's path: begins the place of every error
  std::int64_t rows = 0;
  std::vector<Column> columns;  // features and target; where there is a block: the target alone
  Array block;                  // features [rows, ...], uint8 or float32; empty for plain tables
  bool sparse = false;          // the block's absent trailing columns are zeros (libsvm)
  std::optional<std::string> text;    // a text to be modelled; then there are no rows and columns
  bool names_generated = false;       // no header: the columns are called c0, c1, ...
  std::vector<std::int64_t> origin;   // line of each row in the file, from 1; empty: i + 1
  std::vector<std::string> files;     // of each row, where each is a file of its own (images)
  std::vector<std::string> warnings;  // rows skipped, guesses made: one line each for the user

  const Column* find(const std::string& name) const;
  std::vector<std::string> names() const;
  // Line (or index, from 1) of a row in its file.
  std::int64_t line_of(std::int64_t row) const;
};

// What one path holds: a table, and the parts that the format itself sets aside (MNIST's t10k).
struct Tables {
  Table train;
  std::optional<Table> valid, test;
};

// The number of missing cells.
std::int64_t missing_cells(const Column& column);

}  // namespace descent::data
