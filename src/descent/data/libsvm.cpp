#include "descent/data/libsvm.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "descent/base/error.h"
#include "descent/data/text.h"

namespace descent::data {
namespace {

constexpr std::int64_t kLargestIndex = INT32_MAX;

// Why a row is malformed; thrown inside of the parser only.
struct Bad {
  const char* at;
  std::string what;
};

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

class Parser {
 public:
  Parser(std::string_view text, const std::string& where, bool strict)
      : text_(text), where_(where), strict_(strict) {}

  SparseRows parse() {
    std::size_t begin = text_.starts_with("\xEF\xBB\xBF") ? 3 : 0;
    for (std::int64_t line = 1; begin < text_.size(); ++line) {
      const auto end = std::min(text_.find('\n', begin), text_.size());
      read_line(text_.substr(begin, end - begin), line);
      begin = end + 1;
    }
    report();
    return std::move(rows_);
  }

 private:
  void read_line(std::string_view line, std::int64_t number) {
    const auto text = line.substr(0, line.find('#'));
    const char* p = text.data();
    const char* end = p + text.size();
    skip_blanks(p, end);
    if (p == end) return;
    try {
      read_row(p, end);
      rows_.begins.push_back(static_cast<std::int64_t>(rows_.indices.size()));
      rows_.lines.push_back(number);
    } catch (const Bad& bad) {
      const auto kept = static_cast<std::size_t>(rows_.begins.back());
      rows_.indices.resize(kept);
      rows_.values.resize(kept);
      rows_.labels.resize(rows_.begins.size() - 1);
      reject(fmt::format("{}:{}:{}", where_, number, bad.at - line.data() + 1), bad.what);
    }
  }

  static void skip_blanks(const char*& p, const char* end) {
    while (p != end && is_blank(*p)) ++p;
  }
  static std::string_view word(const char*& p, const char* end) {
    const char* begin = p;
    while (p != end && !is_blank(*p)) ++p;
    return {begin, static_cast<std::size_t>(p - begin)};
  }

  void read_row(const char* p, const char* end) {
    const char* begin = p;
    const auto label = word(p, end);
    double x = 0;
    if (!parse_number(label, x)) {
      throw Bad{begin, fmt::format("expected a number as label, found {}", printable(label))};
    }
    rows_.labels.push_back(x);
    std::int64_t before = 0;
    for (skip_blanks(p, end); p != end; skip_blanks(p, end)) {
      begin = p;
      read_entry(begin, word(p, end), before);
    }
  }

  void read_entry(const char* at, std::string_view entry, std::int64_t& before) {
    const auto colon = entry.find(':');
    if (colon == std::string_view::npos) {
      throw Bad{at, fmt::format("expected index:value, found {}", printable(entry))};
    }
    const auto key = entry.substr(0, colon), value = entry.substr(colon + 1);
    if (key == "qid") return;
    std::int64_t index = 0;
    const auto [stop, error] = std::from_chars(key.data(), key.data() + key.size(), index);
    if (error != std::errc() || stop != key.data() + key.size() || index < 1 ||
        index > kLargestIndex) {
      throw Bad{at, fmt::format("expected an index from 1 to {}, found {}", kLargestIndex,
                                printable(key))};
    }
    if (index <= before) {
      throw Bad{at, fmt::format("index {} after {}: expected ascending indices", index, before)};
    }
    double x = 0;
    if (!parse_number(value, x) || !std::isfinite(static_cast<float>(x))) {
      throw Bad{at + colon + 1, fmt::format("expected a number, found {}", printable(value))};
    }
    before = index;
    rows_.indices.push_back(static_cast<std::int32_t>(index - 1));
    rows_.values.push_back(static_cast<float>(x));
    // Also of a row that is then left out: at worst a column of zeros.
    rows_.columns = std::max(rows_.columns, index);
  }

  void reject(const std::string& place, const std::string& what) {
    if (strict_) throw Error(ErrorKind::data, what, place, "a row is: label index:value ...");
    if (bad_++ == 0) first_ = fmt::format("{}: {}", place, what);
  }

  void report() {
    if (bad_ > rows_.rows()) {
      throw Error(ErrorKind::data,
                  fmt::format("{} of {} rows are malformed; the first: {}", with_commas(bad_),
                              with_commas(bad_ + rows_.rows()), first_),
                  where_, "a row is: label index:value ...");
    }
    if (rows_.rows() == 0) throw Error(ErrorKind::data, "the file has no rows", where_);
    if (bad_ == 0) return;
    rows_.warnings.push_back(fmt::format("{} left out; the first: {} (data.strict = true stops)",
                                         counted(bad_, "malformed row"), first_));
  }

  std::string_view text_;
  const std::string& where_;
  bool strict_;
  SparseRows rows_;
  std::int64_t bad_ = 0;
  std::string first_;
};

}  // namespace

SparseRows parse_libsvm(std::string_view text, const std::string& where, bool strict) {
  return Parser(text, where, strict).parse();
}

Array densify(const SparseRows& rows, const std::string& where, std::uint64_t most_bytes) {
  const auto count = static_cast<std::uint64_t>(rows.rows());
  const auto width = static_cast<std::uint64_t>(rows.columns);
  if (width != 0 && count > most_bytes / sizeof(float) / width) {
    throw Error(
        ErrorKind::data,
        fmt::format("{} rows of {} columns take {:.1f} GiB as a dense array, more than {:.1f}",
                    with_commas(rows.rows()), with_commas(rows.columns),
                    static_cast<double>(count) * static_cast<double>(width) * 0x1p-28,
                    static_cast<double>(most_bytes) * 0x1p-30),
        where, "hash or select the indices before, so that the largest is smaller");
  }
  Array dense(DType::float32, {rows.rows(), rows.columns});
  const auto out = dense.as<float>();
  for (std::size_t row = 0; row + 1 < rows.begins.size(); ++row) {
    for (auto k = rows.begins[row]; k < rows.begins[row + 1]; ++k) {
      const auto i = static_cast<std::size_t>(k);
      out[row * width + static_cast<std::size_t>(rows.indices[i])] = rows.values[i];
    }
  }
  return dense;
}

}  // namespace descent::data
