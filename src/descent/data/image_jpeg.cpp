// JPEG. libjpeg reports errors through a function that must not return: it jumps back here, past C
// frames only. So between setjmp and the last call of the library nothing with a destructor begins.
// jpeglib.h wants size_t and FILE from before it.
// clang-format off
#include <cstdio>
#include <jpeglib.h>
#include <jerror.h>
// clang-format on
#include <fmt/format.h>

#include <csetjmp>

#include "descent/base/error.h"
#include "descent/data/image.h"

namespace descent::data {
namespace {

struct Failure {
  jpeg_error_mgr manager;  // first, so that the library's pointer is ours
  std::jmp_buf back;
  char message[JMSG_LENGTH_MAX];
};

Failure& failure_of(j_common_ptr info) { return *reinterpret_cast<Failure*>(info->err); }

[[noreturn]] void on_error(j_common_ptr info) {
  Failure& failure = failure_of(info);
  info->err->format_message(info, failure.message);
  std::longjmp(failure.back, 1);
}

// The library goes on, with grey, where the data end or make no sense. Other warnings (stray bytes)
// leave the picture whole.
void on_message(j_common_ptr info, int level) {
  if (level >= 0) return;
  switch (info->err->msg_code) {
    case JWRN_JPEG_EOF:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_MUST_RESYNC:
    case JWRN_NOT_SEQUENTIAL:
      on_error(info);
    default:
      break;
  }
}

// Four inks, inverted as Adobe writes them, to red, green and blue.
void inks_to_colours(const std::uint8_t* inks, std::uint8_t* pixels, std::int64_t count,
                     bool inverted) {
  for (std::int64_t i = 0; i < count; ++i) {
    const unsigned k = inverted ? inks[4 * i + 3] : 255 - inks[4 * i + 3];
    for (std::int64_t c = 0; c < 3; ++c) {
      const unsigned ink = inverted ? inks[4 * i + c] : 255 - inks[4 * i + c];
      pixels[3 * i + c] = static_cast<std::uint8_t>((ink * k + 127) / 255);
    }
  }
}

// Everything the library holds, given back at the end however that comes.
class Decoder {
 public:
  Decoder(std::string_view bytes, const std::string& where, std::int64_t most_pixels)
      : bytes_(bytes), where_(where), most_pixels_(most_pixels) {
    info_.err = jpeg_std_error(&failure_.manager);
    failure_.manager.error_exit = on_error;
    failure_.manager.emit_message = on_message;
  }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  ~Decoder() { jpeg_destroy_decompress(&info_); }

  Image decode() {
    if (setjmp(failure_.back) != 0) fail();
    read_header();
    image_ = make_image(info_.image_height, info_.image_width, channels(), where_, most_pixels_);
    if (inks()) line_ = std::make_unique<std::uint8_t[]>(std::size_t{4} * info_.image_width);
    read_pixels();
    return std::move(image_);
  }

 private:
  bool inks() const { return info_.out_color_space == JCS_CMYK; }
  int channels() const { return info_.out_color_space == JCS_GRAYSCALE ? 1 : 3; }

  void read_header() {
    jpeg_create_decompress(&info_);
    jpeg_mem_src(&info_, reinterpret_cast<const unsigned char*>(bytes_.data()), bytes_.size());
    jpeg_read_header(&info_, TRUE);
    switch (info_.jpeg_color_space) {
      case JCS_GRAYSCALE:
        info_.out_color_space = JCS_GRAYSCALE;
        break;
      case JCS_CMYK:
      case JCS_YCCK:
        info_.out_color_space = JCS_CMYK;
        break;
      default:
        info_.out_color_space = JCS_RGB;
    }
  }

  void read_pixels() {
    jpeg_start_decompress(&info_);
    const std::int64_t width = image_.width, stride = width * image_.channels;
    while (info_.output_scanline < info_.output_height) {
      std::uint8_t* to = image_.pixels.get() + info_.output_scanline * stride;
      JSAMPROW row = inks() ? line_.get() : to;
      if (jpeg_read_scanlines(&info_, &row, 1) == 1 && inks()) {
        inks_to_colours(line_.get(), to, width, info_.saw_Adobe_marker != 0);
      }
    }
    jpeg_finish_decompress(&info_);
  }

  [[noreturn]] void fail() const {
    throw Error(ErrorKind::data, fmt::format("the JPEG does not decode: {}", failure_.message),
                where_, "fetch the image again, or leave it out");
  }

  std::string_view bytes_;
  const std::string& where_;
  std::int64_t most_pixels_;
  jpeg_decompress_struct info_{};
  Failure failure_{};
  Image image_;
  std::unique_ptr<std::uint8_t[]> line_;
};

}  // namespace

Image decode_jpeg(std::string_view bytes, const std::string& where, std::int64_t most_pixels) {
  return Decoder(bytes, where, most_pixels).decode();
}

}  // namespace descent::data
