// Where the real data sets lie: DESCENT_TEST_DATA, or ../shared/data beside the project. Tests skip
// with a line that says so where they are absent.
#pragma once
#include <cstdlib>
#include <filesystem>
#include <string>

namespace descent::test {

inline std::string real_data(const std::string& name) {
  const char* set = std::getenv("DESCENT_TEST_DATA");
  const auto root = set != nullptr
                        ? std::filesystem::path(set)
                        : std::filesystem::path(DESCENT_GOLDEN_DIR) / "../../../shared/data";
  const auto path = root / name;
  return std::filesystem::exists(path) ? std::filesystem::weakly_canonical(path).string()
                                       : std::string();
}

}  // namespace descent::test

#define DESCENT_NEED_DATA(variable, name)                      \
  const std::string variable = descent::test::real_data(name); \
  if (variable.empty())                                        \
  GTEST_SKIP() << "no " << name << ": set DESCENT_TEST_DATA to the folder of the data sets"
