// Unicode as far as tokenizers need it: code points of UTF-8, and the classes \p{L}, \p{N} and \s.
#pragma once
#include <cstddef>
#include <string_view>

namespace descent::data {

// Length in bytes of the UTF-8 character that begins at text[i], or 0 where there is none.
std::size_t character_length(std::string_view text, std::size_t i);

struct CodePoint {
  char32_t value = 0;
  std::size_t length = 1;  // in bytes
  bool valid = true;       // false: one byte that is no UTF-8; `value` is the byte
};
// That at text[i], i < text.size().
CodePoint code_point(std::string_view text, std::size_t i);

bool is_letter(char32_t c);  // general category L
bool is_number(char32_t c);  // general category N
bool is_space(char32_t c);   // property White_Space

}  // namespace descent::data
