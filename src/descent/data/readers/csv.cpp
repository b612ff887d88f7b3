#include "descent/data/csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "descent/data/registry.h"

namespace descent::data {
namespace {

char one_character(const std::string& text, const char* key) {
  if (text == "tab" || text == "\\t") return '\t';
  if (text == "space") return ' ';
  // Characters of numbers and line ends cannot separate numbers.
  constexpr std::string_view taken = "\n\r+-.";
  if (text.size() == 1 && taken.find(text[0]) == std::string_view::npos &&
      !std::isalnum(static_cast<unsigned char>(text[0]))) {
    return text[0];
  }
  throw Error(ErrorKind::usage,
              fmt::format("expected one character that is no part of a number, found \"{}\"", text),
              fmt::format("option \"data.{}\"", key), "write \"tab\" or \"space\" for blanks");
}

CsvOptions csv_options(const Options& options) {
  CsvOptions csv;
  if (options.has("header")) csv.header = options.boolean("header");
  if (options.has("separator") && options.text("separator") != "auto") {
    csv.separator = one_character(options.text("separator"), "separator");
  }
  if (options.has("quote")) {
    const auto& quote = options.text("quote");
    csv.quote = quote.empty() ? '\0' : one_character(quote, "quote");
  }
  if (csv.separator != '\0' && csv.separator == csv.quote) {
    throw Error(ErrorKind::usage, "data.separator and data.quote are the same character");
  }
  if (options.has("sentences")) csv.sentences = options.boolean("sentences");
  if (options.has("missing")) csv.missing = options.texts("missing");
  if (options.has("strict")) csv.strict = options.boolean("strict");
  return csv;
}

int recognise(const Origin& origin) {
  if (origin.folder || origin.path.starts_with("synthetic:")) return 0;
  const auto names = {"csv", "tsv", "tab", "data"};
  if (std::ranges::find(names, origin.extension) != names.end()) return 50;
  // Any text may be a table: the last to be asked.
  return std::string_view(origin.bytes).substr(0, 4096).find('\0') == std::string_view::npos ? 10
                                                                                             : 0;
}

Tables read(const Origin& origin, const Options& options, std::uint64_t) {
  return {.train = parse_csv(origin.bytes, origin.path, csv_options(options))};
}

}  // namespace

void register_csv(ReaderRegistry& registry) {
  const CsvOptions defaults;
  registry.add(
      {.name = "csv",
       .help = "a table of text: comma, semicolon, tab or blank separated, with or without header",
       .options =
           {
               {.key = "header",
                .type = OptionType::boolean,
                .help = "csv: whether the first line holds the names of the columns; default: "
                        "found by looking. Without names they are c0, c1, ..."},
               {.key = "separator",
                .fallback = "auto",
                .help = "csv: the character between fields, \"tab\", \"space\" (runs of blanks); "
                        "auto: found among , ; tab and blanks"},
               {.key = "quote",
                .fallback = "\"",
                .help = "csv: the character around fields that hold separators; \"\": none"},
               {.key = "missing",
                .type = OptionType::texts,
                .fallback = defaults.missing,
                .help = "csv: cells that stand for a missing value (empty ones always do)"},
           },
       .make = [] { return Reader{.recognise = recognise, .read = read}; }});
}

}  // namespace descent::data
