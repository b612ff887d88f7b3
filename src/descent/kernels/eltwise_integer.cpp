// The NUMERIC rows of eltwise_table.h for int32 and int64: the same expressions, with the vector
// operations meant as operations on one integer. Arithmetic wraps around.
#include <type_traits>

#include "descent/kernels/eltwise_internal.h"

namespace descent::kernels {
namespace {

namespace hn {  // what the expressions call
template <class T>
using Unsigned = std::make_unsigned_t<T>;
template <class T>
T Add(T a, T b) {
  return static_cast<T>(static_cast<Unsigned<T>>(a) + static_cast<Unsigned<T>>(b));
}
template <class T>
T Sub(T a, T b) {
  return static_cast<T>(static_cast<Unsigned<T>>(a) - static_cast<Unsigned<T>>(b));
}
template <class T>
T Mul(T a, T b) {
  return static_cast<T>(static_cast<Unsigned<T>>(a) * static_cast<Unsigned<T>>(b));
}
template <class T>
T Neg(T x) {
  return Sub(T{0}, x);
}
template <class T>
T Abs(T x) {
  return x < 0 ? Neg(x) : x;
}
template <class T>
T Zero(T) {
  return 0;
}
template <class T>
bool Lt(T a, T b) {
  return a < b;
}
template <class T>
bool Le(T a, T b) {
  return a <= b;
}
template <class T>
bool Gt(T a, T b) {
  return a > b;
}
template <class T>
bool Ge(T a, T b) {
  return a >= b;
}
template <class T>
bool Eq(T a, T b) {
  return a == b;
}
template <class T>
T IfThenElse(bool m, T a, T b) {
  return m ? a : b;
}
template <class T>
T IfThenElseZero(bool m, T a) {
  return m ? a : T{0};
}
template <class T>
T IfThenZeroElse(bool m, T a) {
  return m ? T{0} : a;
}
}  // namespace hn

template <class T>
T SignOf(T, T x) {
  return static_cast<T>((x > 0) - (x < 0));
}
template <class T>
T ReluOf(T, T x) {
  return x > 0 ? x : T{0};
}
template <class T>
T MaxOf(T, T a, T b) {
  return a > b ? a : b;
}
template <class T>
T MinOf(T, T a, T b) {
  return a < b ? a : b;
}

#define K(c) static_cast<T>(c)
#define ELTWISE1(name, kernel, dx)
#define ELTWISE2(name, kernel, da, db)
#define NUMERIC1(name, kernel, dx)                                                        \
  template <class T>                                                                      \
  void Loop_##name(const void* px, const void*, const void*, void* out, std::int64_t n) { \
    [[maybe_unused]] const T d{};                                                         \
    for (std::int64_t i = 0; i < n; ++i) {                                                \
      const T x = static_cast<const T*>(px)[i];                                           \
      static_cast<T*>(out)[i] = kernel;                                                   \
    }                                                                                     \
  }
#define NUMERIC2(name, kernel, da, db)                                                       \
  template <class T>                                                                         \
  void Loop_##name(const void* pa, const void* pb, const void*, void* out, std::int64_t n) { \
    [[maybe_unused]] const T d{};                                                            \
    for (std::int64_t i = 0; i < n; ++i) {                                                   \
      const T a = static_cast<const T*>(pa)[i], b = static_cast<const T*>(pb)[i];            \
      static_cast<T*>(out)[i] = kernel;                                                      \
    }                                                                                        \
  }
#define NUMERIC3(name, kernel, dm, da, db)                                                      \
  template <class T>                                                                            \
  void Loop_##name(const void* pm, const void* pa, const void* pb, void* out, std::int64_t n) { \
    [[maybe_unused]] const T d{};                                                               \
    for (std::int64_t i = 0; i < n; ++i) {                                                      \
      const T m = static_cast<const T*>(pm)[i];                                                 \
      const T a = static_cast<const T*>(pa)[i], b = static_cast<const T*>(pb)[i];               \
      static_cast<T*>(out)[i] = kernel;                                                         \
    }                                                                                           \
  }
#include "descent/kernels/eltwise_table.h"
#undef K

template <class T>
const EltwiseFn* Table() {
  static constexpr EltwiseFn table[] = {
#define ELTWISE1(name, kernel, dx) nullptr,
#define ELTWISE2(name, kernel, da, db) nullptr,
#define NUMERIC1(name, kernel, dx) &Loop_##name<T>,
#define NUMERIC2(name, kernel, da, db) &Loop_##name<T>,
#define NUMERIC3(name, kernel, dm, da, db) &Loop_##name<T>,
#include "descent/kernels/eltwise_table.h"
  };
  return table;
}

}  // namespace

const EltwiseFn* eltwise_table_int32() { return Table<std::int32_t>(); }
const EltwiseFn* eltwise_table_int64() { return Table<std::int64_t>(); }

}  // namespace descent::kernels
