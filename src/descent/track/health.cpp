#include "descent/track/health.h"

#include <algorithm>
#include <fstream>
#include <limits>

namespace descent::track {
namespace {

using nlohmann::json;

constexpr std::size_t kLayerPoints = 400;  // of a curve, of which there is one for each layer
constexpr std::size_t kFindings = 500;

bool numbers(const json& list) {
  return std::ranges::all_of(list, [](const json& x) { return x.is_number() || x.is_null(); });
}

bool texts(const json& list) {
  return !list.empty() && std::ranges::all_of(list, [](const json& x) { return x.is_string(); });
}

}  // namespace

void Health::read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return;
  file.seekg(static_cast<std::streamoff>(done_));
  std::string text;
  while (std::getline(file, text)) {
    if (file.eof()) break;  // no end of line: it is still being written
    done_ += text.size() + 1;
    line(text);
  }
}

void Health::line(const std::string& text) {
  const auto object = json::parse(text, nullptr, false);
  if (!object.is_object()) return;
  const auto kind = object.value("kind", json());
  if (kind == "finding" && findings_.size() < kFindings) findings_.push_back(object);
  if (kind == "finding") return;
  if (object.contains("layers") && object["layers"].is_array() && texts(object["layers"])) {
    layers_ = object["layers"].get<std::vector<std::string>>();
  }
  if (kind == "observation") observe(object);
}

void Health::observe(const json& object) {
  if (!object.contains("step") || !object["step"].is_number()) return;
  Point point{.step = object["step"].get<double>()};
  if (object.contains("seconds") && object["seconds"].is_number()) {
    point.seconds = object["seconds"].get<double>();
  }
  for (const auto& [name, list] : object.items()) {
    if (!list.is_array() || list.empty() || !numbers(list)) continue;
    if (!layers_.empty() && list.size() != layers_.size()) continue;
    auto& series = measures_[name];
    series.resize(std::max(series.size(), list.size()), Series(kLayerPoints));
    for (std::size_t i = 0; i < list.size(); ++i) {
      point.value =
          list[i].is_null() ? std::numeric_limits<double>::quiet_NaN() : list[i].get<double>();
      series[i].add(point);
    }
  }
}

}  // namespace descent::track
