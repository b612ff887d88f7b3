// Element types. float32 is the default, float64 is for checks and minimisation, bfloat16 is a
// storage type only (operations accumulate in float32).
#pragma once
#include <bit>
#include <cstdint>
#include <string_view>

namespace descent {

enum class DType : std::uint8_t { float32, float64, bfloat16, int32, int64, uint8, boolean };

// Upper half of a float32; conversion rounds to nearest even and keeps NaN.
struct bfloat16 {
  std::uint16_t bits = 0;
  bfloat16() = default;
  explicit bfloat16(float x) {
    auto u = std::bit_cast<std::uint32_t>(x);
    if ((u & 0x7fffffffu) > 0x7f800000u) {
      bits = static_cast<std::uint16_t>((u >> 16) | 0x40u);
    } else {
      bits = static_cast<std::uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
    }
  }
  explicit operator float() const {
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
  }
};

// Size of one element in bytes.
constexpr std::size_t size_of(DType t) {
  switch (t) {
    case DType::float64:
    case DType::int64:
      return 8;
    case DType::bfloat16:
      return 2;
    case DType::uint8:
    case DType::boolean:
      return 1;
    default:
      return 4;
  }
}
constexpr std::string_view name_of(DType t) {
  constexpr std::string_view names[] = {"float32", "float64", "bfloat16", "int32",
                                        "int64",   "uint8",   "bool"};
  return names[static_cast<int>(t)];
}
constexpr bool is_floating(DType t) { return t <= DType::bfloat16; }

template <class T>
struct dtype_of_t;
template <>
struct dtype_of_t<float> {
  static constexpr DType value = DType::float32;
};
template <>
struct dtype_of_t<double> {
  static constexpr DType value = DType::float64;
};
template <>
struct dtype_of_t<bfloat16> {
  static constexpr DType value = DType::bfloat16;
};
template <>
struct dtype_of_t<std::int32_t> {
  static constexpr DType value = DType::int32;
};
template <>
struct dtype_of_t<std::int64_t> {
  static constexpr DType value = DType::int64;
};
template <>
struct dtype_of_t<std::uint8_t> {
  static constexpr DType value = DType::uint8;
};
template <>
struct dtype_of_t<bool> {
  static constexpr DType value = DType::boolean;
};
template <class T>
inline constexpr DType dtype_of = dtype_of_t<T>::value;

// Calls f with a value of the C++ type that stands for t.
template <class F>
decltype(auto) dispatch(DType t, F&& f) {
  switch (t) {
    case DType::float64:
      return f(double{});
    case DType::bfloat16:
      return f(bfloat16{});
    case DType::int32:
      return f(std::int32_t{});
    case DType::int64:
      return f(std::int64_t{});
    case DType::uint8:
      return f(std::uint8_t{});
    case DType::boolean:
      return f(bool{});
    default:
      return f(float{});
  }
}

}  // namespace descent
