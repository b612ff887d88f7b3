// Functions of values: what is differentiated and compiled.
#pragma once
#include <functional>

#include "descent/ir/value.h"

namespace descent {

using Fn = std::function<Values(ValueSpan)>;
using ScalarFn = std::function<Value(ValueSpan)>;

}  // namespace descent
