// What dropout is made of, for operations that draw it themselves.
#pragma once
#include "descent/ir/value.h"

namespace descent {

// Throws where the rate is not in [0, 1).
void check_dropout(double rate);
// The stream that dropout of the module path at hand draws from.
std::uint64_t dropout_stream(std::uint64_t stream);
// As random_uniform, from exactly this stream.
Value uniform_of_stream(const Value& key, const Type& type, std::uint64_t stream);
// 0 where u is below the rate, else 1 / (1 - rate).
Value kept_or_dropped(const Value& u, double rate);

}  // namespace descent
