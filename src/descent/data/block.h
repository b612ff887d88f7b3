// Tables made of one array per row block, and targets that lie in a file of their own.
#pragma once
#include <string>
#include <vector>

#include "descent/base/array.h"
#include "descent/base/options.h"
#include "descent/data/table.h"

namespace descent::data {

// A table whose features are the rows of `block` ([rows, ...], rank 1 at least). uint8 of rank 3
// are grey images: they get a channel, [rows, 1, height, width].
Table block_table(Array block, const std::string& where);

// [rows] as one numeric column `name`, [rows, k] as `name0`, `name1`, ... Throws a data error for
// a higher rank.
std::vector<Column> columns_of(const Array& targets, const std::string& name,
                               const std::string& where);

// Appends the targets in the file `path` (an array, labels, or columns of text) to the table. A
// data error where the number of rows differs.
void attach_targets(Table& table, const std::string& path, const Options& options);

}  // namespace descent::data
