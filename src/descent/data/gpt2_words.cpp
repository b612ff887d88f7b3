#include "descent/data/gpt2.h"
#include "descent/data/unicode.h"

namespace descent::data {
namespace {

enum class Class { letter, number, space, other };

Class class_of(const CodePoint& c) {
  if (!c.valid) return Class::other;
  if (is_letter(c.value)) return Class::letter;
  if (is_number(c.value)) return Class::number;
  return is_space(c.value) ? Class::space : Class::other;
}

// 's, 't, 're, ...: its length, or 0.
std::size_t contraction(std::string_view text) {
  for (const std::string_view ending : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}) {
    if (text.starts_with(ending)) return ending.size();
  }
  return 0;
}

// The end of the run of one class from `begin`; where the last character of the run begins.
struct Run {
  std::size_t end = 0, last = 0;
};
Run run_of(std::string_view text, std::size_t begin, Class wanted) {
  Run run{begin, begin};
  while (run.end < text.size()) {
    const auto c = code_point(text, run.end);
    if (class_of(c) != wanted) break;
    run.last = run.end;
    run.end += c.length;
  }
  return run;
}

}  // namespace

std::string_view gpt2_word(std::string_view text) {
  if (const auto n = contraction(text); n > 0) return text.substr(0, n);
  // One blank may go before letters, numbers or other characters.
  const std::size_t begin = text.front() == ' ' && text.size() > 1 ? 1 : 0;
  const Class first = class_of(code_point(text, begin));
  if (first != Class::space) return text.substr(0, run_of(text, begin, first).end);
  // White space up to its last character, which goes with what follows; all of it at the end of
  // the text, or where it is a single one.
  const auto run = run_of(text, 0, Class::space);
  const bool whole = run.end == text.size() || run.last == 0;
  return text.substr(0, whole ? run.end : run.last);
}

}  // namespace descent::data
