#include "descent/data/options.h"

#include <algorithm>

#include "descent/data/registry.h"

namespace descent::data {
namespace {

std::vector<Option> shared_options() {
  const std::vector<std::string> none;
  auto sources = readers().names();
  sources.insert(sources.begin(), "auto");
  auto tokenizer_names = tokenizers().names();
  tokenizer_names.insert(tokenizer_names.begin(), "auto");
  return {
      {.key = "path",
       .help = "file or folder to train on (gzip and zstd are unpacked), or synthetic:NAME"},
      {.key = "source",
       .fallback = "auto",
       .help = "the reader: auto finds it by content and name",
       .choices = sources},
      {.key = "valid_path",
       .help = "file of validation rows; the validation fraction of data.split is then not used"},
      {.key = "test_path",
       .help = "file of test rows; the test fraction of data.split is then not used"},
      {.key = "target",
       .help = "column to predict: a name, an index from 0 (-1 is the last), or \"last\"; several "
               "with commas (regression); default: the last column, or the file's own labels"},
      {.key = "targets",
       .help = "file of the targets where they lie apart (.npy, IDX or one column of text)"},
      {.key = "valid_targets", .help = "the same for data.valid_path"},
      {.key = "test_targets", .help = "the same for data.test_path"},
      {.key = "features",
       .type = OptionType::texts,
       .fallback = none,
       .help = "columns to learn from; empty: all but the target"},
      {.key = "drop",
       .type = OptionType::texts,
       .fallback = none,
       .help = "columns to leave out, e.g. identifiers and leaks"},
      {.key = "weights", .help = "column with the weight of each row in the loss"},
      {.key = "task",
       .fallback = "auto",
       .help = "auto: language (predict the next token) for a .txt that is no table; "
               "classification where the target is text or has at most 20 different whole numbers, "
               "else regression",
       .choices = {"auto", "classification", "regression", "language"}},
      {.key = "text",
       .help = "classification: the column whose texts are the features, as tokens; default: the "
               "only feature where it holds texts that are no categories"},
      {.key = "tokenizer",
       .fallback = "auto",
       .help = "how texts become tokens; auto: char for language, word for classification",
       .choices = tokenizer_names},
      {.key = "context",
       .type = OptionType::integer,
       .help = "tokens of a row; default: language 256; classification the longest training text, "
               "at most 256 (shorter texts are filled up with token 0, longer ones cut)",
       .min = 1.0,
       .max = 1e6},
      {.key = "stride",
       .type = OptionType::integer,
       .fallback = std::int64_t{1},
       .help = "language: training windows begin at multiples of this, at most data.context. An "
               "epoch has (tokens - 1) / context windows, at random places; validation and test "
               "take them one after another",
       .min = 1.0},
      {.key = "split",
       .type = OptionType::numbers,
       .fallback = std::vector<double>{0.8, 0.1, 0.1},
       .help = "fractions [train, valid, test] or [train, valid], sum 1; a part that the source "
               "or another option gives apart takes none, train keeps the rest",
       .min = 0.0,
       .max = 1.0},
      {.key = "stratify",
       .type = OptionType::boolean,
       .fallback = true,
       .help = "classification: keep the proportions of the classes in every part"},
      {.key = "shuffle",
       .type = OptionType::boolean,
       .fallback = true,
       .help = "draw the parts at random and reorder the training rows every epoch; false: file "
               "order, for series in time"},
      {.key = "normalize",
       .fallback = "standard",
       .help = "standard: mean 0 and deviation 1 (per column, per image channel); minmax: to "
               "[0, 1]; unit: pixels / 255, columns as they are; none: as in the file. Fitted on "
               "the training rows",
       .choices = {"standard", "minmax", "unit", "none"}},
      {.key = "normalize_target",
       .type = OptionType::boolean,
       .fallback = true,
       .help = "regression: learn targets of mean 0 and deviation 1; predictions and metrics are "
               "given in the file's units"},
      {.key = "augment",
       .type = OptionType::texts,
       .fallback = none,
       .help =
           "changes of the training rows at random, in this order: \"crop:4\" (pixels of "
           "margin), \"flip\" (left and right; flip:0.3 with another probability than a half), "
           "\"rotate:10\" (at most so many degrees), \"cutout:8\" (a square of pixels set to 0), "
           "\"mixup:0.2\" (rows in pairs, mixed with weights from Beta(0.2, 0.2))"},
      {.key = "strict",
       .type = OptionType::boolean,
       .fallback = false,
       .help = "stop at the first malformed row or image; false: leave it out and count it"},
      {.key = "prefetch",
       .type = OptionType::integer,
       .fallback = std::int64_t{2},
       .help = "batches gathered ahead by a thread; 0: none. Does not change the result",
       .min = 0.0,
       .max = 1024.0},
  };
}

}  // namespace

std::vector<Option> options() {
  std::vector<Option> all = shared_options();
  const auto add = [&](const auto& registry) {
    for (const auto& [name, entry] : registry.entries()) {
      for (const auto& option : entry.options) {
        const auto same = [&](const Option& known) { return known.key == option.key; };
        if (std::ranges::none_of(all, same)) all.push_back(option);
      }
    }
  };
  add(readers());
  add(tokenizers());
  return all;
}

Options default_options() { return resolve(options(), Options(), "data"); }

Options with_defaults(const Options& given) {
  Options all = default_options();
  for (const auto& [key, value] : given.values()) all.set(key, value);
  return all;
}

}  // namespace descent::data
