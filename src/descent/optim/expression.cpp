// The parser: recursive descent over the precedences, bounded in depth since any text may come.
#include "descent/optim/expression.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "descent/optim/expression_program.h"

namespace descent::optim {
namespace expression {
namespace {

constexpr int kDeepest = 200;  // brackets, signs and powers inside each other

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Bytes of the name that starts at `at`: ASCII letters, _, digits after the first, Greek letters.
std::size_t name_length(std::string_view text, std::size_t at) {
  std::size_t end = at;
  while (end < text.size()) {
    const char c = text[end];
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    const bool greek = (c == '\xCE' || c == '\xCF') && end + 1 < text.size() &&
                       (static_cast<unsigned char>(text[end + 1]) & 0xC0U) == 0x80U;
    if (greek) {
      end += 2;
    } else if (letter || (end > at && is_digit(c))) {
      ++end;
    } else {
      break;
    }
  }
  return end - at;
}

class Parser {
 public:
  explicit Parser(Program& program) : program_(program), text_(program.text) {}

  void run() {
    if (peek() == '\0' && at_end()) fail(0, "the formula is empty", "for example x^2 + 1");
    comparison();
    if (!at_end()) unexpected();
  }

 private:
  struct Deeper {
    explicit Deeper(Parser& parser) : parser_(parser) {
      if (++parser_.depth_ > kDeepest)
        parser_.fail(parser_.at_, fmt::format("nested deeper than {} levels", kDeepest), "");
    }
    ~Deeper() { --parser_.depth_; }
    Deeper(const Deeper&) = delete;
    Deeper& operator=(const Deeper&) = delete;

   private:
    Parser& parser_;
  };

  [[noreturn]] void fail(std::size_t offset, const std::string& message,
                         const std::string& hint) const {
    throw error_at(text_, offset, message, hint);
  }

  bool at_end() const { return at_ >= text_.size(); }
  // The next character after blanks; '\0' at the end.
  char peek() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r'))
      ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  // Takes the token where it comes next.
  bool take(std::string_view token) {
    peek();
    if (text_.compare(at_, token.size(), token) != 0) return false;
    at_ += token.size();
    return true;
  }
  // The first of the tokens that comes next (longer ones stand first).
  template <std::size_t n>
  const std::pair<std::string_view, Code>* take_operator(
      const std::pair<std::string_view, Code> (&tokens)[n]) {
    const auto* found = std::ranges::find_if(tokens, [&](const auto& t) { return take(t.first); });
    return found == std::end(tokens) ? nullptr : found;
  }
  void emit(Code code, std::size_t offset) {
    program_.code.push_back({.code = code, .offset = offset});
  }

  // Something else than an operator follows an operand.
  [[noreturn]] void unexpected() {
    const char c = peek();
    const auto length = name_length(text_, at_);
    if (length > 0 || is_digit(c) || c == '(' || c == '.') {
      const bool call =
          last_name_ < program_.names.size() && find_function(program_.names[last_name_]) >= 0;
      fail(at_, "an operator is missing here",
           call ? fmt::format("\"{0}\" is a function: write {0}(...)", program_.names[last_name_])
                : "to multiply, write *: 2*x");
    }
    if (c == '=') fail(at_, "an assignment has no place in a formula", "to compare, write ==");
    if (c == ')' || c == ']') fail(at_, fmt::format("\"{}\" closes nothing", c), "");
    if (c == ',')
      fail(at_, "a comma outside of brackets", "decimals are written with a point: 1.5");
    bad_character();
  }
  [[noreturn]] void bad_character() {
    if (at_end()) fail(at_, "the formula ends where an operand is needed", "");
    const auto byte = static_cast<unsigned char>(text_[at_]);
    std::size_t length = 1;
    while (byte >= 0x80U && at_ + length < text_.size() && length < 4 &&
           (static_cast<unsigned char>(text_[at_ + length]) & 0xC0U) == 0x80U)
      ++length;
    const bool printable = byte >= 0x80U ? length > 1 : byte >= 0x20U && byte != 0x7FU;
    fail(at_,
         printable ? fmt::format("\"{}\" is not expected here", text_.substr(at_, length))
                   : fmt::format("the byte 0x{:02x} is not expected here", byte),
         "a formula is made of numbers, names, + - * / ^, brackets and calls");
  }

  void comparison() {
    static constexpr std::pair<std::string_view, Code> kTokens[] = {
        {"<=", Code::less_equal}, {">=", Code::greater_equal}, {"==", Code::equal},
        {"!=", Code::not_equal},  {"<", Code::less},           {">", Code::greater}};
    sum();
    peek();
    auto offset = at_;
    const auto* token = take_operator(kTokens);
    if (token == nullptr) return;
    sum();
    emit(token->second, offset);
    peek();
    offset = at_;
    if (take_operator(kTokens) != nullptr)
      fail(offset, "comparisons do not chain", "multiply two of them: (0 < x)*(x < 1)");
  }
  void sum() {
    static constexpr std::pair<std::string_view, Code> kTokens[] = {{"+", Code::add},
                                                                    {"-", Code::subtract}};
    left_to_right(kTokens, [this] { product(); });
  }
  void product() {
    static constexpr std::pair<std::string_view, Code> kTokens[] = {{".*", Code::multiply_elements},
                                                                    {"./", Code::divide},
                                                                    {"*", Code::multiply},
                                                                    {"/", Code::divide},
                                                                    {"@", Code::matmul}};
    left_to_right(kTokens, [this] { sign(); });
  }
  template <std::size_t n, class Operand>
  void left_to_right(const std::pair<std::string_view, Code> (&tokens)[n], Operand&& operand) {
    operand();
    for (;;) {
      peek();
      const auto offset = at_;
      const auto* token = take_operator(tokens);
      if (token == nullptr) return;
      operand();
      emit(token->second, offset);
    }
  }
  void sign() {
    const Deeper deeper(*this);
    peek();
    const auto offset = at_;
    if (take("-")) {
      sign();
      emit(Code::negate, offset);
    } else if (take("+")) {
      sign();
    } else {
      power();
    }
  }
  void power() {
    static constexpr std::pair<std::string_view, Code> kTokens[] = {
        {"^", Code::power}, {"**", Code::power}, {".^", Code::power}};
    postfix();
    peek();
    const auto offset = at_;
    if (take_operator(kTokens) == nullptr) return;
    sign();
    emit(Code::power, offset);
  }
  void postfix() {
    operand();
    for (;;) {
      peek();
      const auto offset = at_;
      if (take("'")) {
        emit(Code::transpose, offset);
      } else if (take("[")) {
        index(offset);
      } else {
        return;
      }
    }
  }
  void index(std::size_t offset) {
    Instruction made = {.code = Code::index, .offset = offset};
    do {
      IndexPart part;
      if (peek() != ':') {
        comparison();
        part.has_begin = true;
      }
      if (take(":")) {
        part.range = true;
        if (peek() != ']' && peek() != ',' && peek() != ':') {
          comparison();
          part.has_end = true;
        }
        if (take(":")) {
          comparison();
          part.has_step = true;
        }
      }
      made.parts.push_back(part);
    } while (take(","));
    close("]", offset);
    program_.code.push_back(std::move(made));
  }
  void close(std::string_view bracket, std::size_t opened) {
    if (take(bracket)) return;
    if (at_end())
      fail(opened, "this bracket is never closed", fmt::format("a \"{}\" is missing", bracket));
    if (peek() == ',') fail(at_, fmt::format("\"{}\" is expected, not a comma", bracket), "");
    unexpected();
  }

  void operand() {
    const char c = peek();
    const auto offset = at_;
    if (is_digit(c) || (c == '.' && at_ + 1 < text_.size() && is_digit(text_[at_ + 1]))) {
      number();
    } else if (take("(")) {
      comparison();
      close(")", offset);
      last_name_ = kNone;
    } else if (take("[")) {
      const int count = operands("]", offset);
      program_.code.push_back({.code = Code::list, .offset = offset, .count = count});
    } else if (const auto length = name_length(text_, at_); length > 0) {
      const auto name = text_.substr(at_, length);
      at_ += length;
      if (peek() == '(') {
        call(name, offset);
      } else {
        program_.code.push_back({.code = Code::name, .offset = offset, .id = name_id(name)});
      }
    } else if (c == '*' || c == '/' || c == '^' || c == '<' || c == '>' || c == '@' || c == ')' ||
               c == ']' || c == ',') {
      fail(at_, fmt::format("an operand is missing before \"{}\"", c), "");
    } else {
      bad_character();
    }
  }
  void number() {
    double value = 0;
    const char* begin = text_.data() + at_;
    const auto [end, status] = std::from_chars(begin, text_.data() + text_.size(), value);
    if (status != std::errc())
      fail(at_, "this number is outside of what 64 bits hold",
           "magnitudes from 4.9e-324 to 1.8e308");
    program_.code.push_back({.code = Code::number, .offset = at_, .number = value});
    at_ += static_cast<std::size_t>(end - begin);
    last_name_ = kNone;
  }
  int name_id(const std::string& name) {
    const auto found = std::ranges::find(program_.names, name);
    last_name_ = static_cast<std::size_t>(found - program_.names.begin());
    if (found == program_.names.end()) program_.names.push_back(name);
    return static_cast<int>(last_name_);
  }
  // Operands between commas up to the closing bracket; the number of them.
  int operands(std::string_view bracket, std::size_t opened) {
    if (take(bracket)) return 0;
    int count = 0;
    do {
      comparison();
      ++count;
    } while (take(","));
    close(bracket, opened);
    last_name_ = kNone;
    return count;
  }
  void call(const std::string& name, std::size_t offset) {
    const int id = find_function(name);
    if (id < 0) {
      // A name of one or two letters is a variable with * forgotten.
      const auto near = name.size() < 3 ? "" : closest(name, Expression::functions());
      fail(offset, fmt::format("no function is called \"{}\"", name),
           near.empty() ? fmt::format("to multiply, write {}*(...); functions: {}", name,
                                      fmt::join(Expression::functions(), ", "))
                        : fmt::format("did you mean \"{}\"?", near));
    }
    const auto opened = at_;
    take("(");
    const int count = operands(")", opened);
    const auto& function = function_table()[static_cast<std::size_t>(id)];
    if (count < function.least || (function.most >= 0 && count > function.most)) {
      const auto wanted = function.most < 0 ? fmt::format("at least {}", function.least)
                          : function.least == function.most
                              ? fmt::format("{}", function.least)
                              : fmt::format("{} to {}", function.least, function.most);
      fail(offset,
           fmt::format("{} takes {} argument{}, not {}", name, wanted,
                       wanted == "1" || wanted == "at least 1" ? "" : "s", count),
           "");
    }
    program_.code.push_back({.code = Code::call, .offset = offset, .id = id, .count = count});
  }

  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  Program& program_;
  const std::string& text_;
  std::size_t at_ = 0;
  std::size_t last_name_ = kNone;  // the operand just read, where it is a name
  int depth_ = 0;
};

bool starts_character(char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }

}  // namespace

Error error_at(const std::string& text, std::size_t offset, const std::string& message,
               const std::string& hint) {
  offset = std::min(offset, text.size());
  // A long text is shown around the place only.
  constexpr std::size_t kBefore = 60, kAfter = 30;
  std::size_t begin = offset > kBefore ? offset - kBefore : 0;
  while (begin < offset && !starts_character(text[begin])) ++begin;
  std::size_t end = std::min(text.size(), offset + kAfter);
  while (end < text.size() && !starts_character(text[end])) ++end;
  std::string shown = begin > 0 ? "... " : "", caret(shown.size(), ' ');
  for (std::size_t i = begin; i < end; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    shown += byte < 0x20U || byte == 0x7FU ? ' ' : text[i];
    if (i < offset && starts_character(text[i])) caret += ' ';
  }
  if (end < text.size()) shown += " ...";
  const auto column =
      std::count_if(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(offset),
                    starts_character) +
      1;
  return {ErrorKind::usage, message, fmt::format("formula, column {}", column),
          shown + "\n" + caret + "^" + (hint.empty() ? "" : "\n" + hint)};
}

std::optional<double> named_constant(std::string_view name) {
  if (name == "pi" || name == "\u03c0") return 3.14159265358979323846;
  if (name == "e") return 2.71828182845904523536;
  return std::nullopt;
}

}  // namespace expression

Expression Expression::parse(const std::string& text) {
  auto program = std::make_shared<expression::Program>();
  program->text = text;
  expression::Parser(*program).run();
  return Expression(std::move(program));
}

Expression::Expression(std::shared_ptr<const expression::Program> program)
    : program_(std::move(program)) {
  std::ranges::copy_if(program_->names, std::back_inserter(names_),
                       [](const auto& name) { return !expression::named_constant(name); });
}

bool Expression::uses(const std::string& name) const {
  return std::ranges::find(program_->names, name) != program_->names.end();
}

const std::string& Expression::text() const { return program_->text; }

const std::vector<std::string>& Expression::functions() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const auto& function : expression::function_table()) all.emplace_back(function.name);
    return all;
  }();
  return names;
}

}  // namespace descent::optim
