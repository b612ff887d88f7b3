#include "descent/cli/assignments.h"

#include <string_view>

#include "descent/base/text.h"

namespace descent::cli {

std::vector<std::string> split_commas(const std::string& text) {
  std::vector<std::string> parts(1);
  int depth = 0;
  char quote = 0, before = ',';  // before: what is not blank
  for (const char c : text) {
    // After a value an apostrophe is an operator: A'.
    const bool opens = std::string_view(",=[({").find(before) != std::string_view::npos;
    if (c != ' ') before = c;
    if (quote != 0) {
      if (c == quote) quote = 0;
    } else if (opens && (c == '"' || c == '\'')) {
      quote = c;
    } else if (std::string_view("[({").find(c) != std::string_view::npos) {
      ++depth;
    } else if (std::string_view("])}").find(c) != std::string_view::npos) {
      --depth;
    } else if (c == ',' && depth <= 0) {
      parts.emplace_back();
      continue;
    }
    parts.back() += c;
  }
  for (auto& part : parts) part = trimmed(part);
  return parts;
}

std::pair<std::string, std::string> split_assignment(const std::string& text) {
  const auto at = text.find('=');
  if (at == std::string::npos) return {"", trimmed(text)};
  return {trimmed(text.substr(0, at)), trimmed(text.substr(at + 1))};
}

}  // namespace descent::cli
