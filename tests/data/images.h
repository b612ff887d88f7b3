// Image files made by the libraries that read them.
#pragma once
// jpeglib.h wants size_t and FILE from before it.
// clang-format off
#include <cstdio>
#include <jpeglib.h>
// clang-format on
#include <png.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "tests/data/support.h"

namespace descent::data {

using Bytes = std::vector<std::uint8_t>;

// A PNG of these pixels; `format` as PNG_FORMAT_RGB.
inline std::string png_file(std::uint32_t height, std::uint32_t width, std::uint32_t format,
                            const Bytes& pixels) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = width;
  image.height = height;
  image.format = format;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::string out(size, '\0');
  EXPECT_EQ(pixels.size(), PNG_IMAGE_SIZE(image));
  EXPECT_NE(png_image_write_to_memory(&image, out.data(), &size, 0, pixels.data(), 0, nullptr), 0)
      << image.message;
  out.resize(size);
  return out;
}

// A JPEG of nearly no loss (quality 100, no subsampling); `space` as JCS_RGB.
inline std::string jpeg_file(std::uint32_t height, std::uint32_t width, J_COLOR_SPACE space,
                             int channels, Bytes pixels) {
  jpeg_compress_struct info{};
  jpeg_error_mgr manager{};
  info.err = jpeg_std_error(&manager);
  jpeg_create_compress(&info);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &bytes, &size);
  info.image_width = width;
  info.image_height = height;
  info.input_components = channels;
  info.in_color_space = space;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, 100, TRUE);
  for (int c = 0; c < info.num_components; ++c) {
    info.comp_info[c].h_samp_factor = info.comp_info[c].v_samp_factor = 1;
  }
  jpeg_start_compress(&info, TRUE);
  while (info.next_scanline < height) {
    JSAMPROW row = pixels.data() + std::size_t{info.next_scanline} * width * std::size_t(channels);
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  std::string out(reinterpret_cast<const char*>(bytes), size);
  std::free(bytes);
  return out;
}

// height x width pixels of one colour.
inline std::string plain_png(std::uint32_t height, std::uint32_t width, std::uint8_t red,
                             std::uint8_t green, std::uint8_t blue) {
  Bytes pixels;
  for (std::uint32_t i = 0; i < height * width; ++i)
    pixels.insert(pixels.end(), {red, green, blue});
  return png_file(height, width, PNG_FORMAT_RGB, pixels);
}

// A CIFAR file: labels (one or two bytes) of each image, and pixels that count on from the label.
inline std::string cifar_file(const std::vector<std::string>& labels) {
  std::string out;
  for (const auto& label : labels) {
    out += label;
    for (int i = 0; i < 3072; ++i) out += static_cast<char>(label.back() + i);
  }
  return out;
}

}  // namespace descent::data
