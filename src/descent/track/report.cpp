#include "descent/track/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "descent/base/error.h"
#include "descent/base/file.h"
#include "descent/track/report_parts.h"

namespace descent::track {
namespace {

using nlohmann::json;

constexpr std::size_t kMessages = 200;
constexpr const char* kData = "<script type=\"application/json\" id=\"data\">";

std::string dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string in(const std::string& directory, const char* file) {
  return (std::filesystem::path(directory) / file).string();
}

void append_number(std::string& out, double x) {
  if (!std::isfinite(x)) {
    out += "null";
  } else {
    fmt::format_to(std::back_inserter(out), "{:.6g}", x);
  }
}

// [1,2,3] of one member of all points.
void append_list(std::string& out, const std::vector<Point>& points, double Point::*member) {
  out += '[';
  for (const auto& point : points) {
    // Steps are whole numbers, which six digits may not hold.
    if (member == &Point::step) {
      fmt::format_to(std::back_inserter(out), "{:.0f},", point.step);
    } else {
      append_number(out, point.*member);
      out += ',';
    }
  }
  if (out.back() == ',') out.pop_back();
  out += ']';
}

std::string points_json(const Series& series) {
  const auto points = series.points();
  std::string out = "\"step\":";
  append_list(out, points, &Point::step);
  out += ",\"seconds\":";
  append_list(out, points, &Point::seconds);
  out += ",\"value\":";
  append_list(out, points, &Point::value);
  return out;
}

std::string health_json(const Health& health) {
  std::string out = fmt::format("{{\"layers\":{},\"measures\":{{", dump(health.layers()));
  bool first = true;
  for (const auto& [name, layers] : health.measures()) {
    fmt::format_to(std::back_inserter(out), "{}{}:[", first ? "" : ",", dump(name));
    first = false;
    for (const auto& series : layers) out += "{" + points_json(series) + "},";
    out.back() = ']';
  }
  return out + "}}";
}

// JSON inside of a <script>: no text in it may end the element.
std::string inside_script(const std::string& text) {
  std::string out;
  out.reserve(text.size() + text.size() / 16);
  for (const char c : text) {
    if (c == '<') {
      out += "\\u003c";
    } else {
      out += c;
    }
  }
  return out;
}

std::string content_or_nothing(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return {};
  try {
    return read_file(path);
  } catch (const Error&) {
    return {};
  }
}

}  // namespace

json data_in(const std::string& page) {
  const auto element = page.find(kData);
  if (element == std::string::npos) return {};
  const auto begin = element + std::string_view(kData).size();
  const auto end = page.find("</script>", begin);
  auto data = json::parse(page.substr(begin, end - begin), nullptr, false);
  return data.is_discarded() ? json() : data;
}

std::string escape_html(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

// ---- what the run tells ----

void ReportSink::begin(const RunInfo& info) {
  info_ = info;
  last_ = Clock::now();
  if (info.first_step > 0) read_metrics(in(info.directory, "metrics.jsonl"), info.first_step);
}

Series& ReportSink::curve(const std::string& split, const std::string& name) {
  const auto it = std::ranges::find_if(
      curves_, [&](const Curve& c) { return c.split == split && c.name == name; });
  if (it != curves_.end()) return it->series;
  curves_.push_back({split, name, Series()});
  return curves_.back().series;
}

void ReportSink::record(const Record& record) {
  // Of the training rows there are means of an epoch, which know the speed, and single steps.
  const bool step =
      record.split == "train" && std::ranges::none_of(record.values, [](const auto& one) {
        return one.first == "rows_per_second";
      });
  const std::string split = step ? "step" : record.split;
  for (const auto& [name, value] : record.values) {
    curve(split, name).add({static_cast<double>(record.step), record.seconds, value});
  }
  refresh(interval_);
}

void ReportSink::read_metrics(const std::string& path, std::int64_t last_step) {
  std::ifstream file(path, std::ios::binary);
  for (std::string line; std::getline(file, line);) {
    const auto object = nlohmann::ordered_json::parse(line, nullptr, false);
    if (!object.is_object() || !object.contains("step") || !object["step"].is_number()) continue;
    Record one{.step = object["step"].get<std::int64_t>()};
    if (one.step > last_step) continue;
    for (const auto& [name, value] : object.items()) {
      if (name == "split" && value.is_string()) one.split = value.get<std::string>();
      if (name == "seconds" && value.is_number()) one.seconds = value.get<double>();
      if (name == "step" || name == "epoch" || name == "seconds") continue;
      if (value.is_number()) one.values.emplace_back(name, value.get<double>());
      if (value.is_null()) one.values.emplace_back(name, std::nan(""));
    }
    record(one);
  }
}

void ReportSink::read_page(const std::string& path) {
  const auto data = data_in(content_or_nothing(path));
  if (!data.is_object()) return;
  if (const auto it = data.find("messages"); it != data.end() && it->is_array()) messages_ = *it;
  if (const auto it = data.find("shown"); it != data.end() && it->is_object()) shown_ = *it;
}

void ReportSink::message(Level level, const std::string& label, const std::string& text) {
  if (messages_.size() >= kMessages) return;
  messages_.push_back({{"label", label}, {"text", text}, {"warning", level == Level::warning}});
}

void ReportSink::show(const std::string& what, const json& value) { shown_[what] = value; }
void ReportSink::progress(const Progress&) { refresh(interval_); }
void ReportSink::epoch_end(std::int64_t) { refresh(interval_); }
// Those at the end of short epochs come every few seconds, which nobody looks at.
void ReportSink::checkpoint(std::int64_t) { refresh(std::min(interval_, 5.0)); }

void ReportSink::refresh(double seconds) {
  if (info_.directory.empty()) return;
  if (std::chrono::duration<double>(Clock::now() - last_).count() < seconds) return;
  try {
    write();
  } catch (const Error&) {
    // The run matters more; where it cannot be written at the end either, that says so.
    last_ = Clock::now();
  }
}

void ReportSink::end(const json& summary) {
  summary_ = summary;
  if (!info_.directory.empty()) write();
}

void ReportSink::rewind(std::int64_t step) {
  for (auto& one : curves_) one.series.rewind(static_cast<double>(step));
  std::erase_if(curves_, [](const Curve& one) { return one.series.empty(); });
  health_ = {};  // its file goes back too
}

// ---- the page ----

void ReportSink::write() {
  replace_file(in(info_.directory, "report.html"), page());
  last_ = Clock::now();
}

std::string ReportSink::data() {
  if (!info_.directory.empty()) health_.read(in(info_.directory, "health.jsonl"));
  const json run = {{"title", info_.title},
                    {"directory", info_.directory},
                    {"epochs", info_.epochs},
                    {"steps_per_epoch", info_.steps_per_epoch},
                    {"total_steps", info_.total_steps},
                    {"written", std::chrono::duration_cast<std::chrono::seconds>(
                                    std::chrono::system_clock::now().time_since_epoch())
                                    .count()}};
  std::string out = "{\"run\":" + dump(run) + ",\"curves\":[";
  for (const auto& one : curves_) {
    out += fmt::format("{{\"split\":{},\"name\":{},{}}},", dump(one.split), dump(one.name),
                       points_json(one.series));
  }
  if (out.back() == ',') out.pop_back();
  out += "],\"health\":" + health_json(health_);
  out += ",\"findings\":" + dump(health_.findings());
  out += ",\"messages\":" + dump(messages_);
  out += ",\"shown\":" + dump(shown_);
  out += ",\"summary\":" + dump(summary_);
  const auto config =
      info_.directory.empty() ? "" : content_or_nothing(in(info_.directory, "config.toml"));
  return out + ",\"config\":" + dump(config) + "}";
}

std::string ReportSink::page() {
  const auto title = escape_html(info_.title.empty() ? "a run" : info_.title);
  std::string out;
  out.reserve(std::size_t{1} << 17);
  out += "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
  out += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
  out += "<meta name=\"color-scheme\" content=\"light dark\">\n";
  out += "<link rel=\"icon\" href=\"data:,\">\n";
  out += "<title>" + title + "</title>\n<style>\n";
  out.append(parts::uplot_css()).append("\n").append(parts::report_css());
  out += "</style>\n</head>\n<body>\n<main id=\"page\"><h1>" + title + "</h1>\n";
  out +=
      "<noscript><p>The curves need JavaScript; the numbers are in summary.json and "
      "metrics.jsonl beside this file.</p></noscript></main>\n";
  out.append(kData).append(inside_script(data())).append("</script>\n");
  out.append("<script>\n").append(parts::uplot_js()).append("\n</script>\n");
  out.append("<script>\n").append(parts::report_js()).append("</script>\n</body>\n</html>\n");
  return out;
}

}  // namespace descent::track
