#include "descent/base/glob.h"

#include <fmt/format.h>

#include <algorithm>

#include "descent/base/error.h"

namespace descent {
namespace {

// A name may hold thousands of characters and a pattern many stars: on a mismatch only the last
// star takes one character more, which suffices and takes at most text times pattern.
struct Star {
  std::size_t pattern, begin, end;  // behind the star; the text it stands for
};

}  // namespace

std::optional<std::vector<std::string>> captures(std::string_view pattern, std::string_view text) {
  std::vector<Star> stars;
  std::size_t p = 0, t = 0;
  while (t < text.size() || p < pattern.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      stars.push_back({++p, t, t});
    } else if (p < pattern.size() && t < text.size() && pattern[p] == text[t]) {
      ++p, ++t;
    } else {
      if (stars.empty() || stars.back().end == text.size()) return std::nullopt;
      t = ++stars.back().end;
      p = stars.back().pattern;
    }
  }
  std::vector<std::string> found;
  for (const auto& s : stars) found.emplace_back(text.substr(s.begin, s.end - s.begin));
  return found;
}

bool matches(std::string_view pattern, std::string_view text) {
  return captures(pattern, text).has_value();
}

bool matches_any(const std::vector<std::string>& patterns, std::string_view text) {
  return std::ranges::any_of(patterns, [&](const auto& p) { return matches(p, text); });
}

void require_matches(const std::vector<std::string>& patterns,
                     const std::vector<std::string>& names, const std::string& what) {
  for (const auto& pattern : patterns) {
    if (std::ranges::any_of(names, [&](const auto& n) { return matches(pattern, n); })) continue;
    throw Error(ErrorKind::usage, fmt::format("{}: \"{}\" matches no name", what, pattern), {},
                did_you_mean(pattern, names));
  }
}

}  // namespace descent
