// PNG, through libpng's simplified interface, which reports by return value.
#include <fmt/format.h>
#include <png.h>

#include "descent/base/error.h"
#include "descent/data/image.h"

namespace descent::data {
namespace {

struct Reading {
  png_image image{};
  Reading() { image.version = PNG_IMAGE_VERSION; }
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;
  ~Reading() { png_image_free(&image); }
};

}  // namespace

Image decode_png(std::string_view bytes, const std::string& where, std::int64_t most_pixels) {
  Reading reading;
  png_image& png = reading.image;
  const auto fail = [&] {
    throw Error(ErrorKind::data, fmt::format("the PNG does not decode: {}", png.message), where,
                "fetch the image again, or leave it out");
  };
  if (png_image_begin_read_from_memory(&png, bytes.data(), bytes.size()) == 0) fail();
  const bool colour = (png.format & PNG_FORMAT_FLAG_COLOR) != 0;
  const bool alpha = (png.format & PNG_FORMAT_FLAG_ALPHA) != 0;
  // With its alpha channel, so that the library mixes no background into the colours.
  png.format = colour ? (alpha ? PNG_FORMAT_RGBA : PNG_FORMAT_RGB)
                      : (alpha ? PNG_FORMAT_GA : PNG_FORMAT_GRAY);
  const std::int64_t channels = colour ? 3 : 1, stored = channels + (alpha ? 1 : 0);
  Image image = make_image(png.height, png.width, stored, where, most_pixels);
  if (png_image_finish_read(&png, nullptr, image.pixels.get(), 0, nullptr) == 0) fail();
  if (alpha) {
    const std::int64_t count = image.height * image.width;
    std::uint8_t* pixels = image.pixels.get();
    for (std::int64_t i = 0; i < count; ++i) {
      for (std::int64_t c = 0; c < channels; ++c) pixels[i * channels + c] = pixels[i * stored + c];
    }
    image.channels = channels;
  }
  return image;
}

}  // namespace descent::data
