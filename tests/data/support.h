// What the tests of data share: the real data sets, temporary files, options, error checks.
#pragma once
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "descent/base/error.h"
#include "descent/base/file.h"
#include "descent/data/options.h"

namespace descent::data {

// Folder of the real data sets: $DESCENT_TEST_DATA, else shared/data beside the project.
inline std::string data_folder() {
  if (const char* given = std::getenv("DESCENT_TEST_DATA")) return given;
  return std::string(DESCENT_GOLDEN_DIR) + "/../../../shared/data";
}

#define SKIP_WITHOUT(path)                                                                 \
  if (!std::filesystem::exists(path)) {                                                    \
    GTEST_SKIP() << (path) << " is not there: set DESCENT_TEST_DATA to the folder of the " \
                 << "data sets (shared/data/README.md)";                                   \
  }

// A folder that is removed with its content at the end of a test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "descent-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  std::string write(const std::string& name, std::string_view content) const {
    const std::string path = path_ + "/" + name;
    write_file_atomic(path, content);
    return path;
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Calls of operator new so far (allocations_test.cpp).
std::int64_t allocations();

// The section [data] with some keys set.
inline Options with(std::vector<std::pair<std::string, OptionValue>> values) {
  Options given;
  for (auto& [key, value] : values) given.set(key, std::move(value));
  return resolve(options(), given, "data");
}

// Runs f; expects an Error of `kind` whose text holds every fragment.
template <class F>
void expect_error(F f, ErrorKind kind, const std::vector<std::string>& fragments) {
  try {
    f();
    ADD_FAILURE() << "no error, expected: " << testing::PrintToString(fragments);
  } catch (const Error& e) {
    EXPECT_EQ(static_cast<int>(e.kind()), static_cast<int>(kind)) << e.what();
    for (const auto& fragment : fragments) EXPECT_THAT(e.what(), testing::HasSubstr(fragment));
  }
}

// Integers as they lie in files.
template <int n>
std::string little(std::uint64_t x) {
  std::string bytes;
  for (int i = 0; i < n; ++i) bytes += static_cast<char>(x >> (8 * i) & 0xFF);
  return bytes;
}
template <int n>
std::string big(std::uint64_t x) {
  std::string bytes;
  for (int i = n - 1; i >= 0; --i) bytes += static_cast<char>(x >> (8 * i) & 0xFF);
  return bytes;
}

// A .npy file of version 1 with this header and these elements.
inline std::string npy_file(const std::string& header, std::string_view elements, int version = 1) {
  std::string out = std::string("\x93NUMPY", 6) + static_cast<char>(version) + '\0';
  out += version == 1 ? little<2>(header.size()) : little<4>(header.size());
  return (out + header).append(elements);
}

// An IDX file of this type with these extents and elements.
inline std::string idx_file(int type, const std::vector<std::uint32_t>& extents,
                            std::string_view elements) {
  std::string out = {'\0', '\0', static_cast<char>(type), static_cast<char>(extents.size())};
  for (const auto n : extents) out += big<4>(n);
  return out.append(elements);
}

}  // namespace descent::data
