// Padding that repeats the values of x, written as pieces of x side by side: so slice and concat
// differentiate it, to any order.
#include <fmt/format.h>

#include "descent/base/error.h"
#include "descent/ops/ops.h"

namespace descent {
namespace {

const char* name_of(PadMode mode) {
  constexpr const char* names[] = {"zero", "reflecting", "replicating", "circular"};
  return names[static_cast<int>(mode)];
}

// An axis has a value for each one that is added.
void check_extent(const Value& x, int axis, std::int64_t added, PadMode mode) {
  const auto n = x.shape()[axis];
  const bool fits = mode == PadMode::reflect    ? added < n
                    : mode == PadMode::circular ? added <= n
                                                : n > 0;
  if (fits || added == 0) return;
  throw Error(ErrorKind::usage,
              fmt::format("{} padding by {} needs more than the {} values along axis {} of {}",
                          name_of(mode), added, n, axis, to_string(x.type())),
              {}, "pad by less, or with zeros");
}

// The value at each place of the padding: position -i before, n - 1 + i after.
std::int64_t source(PadMode mode, std::int64_t n, std::int64_t i, bool before) {
  if (mode == PadMode::replicate) return before ? 0 : n - 1;
  return before ? i : n - 1 - i;
}

}  // namespace

Value pad(const Value& x, int axis, std::int64_t before, std::int64_t after, PadMode mode) {
  if (mode == PadMode::zeros) return pad(x, axis, before, after);
  if (axis < 0) axis += x.rank();
  check_extent(x, axis, std::max(before, after), mode);
  const auto n = x.shape()[axis];
  Values parts;
  if (mode == PadMode::circular) {
    if (before > 0) parts.push_back(slice(x, axis, n - before, n));
    parts.push_back(x);
    if (after > 0) parts.push_back(slice(x, axis, 0, after));
    return concat(parts, axis);
  }
  const auto one = [&](std::int64_t at) { return slice(x, axis, at, at + 1); };
  for (auto i = before; i > 0; --i) parts.push_back(one(source(mode, n, i, true)));
  parts.push_back(x);
  for (std::int64_t i = 1; i <= after; ++i) parts.push_back(one(source(mode, n, i, false)));
  return concat(parts, axis);
}

}  // namespace descent
