// Patterns of names: * stands for any characters, dots too ("encoder.*" for everything below
// encoder); all else stands for itself.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace descent {

bool matches(std::string_view pattern, std::string_view text);
bool matches_any(const std::vector<std::string>& patterns, std::string_view text);

// What each * of the pattern stands for, as short as possible from the left; nothing where the
// pattern does not match.
std::optional<std::vector<std::string>> captures(std::string_view pattern, std::string_view text);

// Each pattern must match one of the names: else a usage error that suggests one. `what` says what
// the patterns are for ("train.freeze").
void require_matches(const std::vector<std::string>& patterns,
                     const std::vector<std::string>& names, const std::string& what);

}  // namespace descent
