#pragma once

namespace descent::cli {

// As in the project() line of CMakeLists.txt; a test compares the two.
inline constexpr const char* kVersion = "0.1.0";

}  // namespace descent::cli
