#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "descent/base/error.h"
#include "descent/data/csv.h"
#include "descent/data/csv_scanner.h"
#include "descent/data/text.h"

namespace descent::data {
namespace {

constexpr std::size_t kSampleBytes = std::size_t{64} << 10;
constexpr std::size_t kSampleRows = 1000;
constexpr std::size_t kMostColumns = 1'000'000;

using Rows = std::vector<std::vector<std::string>>;

void check_text(std::string_view text, const std::string& where) {
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF")) {
    throw Error(ErrorKind::data, "the text is UTF-16, expected UTF-8", where + ":1:1",
                "convert it: iconv -f UTF-16 -t UTF-8");
  }
  const auto nul = text.substr(0, kSampleBytes).find('\0');
  if (nul != std::string_view::npos) {
    throw Error(ErrorKind::data, fmt::format("byte {} is 0, expected text", nul), where,
                "is this a table of text? name the format with data.source");
  }
}

// The begin of the text that is looked at: some KiB, and at least three whole lines (each may end
// with two characters) however long they are.
std::string_view sample_of(std::string_view text, std::size_t begin) {
  std::size_t end = begin;
  for (int line = 0; line < 6 && end < text.size(); ++line) {
    end = std::min(text.find_first_of("\n\r", end), text.size() - 1) + 1;
  }
  return text.substr(0, std::max(end, begin + kSampleBytes));
}

// The first rows, cut by the given characters. Stops before a row that the sample may have cut.
Rows sample_rows(std::string_view text, std::size_t begin, char separator, char quote) {
  // Blank lines before the first row do not use up the sample.
  const auto first = std::min(text.find_first_not_of("\n\r ", begin), text.size());
  const auto blank = text.substr(begin, first - begin).find_last_of("\n\r");
  if (blank != std::string_view::npos) begin += blank + 1;
  const auto sample = sample_of(text, begin);
  const bool cut = sample.size() < text.size();
  CsvScanner scanner(sample, begin, separator, quote);
  Rows rows;
  std::size_t cells = 0;
  while (rows.size() < kSampleRows && cells <= kMostColumns) {
    scanner.skip_blank_lines();
    if (scanner.done()) break;
    std::vector<std::string> row;
    std::string_view cell;
    CsvScanner::End end;
    do {
      end = scanner.field(cell);
      row.emplace_back(cell);
    } while (end == CsvScanner::End::field && row.size() <= kMostColumns);
    if (cut && scanner.done() && !rows.empty()) break;
    cells += row.size();
    rows.push_back(std::move(row));
  }
  return rows;
}

// Share of the rows that have as many fields as most have; 0 where that is one field.
double agreement(const Rows& rows) {
  std::map<std::size_t, std::size_t> counts;
  for (const auto& row : rows) ++counts[row.size()];
  std::size_t most = 0, fields = 0;
  for (const auto& [n, times] : counts) {
    if (times >= most) {
      most = times;
      fields = n;
    }
  }
  return fields < 2 ? 0 : static_cast<double>(most) / static_cast<double>(rows.size());
}

// The separator that gives most rows the same number of fields, a comma where none does.
char detect_separator(std::string_view text, std::size_t begin, const CsvOptions& options) {
  char best = ',';
  double most = 0.5;
  for (const char separator : {'\t', ';', ','}) {  // rarer in texts first: it wins a tie
    const double score = agreement(sample_rows(text, begin, separator, options.quote));
    if (score > most) {
      most = score;
      best = separator;
    }
  }
  // Blanks are in every sentence: they count only where nothing else does, and on every line.
  if (!options.sentences && most == 0.5 &&
      agreement(sample_rows(text, begin, ' ', options.quote)) == 1) {
    best = ' ';
  }
  return best;
}

bool is_missing(const std::string& cell, const CsvOptions& options) {
  return cell.empty() || std::ranges::find(options.missing, cell) != options.missing.end();
}

bool is_number(const std::string& cell) {
  double x;
  return parse_number(cell, x);
}

// Kinds by the rule of csv.h, from rows [first, end).
std::vector<Column::Kind> guess_kinds(const Rows& rows, std::size_t first, std::size_t columns,
                                      const CsvOptions& options, bool& any_numbers) {
  std::vector<Column::Kind> kinds(columns, Column::Kind::numeric);
  any_numbers = false;
  for (std::size_t c = 0; c < columns; ++c) {
    std::size_t numbers = 0, texts = 0;
    for (std::size_t r = first; r < rows.size(); ++r) {
      if (c >= rows[r].size() || is_missing(rows[r][c], options)) continue;
      ++(is_number(rows[r][c]) ? numbers : texts);
    }
    if (2 * texts > numbers) kinds[c] = Column::Kind::text;
    if (numbers > 0 && 100 * texts < numbers) any_numbers = true;
  }
  return kinds;
}

// A first row of distinct texts, none of which comes again below in its column.
bool stands_out(const Rows& rows) {
  const auto& first = rows.front();
  if (std::set<std::string>(first.begin(), first.end()).size() != first.size()) return false;
  for (std::size_t r = 1; r < rows.size(); ++r) {
    for (std::size_t c = 0; c < std::min(first.size(), rows[r].size()); ++c) {
      if (rows[r][c] == first[c]) return false;
    }
  }
  return true;
}

bool detect_header(const Rows& rows, const CsvOptions& options) {
  if (options.header) return *options.header;
  if (std::ranges::any_of(rows.front(), is_number)) return false;
  if (std::ranges::all_of(rows.front(), [&](auto& cell) { return is_missing(cell, options); })) {
    return false;
  }
  bool any_numbers = false;
  guess_kinds(rows, 1, rows.front().size(), options, any_numbers);
  return any_numbers || stands_out(rows);
}

// Names from the header, made unique.
std::vector<std::string> read_names(const std::vector<std::string>& cells,
                                    std::vector<std::string>& warnings) {
  std::vector<std::string> names;
  std::set<std::string> seen;
  for (std::size_t c = 0; c < cells.size(); ++c) {
    std::string name = cells[c].empty() ? fmt::format("c{}", c) : to_utf8(cells[c]);
    if (!seen.insert(name).second) {
      const std::string twice = name;
      for (int k = 2; !seen.insert(name).second; ++k) name = fmt::format("{}_{}", twice, k);
      warnings.push_back(
          fmt::format("two columns are called \"{}\": the second is now \"{}\"", twice, name));
    }
    names.push_back(std::move(name));
  }
  return names;
}

}  // namespace

CsvDialect detect_dialect(std::string_view text, const std::string& where,
                          const CsvOptions& options, std::vector<std::string>& warnings) {
  check_text(text, where);
  CsvDialect dialect;
  dialect.quote = options.quote;
  dialect.begin = text.starts_with("\xEF\xBB\xBF") ? 3 : 0;
  dialect.separator = options.separator != '\0' ? options.separator
                                                : detect_separator(text, dialect.begin, options);
  const Rows rows = sample_rows(text, dialect.begin, dialect.separator, dialect.quote);
  if (rows.empty()) throw Error(ErrorKind::data, "the file has no rows", where);
  const std::size_t columns = rows.front().size();
  if (columns > kMostColumns) {
    throw Error(ErrorKind::data,
                fmt::format("the first line has more than {} fields", kMostColumns), where + ":1:1",
                "is the separator right? name it with data.separator");
  }
  dialect.header = detect_header(rows, options);
  bool any_numbers = false;
  dialect.kinds = guess_kinds(rows, dialect.header ? 1 : 0, columns, options, any_numbers);
  if (dialect.header) {
    dialect.names = read_names(rows.front(), warnings);
  } else {
    for (std::size_t c = 0; c < columns; ++c) dialect.names.push_back(fmt::format("c{}", c));
  }
  return dialect;
}

}  // namespace descent::data
