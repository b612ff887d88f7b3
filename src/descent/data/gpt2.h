// GPT-2's byte-level byte-pair encoding (Radford et al. 2019, encoder.py).
//
// A text is first cut into words,
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
// then in each word the pair of neighbouring tokens that comes first in the list of merges becomes
// one, again and again, beginning with single bytes. So any bytes can be encoded, and exactly.
#pragma once
#include <string>
#include <string_view>

#include "descent/data/tokenizer.h"

namespace descent::data {

// The first word of a text that is not empty; the words together are the text. Bytes that are no
// UTF-8 count as neither letter, number nor white space.
std::string_view gpt2_word(std::string_view text);

// From the contents of encoder.json ({"token": number}) and vocab.bpe (a pair a line); `where` are
// their names for errors. Merges and bytes without a token are a data error that lists them.
TokenizerPtr gpt2_tokenizer(std::string_view encoder, const std::string& encoder_where,
                            std::string_view merges, const std::string& merges_where);

}  // namespace descent::data
