#include "descent/data/idx.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>

#include "descent/base/error.h"

namespace descent::data {
namespace {

struct Type {
  unsigned code;
  std::size_t size;  // of an element in the file
  DType dtype;       // in memory
};
constexpr Type kTypes[] = {{0x08, 1, DType::uint8},   {0x09, 1, DType::int32},
                           {0x0B, 2, DType::int32},   {0x0C, 4, DType::int32},
                           {0x0D, 4, DType::float32}, {0x0E, 8, DType::float64}};

std::uint64_t big_endian(std::string_view bytes) {
  std::uint64_t x = 0;
  for (const char c : bytes) x = x << 8 | static_cast<unsigned char>(c);
  return x;
}

void convert(std::string_view from, const Type& type, Array& to) {
  if (type.code == 0x08) {
    if (!from.empty()) std::memcpy(to.raw(), from.data(), from.size());
    return;
  }
  for (std::size_t i = 0; i * type.size < from.size(); ++i) {
    const auto x = big_endian(from.substr(i * type.size, type.size));
    switch (type.code) {
      case 0x09:
        to.as<std::int32_t>()[i] = static_cast<int>(static_cast<unsigned char>(x) ^ 0x80u) - 0x80;
        break;
      case 0x0B:
        to.as<std::int32_t>()[i] = static_cast<std::int16_t>(x);
        break;
      case 0x0C:
        to.as<std::int32_t>()[i] = static_cast<std::int32_t>(x);
        break;
      case 0x0D:
        to.as<float>()[i] = std::bit_cast<float>(static_cast<std::uint32_t>(x));
        break;
      default:
        to.as<double>()[i] = std::bit_cast<double>(x);
    }
  }
}

}  // namespace

Array decode_idx(std::string_view bytes, const std::string& where) {
  const auto fail = [&](std::string what, std::string remedy = {}) {
    throw Error(ErrorKind::data, std::move(what), where, std::move(remedy));
  };
  if (bytes.size() < 4 || bytes[0] != 0 || bytes[1] != 0) {
    fail("byte 0: expected two zero bytes, a type and a rank: the begin of an IDX file");
  }
  const auto code = static_cast<unsigned char>(bytes[2]);
  const Type* type = nullptr;
  for (const auto& known : kTypes) {
    if (known.code == code) type = &known;
  }
  if (type == nullptr) {
    fail(fmt::format("byte 2: unknown type 0x{:02x}, expected 0x08, 0x09 or 0x0b to 0x0e", code));
  }
  const auto rank = static_cast<std::size_t>(static_cast<unsigned char>(bytes[3]));
  if (rank < 1 || rank > 8) fail(fmt::format("byte 3: rank {}, expected 1 to 8", rank));
  const std::size_t begin = 4 + 4 * rank;
  if (bytes.size() < begin) {
    fail(fmt::format("the file ends at byte {}, inside of its {} extents", bytes.size(), rank),
         "is the file complete?");
  }
  Shape shape;
  std::uint64_t expected = type->size;
  for (std::size_t k = 0; k < rank; ++k) {
    const auto n = big_endian(bytes.substr(4 + 4 * k, 4));
    // 8 extents of 32 bits can overflow; beyond the file's size the product is wrong anyway.
    if (n != 0 && expected > (std::uint64_t{1} << 62) / n) {
      fail(fmt::format("byte {}: the extents' product is too large", 4 + 4 * k));
    }
    expected *= n;
    if (n == 0) fail(fmt::format("byte {}: an extent is 0, expected elements", 4 + 4 * k));
    shape.push_back(static_cast<std::int64_t>(n));
  }
  const auto data = bytes.substr(begin);
  if (expected != data.size()) {
    fail(fmt::format("byte {}: {} bytes of elements, expected {} for {}", begin, data.size(),
                     expected, to_string(shape)),
         "is the file complete?");
  }
  Array array(type->dtype, std::move(shape));
  convert(data, *type, array);
  return array;
}

}  // namespace descent::data
