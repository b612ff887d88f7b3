// Operations on tables of which a step looks up few rows; what they are for stands in
// kernels/lazy_rows.h, who writes a step with them in optim/lazy_rows.h. None has a derivative: a
// step is differentiated with respect to the rows that it has looked up.
#pragma once
#include <memory>

#include "descent/ir/value.h"
#include "descent/kernels/lazy_rows.h"

namespace descent {

using IdleUpdate = std::shared_ptr<const kernels::IdleUpdate>;

// The different rows in the int64 index of all shards, in rising order: int64, as many as there are
// indices, replicated, ended by kernels::kNoRow. A data error where one is not in 0..limit - 1.
Value distinct_rows(const Value& index, std::int64_t shards, std::int64_t limit);
// Place of each index in these rows: int64, the index's shape.
Value places_of(const Value& rows, const Value& index);

// A table as a step finds it.
struct LazyTable {
  IdleUpdate idle;
  Values slots;   // [rows, ...]
  Value done;     // int64 [rows]: steps that each row has had
  Value scalars;  // [period, width]: the numbers of the last steps, those of step s at s % period
  Value step;     // int64 scalar: steps that were done
};
// The slots' rows after all steps that were done, one value per slot [rows.size(), ...], zero where
// there is no row. The table stays as it is.
Values caught_up(const LazyTable& table, const Value& rows);
// All rows of slot 0.
Value caught_up(const LazyTable& table);

// The scalars with those of this step, and the step after it; the old ones where `good` is 0.
struct Advanced {
  Value scalars, step;
};
Advanced advance(const Value& scalars, const Value& step, ValueSpan now, const Value& good);

// The table (its scalars and step advanced) with the slots' new rows, in its own memory where it
// is donated. A part of the other rows, another one each step, is caught up too, so that none falls
// behind by more than a period. Where `good` is 0, all stays as it is. Gives the slots, then done.
Values put_rows(const LazyTable& table, const Value& rows, ValueSpan fresh, const Value& good);

}  // namespace descent
