#include "descent/data/language.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "descent/base/error.h"
#include "descent/data/options.h"
#include "descent/data/text.h"

namespace descent::data {
namespace {

constexpr std::int64_t kContext = 256;

Array encoded(const Tokenizer& tokenizer, std::string_view text, const std::string& where) {
  try {
    const auto tokens = tokenizer.encode(text);
    return Array::from<Token>(tokens, {static_cast<std::int64_t>(tokens.size())});
  } catch (const Error& e) {
    throw e.kind() == ErrorKind::data ? e.at(where) : e;
  }
}

Dataset dataset_of(const FittedText& how, Array stream) {
  return {.stream = std::move(stream), .context = how.context, .stride = how.stride};
}

std::string too_short(std::int64_t tokens, std::int64_t context) {
  return fmt::format("{}, but a window of data.context = {} takes {}", counted(tokens, "token"),
                     context, context + 1);
}

FittedText fit(const Table& table, const Options& given) {
  Options options = with_defaults(given);
  if (options.text("tokenizer") == "auto") options.set("tokenizer", "char");
  FittedText how{.context = options.has("context") ? options.integer("context") : kContext,
                 .stride = options.integer("stride")};
  if (how.stride > how.context) {
    throw Error(
        ErrorKind::usage,
        fmt::format("data.stride = {} is more than data.context = {}", how.stride, how.context),
        "option \"data.stride\"", "a larger stride would leave tokens out");
  }
  const std::string_view text = *table.text;
  try {
    how.tokenizer = fit_tokenizer({&text, 1}, options);
  } catch (const Error& e) {
    throw e.kind() == ErrorKind::data && e.where().empty() ? e.at(table.where) : e;
  }
  return how;
}

}  // namespace

Dataset windows_of(const Transform& transform, std::string_view text, const std::string& where) {
  const FittedText& how = transform.text();
  Array stream = encoded(*how.tokenizer, text, where);
  if (stream.size() <= how.context) {
    throw Error(ErrorKind::data, "the text has " + too_short(stream.size(), how.context), where,
                "give a longer text, or train with a smaller data.context");
  }
  return dataset_of(how, std::move(stream));
}

Splits load_language(Tables tables, const Options& options, std::span<const double> fractions) {
  Splits splits;
  FittedText& how = splits.transform.text_;
  how = fit(tables.train, options);
  splits.transform.task_ = splits.task = Task::language;
  const Array stream = encoded(*how.tokenizer, *tables.train.text, tables.train.where);
  const auto [train, valid, test] = split_sizes(stream.size(), fractions);
  if (train <= how.context) {
    throw Error(ErrorKind::data, "the training part has " + too_short(train, how.context),
                tables.train.where, "set a smaller data.context");
  }
  splits.train = dataset_of(how, stream.rows(0, train));
  std::vector<std::string> parts = {with_commas(train) + " train"};
  const auto add = [&](const char* name, Dataset& out, const std::optional<Table>& given,
                       std::int64_t begin, std::int64_t count) {
    Array tokens = given ? encoded(*how.tokenizer, *given->text, given->where)
                         : stream.rows(begin, begin + count);
    if (tokens.size() == 0 && !given) return;
    if (tokens.size() <= how.context) {
      splits.warnings.push_back(fmt::format("the {} part is left out: it has {}", name,
                                            too_short(tokens.size(), how.context)));
      return;
    }
    parts.push_back(
        fmt::format("{} {}{}", with_commas(tokens.size()), name, given ? " given" : ""));
    out = dataset_of(how, std::move(tokens));
  };
  add("valid", splits.valid, tables.valid, train, valid);
  add("test", splits.test, tables.test, train + valid, test);
  splits.sample_shape = splits.transform.sample_shape();
  splits.outputs = splits.transform.outputs();
  splits.notes = {fmt::format("{}  {} bytes, {} of {} ({})", base_name(tables.train.where),
                              with_commas(static_cast<std::int64_t>(tables.train.text->size())),
                              counted(stream.size(), "token"),
                              with_commas(how.tokenizer->vocabulary()), how.tokenizer->type()),
                  fmt::format("target the next token, in windows of {}; split {} (file order)",
                              how.context, fmt::join(parts, ", "))};
  return splits;
}

}  // namespace descent::data
