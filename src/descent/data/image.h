// Images in files: JPEG through libjpeg-turbo, PNG through libpng, brought to one size.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace descent::data {

// Rows from the top, pixels of one (grey) or three (red, green, blue) bytes.
struct Image {
  std::int64_t height = 0, width = 0, channels = 0;
  std::unique_ptr<std::uint8_t[]> pixels;
};

enum class ImageFormat { none, jpeg, png };
// By the first bytes.
ImageFormat image_format(std::string_view bytes);

// More pixels than that are not decoded (the bound of Pillow).
constexpr std::int64_t kMostPixels = 178'956'970;

// The image in `bytes`. An image that is damaged or cut, or is neither JPEG nor PNG, is an error of
// kind data. As Pillow's convert("RGB"): 16 bits a channel become 8, palettes colours, and an alpha
// channel is left out; the orientation in EXIF is not applied.
Image decode_image(std::string_view bytes, const std::string& where,
                   std::int64_t most_pixels = kMostPixels);
Image decode_jpeg(std::string_view bytes, const std::string& where, std::int64_t most_pixels);
Image decode_png(std::string_view bytes, const std::string& where, std::int64_t most_pixels);

// A place for decoded pixels; a data error where the extents are 0 or too large.
Image make_image(std::int64_t height, std::int64_t width, std::int64_t channels,
                 const std::string& where, std::int64_t most_pixels);

// Writes the image as planes [channels, height, width], as torchvision's Resize (bilinear,
// antialiased) and CenterCrop do: shrunk or enlarged, keeping its proportions, until it just covers
// height x width, then the middle. Grey becomes colour by repetition, colour grey as 0.299 R +
// 0.587 G + 0.114 B.
struct ImageSize {
  std::int64_t channels = 3, height = 0, width = 0;
  std::int64_t bytes() const { return channels * height * width; }
};
void fit_image(const Image& image, const ImageSize& size, std::uint8_t* planes);

}  // namespace descent::data
