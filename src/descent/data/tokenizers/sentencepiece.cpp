// SentencePiece models (Kudo & Richardson 2018), through its own library. Texts are normalised as
// the model says, so decode(encode(text)) may differ from the text in blanks and compatibility
// characters.
#include <fmt/format.h>
#include <sentencepiece_processor.h>

#include "descent/base/error.h"
#include "descent/base/file.h"
#include "descent/data/tokenizer.h"

namespace descent::data {
namespace {

constexpr std::string_view kDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::string to_base64(std::string_view bytes) {
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto byte = [&](std::size_t k) {
      return i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0u;
    };
    const unsigned x = byte(0) << 16 | byte(1) << 8 | byte(2);
    for (int k = 3; k >= 0; --k) out += kDigits[x >> (6 * k) & 63];
  }
  for (std::size_t k = 0; k < (3 - bytes.size() % 3) % 3; ++k) out[out.size() - 1 - k] = '=';
  return out;
}

std::string from_base64(std::string_view text) {
  std::string out;
  unsigned x = 0;
  int bits = 0;
  for (const char c : text) {
    if (c == '=') break;
    const auto digit = kDigits.find(c);
    if (digit == std::string_view::npos) {
      throw Error(ErrorKind::data, "the SentencePiece model is not base64");
    }
    x = (x << 6 | static_cast<unsigned>(digit)) & 0xFFFF;
    bits += 6;
    if (bits >= 8) out += static_cast<char>(x >> (bits -= 8) & 0xFF);
  }
  return out;
}

class SentencePieceTokenizer final : public Tokenizer {
 public:
  SentencePieceTokenizer(std::string model, const std::string& where) : model_(std::move(model)) {
    const auto status = processor_.LoadFromSerializedProto(model_);
    if (!status.ok()) {
      throw Error(ErrorKind::data, fmt::format("not a SentencePiece model ({})", status.ToString()),
                  where);
    }
  }

  std::string type() const override { return "sentencepiece"; }
  Token vocabulary() const override { return processor_.GetPieceSize(); }
  std::vector<Token> encode(std::string_view text, std::int64_t*) const override {
    std::vector<int> ids;
    check(processor_.Encode(text, &ids));
    return {ids.begin(), ids.end()};
  }
  std::string decode(std::span<const Token> tokens) const override {
    check_tokens(tokens, vocabulary());
    std::string text;
    check(processor_.Decode(std::vector<int>(tokens.begin(), tokens.end()), &text));
    return text;
  }
  std::string text_of(Token token) const override { return processor_.IdToPiece(token); }
  nlohmann::json to_json() const override { return {{"model", to_base64(model_)}}; }

 private:
  static void check(const sentencepiece::util::Status& status) {
    if (!status.ok()) throw Error(ErrorKind::data, "SentencePiece: " + status.ToString());
  }

  std::string model_;
  sentencepiece::SentencePieceProcessor processor_;
};

TokenizerPtr fit(std::span<const std::string_view>, const Options& options) {
  if (!options.has("model_file")) {
    throw Error(ErrorKind::usage, "the sentencepiece tokenizer needs its model", "data.model_file",
                "name the .model file that SentencePiece trained");
  }
  const auto& path = options.text("model_file");
  return std::make_shared<const SentencePieceTokenizer>(read_file(path), path);
}

TokenizerPtr load(const nlohmann::json& json) {
  return std::make_shared<const SentencePieceTokenizer>(
      from_base64(json.at("model").get<std::string>()), "tokenizer");
}

}  // namespace

void register_sentencepiece(TokenizerRegistry& registry) {
  registry.add({.name = "sentencepiece",
                .help = "the pieces of a SentencePiece model",
                .options = {{.key = "model_file",
                             .help = "sentencepiece: the .model file of a trained model"}},
                .make = [] { return TokenizerMaker{.fit = fit, .load = load}; }});
}

}  // namespace descent::data
