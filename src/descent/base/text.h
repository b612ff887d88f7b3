// Small things about text that any room needs.
#pragma once
#include <string>

namespace descent {

// Without blanks, tabs and line ends at both ends.
inline std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" \t\n\r");
  if (first == std::string::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\n\r") - first + 1);
}

}  // namespace descent
