// What the layers of images [N, C, H, W] share with those of sequences [N, C, L], which they take
// as images of height 1. `axes`: 2 for images, 1 for sequences.
#pragma once
#include <fmt/format.h>

#include <string>

#include "descent/base/error.h"
#include "descent/nn/layers.h"
#include "descent/ops/ops.h"

namespace descent::nn {

inline void check_images(const Value& x, const char* layer, int axes) {
  if (x.rank() == axes + 2) return;
  throw Error(ErrorKind::usage,
              fmt::format("{} wants {}, not {}", layer,
                          axes == 2 ? "images [rows, channels, height, width]"
                                    : "sequences [rows, channels, length]",
                          to_string(x.type())),
              {}, axes == 2 && x.rank() == 3 ? "the layers for sequences end in 1d" : "");
}

// Sequences, or the weights of a convolution along them, as images of height 1; and back.
inline Value as_images(const Value& x, int axes) { return axes == 2 ? x : expand_dims(x, 2); }
inline Value from_images(const Value& x, int axes) { return axes == 2 ? x : squeeze(x, 2); }

// An option of a layer as it acts on images: along sequences one number, and `neutral` in height.
inline Size2d on_images(Size2d size, int axes, std::int64_t neutral, const char* layer) {
  if (axes == 2) return size;
  if (size.h == size.w) return {neutral, size.w};
  throw Error(ErrorKind::usage,
              fmt::format("a size of {}x{} is none along a sequence", size.h, size.w), layer,
              "give one number");
}

// "3x5", along sequences "5".
inline std::string size_text(Size2d size, int axes) {
  return axes == 2 ? fmt::format("{}x{}", size.h, size.w) : fmt::format("{}", size.w);
}

}  // namespace descent::nn
