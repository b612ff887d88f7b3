// Tables of text: comma, semicolon, tab or blank separated, RFC 4180 quoting, any line ends.
//
// A column is numeric where more than 99 % of its cells that are not missing are numbers (or all
// but one of at least ten); the odd text there makes its row malformed. Any other column is text.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "descent/data/table.h"

namespace descent::data {

struct CsvOptions {
  std::optional<bool> header;  // unset: a first line without numbers, above a column of numbers
  bool sentences = false;      // blanks separate words, not fields
  char separator = '\0';       // '\0': found among tab ; , and runs of blanks; ' ': runs of blanks
  char quote = '"';            // '\0': quotes are plain characters
  std::vector<std::string> missing = {"", "?", "NA", "N/A", "NaN", "nan", "null", "NULL"};
  bool strict = false;  // a malformed row is an error; false: it is left out and counted
};

// How a text is to be cut, after looking at its begin.
struct CsvDialect {
  char separator = ',';
  char quote = '"';
  bool header = false;
  std::size_t begin = 0;            // offset of the first line (after a byte order mark)
  std::vector<std::string> names;   // of the columns, unique
  std::vector<Column::Kind> kinds;  // guessed from the first lines
};

// Looks at the first lines. Throws a data error for an empty text, for UTF-16 and for bytes that
// are not text.
CsvDialect detect_dialect(std::string_view text, const std::string& where,
                          const CsvOptions& options, std::vector<std::string>& warnings);

// The whole text as a table. Errors are of kind data; their place is "where:line:byte", both from
// 1. Without `strict`, rows with too few or too many fields, with a text among numbers or with a
// broken quote are left out, with one warning; more bad rows than good ones are an error.
Table parse_csv(std::string_view text, const std::string& where, const CsvOptions& options);

}  // namespace descent::data
