#include "descent/nn/positions.h"

#include <fmt/format.h>

#include <cmath>

#include "descent/base/error.h"
#include "descent/ops/ops.h"

namespace descent::nn {

Value rows_at_positions(const Scope& scope, const Value& table, std::int64_t length) {
  const auto context = table.shape()[0];
  if (length > context) {
    throw Error(
        ErrorKind::usage,
        fmt::format("a sequence of {} tokens, where there are {} positions", length, context), {},
        "make the context longer, or the sequences shorter");
  }
  if (scope.decoding()) return dynamic_slice(table, 0, scope.position(), length);
  return length == context ? table : slice(table, 0, 0, length);
}

Value table_of_positions(const Scope& scope, std::int64_t length, std::int64_t columns,
                         const std::function<double(std::int64_t, std::int64_t)>& entry) {
  const auto positions = scope.decoding() ? scope.context() : length;
  Array table(scope.dtype(), {positions, columns});
  for (std::int64_t t = 0; t < positions; ++t) {
    for (std::int64_t i = 0; i < columns; ++i) table.set_item(t * columns + i, entry(t, i));
  }
  return rows_at_positions(scope, constant(std::move(table)), length);
}

Value rotary(const Scope& scope, const Value& x) {
  const auto dim = x.shape()[-1], half = dim / 2, length = x.shape()[1];
  const auto table = [&](double (*f)(double)) {
    const Value rows = table_of_positions(scope, length, half, [&](std::int64_t t, std::int64_t i) {
      return f(static_cast<double>(t) *
               std::pow(10000.0, -2.0 * static_cast<double>(i) / static_cast<double>(dim)));
    });
    return reshape(rows, {length, 1, 1, half});
  };
  const Value cosine = table(std::cos), sine = table(std::sin);
  const Value a = slice(x, -1, 0, half), b = slice(x, -1, half, dim);
  return concat({a * cosine - b * sine, b * cosine + a * sine}, -1);
}

}  // namespace descent::nn
