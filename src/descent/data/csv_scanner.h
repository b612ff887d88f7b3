// Cuts a text into fields, one after the other; the inner loop of the CSV parser.
#pragma once
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace descent::data {

class CsvScanner {
 public:
  enum class End { field, row };  // what stood behind a field: a separator, or the line's end

  CsvScanner(std::string_view text, std::size_t begin, char separator, char quote)
      : begin_(text.data()),
        at_(text.data() + begin),
        end_(text.data() + text.size()),
        line_begin_(at_),
        separator_(separator),
        quote_(quote) {}

  bool done() const { return at_ == end_; }
  const char* at() const { return at_; }
  const char* end() const { return end_; }
  std::int64_t line() const { return line_; }
  // Byte of the next field in its line, from 1.
  std::int64_t byte() const { return at_ - line_begin_ + 1; }
  std::size_t offset() const { return static_cast<std::size_t>(at_ - begin_); }

  // Steps over empty lines (with blanks alone).
  void skip_blank_lines() {
    while (at_ != end_) {
      const char* p = after_blanks(at_);
      if (p != end_ && *p != '\n' && *p != '\r') {
        if (separator_ == ' ') at_ = p;
        return;
      }
      at_ = p;
      if (at_ != end_) end_line();
    }
  }
  void skip_blanks() { at_ = after_blanks(at_); }

  // Goes on behind a field that ends at p, if a separator or line end stands there (perhaps after
  // blanks); else stays and returns false. Lets a number be read in place.
  bool accept(const char* p, End& ended) {
    const char* next = after_blanks(p);
    if (next != end_ && *next != '\n' && *next != '\r') {
      if (separator_ == ' ' ? next == p : *next != separator_) return false;
    }
    at_ = next;
    ended = finish();
    return true;
  }

  // Reads a field. `text` points into the source, or into a buffer of the scanner until the next
  // call; blanks around it are cut off. Sets `broken` where text follows a closing quote, and
  // `unclosed` where the quote never ends.
  End field(std::string_view& text) {
    skip_blanks();
    if (quote_ != '\0' && at_ != end_ && *at_ == quote_) return quoted(text);
    const char* p = at_;
    if (separator_ == ' ') {
      while (p != end_ && *p != ' ' && *p != '\t' && *p != '\n' && *p != '\r') ++p;
    } else {
      while (p != end_ && *p != separator_ && *p != '\n' && *p != '\r') ++p;
    }
    const char* last = p;
    while (last != at_ && is_blank(last[-1])) --last;
    text = {at_, static_cast<std::size_t>(last - at_)};
    at_ = separator_ == ' ' ? after_blanks(p) : p;
    return finish();
  }

  bool broken = false, unclosed = false;

 private:
  bool is_blank(char c) const { return c == ' ' || (c == '\t' && separator_ != '\t'); }
  const char* after_blanks(const char* p) const {
    while (p != end_ && is_blank(*p)) ++p;
    return p;
  }

  // at_ stands on a separator, a line end or the end.
  End finish() {
    if (at_ == end_) return End::row;
    if (*at_ == '\n' || *at_ == '\r') {
      end_line();
      return End::row;
    }
    if (separator_ != ' ') ++at_;  // blanks have been stepped over
    return End::field;
  }
  void end_line() {
    if (*at_++ == '\r' && at_ != end_ && *at_ == '\n') ++at_;
    ++line_;
    line_begin_ = at_;
  }

  End quoted(std::string_view& text) {
    const char* from = ++at_;
    bool copied = false;
    while (true) {
      const auto* close =
          static_cast<const char*>(std::memchr(at_, quote_, static_cast<std::size_t>(end_ - at_)));
      if (close == nullptr) {
        unclosed = true;
        at_ = end_;
        text = {};
        return End::row;
      }
      count_lines(at_, close);
      if (close + 1 == end_ || close[1] != quote_) {
        if (copied) {
          buffer_.append(from, close);
          text = buffer_;
        } else {
          text = {from, static_cast<std::size_t>(close - from)};
        }
        at_ = close + 1;
        break;
      }
      if (!copied) buffer_.clear();
      copied = true;
      buffer_.append(from, close + 1);  // a doubled quote stands for one
      from = at_ = close + 2;
    }
    return after_quote();
  }
  End after_quote() {
    const char* closed = at_;
    at_ = after_blanks(at_);
    const bool gap = separator_ == ' ' && at_ != closed;
    if (at_ != end_ && !gap && *at_ != separator_ && *at_ != '\n' && *at_ != '\r') {
      broken = true;
      while (at_ != end_ && *at_ != separator_ && *at_ != '\n' && *at_ != '\r') ++at_;
      if (separator_ == ' ') at_ = after_blanks(at_);
    }
    return finish();
  }
  void count_lines(const char* p, const char* stop) {
    while ((p = static_cast<const char*>(
                std::memchr(p, '\n', static_cast<std::size_t>(stop - p)))) != nullptr) {
      ++line_;
      line_begin_ = ++p;
    }
  }

  const char *begin_, *at_, *end_, *line_begin_;
  std::int64_t line_ = 1;
  char separator_, quote_;
  std::string buffer_;
};

}  // namespace descent::data
