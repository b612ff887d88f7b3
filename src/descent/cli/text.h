// Text for people: wrapped lines, tables, numbers.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace descent::cli {

// Lines of at most `width` characters, broken at blanks (a longer word stays whole).
std::vector<std::string> wrapped(const std::string& text, std::size_t width);

// 6402 -> "6,402".
std::string grouped(std::int64_t number);

// Columns padded to their widest cell, two blanks apart; columns in `right` are aligned right.
std::string table(const std::vector<std::vector<std::string>>& rows,
                  const std::vector<bool>& right);

}  // namespace descent::cli
