#include "descent/data/csv.h"

#include <fast_float/fast_float.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "descent/base/error.h"
#include "descent/data/csv_scanner.h"
#include "descent/data/dictionary.h"
#include "descent/data/text.h"

namespace descent::data {
namespace {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

struct Place {
  std::int64_t line = 0, byte = 0;
};

// A text that stood in a column read as numbers.
struct Stray {
  std::int64_t row = 0;
  Place place;
  std::string text;
};

// A column while it grows. Numbers and strays, or codes of a dictionary.
struct Builder {
  Column::Kind kind = Column::Kind::numeric;
  std::vector<double> numbers;
  std::vector<std::int32_t> codes;
  Dictionary dictionary;
  std::vector<Stray> strays;
  std::int64_t texts = 0;  // cells that are strays, also those not kept

  void add_text(std::string_view text) { codes.push_back(dictionary.code(text)); }
  void cut(std::size_t rows) {
    if (numbers.size() > rows) numbers.resize(rows);
    if (codes.size() > rows) codes.resize(rows);
  }
};

// One column's cells that are not missing, counted.
struct Count {
  std::int64_t numbers = 0, texts = 0;
  bool numeric() const {
    return texts == 0 || 100 * texts < numbers + texts || (texts == 1 && numbers >= 10);
  }
};

class Parser {
 public:
  Parser(std::string_view text, const std::string& where, const CsvOptions& options)
      : text_(text), where_(where), options_(options) {
    dialect_ = detect_dialect(text, where, options, table_.warnings);
    table_.where = where;
    table_.names_generated = !dialect_.header;
    // Missing markers, distinct, get the first codes of every dictionary.
    missing_.emplace_back();
    for (const auto& marker : options.missing) {
      if (std::ranges::find(missing_, marker) == missing_.end()) missing_.push_back(marker);
    }
  }

  Table parse() {
    scan();
    // A guess from the first lines that the rest proves wrong: once more with the truth.
    bool again = false;
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      const bool numeric = count(columns_[c]).numeric();
      if (columns_[c].kind == Column::Kind::numeric && !numeric) {
        dialect_.kinds[c] = Column::Kind::text;
        again = true;
      }
    }
    if (again) scan();
    settle_kinds();
    drop_stray_rows();
    report();
    finish();
    return std::move(table_);
  }

 private:
  // ---- one pass over the text ----

  void scan() {
    CsvScanner scanner(text_, dialect_.begin, dialect_.separator, dialect_.quote);
    reset();
    if (dialect_.header) skip_row(scanner);
    while (true) {
      scanner.skip_blank_lines();
      if (scanner.done()) break;
      read_row(scanner);
    }
  }

  void reset() {
    columns_.assign(dialect_.kinds.size(), {});
    table_.origin.clear();
    bad_ = 0;
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      columns_[c].kind = dialect_.kinds[c];
      if (columns_[c].kind == Column::Kind::text) {
        for (const auto& marker : missing_) columns_[c].dictionary.code(marker);
      }
    }
  }

  void skip_row(CsvScanner& scanner) {
    std::string_view cell;
    scanner.skip_blank_lines();
    while (!scanner.done() && scanner.field(cell) == CsvScanner::End::field) continue;
    check_closed(scanner, 1);
  }

  void read_row(CsvScanner& scanner) {
    const std::size_t row = table_.origin.size();
    const std::int64_t line = scanner.line();
    scanner.broken = false;
    std::size_t fields = 0;
    CsvScanner::End end;
    Place broken;
    do {
      const Place place{scanner.line(), scanner.byte()};
      end =
          fields < columns_.size() ? read_cell(scanner, columns_[fields], row) : skip_cell(scanner);
      if (scanner.broken && broken.line == 0) broken = place;
      ++fields;
    } while (end == CsvScanner::End::field);
    check_closed(scanner, line);
    if (fields == columns_.size() && !scanner.broken) {
      table_.origin.push_back(line);
      return;
    }
    for (auto& column : columns_) column.cut(row);
    for (auto& column : columns_) {
      while (!column.strays.empty() && column.strays.back().row == static_cast<std::int64_t>(row)) {
        column.strays.pop_back();
        --column.texts;
      }
    }
    if (scanner.broken) {
      reject(broken, "expected a separator after the closing quote",
             "write a quote inside of a quoted field twice, or set data.quote = \"\"");
    } else {
      reject({line, 1}, fmt::format("expected {} fields, found {}", columns_.size(), fields),
             "is the separator right? (data.separator)");
    }
  }

  CsvScanner::End skip_cell(CsvScanner& scanner) {
    std::string_view cell;
    return scanner.field(cell);
  }

  CsvScanner::End read_cell(CsvScanner& scanner, Builder& column, std::size_t row) {
    std::string_view cell;
    CsvScanner::End end;
    if (column.kind == Column::Kind::text) {
      end = scanner.field(cell);
      column.add_text(cell);
      return end;
    }
    scanner.skip_blanks();
    // Most cells are plain numbers: read in place, without looking for the field's end first.
    double x = 0;
    const auto [stop, error] = fast_float::from_chars(scanner.at(), scanner.end(), x);
    if (error == std::errc() && std::isfinite(x) && scanner.accept(stop, end)) {
      column.numbers.push_back(x);
      return end;
    }
    const Place place{scanner.line(), scanner.byte()};
    end = scanner.field(cell);
    if (parse_number(cell, x)) {
      column.numbers.push_back(x);
      return end;
    }
    column.numbers.push_back(kMissing);
    if (std::ranges::find(missing_, cell) == missing_.end()) add_stray(column, row, place, cell);
    return end;
  }

  // Keeps no more than a numeric column may have, so that a text column guessed wrong stays small.
  void add_stray(Builder& column, std::size_t row, Place place, std::string_view cell) {
    ++column.texts;
    if (column.strays.size() > 10'000 + column.numbers.size() / 50) return;
    column.strays.push_back(
        {static_cast<std::int64_t>(row), place, std::string(cell.substr(0, 64))});
  }

  void check_closed(const CsvScanner& scanner, std::int64_t line) const {
    if (!scanner.unclosed) return;
    throw Error(ErrorKind::data, "a quoted field of this row is never closed",
                fmt::format("{}:{}:1", where_, line),
                "close it, or set data.quote = \"\" if quotes are plain characters");
  }

  // ---- what the cells turned out to be ----

  Count count(Builder& column) const {
    Count result;
    if (column.kind == Column::Kind::numeric) {
      for (const double x : column.numbers) result.numbers += !std::isnan(x);
      result.texts = column.texts;
      return result;
    }
    auto& texts = column.dictionary.texts();
    std::vector<bool> number(texts.size());
    double x;
    for (std::size_t i = 0; i < texts.size(); ++i) number[i] = parse_number(texts[i], x);
    for (const auto code : column.codes) {
      const auto i = static_cast<std::size_t>(code);
      if (i >= missing_.size()) ++(number[i] ? result.numbers : result.texts);
    }
    return result;
  }

  // Turns a column guessed as text into numbers where it is one; warns of what is in between.
  void settle_kinds() {
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      Builder& column = columns_[c];
      if (column.kind == Column::Kind::numeric) continue;
      const Count cells = count(column);
      if (cells.numbers > 0 && cells.numeric()) {
        to_numbers(column);
      } else if (cells.texts == 0) {
        to_numbers(column);  // all missing
      } else if (cells.numbers > cells.texts) {
        table_.warnings.push_back(fmt::format(
            "column \"{}\" is read as categories: {} of its {} cells are not numbers, e.g. {}",
            dialect_.names[c], with_commas(cells.texts), with_commas(cells.numbers + cells.texts),
            printable(first_text(column))));
      }
    }
  }

  std::string first_text(Builder& column) const {
    double x;
    for (std::size_t i = missing_.size(); i < column.dictionary.texts().size(); ++i) {
      if (!parse_number(column.dictionary.texts()[i], x)) return column.dictionary.texts()[i];
    }
    return {};
  }

  void to_numbers(Builder& column) const {
    column.kind = Column::Kind::numeric;
    const auto& texts = column.dictionary.texts();
    for (std::size_t row = 0; row < column.codes.size(); ++row) {
      const auto i = static_cast<std::size_t>(column.codes[row]);
      double x = kMissing;
      if (i >= missing_.size() && !parse_number(texts[i], x)) {
        x = kMissing;
        add_late_stray(column, row, texts[i]);
      }
      column.numbers.push_back(x);
    }
    column.codes.clear();
  }
  void add_late_stray(Builder& column, std::size_t row, const std::string& text) const {
    column.strays.push_back({static_cast<std::int64_t>(row), {table_.origin[row], 1}, text});
  }

  void drop_stray_rows() {
    struct Found {
      const Stray* stray;
      std::size_t column;
    };
    std::vector<Found> all;
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      for (const auto& stray : columns_[c].strays) all.push_back({&stray, c});
    }
    if (all.empty()) return;
    std::ranges::stable_sort(all, {}, [](const Found& f) { return f.stray->row; });
    std::vector<bool> drop(table_.origin.size());
    for (const auto& [stray, c] : all) {
      if (drop[static_cast<std::size_t>(stray->row)]) continue;
      drop[static_cast<std::size_t>(stray->row)] = true;
      reject(stray->place,
             fmt::format("expected a number in column \"{}\", found {}", dialect_.names[c],
                         printable(stray->text)),
             "correct the cell, or name its text in data.missing");
    }
    const auto keep = [&](auto& cells) {
      if (cells.empty()) return;
      std::size_t to = 0;
      for (std::size_t row = 0; row < drop.size(); ++row) {
        if (!drop[row]) cells[to++] = cells[row];
      }
      cells.resize(to);
    };
    for (auto& column : columns_) {
      keep(column.numbers);
      keep(column.codes);
    }
    keep(table_.origin);
  }

  // ---- malformed rows ----

  void reject(Place place, std::string what, std::string remedy) {
    const std::string where = fmt::format("{}:{}:{}", where_, place.line, place.byte);
    if (options_.strict) throw Error(ErrorKind::data, std::move(what), where, std::move(remedy));
    if (bad_++ == 0 || place.line < first_line_) {
      first_ = fmt::format("{}: {}", where, what);
      first_line_ = place.line;
      remedy_ = std::move(remedy);
    }
  }

  void report() {
    const auto good = static_cast<std::int64_t>(table_.origin.size());
    if (bad_ > good) {
      throw Error(ErrorKind::data,
                  fmt::format("{} of {} rows are malformed; the first: {}", with_commas(bad_),
                              with_commas(bad_ + good), first_),
                  where_, remedy_);
    }
    if (bad_ == 0) return;
    table_.warnings.push_back(fmt::format("{} left out; the first: {} (data.strict = true stops)",
                                          counted(bad_, "malformed row"), first_));
  }

  void finish() {
    if (table_.origin.empty()) throw Error(ErrorKind::data, "the file has no rows", where_);
    table_.rows = static_cast<std::int64_t>(table_.origin.size());
    const auto first = static_cast<std::int32_t>(missing_.size());
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      Builder& from = columns_[c];
      Column column{.name = dialect_.names[c], .kind = from.kind};
      column.numbers = std::move(from.numbers);
      column.codes = std::move(from.codes);
      for (auto& code : column.codes) code = std::max(code - first, -1);
      if (from.kind == Column::Kind::text) take_dictionary(from, column);
      table_.columns.push_back(std::move(column));
    }
  }

  void take_dictionary(Builder& from, Column& to) {
    auto& texts = from.dictionary.texts();
    bool latin = false;
    for (std::size_t i = missing_.size(); i < texts.size(); ++i) {
      if (is_utf8(texts[i])) {
        to.dictionary.push_back(std::move(texts[i]));
      } else {
        latin = true;
        to.dictionary.push_back(to_utf8(texts[i]));
      }
    }
    if (latin) {
      table_.warnings.push_back(
          fmt::format("column \"{}\" is not UTF-8: read as Latin-1", to.name));
    }
  }

  std::string_view text_;
  const std::string& where_;
  const CsvOptions& options_;
  CsvDialect dialect_;
  Table table_;
  std::vector<std::string> missing_;
  std::vector<Builder> columns_;
  std::int64_t bad_ = 0, first_line_ = 0;
  std::string first_, remedy_;
};

}  // namespace

Table parse_csv(std::string_view text, const std::string& where, const CsvOptions& options) {
  return Parser(text, where, options).parse();
}

}  // namespace descent::data
