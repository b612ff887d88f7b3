// One token a word or a punctuation mark: what comes often enough in the training texts, the most
// frequent first; token 0 is any other word. For classification: blanks are not kept.
#include <algorithm>
#include <map>
#include <unordered_map>

#include "descent/base/error.h"
#include "descent/data/text.h"
#include "descent/data/tokenizer.h"
#include "descent/data/unicode.h"

namespace descent::data {
namespace {

constexpr const char* kUnknown = "<unk>";

bool in_word(const CodePoint& c) { return !c.valid || is_letter(c.value) || is_number(c.value); }

// The word at the begin of a text that does not begin with white space: letters and numbers, with
// single apostrophes between ("don't"), or one other character.
std::string_view first_word(std::string_view text) {
  std::size_t end = 0;
  while (end < text.size()) {
    const auto c = code_point(text, end);
    const bool joins =
        end > 0 && c.value == '\'' && end + 1 < text.size() && in_word(code_point(text, end + 1));
    if (!in_word(c) && !joins) break;
    end += c.length;
  }
  return text.substr(0, end > 0 ? end : code_point(text, 0).length);
}

template <class F>
void for_each_word(std::string_view text, bool lowercase, const F& f) {
  while (!text.empty()) {
    const auto c = code_point(text, 0);
    if (c.valid && is_space(c.value)) {
      text.remove_prefix(c.length);
      continue;
    }
    std::string word(first_word(text));
    text.remove_prefix(word.size());
    if (lowercase) {
      for (auto& letter : word) {
        if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
      }
    }
    f(std::move(word));
  }
}

class WordTokenizer final : public Tokenizer {
 public:
  WordTokenizer(std::vector<std::string> words, bool lowercase)
      : words_(std::move(words)), lowercase_(lowercase) {
    for (std::size_t i = 0; i < words_.size(); ++i)
      tokens_.emplace(words_[i], static_cast<Token>(i + 1));
  }

  std::string type() const override { return "word"; }
  Token vocabulary() const override { return static_cast<Token>(words_.size()) + 1; }
  std::vector<Token> encode(std::string_view text, std::int64_t*) const override {
    std::vector<Token> tokens;
    for_each_word(text, lowercase_, [&](const std::string& word) {
      const auto it = tokens_.find(word);
      tokens.push_back(it == tokens_.end() ? 0 : it->second);
    });
    return tokens;
  }
  std::string decode(std::span<const Token> tokens) const override {
    check_tokens(tokens, vocabulary());
    std::string text;
    for (const auto t : tokens) {
      if (!text.empty()) text += ' ';
      text += t == 0 ? kUnknown : words_[static_cast<std::size_t>(t - 1)];
    }
    return text;
  }
  nlohmann::json to_json() const override { return {{"words", words_}, {"lowercase", lowercase_}}; }

 private:
  std::vector<std::string> words_;
  bool lowercase_;
  std::unordered_map<std::string, Token> tokens_;
};

TokenizerPtr fit(std::span<const std::string_view> texts, const Options& options) {
  const bool lowercase = options.boolean("lowercase");
  std::map<std::string, std::int64_t> counts;
  for (const auto text : texts) {
    if (!is_utf8(text)) {
      throw Error(ErrorKind::data, "the text is not UTF-8", {},
                  "convert it with iconv, or set data.tokenizer = \"byte\"");
    }
    for_each_word(text, lowercase, [&](std::string word) { ++counts[std::move(word)]; });
  }
  std::vector<std::pair<std::int64_t, std::string>> often;
  for (const auto& [word, n] : counts) {
    if (n >= options.integer("min_count")) often.emplace_back(-n, word);
  }
  std::ranges::sort(often);  // ties in order of the words
  std::vector<std::string> words;
  for (auto& [n, word] : often) words.push_back(std::move(word));
  return std::make_shared<const WordTokenizer>(std::move(words), lowercase);
}

TokenizerPtr load(const nlohmann::json& json) {
  return std::make_shared<const WordTokenizer>(json.at("words").get<std::vector<std::string>>(),
                                               json.at("lowercase").get<bool>());
}

}  // namespace

void register_word(TokenizerRegistry& registry) {
  registry.add(
      {.name = "word",
       .help = "the words and punctuation marks of the training texts; others are one token",
       .options = {{.key = "min_count",
                    .type = OptionType::integer,
                    .fallback = std::int64_t{2},
                    .help = "word: how often a word must come to have a token of its own",
                    .min = 1},
                   {.key = "lowercase",
                    .type = OptionType::boolean,
                    .fallback = true,
                    .help = "word: A-Z count as a-z"}},
       .make = [] { return TokenizerMaker{.fit = fit, .load = load}; }});
}

}  // namespace descent::data
