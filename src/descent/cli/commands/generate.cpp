// descent generate: a language model goes on with a text.
#include "descent/train/generate.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "descent/base/error.h"
#include "descent/cli/registry.h"

namespace descent::cli {
namespace {

struct Arguments {
  std::string run, prompt;
  std::int64_t tokens = 200, seed = 1;
  train::Sampling sampling;
  bool json = false;
};

std::vector<data::Token> encoded(const data::Tokenizer& tokenizer, const std::string& prompt) {
  try {
    return tokenizer.encode(prompt);
  } catch (const Error& e) {
    throw Error(ErrorKind::usage, e.message(), "prompt", e.remedy());
  }
}

void print_json(const Arguments& a, const std::string& made_text, std::size_t prompt_tokens,
                const std::vector<data::Token>& tokens, double seconds) {
  const auto made = tokens.size() - prompt_tokens;
  const nlohmann::ordered_json out = {
      {"prompt", a.prompt},
      {"text", made_text},
      {"tokens", std::vector(tokens.end() - static_cast<std::ptrdiff_t>(made), tokens.end())},
      {"prompt_tokens", prompt_tokens},
      {"seed", a.seed},
      {"tokens_per_second", static_cast<double>(made) / std::max(seconds, 1e-9)}};
  // Tokens of bytes may end inside a character.
  fmt::print("{}\n", out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

int run(const Arguments& a) {
  const auto model = train::SavedModel::load(a.run);
  train::check(a.sampling);
  train::Generator generator(model);
  const auto& tokenizer = *model.transform.text().tokenizer;
  auto tokens = encoded(tokenizer, a.prompt);
  const auto prompt_tokens = tokens.size();
  // What the tokens so far say; a token may say more than its own text (blanks between words).
  std::string text;
  const auto tell = [&] {
    const std::string now = tokenizer.decode(tokens);
    if (!a.json && now.size() > text.size()) {
      std::fwrite(now.data() + text.size(), 1, now.size() - text.size(), stdout);
      std::fflush(stdout);
    }
    text = now;
    return std::ferror(stdout) == 0;
  };
  tell();
  const auto prompt_bytes = text.size();
  const auto start = std::chrono::steady_clock::now();
  generator.generate(tokens, a.tokens, a.sampling, static_cast<std::uint64_t>(a.seed),
                     [&](data::Token) { return tell(); });
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
  if (a.json) {
    print_json(a, text.substr(std::min(text.size(), prompt_bytes)), prompt_tokens, tokens,
               spent.count());
  } else {
    std::fputc('\n', stdout);
  }
  return 0;
}

void describe(CLI::App& command, Arguments& a) {
  command.add_option("RUN_DIR", a.run, "Run directory, or its model.json")->required();
  command.add_option("--prompt", a.prompt, "Text to go on from")->required()->type_name("TEXT");
  command.add_option("--tokens", a.tokens, "Tokens to add [200]")
      ->check(CLI::NonNegativeNumber)
      ->type_name("N");
  command
      .add_option("--temperature", a.sampling.temperature,
                  "Divides the logits: below 1 safer, above 1 bolder, 0 the most probable [1]")
      ->type_name("T");
  command.add_option("--top-k", a.sampling.top_k, "Only the K most probable tokens [0: all]")
      ->type_name("K");
  command
      .add_option("--top-p", a.sampling.top_p,
                  "Only the fewest tokens that together have this probability [1]")
      ->type_name("P");
  command.add_option("--seed", a.seed, "Of the draws [1]")
      ->check(CLI::NonNegativeNumber)
      ->type_name("N");
  command.add_flag("--json", a.json, "Print one JSON object, at the end");
}

}  // namespace

void register_generate(Commands& commands) {
  commands.add<Arguments>("generate", "Continue a text with a language model", describe, run);
}

}  // namespace descent::cli
