// Texts as streams of tokens, for language models.
#pragma once
#include <span>
#include <string>
#include <string_view>

#include "descent/data/pipeline.h"
#include "descent/data/table.h"

namespace descent::data {

// Fits the tokenizer on the training file (all of it: its tokens are the classes that the model
// tells apart), and cuts its tokens into contiguous parts by the fractions [train, valid, test].
Splits load_language(Tables tables, const Options& options, std::span<const double> fractions);

// A further text as windows. A data error where it is shorter than one.
Dataset windows_of(const Transform& transform, std::string_view text, const std::string& where);

}  // namespace descent::data
