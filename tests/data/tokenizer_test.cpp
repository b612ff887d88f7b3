// Tokenizers: golden vectors of other implementations, round trips, what is learnt, errors.
#include "descent/data/tokenizer.h"

#include <fstream>

#include "descent/base/random.h"
#include "descent/data/gpt2.h"
#include "tests/data/support.h"

namespace descent::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TokenizerPtr fitted(const std::string& type, std::vector<std::string_view> texts,
                    std::vector<std::pair<std::string, OptionValue>> more = {}) {
  more.emplace_back("tokenizer", type);
  return fit_tokenizer(texts, with(std::move(more)));
}

std::string there_and_back(const Tokenizer& tokenizer, std::string_view text) {
  return tokenizer.decode(tokenizer.encode(text));
}

// Bytes of all kinds: ASCII, blanks, any byte, characters of two to four bytes.
std::string random_text(RandomStream& random) {
  std::string text;
  const auto n = random.below(80);
  for (std::uint64_t i = 0; i < n; ++i) {
    switch (random.below(5)) {
      case 0:
        text += static_cast<char>(random.below(256));
        break;
      case 1:
        text.append(random.below(4), " \n\t'"[random.below(4)]);
        break;
      case 2:
        text += std::array{"é", "中", "😀", "'s", "\u00a0"}[random.below(5)];
        break;
      default:
        text += static_cast<char>('a' + random.below(26));
    }
  }
  return text;
}

// A vocabulary of the 256 bytes, then "ab", "abc", " a", "aa".
struct TinyBpe {
  std::string encoder = "{", merges = "#version: 0.2\na b\nab c\n\u0120 a\na a\n";
  TinyBpe() {
    int next = 0, number = 0;
    for (int b = 0; b < 256; ++b) {
      const bool plain = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
      const int c = plain ? b : 256 + next++;
      encoder += fmt::format("\"\\u{:04x}\": {}, ", c, number++);
    }
    encoder += R"("ab": 256, "abc": 257, "\u0120a": 258, "aa": 259})";
  }
  TokenizerPtr make() const { return gpt2_tokenizer(encoder, "e.json", merges, "m.bpe"); }
};

std::string gpt2_folder() { return data_folder() + "/gpt2-bpe"; }
std::string sentencepiece_model() { return data_folder() + "/sentencepiece/test_model.model"; }

nlohmann::json golden() {
  std::ifstream file(std::string(DESCENT_GOLDEN_DIR) + "/data/tokenizers.json");
  return nlohmann::json::parse(file);
}

// ---- golden vectors ----

TEST(Tokenizer, Gpt2EncodesAsTiktokenDoes) {
  SKIP_WITHOUT(gpt2_folder());
  const auto tokenizer = fitted("gpt2", {}, {{"vocabulary", gpt2_folder()}});
  EXPECT_EQ(tokenizer->vocabulary(), 50257);
  EXPECT_THAT(tokenizer->encode("Hello world"), ElementsAre(15496, 995));
  for (const auto& c : golden()) {
    const auto text = c.at("text").get<std::string>();
    EXPECT_EQ(tokenizer->encode(text), c.at("gpt2").get<std::vector<Token>>()) << text;
    EXPECT_EQ(there_and_back(*tokenizer, text), text);
  }
  const auto shakespeare = data_folder() + "/tinyshakespeare/input.txt";
  if (std::filesystem::exists(shakespeare)) {
    const auto text = read_file(shakespeare);
    const auto tokens = tokenizer->encode(text);
    EXPECT_EQ(tokens.size(), 338025u);  // as nanoGPT's prepare.py counts: 301,966 + 36,059
    EXPECT_EQ(tokenizer->decode(tokens), text);
  }
}

TEST(Tokenizer, SentencePieceEncodesAsItsLibraryDoes) {
  SKIP_WITHOUT(sentencepiece_model());
  const auto tokenizer = fitted("sentencepiece", {}, {{"model_file", sentencepiece_model()}});
  EXPECT_EQ(tokenizer->vocabulary(), 1000);
  for (const auto& c : golden()) {
    const auto text = c.at("text").get<std::string>();
    EXPECT_EQ(tokenizer->encode(text), c.at("sentencepiece").get<std::vector<Token>>()) << text;
    EXPECT_EQ(there_and_back(*tokenizer, text), c.at("decoded").get<std::string>());
  }
}

// ---- round trips ----

TEST(Tokenizer, BytesAndBpeKeepEveryText) {
  std::vector<TokenizerPtr> all = {fitted("byte", {}), TinyBpe().make()};
  if (std::filesystem::exists(gpt2_folder()))
    all.push_back(fitted("gpt2", {}, {{"vocabulary", gpt2_folder()}}));
  RandomStream random(3);
  for (int i = 0; i < 2000; ++i) {
    const auto text = random_text(random);
    for (const auto& tokenizer : all) {
      EXPECT_EQ(there_and_back(*tokenizer, text), text) << tokenizer->type();
    }
  }
  std::string every;
  for (int b = 0; b < 256; ++b) every += static_cast<char>(b);
  for (const auto& tokenizer : all) EXPECT_EQ(there_and_back(*tokenizer, every), every);
}

TEST(Tokenizer, CharactersKeepTheTextTheyCameFrom) {
  const std::string text = "To be, or not to be: naïve 中文 😀\n";
  const auto tokenizer = fitted("char", {text});
  EXPECT_EQ(there_and_back(*tokenizer, text), text);
  EXPECT_EQ(tokenizer->encode(text).size(), 32u);
  EXPECT_TRUE(tokenizer->is_per_character());
}

TEST(Tokenizer, AllComeBackFromJson) {
  const std::string text = "the cat and the dog and the bird, naïve";
  std::vector<TokenizerPtr> all = {fitted("char", {text}), fitted("byte", {}),
                                   fitted("word", {text}, {{"min_count", std::int64_t{1}}}),
                                   TinyBpe().make()};
  if (std::filesystem::exists(sentencepiece_model()))
    all.push_back(fitted("sentencepiece", {}, {{"model_file", sentencepiece_model()}}));
  for (const auto& tokenizer : all) {
    const auto written = tokenizer_to_json(*tokenizer).dump();
    const auto back = tokenizer_from_json(nlohmann::json::parse(written));
    EXPECT_EQ(back->type(), tokenizer->type());
    EXPECT_EQ(back->vocabulary(), tokenizer->vocabulary());
    EXPECT_EQ(back->encode(text), tokenizer->encode(text));
    EXPECT_EQ(difference(*tokenizer, "a", *back, "b"), "");
  }
  for (const auto& name : tokenizers().names()) {
    const bool there = std::ranges::any_of(
        all, [&](const TokenizerPtr& t) { return t->type() == name || name == "sentencepiece"; });
    EXPECT_TRUE(there) << name << " is not tested here";
  }
}

// ---- what each makes of a text ----

TEST(Tokenizer, CharactersAreSorted) {
  const auto tokenizer = fitted("char", {"banana é\n"});
  EXPECT_EQ(tokenizer->vocabulary(), 6);
  EXPECT_THAT(tokenizer->encode("\n abné"), ElementsAre(0, 1, 2, 3, 4, 5));
}

TEST(Tokenizer, UnknownCharactersAreNamedOrCounted) {
  const auto tokenizer = fitted("char", {"abc\n"});
  expect_error([&] { tokenizer->encode("abc\nad"); }, ErrorKind::data,
               {"line 2", "\"d\" (U+0064)", "none of the 4 characters", "byte"});
  expect_error([&] { tokenizer->encode("a\xFF"); }, ErrorKind::data, {"\\xff"});
  std::int64_t unknown = 0;
  EXPECT_THAT(tokenizer->encode("axbé\xFF", &unknown), ElementsAre(1, 2));
  EXPECT_EQ(unknown, 3);
  expect_error([&] { fitted("char", {"ab\xFF"}); }, ErrorKind::data, {"byte 2", "UTF-8", "byte"});
}

TEST(Tokenizer, MergesComeInTheirOrder) {
  const auto tokenizer = TinyBpe().make();
  EXPECT_THAT(tokenizer->encode("abc"), ElementsAre(257));
  EXPECT_THAT(tokenizer->encode("ab"), ElementsAre(256));
  // " a" is later than "a b": the blank stays alone.
  EXPECT_EQ(tokenizer->encode(" ab").size(), 2u);
  EXPECT_THAT(tokenizer->encode(" a"), ElementsAre(258));
  EXPECT_THAT(tokenizer->encode("aaaa"), ElementsAre(259, 259));
  EXPECT_EQ(tokenizer->encode("aaa").front(), 259);  // the left pair first
  // A long word takes time in proportion (a square of it would take minutes).
  EXPECT_EQ(tokenizer->encode(std::string(200'000, 'a')).size(), 100'000u);
}

TEST(Tokenizer, Gpt2CutsWords) {
  const auto words = [](std::string_view text) {
    std::vector<std::string> all;
    while (!text.empty()) {
      all.emplace_back(gpt2_word(text));
      text.remove_prefix(all.back().size());
    }
    return all;
  };
  EXPECT_THAT(words("I'll don't x'S"), ElementsAre("I", "'ll", " don", "'t", " x", "'", "S"));
  EXPECT_THAT(words("  a   b  "), ElementsAre(" ", " a", "  ", " b", "  "));
  EXPECT_THAT(words("a\n\nb \n c"), ElementsAre("a", "\n", "\n", "b", " \n", " c"));
  EXPECT_THAT(words("x1é٣!? #"), ElementsAre("x", "1", "é", "٣", "!?", " #"));
  EXPECT_THAT(words("\n"), ElementsAre("\n"));
  EXPECT_THAT(words(" \xFF\xFE z"), ElementsAre(" \xFF\xFE", " z"));
}

TEST(Tokenizer, WordsAreThoseThatComeOften) {
  const auto tokenizer =
      fitted("word", {"The cat, the dog.", "The bird don't sing, the cat sings"});
  // the (4), "," (2), cat (2); all others once.
  EXPECT_EQ(tokenizer->vocabulary(), 4);
  EXPECT_THAT(tokenizer->encode("the , cat Zebra"), ElementsAre(1, 2, 3, 0));
  EXPECT_EQ(there_and_back(*tokenizer, "The  cat,\nsings"), "the cat , <unk>");
  const auto exact =
      fitted("word", {"a A don't"}, {{"min_count", std::int64_t{1}}, {"lowercase", false}});
  EXPECT_EQ(exact->vocabulary(), 4);
  EXPECT_THAT(exact->encode("don't"), ElementsAre(3));
}

TEST(Tokenizer, DifferencesAreListed) {
  const auto a = fitted("char", {"abcx"}), b = fitted("char", {"abcyz"});
  EXPECT_EQ(difference(*a, "the model", *b, "the data"),
            "1 token only in the model: \"x\"; 2 tokens only in the data: \"y\", \"z\"");
  EXPECT_THAT(difference(*a, "the model", *fitted("byte", {}), "the data"),
              testing::AllOf(HasSubstr("the model has a char tokenizer, the data a byte one"),
                             HasSubstr("252 tokens only in the data"), HasSubstr(", ...")));
}

TEST(Tokenizer, TokensOutOfRangeAreRefused) {
  const std::vector<Token> beyond = {256}, below = {-1};
  for (const auto& tokens : {beyond, below}) {
    expect_error([&] { fitted("byte", {})->decode(tokens); }, ErrorKind::data, {"0..255"});
  }
}

// ---- files that are not what they should be ----

TEST(Tokenizer, BpeFilesThatDoNotFitAreRefused) {
  const TinyBpe good;
  const auto refuse = [&](const std::string& encoder, const std::string& merges,
                          const std::vector<std::string>& fragments) {
    expect_error([&] { gpt2_tokenizer(encoder, "e.json", merges, "m.bpe"); }, ErrorKind::data,
                 fragments);
  };
  refuse("{", good.merges, {"e.json", "not JSON"});
  refuse("[]", good.merges, {"e.json", "not an object"});
  refuse(R"({"a": 0, "b": 0})", "", {"e.json", "\"b\" has the number 0", "0..1 once"});
  refuse(R"({"a": 0, "b": 2})", "", {"\"b\" has the number 2"});
  refuse(R"({"a": "x"})", "", {"number \"x\""});
  refuse(R"({"a": 0})", "", {"e.json", "255 bytes have no token"});
  refuse(good.encoder, good.merges + "x y\nab ab\n",
         {"m.bpe", "2 merges have no token", "\"xy\", \"abab\"", "belong together"});
  refuse(good.encoder, "a b c\n", {"m.bpe:1", "a blank between", "\"a b c\""});
  refuse(good.encoder, "#version\nab\n", {"m.bpe:2"});
  refuse(good.encoder, "a \xFF\n", {"m.bpe:1"});
}

TEST(Tokenizer, MissingFilesAreAskedFor) {
  expect_error([] { fitted("gpt2", {}); }, ErrorKind::usage, {"data.vocabulary", "encoder.json"});
  expect_error([] { fitted("sentencepiece", {}); }, ErrorKind::usage, {"data.model_file"});
  const TemporaryFolder folder;
  expect_error(
      [&] {
        fitted("gpt2", {}, {{"vocabulary", folder.path()}});
      },
      ErrorKind::data, {"no encoder.json"});
  const auto file = folder.write("encoder.json", TinyBpe().encoder);
  expect_error(
      [&] {
        fitted("gpt2", {}, {{"vocabulary", file}});
      },
      ErrorKind::usage, {"data.merges"});
  const auto model = folder.write("x.model", "no protobuf");
  expect_error(
      [&] {
        fitted("sentencepiece", {}, {{"model_file", model}});
      },
      ErrorKind::data, {"x.model", "not a SentencePiece model"});
}

TEST(Tokenizer, DamagedDescriptionsAreRefused) {
  const auto refuse = [](const nlohmann::json& json, const std::string& fragment) {
    expect_error([&] { tokenizer_from_json(json); }, ErrorKind::data, {fragment});
  };
  refuse({{"type", "chars"}}, "did you mean \"char\"?");
  refuse({{"type", "char"}, {"characters", {"a", "a"}}}, "there twice");
  refuse({{"type", "char"}, {"characters", {"ab"}}}, "no character");
  refuse({{"type", "gpt2"}, {"vocabulary", {"a"}}, {"merges", {"ab"}}}, "no pair");
  refuse({{"type", "sentencepiece"}, {"model", "%%%"}}, "base64");
  EXPECT_THROW(tokenizer_from_json({{"type", "char"}}), nlohmann::json::exception);
}

}  // namespace
}  // namespace descent::data
