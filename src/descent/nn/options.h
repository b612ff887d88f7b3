// Options that several layers share: sizes "3" or "[3, 5]".
#pragma once
#include <fmt/format.h>

#include <string>
#include <vector>

#include "descent/base/error.h"
#include "descent/base/options.h"
#include "descent/nn/layers.h"

namespace descent::nn {

// Of layers and models that hold a table of tokens.
inline Option sparse_option() {
  return {.key = "sparse",
          .type = OptionType::boolean,
          .fallback = false,
          .help =
              "update only the rows of the table that a batch looks up, and make up for the "
              "others' updates when they are next looked up: the same weights, sooner where "
              "the table is large"};
}

inline Option attention_dropout_option() {
  return {.key = "attention_dropout",
          .type = OptionType::number,
          .fallback = 0.0,
          .help = "rate on the probabilities of attention, below 1",
          .min = 0,
          .max = 1};
}

// One number for height and width, or the two.
inline Size2d size_of_list(const std::vector<std::int64_t>& list, const std::string& where) {
  if (list.size() == 1) return list[0];
  if (list.size() == 2) return {list[0], list[1]};
  throw Error(ErrorKind::usage, fmt::format("{} numbers where a size is wanted", list.size()),
              where, "write one number for height and width, or [height, width]");
}

inline Size2d size_option(const Options& options, const std::string& key,
                          const std::string& layer) {
  if (const auto* one = std::get_if<std::int64_t>(options.find(key))) return *one;
  return size_of_list(options.integers(key), layer + ": " + key);
}

// `axes`: 1 for layers of sequences, where a size is one number.
inline Option described_size(const std::string& key, std::int64_t fallback, double least,
                             const std::string& help, int axes = 2) {
  if (axes == 1) {
    return {
        .key = key, .type = OptionType::integer, .fallback = fallback, .help = help, .min = least};
  }
  return {.key = key,
          .type = OptionType::integers,
          .fallback = std::vector<std::int64_t>{fallback},
          .help = help + ": one number, or [height, width]",
          .min = least};
}

}  // namespace descent::nn
