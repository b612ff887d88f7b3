// Elementwise kernels over contiguous elements, chosen once for this processor (Highway run-time
// dispatch). The rows are in eltwise_table.h.
#pragma once
#include <cstdint>
#include <string_view>

#include "descent/base/dtype.h"

namespace descent::kernels {

enum class Eltwise : std::uint16_t {
#define ELTWISE1(name, kernel, d) name,
#define NUMERIC1(name, kernel, d) name,
#define ELTWISE2(name, kernel, da, db) name,
#define NUMERIC2(name, kernel, da, db) name,
#define NUMERIC3(name, kernel, dm, da, db) name,
#include "descent/kernels/eltwise_table.h"
  count
};

struct EltwiseInfo {
  std::string_view name;
  int arity;
  bool integers;  // has kernels for int32 and int64
};
const EltwiseInfo& info(Eltwise code);

// out[i] = f(a[i], b[i], c[i]) for i < n; operands not used by the arity are ignored. out may be
// one of the inputs. Pointers need no alignment; nothing is read or written past n elements.
using EltwiseFn = void (*)(const void* a, const void* b, const void* c, void* out, std::int64_t n);
// Kernel for a type, or nullptr where the row has none (bfloat16, bool, integers of ELTWISE rows).
EltwiseFn eltwise_kernel(Eltwise code, DType dtype);

// Converts n elements. To bool: not equal to zero. Float to integer: truncates; bfloat16 rounds to
// nearest even.
using CastFn = void (*)(const void* in, void* out, std::int64_t n);
CastFn cast_kernel(DType from, DType to);

// "AVX3_ZEN4", "AVX2", "NEON", ...: what dispatch chose.
std::string_view simd_target();

}  // namespace descent::kernels
