// Columns that give the target away.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "descent/data/pipeline.h"
#include "descent/data/target.h"

namespace descent::data {

// Names of feature columns from which the target follows without error on the given rows: each of
// their values (at most one per five rows) has a single class, or the target is a straight line
// over them. Empty for blocks, for few rows and where there is a single feature column.
std::vector<std::string> find_leaks(const Table& table, std::span<const std::int64_t> rows,
                                    const Transform& transform, const Target& target);

}  // namespace descent::data
