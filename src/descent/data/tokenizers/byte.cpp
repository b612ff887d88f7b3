// One token a byte: any text, in any encoding, with nothing learnt.
#include "descent/data/tokenizer.h"

namespace descent::data {
namespace {

class ByteTokenizer final : public Tokenizer {
 public:
  std::string type() const override { return "byte"; }
  Token vocabulary() const override { return 256; }
  bool is_per_character() const override { return true; }
  std::vector<Token> encode(std::string_view text, std::int64_t*) const override {
    std::vector<Token> tokens;
    tokens.reserve(text.size());
    for (const char c : text) tokens.push_back(static_cast<unsigned char>(c));
    return tokens;
  }
  std::string decode(std::span<const Token> tokens) const override {
    check_tokens(tokens, vocabulary());
    std::string text;
    for (const auto t : tokens) text += static_cast<char>(t);
    return text;
  }
  nlohmann::json to_json() const override { return nlohmann::json::object(); }
};

}  // namespace

void register_byte(TokenizerRegistry& registry) {
  registry.add({.name = "byte", .help = "the 256 bytes", .make = [] {
                  return TokenizerMaker{
                      .fit = [](std::span<const std::string_view>, const Options&) -> TokenizerPtr {
                        return std::make_shared<const ByteTokenizer>();
                      },
                      .load = [](const nlohmann::json&) -> TokenizerPtr {
                        return std::make_shared<const ByteTokenizer>();
                      }};
                }});
}

}  // namespace descent::data
