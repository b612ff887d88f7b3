#include "descent/data/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <limits>

#include "descent/data/text.h"

namespace descent::data {
namespace {

std::vector<std::string> sorted_texts(const Tokenizer& tokenizer) {
  std::vector<std::string> texts;
  for (Token t = 0; t < tokenizer.vocabulary(); ++t) texts.push_back(tokenizer.text_of(t));
  std::ranges::sort(texts);
  return texts;
}

// "3 tokens only in the model: "x", "y", "z"", or nothing.
std::string only_in(const std::vector<std::string>& here, const std::vector<std::string>& there,
                    const std::string& name) {
  std::vector<std::string> alone;
  std::ranges::set_difference(here, there, std::back_inserter(alone));
  if (alone.empty()) return {};
  constexpr std::size_t most = 12;
  std::string list;
  for (std::size_t i = 0; i < std::min(alone.size(), most); ++i) {
    list += (i == 0 ? "" : ", ") + printable(alone[i]);
  }
  return fmt::format("{} only in {}: {}{}",
                     counted(static_cast<std::int64_t>(alone.size()), "token"), name, list,
                     alone.size() > most ? ", ..." : "");
}

}  // namespace

const TokenizerRegistry& tokenizers() {
  static const TokenizerRegistry registry = [] {
    TokenizerRegistry all("tokenizer");
    register_all(all);
    return all;
  }();
  return registry;
}

TokenizerPtr fit_tokenizer(std::span<const std::string_view> texts, const Options& options) {
  return tokenizers().at(options.text("tokenizer"), "data.tokenizer").make().fit(texts, options);
}

nlohmann::json tokenizer_to_json(const Tokenizer& tokenizer) {
  auto json = tokenizer.to_json();
  json["type"] = tokenizer.type();
  return json;
}

TokenizerPtr tokenizer_from_json(const nlohmann::json& json) {
  const auto type = json.at("type").get<std::string>();
  const auto* entry = tokenizers().find(type);
  if (entry == nullptr) {
    throw Error(ErrorKind::data, fmt::format("no tokenizer is called \"{}\"", type), "tokenizer",
                did_you_mean(type, tokenizers().names()));
  }
  return entry->make().load(json);
}

std::string difference(const Tokenizer& a, const std::string& name_a, const Tokenizer& b,
                       const std::string& name_b) {
  if (a.type() == b.type() && a.to_json() == b.to_json()) return {};
  std::string out;
  if (a.type() != b.type()) {
    out = fmt::format("{} has a {} tokenizer, {} a {} one", name_a, a.type(), name_b, b.type());
  }
  const auto in_a = sorted_texts(a), in_b = sorted_texts(b);
  for (const auto& part : {only_in(in_a, in_b, name_a), only_in(in_b, in_a, name_b)}) {
    if (!part.empty()) out += (out.empty() ? "" : "; ") + part;
  }
  return out.empty() ? "the same tokens have other numbers" : out;
}

void check_tokens(std::span<const Token> tokens, Token vocabulary) {
  for (const auto t : tokens) {
    if (t >= 0 && t < vocabulary) continue;
    throw Error(ErrorKind::data, fmt::format("token {} is not in 0..{}", t, vocabulary - 1));
  }
}

}  // namespace descent::data
