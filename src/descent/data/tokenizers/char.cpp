// One token a Unicode character: the characters of the training text, in order of their numbers.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "descent/base/error.h"
#include "descent/data/text.h"
#include "descent/data/tokenizer.h"
#include "descent/data/unicode.h"

namespace descent::data {
namespace {

class CharTokenizer final : public Tokenizer {
 public:
  explicit CharTokenizer(std::vector<std::string> characters) : characters_(std::move(characters)) {
    for (std::size_t i = 0; i < characters_.size(); ++i) {
      const auto& c = characters_[i];
      const bool one = !c.empty() && character_length(c, 0) == c.size();
      if (!one || !tokens_.emplace(code_point(c, 0).value, static_cast<Token>(i)).second) {
        throw Error(ErrorKind::data,
                    fmt::format("{} is no character, or there twice", printable(c)), "tokenizer");
      }
    }
  }

  std::string type() const override { return "char"; }
  Token vocabulary() const override { return static_cast<Token>(characters_.size()); }
  bool is_per_character() const override { return true; }

  std::vector<Token> encode(std::string_view text, std::int64_t* unknown) const override {
    std::vector<Token> tokens;
    tokens.reserve(text.size());
    for (std::size_t i = 0; i < text.size();) {
      const auto c = code_point(text, i);
      const auto it = tokens_.find(c.value);
      if (c.valid && it != tokens_.end()) {
        tokens.push_back(it->second);
      } else if (unknown != nullptr) {
        ++*unknown;
      } else {
        fail(text, i, c);
      }
      i += c.length;
    }
    return tokens;
  }

  std::string decode(std::span<const Token> tokens) const override {
    check_tokens(tokens, vocabulary());
    std::string text;
    for (const auto t : tokens) text += characters_[static_cast<std::size_t>(t)];
    return text;
  }

  nlohmann::json to_json() const override { return {{"characters", characters_}}; }

 private:
  [[noreturn]] void fail(std::string_view text, std::size_t i, const CodePoint& c) const {
    const auto line =
        1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(i), '\n');
    throw Error(
        ErrorKind::data,
        fmt::format("line {}: the character {}{} is none of the {} characters of the "
                    "training text",
                    line, printable(text.substr(i, c.length)),
                    c.valid ? fmt::format(" (U+{:04X})", static_cast<unsigned>(c.value)) : "",
                    characters_.size()),
        {}, "leave it out, or train with data.tokenizer = \"byte\", which knows all texts");
  }

  std::vector<std::string> characters_;
  std::map<char32_t, Token> tokens_;
};

TokenizerPtr fit(std::span<const std::string_view> texts, const Options&) {
  std::set<char32_t> seen;
  std::map<char32_t, std::string> found;  // in order of the numbers
  for (const auto text : texts) {
    for (std::size_t i = 0; i < text.size();) {
      const auto c = code_point(text, i);
      if (!c.valid) {
        throw Error(
            ErrorKind::data,
            fmt::format("byte {} is {}: the text is not UTF-8", i, printable(text.substr(i, 1))),
            {}, "convert it with iconv, or set data.tokenizer = \"byte\"");
      }
      if (seen.insert(c.value).second) found.emplace(c.value, text.substr(i, c.length));
      i += c.length;
    }
  }
  std::vector<std::string> characters;
  for (auto& [value, text] : found) characters.push_back(std::move(text));
  return std::make_shared<const CharTokenizer>(std::move(characters));
}

TokenizerPtr load(const nlohmann::json& json) {
  return std::make_shared<const CharTokenizer>(
      json.at("characters").get<std::vector<std::string>>());
}

}  // namespace

void register_char(TokenizerRegistry& registry) {
  registry.add({.name = "char",
                .help = "the Unicode characters that the training file has",
                .make = [] { return TokenizerMaker{.fit = fit, .load = load}; }});
}

}  // namespace descent::data
