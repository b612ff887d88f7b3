#include "descent/data/leak.h"

#include <cmath>
#include <unordered_map>

namespace descent::data {
namespace {

constexpr std::size_t kFewestRows = 20;

// A number that is the same for equal cells.
double key_of(const Column& column, std::int64_t row) {
  const auto i = static_cast<std::size_t>(row);
  if (column.kind == Column::Kind::text) return column.codes[i];
  // NaN is unequal to itself: missing cells are one value that no other cell has.
  return std::isnan(column.numbers[i]) ? INFINITY : column.numbers[i];
}

bool gives_classes(const Column& column, std::span<const std::int64_t> rows, const Target& target) {
  std::unordered_map<double, std::int64_t> classes;
  for (const auto row : rows) {
    const auto code = target.codes[static_cast<std::size_t>(row)];
    const auto [it, fresh] = classes.emplace(key_of(column, row), code);
    if (it->second != code) return false;
    if (fresh && 5 * classes.size() > rows.size()) return false;
  }
  return true;
}

// Correlation of 1 or -1 up to rounding.
bool gives_numbers(const Column& column, std::span<const std::int64_t> rows, const Column& target) {
  if (column.kind == Column::Kind::text) return false;
  double n = 0, mx = 0, my = 0, xx = 0, yy = 0, xy = 0;
  for (const auto row : rows) {
    const double x = column.numbers[static_cast<std::size_t>(row)];
    const double y = target.numbers[static_cast<std::size_t>(row)];
    if (std::isnan(x)) return false;
    ++n;
    const double dx = x - mx, dy = y - my;
    mx += dx / n;
    my += dy / n;
    xx += dx * (x - mx);
    yy += dy * (y - my);
    xy += dx * (y - my);
  }
  return xx > 0 && yy > 0 && xy * xy > (1 - 1e-9) * xx * yy;
}

}  // namespace

std::vector<std::string> find_leaks(const Table& table, std::span<const std::int64_t> rows,
                                    const Transform& transform, const Target& target) {
  std::vector<std::string> leaks;
  if (rows.size() < kFewestRows || transform.columns().size() < 2) return leaks;
  if (target.task == Task::regression && target.columns.size() > 1) return leaks;
  for (const auto& fitted : transform.columns()) {
    const Column* column = table.find(fitted.name);
    const bool leak = target.task == Task::classification
                          ? gives_classes(*column, rows, target)
                          : gives_numbers(*column, rows, table.columns[target.columns.front()]);
    if (leak) leaks.push_back(fitted.name);
  }
  return leaks;
}

}  // namespace descent::data
