#include "descent/plot/palette.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

namespace descent::plot {
namespace {

constexpr Colour from_hex(std::uint32_t rgb) {
  return {(rgb >> 16U & 0xFFU) / 255.0, (rgb >> 8U & 0xFFU) / 255.0, (rgb & 0xFFU) / 255.0};
}

}  // namespace

Colour palette(int index) {
  // Blue, vermilion, green, purple, orange, sky blue, black; brown stands in for their yellow,
  // which is hardly seen on white.
  static constexpr std::array<std::uint32_t, kPaletteSize> kColours = {
      0x0072B2, 0xD55E00, 0x009E73, 0xCC79A7, 0xE69F00, 0x56B4E9, 0x000000, 0x7A4B12};
  const int within = (index % kPaletteSize + kPaletteSize) % kPaletteSize;
  return from_hex(kColours[static_cast<std::size_t>(within)]);
}

Colour viridis(double t) {
  static constexpr std::array<std::uint32_t, 10> kAnchors = {0x440154, 0x482878, 0x3E4A89, 0x31688E,
                                                             0x26828E, 0x1F9E89, 0x35B779, 0x6DCD59,
                                                             0xB4DE2C, 0xFDE725};
  const double at = std::clamp(std::isfinite(t) ? t : 0.0, 0.0, 1.0) * (kAnchors.size() - 1);
  const auto low = std::min(static_cast<std::size_t>(at), kAnchors.size() - 2);
  return mixed(from_hex(kAnchors[low]), from_hex(kAnchors[low + 1]), at - static_cast<double>(low));
}

Colour mixed(const Colour& a, const Colour& b, double t) {
  return {a.red + t * (b.red - a.red), a.green + t * (b.green - a.green),
          a.blue + t * (b.blue - a.blue)};
}

}  // namespace descent::plot
