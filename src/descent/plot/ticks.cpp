#include "descent/plot/ticks.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace descent::plot {
namespace {

std::string superscript(int number) {
  static constexpr std::array<const char*, 10> kDigits = {"\u2070", "\u00b9", "\u00b2", "\u00b3",
                                                          "\u2074", "\u2075", "\u2076", "\u2077",
                                                          "\u2078", "\u2079"};
  std::string text = number < 0 ? "\u207b" : "";
  for (const char c : std::to_string(std::abs(number)))
    text += kDigits[static_cast<std::size_t>(c - '0')];
  return text;
}

std::string power_of_ten(int exponent) {
  if (exponent >= -3 && exponent <= 4)
    return fmt::format("{:.{}f}", std::pow(10.0, exponent), std::max(0, -exponent));
  return "10" + superscript(exponent);
}

double nice_step(double span, int about) {
  const double rough = span / std::max(1, about);
  const double unit = std::pow(10.0, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0, 10.0}) {
    // The boundary between two steps lies at their geometric mean.
    if (rough / unit <= factor * std::sqrt(factor == 2 ? 2.5 : 2.0)) return factor * unit;
  }
  return 10 * unit;
}

}  // namespace

std::string number_label(double value, int digits) {
  if (!std::isfinite(value)) return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
  if (value == 0) return "0";
  const auto rounded = fmt::format("{:.{}e}", value, std::max(0, digits - 1));
  const auto mark = rounded.find('e');
  const int exponent = std::stoi(rounded.substr(mark + 1));
  if (exponent >= -4 && exponent <= 5) {
    auto text = fmt::format("{:.{}f}", std::stod(rounded), std::max(0, digits - 1 - exponent));
    if (text.find('.') != std::string::npos) {
      text.erase(text.find_last_not_of('0') + 1);
      if (text.ends_with('.')) text.pop_back();
    }
    return text;
  }
  auto mantissa = rounded.substr(0, mark);
  if (mantissa.find('.') != std::string::npos) {
    mantissa.erase(mantissa.find_last_not_of('0') + 1);
    if (mantissa.ends_with('.')) mantissa.pop_back();
  }
  if (mantissa == "1") return "10" + superscript(exponent);
  if (mantissa == "-1") return "-10" + superscript(exponent);
  return mantissa + "\u00d710" + superscript(exponent);
}

std::vector<Tick> linear_ticks(double min, double max, int about, bool whole) {
  if (!(max > min)) return {{.at = min, .label = number_label(min)}};
  double step = nice_step(max - min, about);
  if (whole) step = std::max(1.0, step);
  const double largest = std::max(std::abs(min), std::abs(max));
  // As many digits as tell neighbours apart.
  const int digits =
      std::clamp(static_cast<int>(std::floor(std::log10(largest / step) + 1e-9)) + 2, 1, 15);
  std::vector<Tick> ticks;
  const double first = std::ceil(min / step - 1e-9), last = std::floor(max / step + 1e-9);
  for (double k = first; k <= last; ++k) {
    const double at = k * step;
    ticks.push_back({.at = at, .label = number_label(at, digits)});
  }
  return ticks;
}

std::vector<Tick> log_ticks(double min, double max, int about) {
  const double decades = std::log10(max / min);
  if (decades < 0.7) return linear_ticks(min, max, about);
  const int first = static_cast<int>(std::floor(std::log10(min) + 1e-9));
  const int last = static_cast<int>(std::ceil(std::log10(max) - 1e-9));
  const int every = std::max(1, static_cast<int>(std::ceil(decades / std::max(1, about))));
  const bool between = decades < 2.5;
  std::vector<Tick> ticks;
  for (int k = first; k <= last; ++k) {
    for (int digit = 1; digit <= (every == 1 ? 9 : 1); ++digit) {
      const double at = digit * std::pow(10.0, k);
      if (at < min * (1 - 1e-9) || at > max * (1 + 1e-9)) continue;
      std::string label;
      if (digit == 1 && k % every == 0) label = power_of_ten(k);
      if (between && (digit == 2 || digit == 5)) label = number_label(at, 1);
      ticks.push_back({.at = at, .label = label});
    }
  }
  return ticks;
}

}  // namespace descent::plot
