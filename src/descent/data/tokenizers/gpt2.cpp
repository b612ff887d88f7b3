// Byte-level byte-pair encoding as GPT-2's: Sennrich et al. 2016 on bytes, Radford et al. 2019.
//
// encoder.json gives every token's number, vocab.bpe the pairs of tokens that are merged, the
// earlier first. In both files each byte is written as a printable character: 33..126, 161..172 and
// 174..255 as themselves, the others as U+0100, U+0101, ... in order.
#include "descent/data/gpt2.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <limits>
#include <queue>
#include <unordered_map>

#include "descent/base/error.h"
#include "descent/base/file.h"
#include "descent/data/text.h"
#include "descent/data/tokenizer.h"
#include "descent/data/unicode.h"

namespace descent::data {
namespace {

using Texts = std::vector<std::string>;

// The character that stands for each byte in the files, as UTF-8.
const std::array<std::string, 256>& alphabet() {
  static const auto table = [] {
    std::array<std::string, 256> all;
    unsigned next = 256;
    for (unsigned b = 0; b < 256; ++b) {
      const bool plain = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
      const unsigned c = plain ? b : next++;
      if (c < 0x80) {
        all[b] = static_cast<char>(c);
      } else {
        all[b] = {static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 0x3F))};
      }
    }
    return all;
  }();
  return table;
}

// The bytes that a token of the files stands for; characters outside the alphabet stay.
std::string bytes_of(std::string_view token) {
  static const auto inverse = [] {
    std::unordered_map<std::string, char> map;
    for (int b = 0; b < 256; ++b)
      map[alphabet()[static_cast<std::size_t>(b)]] = static_cast<char>(b);
    return map;
  }();
  std::string out;
  for (std::size_t i = 0; i < token.size();) {
    const auto n = std::max<std::size_t>(1, character_length(token, i));
    const std::string c(token.substr(i, n));
    const auto it = inverse.find(c);
    it == inverse.end() ? out += c : out += it->second;
    i += n;
  }
  return out;
}

std::uint64_t pair_key(Token a, Token b) {
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(a)) << 32 |
         static_cast<std::uint32_t>(b);
}

// Names that are missing, for an error.
class Missing {
 public:
  void add(const std::string& name) {
    if (++count_ <= 8) list_ += (count_ == 1 ? "" : ", ") + printable(name);
  }
  void check(const char* what) const {
    if (count_ == 0) return;
    throw Error(ErrorKind::data,
                fmt::format("{} {} no token in the vocabulary: {}{}", counted(count_, what),
                            count_ == 1 ? "has" : "have", list_, count_ > 8 ? ", ..." : ""),
                "tokenizer", "do the vocabulary and the merges belong together?");
  }

 private:
  std::int64_t count_ = 0;
  std::string list_;
};

class Gpt2Tokenizer final : public Tokenizer {
 public:
  // Tokens by number and pairs "a b", as the files write them.
  Gpt2Tokenizer(Texts vocabulary, Texts merges)
      : vocabulary_(std::move(vocabulary)), merges_(std::move(merges)) {
    std::unordered_map<std::string, Token> tokens;
    for (std::size_t i = 0; i < vocabulary_.size(); ++i) {
      tokens.emplace(vocabulary_[i], static_cast<Token>(i));
      bytes_.push_back(bytes_of(vocabulary_[i]));
    }
    const auto find = [&](const std::string& token, Missing& missing) {
      const auto it = tokens.find(token);
      if (it == tokens.end()) missing.add(token);
      return it == tokens.end() ? Token{0} : it->second;
    };
    Missing letters, results;
    for (std::size_t b = 0; b < 256; ++b) single_[b] = find(alphabet()[b], letters);
    letters.check("byte");
    for (std::size_t i = 0; i < merges_.size(); ++i) {
      const auto blank = merges_[i].find(' ');
      const auto left = merges_[i].substr(0, blank), right = merges_[i].substr(blank + 1);
      const Token a = find(left, results), b = find(right, results),
                  c = find(left + right, results);
      pairs_.emplace(pair_key(a, b), Merge{static_cast<std::int32_t>(i), c});
    }
    results.check("merge");
  }

  std::string type() const override { return "gpt2"; }
  Token vocabulary() const override { return static_cast<Token>(vocabulary_.size()); }

  std::vector<Token> encode(std::string_view text, std::int64_t*) const override {
    std::vector<Token> tokens;
    std::unordered_map<std::string, std::vector<Token>> known;  // words come again
    while (!text.empty()) {
      const auto word = gpt2_word(text);
      text.remove_prefix(word.size());
      if (word.size() > 64) {
        append_word(word, tokens);
        continue;
      }
      auto [it, fresh] = known.try_emplace(std::string(word));
      if (fresh) append_word(word, it->second);
      tokens.insert(tokens.end(), it->second.begin(), it->second.end());
    }
    return tokens;
  }

  std::string decode(std::span<const Token> tokens) const override {
    check_tokens(tokens, vocabulary());
    std::string text;
    for (const auto t : tokens) text += bytes_[static_cast<std::size_t>(t)];
    return text;
  }

  nlohmann::json to_json() const override {
    return {{"vocabulary", vocabulary_}, {"merges", merges_}};
  }

 private:
  struct Merge {
    std::int32_t rank;
    Token result;
  };
  // A pair that might be merged: rank first, then from left to right.
  struct Candidate {
    std::int32_t rank, left, right;
    Token a, b, result;
    bool operator>(const Candidate& o) const {
      return rank != o.rank ? rank > o.rank : left > o.left;
    }
  };

  // Merges the pair of the lowest rank until there is none: a list of parts, and a queue of pairs
  // of neighbours, so that a word of n bytes takes n log n.
  void append_word(std::string_view word, std::vector<Token>& out) const {
    const auto n = static_cast<std::int32_t>(word.size());
    std::vector<Token> part(word.size());
    std::vector<std::int32_t> before(word.size()), after(word.size());
    for (std::int32_t i = 0; i < n; ++i) {
      const auto at = static_cast<std::size_t>(i);
      part[at] = single_[static_cast<unsigned char>(word[at])];
      before[at] = i - 1;
      after[at] = i + 1;
    }
    std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
    const auto consider = [&](std::int32_t left, std::int32_t right) {
      if (left < 0 || right >= n) return;
      const Token a = part[static_cast<std::size_t>(left)],
                  b = part[static_cast<std::size_t>(right)];
      const auto it = pairs_.find(pair_key(a, b));
      if (it != pairs_.end()) queue.push({it->second.rank, left, right, a, b, it->second.result});
    };
    for (std::int32_t i = 0; i + 1 < n; ++i) consider(i, i + 1);
    while (!queue.empty()) {
      const Candidate c = queue.top();
      queue.pop();
      const auto left = static_cast<std::size_t>(c.left), right = static_cast<std::size_t>(c.right);
      // One of the two may have been merged since (a part that is gone holds -1).
      if (part[left] != c.a || part[right] != c.b || after[left] != c.right) continue;
      part[left] = c.result;
      part[right] = -1;
      after[left] = after[right];
      if (after[right] < n) before[static_cast<std::size_t>(after[right])] = c.left;
      consider(before[left], c.left);
      consider(c.left, after[left]);
    }
    for (std::int32_t i = 0; i < n; i = after[static_cast<std::size_t>(i)]) {
      out.push_back(part[static_cast<std::size_t>(i)]);
    }
  }

  Texts vocabulary_, merges_, bytes_;
  std::array<Token, 256> single_{};
  std::unordered_map<std::uint64_t, Merge> pairs_;
};

// ---- the files ----

Texts parse_encoder(std::string_view bytes, const std::string& where) {
  const auto fail = [&](const std::string& what) {
    throw Error(ErrorKind::data, what, where,
                "expected GPT-2's encoder.json (vocab.json): {\"token\": number, ...}");
  };
  nlohmann::json json;
  try {
    json = nlohmann::json::parse(bytes);
  } catch (const nlohmann::json::exception& e) {
    fail(fmt::format("not JSON ({})", e.what()));
  }
  if (!json.is_object() || json.empty()) fail("not an object of tokens");
  Texts tokens(json.size());
  std::vector<bool> seen(json.size());
  for (const auto& [token, number] : json.items()) {
    const bool whole = number.is_number_unsigned() && number.get<std::uint64_t>() < json.size();
    if (!whole || seen[number.get<std::size_t>()]) {
      fail(fmt::format("token {} has the number {}, expected each of 0..{} once", printable(token),
                       number.dump(), json.size() - 1));
    }
    seen[number.get<std::size_t>()] = true;
    tokens[number.get<std::size_t>()] = token;
  }
  return tokens;
}

Texts parse_merges(std::string_view bytes, const std::string& where) {
  Texts merges;
  std::int64_t line = 0;
  while (!bytes.empty()) {
    const auto end = std::min(bytes.find('\n'), bytes.size());
    std::string_view text = bytes.substr(0, end);
    bytes.remove_prefix(std::min(end + 1, bytes.size()));
    if (text.ends_with('\r')) text.remove_suffix(1);
    ++line;
    if (text.empty() || (line == 1 && text.starts_with("#version"))) continue;
    const auto blank = text.find(' ');
    const bool two = blank != std::string_view::npos && blank > 0 && blank + 1 < text.size() &&
                     text.find(' ', blank + 1) == std::string_view::npos && is_utf8(text);
    if (!two) {
      throw Error(
          ErrorKind::data,
          fmt::format("expected two tokens with a blank between, found {}", printable(text)),
          fmt::format("{}:{}", where, line));
    }
    merges.emplace_back(text);
  }
  return merges;
}

// The file that an option names: itself, or in the folder it names the first of `names`.
std::string named_file(const Options& options, const char* key,
                       std::initializer_list<const char*> names) {
  const std::string place = std::string("data.") + key;
  const auto& given = options.has(key) ? options.text(key) : options.text("vocabulary");
  if (!std::filesystem::is_directory(given)) {
    if (options.has(key)) return given;
    throw Error(ErrorKind::usage, "the gpt2 tokenizer needs its merges", place,
                "name GPT-2's vocab.bpe (merges.txt)");
  }
  for (const char* name : names) {
    const auto path = std::filesystem::path(given) / name;
    if (std::filesystem::exists(path)) return path.string();
  }
  throw Error(ErrorKind::data, fmt::format("the folder has no {}", *names.begin()), given);
}

TokenizerPtr fit(std::span<const std::string_view>, const Options& options) {
  if (!options.has("vocabulary")) {
    throw Error(ErrorKind::usage, "the gpt2 tokenizer needs its vocabulary", "data.vocabulary",
                "name GPT-2's encoder.json (vocab.json), or the folder with its files");
  }
  const auto encoder = named_file(options, "vocabulary", {"encoder.json", "vocab.json"});
  const auto merges = named_file(options, "merges", {"vocab.bpe", "merges.txt"});
  return gpt2_tokenizer(read_unpacked(encoder), encoder, read_unpacked(merges), merges);
}

TokenizerPtr load(const nlohmann::json& json) {
  auto merges = json.at("merges").get<Texts>();
  for (const auto& merge : merges) {
    if (merge.find(' ') == std::string::npos) {
      throw Error(ErrorKind::data, fmt::format("{} is no pair of tokens", printable(merge)));
    }
  }
  return std::make_shared<const Gpt2Tokenizer>(json.at("vocabulary").get<Texts>(),
                                               std::move(merges));
}

}  // namespace

TokenizerPtr gpt2_tokenizer(std::string_view encoder, const std::string& encoder_where,
                            std::string_view merges, const std::string& merges_where) {
  auto tokens = parse_encoder(encoder, encoder_where);
  auto pairs = parse_merges(merges, merges_where);
  try {
    return std::make_shared<const Gpt2Tokenizer>(std::move(tokens), std::move(pairs));
  } catch (const Error& e) {
    throw Error(e.kind(), e.message(), encoder_where + ", " + merges_where, e.remedy());
  }
}

void register_gpt2(TokenizerRegistry& registry) {
  registry.add(
      {.name = "gpt2",
       .help = "byte-level byte-pair encoding from GPT-2's files; any text, exactly",
       .options = {{.key = "vocabulary",
                    .help = "gpt2: encoder.json (vocab.json), or the folder with both files"},
                   {.key = "merges", .help = "gpt2: vocab.bpe (merges.txt)"}},
       .make = [] { return TokenizerMaker{.fit = fit, .load = load}; }});
}

}  // namespace descent::data
