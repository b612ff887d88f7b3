#include "descent/data/image.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "descent/base/error.h"

namespace descent::data {
namespace {

// For each output position the inputs under the triangle around it, and their weights: linear
// interpolation where the image grows, a mean over the whole footprint where it shrinks.
struct Taps {
  std::int64_t first = 0, count = 0;
  std::size_t weights = 0;  // where they begin in Resampling::weights
};
struct Resampling {
  std::vector<Taps> taps;
  std::vector<float> weights;

  // Outputs [begin, begin + count) of an axis of `from` elements made `to` long.
  Resampling(std::int64_t from, std::int64_t to, std::int64_t begin, std::int64_t count) {
    const double scale = static_cast<double>(from) / static_cast<double>(to);
    const double support = std::max(scale, 1.0);
    for (std::int64_t i = begin; i < begin + count; ++i) {
      const double centre = (static_cast<double>(i) + 0.5) * scale;
      const auto first =
          std::max<std::int64_t>(0, std::llround(std::floor(centre - support + 0.5)));
      const auto last =
          std::min(from, static_cast<std::int64_t>(std::floor(centre + support + 0.5)));
      Taps tap{first, std::max<std::int64_t>(last - first, 1), weights.size()};
      double sum = 0;
      const auto weight = [&](std::int64_t x) {
        const double distance = (static_cast<double>(x) + 0.5 - centre) / support;
        return std::max(0.0, 1 - std::abs(distance));
      };
      for (std::int64_t k = 0; k < tap.count; ++k) sum += weight(tap.first + k);
      for (std::int64_t k = 0; k < tap.count; ++k) {
        weights.push_back(static_cast<float>(weight(tap.first + k) / sum));
      }
      taps.push_back(tap);
    }
  }
};

std::uint8_t to_byte(float x) {
  return static_cast<std::uint8_t>(std::lround(std::clamp(x, 0.0F, 255.0F)));
}

// Pixel x of a line as one of `wanted` channels.
float value_of(const std::uint8_t* pixel, std::int64_t channels, std::int64_t wanted,
               std::int64_t channel) {
  if (channels == wanted) return pixel[channel];
  if (channels == 1) return pixel[0];
  return (299.0F * pixel[0] + 587.0F * pixel[1] + 114.0F * pixel[2]) / 1000;
}

}  // namespace

ImageFormat image_format(std::string_view bytes) {
  if (bytes.starts_with("\xFF\xD8\xFF")) return ImageFormat::jpeg;
  if (bytes.starts_with("\x89PNG\r\n\x1A\n")) return ImageFormat::png;
  return ImageFormat::none;
}

Image decode_image(std::string_view bytes, const std::string& where, std::int64_t most_pixels) {
  switch (image_format(bytes)) {
    case ImageFormat::jpeg:
      return decode_jpeg(bytes, where, most_pixels);
    case ImageFormat::png:
      return decode_png(bytes, where, most_pixels);
    case ImageFormat::none:
      break;
  }
  throw Error(ErrorKind::data,
              bytes.empty() ? "the file is empty" : "byte 0: not the begin of a JPEG or a PNG",
              where, "convert the image, or leave it out");
}

Image make_image(std::int64_t height, std::int64_t width, std::int64_t channels,
                 const std::string& where, std::int64_t most_pixels) {
  if (height < 1 || width < 1 || height > most_pixels / width) {
    throw Error(
        ErrorKind::data,
        fmt::format("an image of {} x {} pixels, expected 1 to {}", width, height, most_pixels),
        where);
  }
  Image image{height, width, channels, nullptr};
  // Not filled: a small file may claim a large image.
  image.pixels = std::make_unique_for_overwrite<std::uint8_t[]>(
      static_cast<std::size_t>(height * width * channels));
  return image;
}

void fit_image(const Image& image, const ImageSize& size, std::uint8_t* planes) {
  const auto [channels, height, width] = size;
  // The whole image at the size that just covers height x width, as in torchvision: the longer
  // side is rounded down, the margin to even.
  std::int64_t tall = height, wide = width;
  if (image.height * width >= image.width * height) {
    tall = std::max(height, image.height * width / image.width);
  } else {
    wide = std::max(width, image.width * height / image.height);
  }
  const std::int64_t top = std::lrint(static_cast<double>(tall - height) / 2);
  const std::int64_t left = std::lrint(static_cast<double>(wide - width) / 2);
  const Resampling rows(image.height, tall, top, height);
  const Resampling columns(image.width, wide, left, width);

  // Columns first, of the lines that are needed; then rows.
  const std::int64_t first = rows.taps.front().first;
  const std::int64_t lines = rows.taps.back().first + rows.taps.back().count - first;
  std::vector<float> narrowed(static_cast<std::size_t>(lines * width));
  std::vector<float> line(static_cast<std::size_t>(image.width));
  for (std::int64_t c = 0; c < channels; ++c) {
    for (std::int64_t y = 0; y < lines; ++y) {
      const std::uint8_t* pixel = image.pixels.get() + (first + y) * image.width * image.channels;
      for (auto& x : line) {
        x = value_of(pixel, image.channels, channels, c);
        pixel += image.channels;
      }
      float* to = narrowed.data() + y * width;
      for (const auto& tap : columns.taps) {
        const float* w = columns.weights.data() + tap.weights;
        float sum = 0;
        for (std::int64_t k = 0; k < tap.count; ++k) {
          sum += w[k] * line[static_cast<std::size_t>(tap.first + k)];
        }
        *to++ = sum;
      }
    }
    for (const auto& tap : rows.taps) {
      const float* from = narrowed.data() + (tap.first - first) * width;
      const float* w = rows.weights.data() + tap.weights;
      for (std::int64_t x = 0; x < width; ++x) {
        float sum = 0;
        for (std::int64_t k = 0; k < tap.count; ++k) sum += w[k] * from[k * width + x];
        *planes++ = to_byte(sum);
      }
    }
  }
}

}  // namespace descent::data
