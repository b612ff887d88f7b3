#include "descent/io/safetensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "descent/base/error.h"
#include "descent/base/file.h"

namespace descent::io {
namespace {

using Json = nlohmann::json;
static_assert(std::endian::native == std::endian::little,
              "the format's elements are little-endian");

constexpr std::string_view kMetadata = "__metadata__";
// The reference implementation refuses longer headers too.
constexpr std::uint64_t kLongestHeader = 100'000'000;

constexpr std::pair<DType, std::string_view> kTypes[] = {
    {DType::float32, "F32"}, {DType::float64, "F64"}, {DType::bfloat16, "BF16"},
    {DType::int32, "I32"},   {DType::int64, "I64"},   {DType::uint8, "U8"},
    {DType::boolean, "BOOL"}};

// The other type that weights come in. No array holds it: it is widened to float32.
constexpr std::string_view kHalf = "F16";

// IEEE 754 binary16 has 5 bits of exponent, 10 of fraction; every value is one of float32.
float from_half(std::uint16_t half) {
  const int exponent = half >> 10 & 31, fraction = half & 1023;
  float x = 0;
  if (exponent == 31) {
    x = fraction == 0 ? std::numeric_limits<float>::infinity()
                      : std::numeric_limits<float>::quiet_NaN();
  } else if (exponent == 0) {
    x = std::ldexp(static_cast<float>(fraction), -24);
  } else {
    x = std::ldexp(static_cast<float>(1024 + fraction), exponent - 25);
  }
  return (half & 0x8000) != 0 ? -x : x;
}

std::string_view type_name(DType dtype) {
  for (const auto& [type, name] : kTypes) {
    if (type == dtype) return name;
  }
  return "";
}

// Reads the header's JSON as events. Refuses faults, duplicate keys and depth; notes the order of
// the names, which a parsed object forgets. (A parser callback would do, but takes time quadratic
// in the number of tensors.)
class HeaderCheck : public nlohmann::json_sax<Json> {
 public:
  std::vector<std::string> take_names() { return std::move(names_); }

  bool key(std::string& key) override {
    if (!keys_.back().insert(key).second) {
      fail(fmt::format("the header has \"{}\" twice, expected every name once", key));
    }
    if (depth_ == 1) names_.push_back(key);
    return true;
  }
  bool start_object(std::size_t) override {
    keys_.emplace_back();
    return enter();
  }
  bool end_object() override {
    keys_.pop_back();
    return leave();
  }
  bool start_array(std::size_t) override { return enter(); }
  bool end_array() override { return leave(); }
  bool parse_error(std::size_t byte, const std::string&,
                   const nlohmann::detail::exception& e) override {
    // Positions count from 1, behind the 8 bytes of the length.
    fail(fmt::format("byte {}: the header is not JSON ({})", 7 + std::max<std::size_t>(byte, 1),
                     e.what()));
  }
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(std::int64_t) override { return true; }
  bool number_unsigned(std::uint64_t) override { return true; }
  bool number_float(double, const std::string&) override { return true; }
  bool string(std::string&) override { return true; }
  bool binary(Json::binary_t&) override { return true; }

 private:
  [[noreturn]] static void fail(std::string what) { throw Error(ErrorKind::data, std::move(what)); }
  bool enter() {
    if (++depth_ > 3) fail("the header is nested deeper than a tensor's description");
    return true;
  }
  bool leave() {
    --depth_;
    return true;
  }

  int depth_ = 0;
  std::vector<std::set<std::string>> keys_;
  std::vector<std::string> names_;
};

// Decodes one file; every error it throws begins with the file's name.
class Decoder {
 public:
  Decoder(std::string_view bytes, const std::string& where) : bytes_(bytes), where_(where) {}

  TensorFile decode() {
    const Json header = read_header();
    TensorFile file;
    file.tensors.reserve(names_.size());
    for (const auto& name : names_) {
      const Json& entry = header.at(name);
      if (name == kMetadata) {
        file.metadata = read_metadata(entry);
      } else {
        file.tensors.emplace_back(name, read_tensor(name, entry));
      }
    }
    check_cover();
    return file;
  }

 private:
  struct Span {
    std::uint64_t begin, end;
    std::string name;
  };

  [[noreturn]] void fail(std::string what, std::string remedy = {}) const {
    throw Error(ErrorKind::data, std::move(what), where_, std::move(remedy));
  }
  [[noreturn]] void fail_tensor(const std::string& name, std::string what) const {
    throw Error(ErrorKind::data, std::move(what), fmt::format("{}: tensor \"{}\"", where_, name));
  }

  // The length, then the JSON. Leaves the elements in buffer_.
  Json read_header() {
    if (bytes_.size() < 8) {
      fail(fmt::format("byte 0: expected 8 bytes with the length of the header, the file has {}",
                       bytes_.size()),
           "is this a safetensors file, and complete?");
    }
    std::uint64_t length = 0;
    std::memcpy(&length, bytes_.data(), 8);
    const std::uint64_t rest = bytes_.size() - 8;
    if (length > rest || length > kLongestHeader) {
      fail(fmt::format("byte 0: the header is said to have {} bytes, expected at most {}", length,
                       std::min(rest, kLongestHeader)),
           "is this a safetensors file, and complete?");
    }
    const auto text = bytes_.substr(8, length);
    buffer_ = bytes_.substr(8 + length);
    if (text.empty() || text.front() != '{') fail("byte 8: expected a JSON object, \"{\"");
    return parse(text);
  }

  // Two passes: the first refuses what the second would silently let through.
  Json parse(std::string_view text) {
    HeaderCheck check;
    try {
      Json::sax_parse(text.begin(), text.end(), &check);
    } catch (const Error& e) {
      throw e.at(where_);
    }
    names_ = check.take_names();
    return Json::parse(text.begin(), text.end());
  }

  std::map<std::string, std::string> read_metadata(const Json& entry) const {
    if (!entry.is_object()) fail("\"__metadata__\": expected an object of texts");
    std::map<std::string, std::string> metadata;
    for (const auto& [key, value] : entry.items()) {
      if (!value.is_string()) fail(fmt::format("\"__metadata__\": \"{}\": expected a text", key));
      metadata[key] = value.get<std::string>();
    }
    return metadata;
  }

  const Json& field(const std::string& name, const Json& entry, const char* key) const {
    const auto it = entry.find(key);
    if (it == entry.end()) fail_tensor(name, fmt::format("expected \"{}\"", key));
    return *it;
  }

  DType read_type(const std::string& name, const Json& entry) const {
    const Json& value = field(name, entry, "dtype");
    if (value.is_string()) {
      for (const auto& [type, text] : kTypes) {
        if (value.get_ref<const std::string&>() == text) return type;
      }
    }
    fail_tensor(name,
                fmt::format("unknown dtype {}, expected F32, F64, F16, BF16, I32, I64, U8 or BOOL",
                            value.dump(-1, ' ', false, Json::error_handler_t::replace)));
  }

  std::uint64_t read_count(const std::string& name, const Json& value, const char* key) const {
    if (!value.is_number_unsigned()) {
      fail_tensor(name, fmt::format("\"{}\": expected whole numbers from 0, found {}", key,
                                    value.dump(-1, ' ', false, Json::error_handler_t::replace)));
    }
    return value.get<std::uint64_t>();
  }

  // Also the number of bytes, checked against overflow.
  Shape read_shape(const std::string& name, const Json& entry, DType dtype,
                   std::uint64_t& bytes) const {
    const Json& value = field(name, entry, "shape");
    if (!value.is_array()) fail_tensor(name, "\"shape\": expected a list");
    Shape shape;
    bytes = size_of(dtype);
    std::uint64_t nonzero = bytes;  // the product without zeros: no extent may overflow it
    for (const auto& extent : value) {
      const std::uint64_t n = read_count(name, extent, "shape");
      constexpr auto limit = static_cast<std::uint64_t>(INT64_MAX);
      if (n > limit || (n != 0 && nonzero > limit / n)) {
        fail_tensor(name, fmt::format("shape {} is too large: its product overflows 63 bits",
                                      value.dump()));
      }
      bytes *= n;
      if (n != 0) nonzero *= n;
      shape.push_back(static_cast<std::int64_t>(n));
    }
    return shape;
  }

  Array read_tensor(const std::string& name, const Json& entry) {
    if (!entry.is_object()) fail_tensor(name, "expected an object with dtype, shape, data_offsets");
    const auto type = entry.find("dtype");
    const bool half =
        type != entry.end() && type->is_string() && type->get_ref<const std::string&>() == kHalf;
    const DType dtype = half ? DType::bfloat16 : read_type(name, entry);  // as wide
    std::uint64_t bytes = 0;
    Shape shape = read_shape(name, entry, dtype, bytes);
    const Json& offsets = field(name, entry, "data_offsets");
    if (!offsets.is_array() || offsets.size() != 2) {
      fail_tensor(name, "\"data_offsets\": expected [begin, end]");
    }
    const auto begin = read_count(name, offsets[0], "data_offsets");
    const auto end = read_count(name, offsets[1], "data_offsets");
    if (begin > end || end > buffer_.size()) {
      fail_tensor(name, fmt::format("data_offsets [{}, {}] are outside of the {} bytes of data",
                                    begin, end, buffer_.size()));
    }
    if (end - begin != bytes) {
      fail_tensor(name, fmt::format("data_offsets [{}, {}] hold {} bytes, expected {} for {} {}",
                                    begin, end, end - begin, bytes,
                                    half ? "float16" : name_of(dtype), to_string(shape)));
    }
    spans_.push_back({begin, end, name});
    if (half) return widened(buffer_.substr(begin, bytes), std::move(shape));
    Array array(dtype, std::move(shape));
    if (bytes > 0) std::memcpy(array.raw(), buffer_.data() + begin, bytes);
    if (dtype == DType::boolean) check_booleans(name, array);
    return array;
  }

  static Array widened(std::string_view halves, Shape shape) {
    Array array(DType::float32, std::move(shape));
    for (std::int64_t i = 0; i < array.size(); ++i) {
      std::uint16_t half = 0;
      std::memcpy(&half, halves.data() + 2 * i, 2);
      array.as<float>()[static_cast<std::size_t>(i)] = from_half(half);
    }
    return array;
  }

  // Any other byte in a bool is undefined behaviour where it is read.
  void check_booleans(const std::string& name, const Array& array) const {
    for (std::size_t i = 0; i < array.bytes(); ++i) {
      const auto byte = static_cast<unsigned>(array.raw()[i]);
      if (byte > 1) {
        fail_tensor(name, fmt::format("element {} is byte {}, expected 0 or 1", i, byte));
      }
    }
  }

  // The tensors must tile the buffer: no overlap, no hole, nothing after the last.
  void check_cover() {
    std::sort(spans_.begin(), spans_.end(), [](const Span& a, const Span& b) {
      return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
    });
    std::uint64_t at = 0;
    for (const auto& span : spans_) {
      if (span.begin < at) {
        fail_tensor(span.name, fmt::format("begins at {}, inside of another tensor that ends at {}",
                                           span.begin, at));
      }
      if (span.begin > at) {
        fail_tensor(span.name, fmt::format("begins at {}, expected {}: no holes", span.begin, at));
      }
      at = span.end;
    }
    if (at != buffer_.size()) {
      fail(fmt::format("the tensors end at byte {} of the data, expected {}: nothing may follow",
                       at, buffer_.size()));
    }
  }

  std::string_view bytes_, buffer_;
  const std::string& where_;
  std::vector<std::string> names_;
  std::vector<Span> spans_;
};

}  // namespace

const Array* TensorFile::find(const std::string& name) const {
  for (const auto& [key, array] : tensors) {
    if (key == name) return &array;
  }
  return nullptr;
}

const Array& TensorFile::at(const std::string& name, const std::string& where) const {
  if (const Array* array = find(name)) return *array;
  std::vector<std::string> names;
  for (const auto& [key, array] : tensors) names.push_back(key);
  throw Error(ErrorKind::data, fmt::format("no tensor is called \"{}\"", name), where,
              names.empty() ? "the file has none" : did_you_mean(name, names));
}

std::string encode(const TensorFile& file) {
  // Wide elements first, so that each begins at a multiple of its size without padding.
  std::vector<std::size_t> order(file.tensors.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return size_of(file.tensors[a].second.dtype()) > size_of(file.tensors[b].second.dtype());
  });
  std::vector<std::size_t> begins(order.size());
  std::size_t total = 0;
  for (const auto i : order) {
    begins[i] = total;
    total += file.tensors[i].second.bytes();
  }

  // Invalid UTF-8 becomes U+FFFD rather than an unreadable file.
  const auto dump = [](const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
  };
  std::string text = "{";
  if (!file.metadata.empty()) text += fmt::format("\"{}\":{},", kMetadata, dump(file.metadata));
  std::set<std::string> names{std::string(kMetadata)};
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto& [name, array] = file.tensors[i];
    if (!names.insert(name).second) {
      throw Error(ErrorKind::internal, "two tensors of one name, or a reserved one", name);
    }
    text += fmt::format(R"({}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}},)", dump(name),
                        type_name(array.dtype()), fmt::join(array.shape().dims(), ","), begins[i],
                        begins[i] + array.bytes());
  }
  if (text.back() == ',') text.pop_back();
  text += '}';
  text.resize(align_up(text.size(), 8), ' ');

  const std::uint64_t length = text.size();
  std::string out(8 + text.size() + total, '\0');
  std::memcpy(out.data(), &length, 8);
  std::memcpy(out.data() + 8, text.data(), text.size());
  for (const auto i : order) {
    const Array& array = file.tensors[i].second;
    if (array.bytes() > 0) {
      std::memcpy(out.data() + 8 + text.size() + begins[i], array.raw(), array.bytes());
    }
  }
  return out;
}

TensorFile decode(std::string_view bytes, const std::string& where) {
  return Decoder(bytes, where).decode();
}

TensorFile load_safetensors(const std::string& path) { return decode(read_file(path), path); }

void save_safetensors(const std::string& path, const TensorFile& file) {
  write_file_atomic(path, encode(file));
}

}  // namespace descent::io
