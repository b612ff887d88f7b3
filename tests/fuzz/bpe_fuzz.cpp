// Any two files (cut at the first 0 byte) are GPT-2's vocabulary and merges or a data error; a
// tokenizer that they give keeps any text and survives JSON.
#include <cstdlib>

#include "descent/base/error.h"
#include "descent/data/gpt2.h"

using namespace descent;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view all(reinterpret_cast<const char*>(bytes), size);
  const auto cut = all.find('\0');
  const auto encoder = all.substr(0, cut);
  const auto merges = cut == std::string_view::npos ? std::string_view() : all.substr(cut + 1);
  try {
    const auto tokenizer = data::gpt2_tokenizer(encoder, "encoder", merges, "merges");
    const auto tokens = tokenizer->encode(all);
    if (tokenizer->decode(tokens) != all) std::abort();
    const auto back = data::tokenizer_from_json(data::tokenizer_to_json(*tokenizer));
    if (back->encode(all) != tokens) std::abort();
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::data) std::abort();
  }
  return 0;
}
