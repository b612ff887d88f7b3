// What layers know of the positions of a sequence [N, T, ...]: they count from 0, or, when
// decoding, from the scope's position.
#pragma once
#include <functional>

#include "descent/nn/module.h"

namespace descent::nn {

// Rows of a table [context, n] for T positions: [T, n].
Value rows_at_positions(const Scope& scope, const Value& table, std::int64_t length);
// The same of a constant table, whose entry (position, column) is given by a function.
Value table_of_positions(const Scope& scope, std::int64_t length, std::int64_t columns,
                         const std::function<double(std::int64_t, std::int64_t)>& entry);

// Rotary position embedding (Su et al. 2021): at position t, features i and i + D/2 of a head are
// turned by the angle t 10000^(-2 i / D), so that a score depends on the distance of query and key.
// Features are paired as in GPT-NeoX and LLaMA's published weights. x [N, T, any, any, D], D even.
Value rotary(const Scope& scope, const Value& x);

}  // namespace descent::nn
