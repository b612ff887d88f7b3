#include "descent/data/npy.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <bit>
#include <cctype>
#include <cstring>
#include <optional>

#include "descent/base/error.h"
#include "descent/data/text.h"

namespace descent::data {
namespace {

static_assert(std::endian::native == std::endian::little, "elements are read as they lie");
constexpr std::string_view kMagic("\x93NUMPY", 6);

constexpr std::pair<std::string_view, DType> kTypes[] = {
    {"<f4", DType::float32}, {"<f8", DType::float64}, {"<i4", DType::int32},
    {"<i8", DType::int64},   {"|u1", DType::uint8},   {"|b1", DType::boolean}};

struct Header {
  DType dtype = DType::float32;
  bool fortran = false;
  Shape shape;
};

// Reads the header's Python literal: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
class HeaderParser {
 public:
  HeaderParser(std::string_view text, std::size_t offset, const std::string& where)
      : text_(text), offset_(offset), where_(where) {}

  Header parse() {
    expect('{');
    Header header;
    bool descr = false, order = false, shape = false;
    while (!take('}')) {
      const std::string key = read_string();
      expect(':');
      if (key == "descr") {
        descr = true;
        header.dtype = read_type();
      } else if (key == "fortran_order") {
        order = true;
        header.fortran = read_bool();
      } else if (key == "shape") {
        shape = true;
        header.shape = read_shape();
      } else {
        fail(fmt::format("unknown key {}, expected descr, fortran_order, shape", printable(key)));
      }
      if (!take(',') && peek() != '}') fail("expected , or }");
    }
    if (!descr || !order || !shape) fail("expected the keys descr, fortran_order and shape");
    return header;
  }

 private:
  [[noreturn]] void fail(std::string what, std::string remedy = {}) const {
    throw Error(ErrorKind::data, fmt::format("byte {}: header: {}", offset_ + at_, what), where_,
                std::move(remedy));
  }
  char peek() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char c) {
    if (peek() != c || at_ == text_.size()) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!take(c)) fail(fmt::format("expected {}", c));
  }
  std::string read_string() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') fail("expected a quoted text");
    const auto close = text_.find(quote, at_ + 1);
    if (close == std::string_view::npos) fail("a quoted text is never closed");
    std::string value(text_.substr(at_ + 1, close - at_ - 1));
    at_ = close + 1;
    return value;
  }
  bool read_bool() {
    peek();
    for (const auto& [word, value] :
         {std::pair(std::string_view("True"), true), {"False", false}}) {
      if (text_.substr(at_).starts_with(word)) {
        at_ += word.size();
        return value;
      }
    }
    fail("fortran_order: expected True or False");
  }
  DType read_type() {
    if (peek() == '[') fail("a record of several fields", "save the fields as arrays of their own");
    const std::string name = read_string();
    for (const auto& [text, dtype] : kTypes) {
      // NumPy writes "|" for single bytes; "<" is as good.
      if (name == text ||
          (name.size() == 3 && size_of(dtype) == 1 && name.substr(1) == text.substr(1))) {
        return dtype;
      }
    }
    fail(fmt::format("type {} is not supported, expected f4, f8, i4, i8 (little-endian), u1 or b1",
                     printable(name)),
         "save it as another: array.astype(\"float32\")");
  }
  Shape read_shape() {
    expect('(');
    Shape shape;
    while (!take(')')) {
      std::int64_t n = 0;
      if (!std::isdigit(static_cast<unsigned char>(peek()))) fail("shape: expected a number");
      for (; std::isdigit(static_cast<unsigned char>(peek())); ++at_) {
        if (n > (INT64_MAX - 9) / 10) fail("shape: the number is too large");
        n = n * 10 + (text_[at_] - '0');
      }
      shape.push_back(n);
      if (shape.rank() > 32) fail("shape: more than 32 axes");
      if (!take(',') && peek() != ')') fail("shape: expected , or )");
    }
    return shape;
  }

  std::string_view text_;
  std::size_t offset_, at_ = 0;
  const std::string& where_;
};

// Bytes of the elements, or nothing on overflow.
std::optional<std::uint64_t> checked_bytes(const Header& header) {
  // Zeros last: an extent beside a 0 must not overflow either, strides are computed from it.
  std::uint64_t product = size_of(header.dtype);
  bool empty = false;
  for (const auto extent : header.shape) {
    const auto n = static_cast<std::uint64_t>(extent);
    if (n == 0) {
      empty = true;
    } else if (product > static_cast<std::uint64_t>(INT64_MAX) / n) {
      return std::nullopt;
    } else {
      product *= n;
    }
  }
  return empty ? 0 : product;
}

// Column-major elements to row-major.
void transpose(std::string_view from, Array& to) {
  const auto& dims = to.shape().dims();
  const std::size_t size = size_of(to.dtype());
  std::vector<std::size_t> index(dims.size()), step(dims.size());
  std::size_t stride = 1;
  for (std::size_t a = 0; a < dims.size(); ++a) {
    step[a] = stride;
    stride *= static_cast<std::size_t>(dims[a]);
  }
  std::size_t source = 0;
  for (std::int64_t i = 0; i < to.size(); ++i) {
    std::memcpy(to.raw() + static_cast<std::size_t>(i) * size, from.data() + source * size, size);
    for (std::size_t a = dims.size(); a-- > 0;) {  // count up, the last axis fastest
      source += step[a];
      if (++index[a] < static_cast<std::size_t>(dims[a])) break;
      source -= step[a] * index[a];
      index[a] = 0;
    }
  }
}

[[noreturn]] void cut(const std::string& where, std::string what) {
  throw Error(ErrorKind::data, std::move(what), where, "is the file complete?");
}

}  // namespace

Array decode_npy(std::string_view bytes, const std::string& where) {
  if (!bytes.starts_with(kMagic)) {
    throw Error(ErrorKind::data, "byte 0: expected \\x93NUMPY, the begin of a .npy file", where);
  }
  if (bytes.size() < 10)
    cut(where, fmt::format("the file ends at byte {}, inside of the header", bytes.size()));
  const auto byte = [&](std::size_t i) {
    return static_cast<std::size_t>(static_cast<unsigned char>(bytes[i]));
  };
  const std::size_t version = byte(6);
  if (version < 1 || version > 3) {
    throw Error(ErrorKind::data, fmt::format("byte 6: version {}, expected 1, 2 or 3", version),
                where);
  }
  const std::size_t begin = version == 1 ? 10 : 12;
  if (bytes.size() < begin)
    cut(where, fmt::format("the file ends at byte {}, inside of the header", bytes.size()));
  std::size_t length = byte(8) | byte(9) << 8;
  if (version > 1) length |= byte(10) << 16 | byte(11) << 24;
  if (length > bytes.size() - begin) {
    cut(where, fmt::format("byte 8: the header is said to have {} bytes, the file has {} more",
                           length, bytes.size() - begin));
  }
  const Header header = HeaderParser(bytes.substr(begin, length), begin, where).parse();
  const auto data = bytes.substr(begin + length);
  const auto expected = checked_bytes(header);
  if (!expected) {
    throw Error(ErrorKind::data, fmt::format("shape {} is too large", to_string(header.shape)),
                where);
  }
  if (*expected != data.size()) {
    cut(where, fmt::format("byte {}: {} bytes of elements, expected {} for {} {}", begin + length,
                           data.size(), *expected, name_of(header.dtype), to_string(header.shape)));
  }
  Array array(header.dtype, header.shape);
  if (header.fortran && header.shape.rank() > 1) {
    transpose(data, array);
  } else if (!data.empty()) {
    std::memcpy(array.raw(), data.data(), data.size());
  }
  if (header.dtype == DType::boolean) {
    // Any byte but 0 is true to NumPy; a C++ bool must be 0 or 1.
    for (std::size_t i = 0; i < array.bytes(); ++i) {
      array.raw()[i] = std::byte{array.raw()[i] != std::byte{0}};
    }
  }
  return array;
}

std::string encode_npy(const Array& given) {
  const Array array = given.dtype() == DType::bfloat16 ? given.cast(DType::float32) : given;
  std::string_view type;
  for (const auto& [text, dtype] : kTypes) {
    if (dtype == array.dtype()) type = text;
  }
  std::string header =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}", type,
                  fmt::join(array.shape().dims(), ", "), array.shape().rank() == 1 ? "," : "");
  header.resize(align_up(10 + header.size() + 1) - 10 - 1, ' ');
  header += '\n';
  std::string out(kMagic);
  out +=
      {'\1', '\0', static_cast<char>(header.size() & 0xFF), static_cast<char>(header.size() >> 8)};
  out += header;
  if (array.bytes() > 0) out.append(reinterpret_cast<const char*>(array.raw()), array.bytes());
  return out;
}

}  // namespace descent::data
