#include "descent/track/terminal.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string_view>

namespace descent::track {
namespace {

constexpr int kLabelWidth = 9;  // "warning  "
constexpr const char* kYellow = "\x1b[33m";
constexpr const char* kDim = "\x1b[2m";
constexpr const char* kPlain = "\x1b[0m";

bool set(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0';
}

bool capable(std::FILE* file) {
  const char* term = std::getenv("TERM");
  return isatty(fileno(file)) != 0 && term != nullptr && std::string_view(term) != "dumb";
}

// Whether the terminal shows UTF-8, by the locale that the environment names.
bool utf8_locale() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    if (!set(name)) continue;
    std::string value = std::getenv(name);
    std::ranges::transform(value, value.begin(), [](unsigned char c) { return std::tolower(c); });
    return value.find("utf-8") != std::string::npos || value.find("utf8") != std::string::npos;
  }
  return false;
}

std::size_t width_of(std::FILE* file) {
  winsize size{};
  if (ioctl(fileno(file), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

// "loss" and what is no metric of a model.
bool is_metric(const std::string& name) {
  return name != "loss" && name != "lr" && name != "grad_norm" && name != "rows_per_second";
}

const double* find(const Record& record, const std::string& name) {
  for (const auto& [key, value] : record.values) {
    if (key == name) return &value;
  }
  return nullptr;
}

// The metric that is shown: the first.
const std::pair<std::string, double>* main_metric(const Record& record) {
  for (const auto& one : record.values) {
    if (is_metric(one.first)) return &one;
  }
  return nullptr;
}

// Four digits that matter, aligned for what is between 0.001 and 100,000.
std::string cell_number(double x) {
  const double size = std::abs(x);
  if (!std::isfinite(x) || (size != 0 && (size < 1e-3 || size >= 1e5))) return short_number(x);
  return fmt::format("{:.{}f}", x, size < 10 ? 4 : size < 100 ? 3 : size < 1000 ? 2 : 1);
}

// The first `width` characters of UTF-8 text.
std::string cut(const std::string& text, std::size_t width) {
  std::size_t seen = 0, i = 0;
  for (; i < text.size(); ++i) {
    const bool begins = (static_cast<unsigned char>(text[i]) & 0xC0) != 0x80;
    if (begins && seen++ == width) break;
  }
  return text.substr(0, i);
}

std::string bar(double part, int cells, bool utf8, bool colour) {
  const int full = static_cast<int>(std::clamp(part, 0.0, 1.0) * cells);
  std::string done, rest;
  for (int i = 0; i < cells; ++i) (i < full ? done : rest) += utf8 ? "━" : i < full ? "#" : "-";
  if (!utf8) return done + rest;
  if (!colour) return done + std::string(static_cast<std::size_t>(cells - full), ' ');
  return done + kDim + rest + kPlain;
}

}  // namespace

std::string short_number(double x) {
  auto text = fmt::format("{:.3g}", x);
  // 9.1e-04 -> 9.1e-4
  const auto e = text.find('e');
  if (e == std::string::npos) return text;
  if (text[e + 1] == '+') text.erase(e + 1, 1);
  const auto digits = e + (text[e + 1] == '-' ? 2 : 1);
  while (digits + 1 < text.size() && text[digits] == '0') text.erase(digits, 1);
  return text;
}

std::string short_count(double x) {
  if (!std::isfinite(x) || x < 0) return "-";
  if (x < 1000) return fmt::format("{:.0f}", x);
  constexpr const char* units[] = {"k", "M", "G", "T"};
  std::size_t unit = 0;
  for (x /= 1000; x >= 999.5 && unit < 3; ++unit) x /= 1000;
  return fmt::format("{:.{}f}{}", x, x < 9.95 ? 1 : 0, units[unit]);
}

TerminalSink::TerminalSink(TerminalOptions options) : options_(options) {
  const bool terminal = capable(options_.messages);
  live_ = options_.live.value_or(terminal) && !options_.quiet;
  colour_ = options_.colour.value_or(terminal && !set("NO_COLOR"));
  utf8_ = options_.utf8.value_or(utf8_locale());
}

TerminalSink::~TerminalSink() {
  flush_row();
  clear();
  std::fflush(options_.messages);
}

double TerminalSink::since(Clock::time_point then) const {
  return std::chrono::duration<double>(Clock::now() - then).count();
}

void TerminalSink::clear() {
  if (!shown_) return;
  std::fputs("\r\x1b[K", options_.messages);
  shown_ = false;
}

void TerminalSink::line(const std::string& label, const std::string& text, bool result,
                        const char* colour) {
  clear();
  std::fflush(options_.messages);
  const bool repeated = label == last_label_ && label != "warning";
  auto out = fmt::format("{:<{}}", repeated ? "" : label, kLabelWidth - 1) + " ";
  if (colour_ && colour != nullptr) out = colour + out + kPlain;
  for (const char c : text) {
    out += c;
    if (c == '\n') out += std::string(kLabelWidth, ' ');
  }
  auto* file = result ? options_.results : options_.messages;
  out += '\n';
  std::fwrite(out.data(), 1, out.size(), file);
  std::fflush(file);
  last_label_ = label;
}

void TerminalSink::begin(const RunInfo& info) { info_ = info; }

void TerminalSink::message(Level level, const std::string& label, const std::string& text) {
  const bool result = label == "test" || label == "saved";
  test_told_ = test_told_ || label == "test";
  if (options_.quiet && !result && level != Level::warning) return;
  flush_row();
  line(label, text, result, level == Level::warning ? kYellow : nullptr);
}

// ---- the table ----

std::string TerminalSink::epoch_text(std::int64_t epoch) const {
  if (info_.epochs == 0) return std::to_string(epoch);
  const auto all = std::to_string(info_.epochs);
  return fmt::format("{:>{}}/{}", epoch, all.size(), all);
}

void TerminalSink::record(const Record& record) {
  if (record.split == "test") {
    test_ = record;
  } else {
    epoch_.push_back(record);
  }
}

std::vector<TerminalSink::Cell> TerminalSink::cells() const {
  // Of several records of a split (train: every so many steps) the last counts.
  const Record *train = nullptr, *valid = nullptr;
  for (const auto& one : epoch_) (one.split == "valid" ? valid : train) = &one;
  std::vector<Cell> row;
  const auto add = [&](const std::string& title, const Record* record, const std::string& name) {
    const auto* x = record == nullptr ? nullptr : find(*record, name);
    if (x != nullptr) row.push_back({title, cell_number(*x)});
  };
  add("loss", train, "loss");
  add("valid loss", valid, "loss");
  const auto* shown = valid != nullptr ? valid : train;
  if (const auto* metric = shown != nullptr ? main_metric(*shown) : nullptr) {
    row.push_back({metric->first, cell_number(metric->second)});
  }
  if (const auto* lr = train != nullptr ? find(*train, "lr") : nullptr) {
    row.push_back({"lr", short_number(*lr)});
  }
  const auto* told = train != nullptr ? find(*train, "rows_per_second") : nullptr;
  const double speed = told != nullptr ? *told : rows_per_second_;
  row.push_back({"rows/s", speed > 0 ? short_count(speed) : "-"});
  if (shown != nullptr) {
    row.push_back({"seconds", fmt::format("{:.{}f}", shown->seconds, shown->seconds < 10 ? 2 : 1)});
  }
  return row;
}

void TerminalSink::epoch_end(std::int64_t epoch) {
  const auto row = cells();
  epoch_.clear();
  if (options_.quiet) return;
  pending_epoch_ = epoch_text(epoch);
  pending_ = row;
  // Rows that come faster than one can read them: the last is shown when it is the last.
  if (live_ && !titles_.empty() && since(last_row_) < options_.row_interval) return;
  flush_row();
}

void TerminalSink::flush_row() {
  if (pending_epoch_.empty()) return;
  const auto epoch = std::move(pending_epoch_);
  const auto row = std::move(pending_);
  pending_epoch_.clear();
  pending_.clear();
  clear();
  print_row(epoch, row);
  std::fflush(options_.messages);
  last_row_ = Clock::now();
}

// Under a header that is printed once, and again where a column comes in (the first validation).
void TerminalSink::print_row(const std::string& epoch, const std::vector<Cell>& cells) {
  const auto width = [](const std::string& title) {
    return std::max<std::size_t>(title.size(), 8);
  };
  const auto known = [&](const Cell& cell) {
    return std::ranges::find(titles_, cell.title) != titles_.end();
  };
  const std::size_t first = std::max<std::size_t>(epoch.size(), kLabelWidth - 1);
  if (titles_.empty() || !std::ranges::all_of(cells, known)) {
    titles_.clear();
    auto header = fmt::format("{:<{}}", "epoch", first);
    for (const auto& cell : cells) {
      titles_.push_back(cell.title);
      header += fmt::format("  {:>{}}", cell.title, width(cell.title));
    }
    fmt::print(options_.messages, "{}{}{}\n", colour_ ? kDim : "", header, colour_ ? kPlain : "");
  }
  auto out = fmt::format("{:<{}}", epoch, first);
  for (const auto& title : titles_) {
    const auto it = std::ranges::find(cells, title, &Cell::title);
    out += fmt::format("  {:>{}}", it == cells.end() ? "-" : it->text, width(title));
  }
  fmt::print(options_.messages, "{}\n", out);
  last_label_ = "epoch";
}

// ---- the live line ----

std::string TerminalSink::live_line(const Progress& p) const {
  const double part =
      p.batches > 0 ? static_cast<double>(p.batch) / static_cast<double>(p.batches) : 0;
  const auto width = width_of(options_.messages) - 1;
  const auto head = fmt::format("{:<{}}", "epoch " + epoch_text(p.epoch), kLabelWidth + 3);
  auto tail = fmt::format("  loss {}  lr {}", cell_number(p.loss), short_number(p.lr));
  if (p.rows_per_second > 0) tail += fmt::format("  {} rows/s", short_count(p.rows_per_second));
  if (head.size() + 2 + 4 + tail.size() > width) return cut(head + tail, width);
  const auto room = width - head.size() - 2 - tail.size();
  const int cells = static_cast<int>(std::min<std::size_t>(room, 24));
  return head + "  " + bar(part, cells, utf8_, colour_) + tail;
}

void TerminalSink::progress(const Progress& progress) {
  rows_per_second_ = progress.rows_per_second;
  if (!live_) return;
  if (shown_ && since(last_live_) < options_.interval) return;
  last_live_ = Clock::now();
  std::fputs(("\r" + live_line(progress) + "\x1b[K").c_str(), options_.messages);
  std::fflush(options_.messages);
  shown_ = true;
}

void TerminalSink::end(const nlohmann::json& summary) {
  (void)summary;
  flush_row();
  clear();
  if (!test_ || test_told_) return;
  std::string text;
  for (const auto& [name, value] : test_->values) {
    text += fmt::format("{}{} {}", text.empty() ? "" : "  ", name, cell_number(value));
  }
  line("test", text, true, nullptr);
}

}  // namespace descent::track
