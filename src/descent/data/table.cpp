#include "descent/data/table.h"

#include <algorithm>
#include <cmath>

namespace descent::data {

const Column* Table::find(const std::string& name) const {
  for (const auto& column : columns) {
    if (column.name == name) return &column;
  }
  return nullptr;
}

std::vector<std::string> Table::names() const {
  std::vector<std::string> all;
  for (const auto& column : columns) all.push_back(column.name);
  return all;
}

std::int64_t Table::line_of(std::int64_t row) const {
  return origin.empty() ? row + 1 : origin[static_cast<std::size_t>(row)];
}

std::int64_t missing_cells(const Column& column) {
  if (column.kind == Column::Kind::numeric) {
    return std::ranges::count_if(column.numbers, [](double x) { return std::isnan(x); });
  }
  return std::ranges::count(column.codes, -1);
}

}  // namespace descent::data
