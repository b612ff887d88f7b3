// Any bytes are a text to every tokenizer that learns, or a data error; GPT-2's words are the text.
#include <cstdlib>

#include "descent/base/error.h"
#include "descent/data/gpt2.h"
#include "descent/data/options.h"

using namespace descent;

namespace {

void check(const char* type, std::string_view text, bool exact) {
  auto options = data::default_options();
  options.set("tokenizer", std::string(type));
  try {
    const auto tokenizer = data::fit_tokenizer({&text, 1}, options);
    const auto tokens = tokenizer->encode(text);
    const auto decoded = tokenizer->decode(tokens);
    if (exact && decoded != text) std::abort();
    const auto json = nlohmann::json::parse(data::tokenizer_to_json(*tokenizer).dump());
    if (data::tokenizer_from_json(json)->encode(text) != tokens) std::abort();
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::data) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  check("char", text, true);
  check("byte", text, true);
  check("word", text, false);
  std::size_t words = 0;
  while (words < text.size()) {
    const auto word = data::gpt2_word(text.substr(words));
    if (word.empty()) std::abort();
    words += word.size();
  }
  return 0;
}
