#include "descent/plot/gif.h"

#include <fmt/format.h>
#include <gif_lib.h>

#include <algorithm>
#include <array>
#include <memory>
#include <unordered_map>

#include "descent/base/error.h"

namespace descent::plot {
namespace {

constexpr std::size_t kColours = 256;

int channel(std::uint32_t rgb, int which) {
  return static_cast<int>(rgb >> (16 - 8 * which) & 0xFF);
}

// The most frequent colours, those that differ in the last three bits of a channel counted
// together: the flat bands of a map keep their exact colour, the rare shades of smooth edges take
// their neighbours'.
class Palette {
 public:
  explicit Palette(const std::vector<Pixels>& frames) {
    struct Bucket {
      std::uint64_t count = 0;
      std::array<std::uint64_t, 3> sum = {};
    };
    std::vector<Bucket> buckets(std::size_t{1} << 15U);
    const auto middle = frames.size() / 2;
    for (const auto* frame : {&frames.front(), &frames[middle], &frames.back()}) {
      for (const auto rgb : frame->rgb) {
        const auto key = (rgb >> 9U & 0x7C00U) | (rgb >> 6U & 0x3E0U) | (rgb >> 3U & 0x1FU);
        auto& bucket = buckets[key];
        ++bucket.count;
        for (int c = 0; c < 3; ++c)
          bucket.sum[static_cast<std::size_t>(c)] += static_cast<std::uint64_t>(channel(rgb, c));
      }
    }
    std::ranges::stable_sort(buckets, std::greater<>(), &Bucket::count);
    for (std::size_t k = 0; k < kColours; ++k) {
      const auto& bucket = buckets[k];
      const auto mean = [&](std::size_t c) {
        return bucket.count == 0
                   ? std::uint8_t{0}
                   : static_cast<std::uint8_t>((bucket.sum[c] + bucket.count / 2) / bucket.count);
      };
      colours_[k] = {.Red = mean(0), .Green = mean(1), .Blue = mean(2)};
    }
  }
  const GifColorType* colours() const { return colours_.data(); }
  std::uint8_t nearest(std::uint32_t rgb) {
    const auto [it, fresh] = known_.try_emplace(rgb, std::uint8_t{0});
    if (!fresh) return it->second;
    int best = 0, least = 1 << 30;
    for (std::size_t k = 0; k < kColours; ++k) {
      const int dr = channel(rgb, 0) - colours_[k].Red, dg = channel(rgb, 1) - colours_[k].Green,
                db = channel(rgb, 2) - colours_[k].Blue;
      const int distance = 3 * dr * dr + 6 * dg * dg + db * db;  // the eye sees green best
      if (distance < least) {
        least = distance;
        best = static_cast<int>(k);
      }
    }
    return it->second = static_cast<std::uint8_t>(best);
  }

 private:
  std::array<GifColorType, kColours> colours_ = {};
  std::unordered_map<std::uint32_t, std::uint8_t> known_;
};

int append(GifFileType* gif, const GifByteType* bytes, int length) {
  static_cast<std::string*>(gif->UserData)
      ->append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(length));
  return length;
}

void require(int status, const char* what) {
  if (status == GIF_ERROR)
    throw Error(ErrorKind::internal, fmt::format("cannot write the GIF's {}", what));
}

struct Box {
  int left = 0, top = 0, right = 0, bottom = 0;  // the latter two excluded
};

// What differs between two frames; at least one pixel.
Box changed(const Pixels& before, const Pixels& now) {
  Box box = {now.width, now.height, 0, 0};
  for (int y = 0; y < now.height; ++y) {
    for (int x = 0; x < now.width; ++x) {
      const auto at = static_cast<std::size_t>(y) * static_cast<std::size_t>(now.width) +
                      static_cast<std::size_t>(x);
      if (before.rgb[at] == now.rgb[at]) continue;
      box = {std::min(box.left, x), std::min(box.top, y), std::max(box.right, x + 1),
             std::max(box.bottom, y + 1)};
    }
  }
  return box.right > box.left ? box : Box{0, 0, 1, 1};
}

void put_frame(GifFileType* gif, const Pixels& frame, const Box& box, Palette& palette,
               int hundredths) {
  const GraphicsControlBlock control = {.DisposalMode = DISPOSE_DO_NOT,
                                        .UserInputFlag = false,
                                        .DelayTime = hundredths,
                                        .TransparentColor = NO_TRANSPARENT_COLOR};
  std::array<GifByteType, 4> bytes = {};
  EGifGCBToExtension(&control, bytes.data());
  require(EGifPutExtension(gif, GRAPHICS_EXT_FUNC_CODE, 4, bytes.data()), "frame");
  const int width = box.right - box.left;
  require(EGifPutImageDesc(gif, box.left, box.top, width, box.bottom - box.top, false, nullptr),
          "frame");
  std::vector<GifPixelType> row(static_cast<std::size_t>(width));
  for (int y = box.top; y < box.bottom; ++y) {
    const auto* from = frame.rgb.data() + std::ptrdiff_t{y} * frame.width + box.left;
    std::transform(from, from + width, row.begin(),
                   [&](std::uint32_t rgb) { return palette.nearest(rgb); });
    require(EGifPutLine(gif, row.data(), width), "pixels");
  }
}

}  // namespace

std::string encode_gif(const std::vector<Pixels>& frames, int hundredths) {
  if (frames.empty()) throw Error(ErrorKind::internal, "an animation without frames");
  std::string bytes;
  int error = 0;
  GifFileType* gif = EGifOpen(&bytes, append, &error);
  if (gif == nullptr) throw Error(ErrorKind::internal, "cannot begin a GIF");
  const auto close = [&error](GifFileType* file) { EGifCloseFile(file, &error); };
  std::unique_ptr<GifFileType, decltype(close)> file(gif, close);
  EGifSetGifVersion(gif, true);
  Palette palette(frames);
  const std::unique_ptr<ColorMapObject, decltype(&GifFreeMapObject)> map(
      GifMakeMapObject(kColours, palette.colours()), &GifFreeMapObject);
  const auto& first = frames[0];
  require(EGifPutScreenDesc(gif, first.width, first.height, 8, 0, map.get()), "header");
  // Repeat without end.
  require(EGifPutExtensionLeader(gif, APPLICATION_EXT_FUNC_CODE), "header");
  require(EGifPutExtensionBlock(gif, 11, "NETSCAPE2.0"), "header");
  require(EGifPutExtensionBlock(gif, 3, "\1\0\0"), "header");
  require(EGifPutExtensionTrailer(gif), "header");
  constexpr int kRest = 200;
  for (std::size_t k = 0; k < frames.size(); ++k) {
    const Box box =
        k == 0 ? Box{0, 0, first.width, first.height} : changed(frames[k - 1], frames[k]);
    put_frame(gif, frames[k], box, palette, k + 1 == frames.size() ? kRest : hundredths);
  }
  file.reset();  // writes the trailer
  return bytes;
}

}  // namespace descent::plot
