#include "descent/io/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>

#include "descent/base/error.h"
#include "descent/base/file.h"

namespace descent::io {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// A file with this header (as it is, not padded) and so many bytes of elements.
std::string file_of(const std::string& header, std::size_t elements) {
  const std::uint64_t length = header.size();
  std::string out(8, '\0');
  std::memcpy(out.data(), &length, 8);
  return out + header + std::string(elements, '\0');
}

TensorFile example() {
  TensorFile file;
  file.metadata = {{"format", "pt"}, {"note", "\"quotes\" and \xC3\xA4"}};
  std::int64_t seed = 0;
  for (const auto dtype : {DType::uint8, DType::float32, DType::float64, DType::bfloat16,
                           DType::int32, DType::int64, DType::boolean}) {
    for (const Shape& shape : {Shape{}, Shape{3}, Shape{2, 5}, Shape{0, 4}}) {
      Array a(dtype, shape);
      for (std::int64_t i = 0; i < a.size(); ++i)
        a.set_item(i, static_cast<double>((seed + i) % 2));
      file.tensors.emplace_back("t." + std::to_string(seed++), a);
    }
  }
  return file;
}

TEST(Safetensors, RoundTrip) {
  const TensorFile file = example();
  const std::string bytes = encode(file);
  const TensorFile back = decode(bytes, "a");
  EXPECT_EQ(back.metadata, file.metadata);
  ASSERT_EQ(back.tensors.size(), file.tensors.size());
  for (std::size_t i = 0; i < file.tensors.size(); ++i) {
    EXPECT_EQ(back.tensors[i].first, file.tensors[i].first);  // the order is kept
    EXPECT_TRUE(identical(back.tensors[i].second, file.tensors[i].second)) << i;
  }
  EXPECT_EQ(encode(back), bytes);
}

TEST(Safetensors, ElementsAreAligned) {
  const std::string bytes = encode(example());
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  EXPECT_EQ(length % 8, 0u);
  EXPECT_EQ(bytes[8], '{');
  // Every tensor at a multiple of its element: wide types lie first.
  TensorFile mixed;
  mixed.tensors = {{"b", Array(DType::uint8, {3})}, {"d", Array(DType::float64, {2})}};
  EXPECT_THAT(encode(mixed), HasSubstr(R"("d":{"dtype":"F64","shape":[2],"data_offsets":[0,16]})"));
  EXPECT_THAT(encode(mixed), HasSubstr(R"("b":{"dtype":"U8","shape":[3],"data_offsets":[16,19]})"));
}

TEST(Safetensors, EmptyFile) {
  EXPECT_EQ(encode({}).substr(8), "{}      ");
  EXPECT_TRUE(decode(encode({}), "a").tensors.empty());
}

// Time linear in the number of tensors: at a quadratic one this would take minutes.
TEST(Safetensors, ManyTensors) {
  TensorFile file;
  for (int i = 0; i < 50'000; ++i)
    file.tensors.emplace_back(std::to_string(i), Array(DType::uint8, {0}));
  const TensorFile back = decode(encode(file), "a");
  EXPECT_EQ(back.tensors.size(), 50'000u);
  EXPECT_EQ(back.tensors[49'999].first, "49999");
}

TEST(Safetensors, SavedAndLoaded) {
  const std::string path =
      (std::filesystem::temp_directory_path() / "descent-test.safetensors").string();
  save_safetensors(path, example());
  const TensorFile back = load_safetensors(path);
  EXPECT_EQ(back.tensors.size(), 28u);
  EXPECT_NE(back.find("t.5"), nullptr);
  EXPECT_EQ(back.find("t"), nullptr);
  try {
    back.at("t.55", path);
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("no tensor is called \"t.55\""));
    EXPECT_THAT(e.what(), HasSubstr("did you mean"));
  }
  std::filesystem::remove(path);
  EXPECT_THROW(load_safetensors(path), Error);
}

TEST(Safetensors, RefusesToWriteTwoOfOneName) {
  TensorFile file;
  file.tensors = {{"a", Array(DType::float32, {1})}, {"a", Array(DType::float32, {1})}};
  EXPECT_THROW(encode(file), Error);
  file.tensors = {{"__metadata__", Array(DType::float32, {1})}};
  EXPECT_THROW(encode(file), Error);
}

TEST(Safetensors, HalfPrecisionIsWidened) {
  // 1, -2, the largest, the smallest normal and subnormal, 1/3, -0, infinity, not a number.
  const std::uint16_t halves[] = {0x3C00, 0xC000, 0x7BFF, 0x0400, 0x0001,
                                  0x3555, 0x8000, 0x7C00, 0x7E00};
  auto bytes = file_of(R"({"w":{"dtype":"F16","shape":[9],"data_offsets":[0,18]}})", 0);
  bytes.append(reinterpret_cast<const char*>(halves), sizeof halves);
  const auto file = decode(bytes, "t.st");
  const Array& w = file.at("w");
  EXPECT_EQ(w.dtype(), DType::float32);
  const float expected[] = {1,           -2,    65504,   6.103515625e-05f, 5.9604644775390625e-08f,
                            0.33325195f, -0.0f, INFINITY};
  for (std::size_t i = 0; i < 8; ++i) EXPECT_EQ(w.as<float>()[i], expected[i]) << i;
  EXPECT_TRUE(std::signbit(w.as<float>()[6]));
  EXPECT_TRUE(std::isnan(w.as<float>()[8]));
  EXPECT_THROW(decode(bytes.substr(0, bytes.size() - 2), "t.st"), Error);
}

TEST(Safetensors, Malformed) {
  struct Case {
    const char* name;
    std::string bytes;
    std::vector<std::string> expected;
  };
  const auto entry = [](const std::string& dtype, const std::string& shape,
                        const std::string& offsets) {
    return R"({"w":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" +
           offsets + "}}";
  };
  const std::string good = entry("F32", "[2]", "[0,8]");
  const std::string two =
      R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":)";
  const std::vector<Case> cases = {
      {"empty", "", {"t.st", "byte 0", "8 bytes", "the file has 0", "complete"}},
      {"cut length", "1234567", {"byte 0", "the file has 7"}},
      {"length over the file", file_of(good, 8).substr(0, 30), {"byte 0", "expected at most 22"}},
      {"huge length", std::string(8, '\xFF') + "{}", {"18446744073709551615 bytes", "at most 2"}},
      {"text", "hello world, this is text", {"byte 0"}},
      {"no header", file_of("", 0), {"byte 8", "\"{\""}},
      {"array", file_of("[1]", 0), {"byte 8", "\"{\""}},
      {"blank first", file_of(" {}", 0), {"byte 8"}},
      {"bad JSON", file_of(R"({"w":})", 0), {"byte 13", "not JSON"}},
      {"cut JSON", file_of(R"({"w":{"dtype")", 0), {"not JSON"}},
      {"invalid UTF-8", file_of("{\"\xFF\":1}", 0), {"not JSON"}},
      {"text behind", file_of("{}{}", 0), {"not JSON"}},
      {"deep",
       file_of(R"({"w":)" + std::string(5000, '[') + std::string(5000, ']') + "}", 0),
       {"nested deeper"}},
      {"twice", file_of(R"({"w":1,"w":2})", 0), {"\"w\" twice"}},
      {"twice inside", file_of(R"({"w":{"dtype":"F32","dtype":"F64"}})", 0), {"\"dtype\" twice"}},
      {"no object", file_of(R"({"w":[1]})", 0), {"tensor \"w\"", "expected an object"}},
      {"no dtype",
       file_of(R"({"w":{"shape":[],"data_offsets":[0,0]}})", 0),
       {"tensor \"w\"", "expected \"dtype\""}},
      {"no shape",
       file_of(R"({"w":{"dtype":"F32","data_offsets":[0,0]}})", 0),
       {"expected \"shape\""}},
      {"no offsets",
       file_of(R"({"w":{"dtype":"F32","shape":[]}})", 0),
       {"expected \"data_offsets\""}},
      {"unknown dtype",
       file_of(entry("F8_E4M3", "[8]", "[0,8]"), 8),
       {"tensor \"w\"", "unknown dtype \"F8_E4M3\"", "F32, F64"}},
      {"dtype number",
       file_of(R"({"w":{"dtype":7,"shape":[],"data_offsets":[0,4]}})", 4),
       {"unknown dtype 7"}},
      {"negative extent",
       file_of(entry("F32", "[-2]", "[0,8]"), 8),
       {"\"shape\": expected whole numbers from 0, found -2"}},
      {"fractional extent", file_of(entry("F32", "[2.0]", "[0,8]"), 8), {"found 2.0"}},
      {"shape text", file_of(entry("F32", "\"2\"", "[0,8]"), 8), {"\"shape\": expected a list"}},
      {"overflow", file_of(entry("F32", "[4294967296,4294967296]", "[0,0]"), 0), {"overflows"}},
      {"overflow beside 0",
       file_of(entry("F32", "[0,4294967296,4294967296]", "[0,0]"), 0),
       {"overflows"}},
      {"number out of range", file_of(entry("F32", "[1e999]", "[0,0]"), 0), {"number overflow"}},
      {"extent over 64 bits",
       file_of(entry("F32", "[99999999999999999999]", "[0,0]"), 0),
       {"whole numbers"}},
      {"one offset", file_of(entry("F32", "[2]", "[8]"), 8), {"expected [begin, end]"}},
      {"negative offset",
       file_of(entry("F32", "[2]", "[-8,0]"), 8),
       {"\"data_offsets\"", "found -8"}},
      {"offsets backwards",
       file_of(entry("F32", "[2]", "[8,0]"), 8),
       {"[8, 0] are outside of the 8 bytes"}},
      {"offset over the end",
       file_of(entry("F32", "[2]", "[0,8]"), 7),
       {"[0, 8] are outside of the 7 bytes"}},
      {"wrong byte count",
       file_of(entry("F32", "[3]", "[0,8]"), 8),
       {"hold 8 bytes, expected 12 for float32 [3]"}},
      {"scalar of 8 bytes", file_of(entry("F32", "[]", "[0,8]"), 8), {"expected 4"}},
      {"overlap",
       file_of(two + "[1,3]}}", 3),
       {"tensor \"b\"", "begins at 1, inside of another tensor that ends at 2"}},
      {"same place", file_of(two + "[0,2]}}", 2), {"begins at 0, inside of another"}},
      {"hole", file_of(two + "[3,5]}}", 5), {"tensor \"b\"", "begins at 3, expected 2: no holes"}},
      {"hole at the begin", file_of(entry("U8", "[1]", "[1,2]"), 2), {"begins at 1, expected 0"}},
      {"bytes behind", file_of(good, 12), {"end at byte 8 of the data, expected 12"}},
      {"elements without tensors", file_of("{}", 4), {"end at byte 0 of the data, expected 4"}},
      {"bool of 2",
       file_of(entry("BOOL", "[1]", "[0,1]"), 0) + "\x02",
       {"element 0 is byte 2, expected 0 or 1"}},
      {"metadata list", file_of(R"({"__metadata__":[]})", 0), {"__metadata__", "object of texts"}},
      {"metadata number", file_of(R"({"__metadata__":{"k":1}})", 0), {"\"k\": expected a text"}},
  };
  for (const auto& [name, bytes, expected] : cases) {
    SCOPED_TRACE(name);
    try {
      decode(bytes, "t.st");
      ADD_FAILURE() << "no error";
    } catch (const Error& e) {
      EXPECT_EQ(static_cast<int>(e.kind()), static_cast<int>(ErrorKind::data));
      EXPECT_THAT(e.what(), HasSubstr("t.st"));
      for (const auto& fragment : expected) EXPECT_THAT(e.what(), HasSubstr(fragment));
    }
  }
}

}  // namespace
}  // namespace descent::io
