// Convolution with 3 x 3 filters by F(4 x 4, 3 x 3) of Winograd (1980), as Lavin & Gray (2015) use
// it: a tile of 6 x 6 pixels and a filter are taken to values of polynomials at six points in each
// direction, where 36 products give 4 x 4 results in place of 144. The points are 0, +-5/8, +-3/2
// and infinity: exact in binary, and close together (Vincent et al. 2017), so that results lose
// about a bit and a half against summing directly. Images lie with channels last; one thread, tiles
// in a fixed order.
#include <algorithm>
#include <array>

#include "descent/base/memory.h"
#include "descent/kernels/convolution_method.h"
#include "descent/kernels/targets.h"
#include "descent/kernels/transpose.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "descent/kernels/convolution_winograd.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h: it decides what these mean.
#include "descent/kernels/gemm_block-inl.h"
#include "descent/kernels/transpose-inl.h"
#include "hwy/highway.h"

#ifndef DESCENT_WINOGRAD_TYPES
#define DESCENT_WINOGRAD_TYPES
namespace descent::kernels {
namespace {

constexpr std::int64_t kTile = 4, kPoints = 6, kPlanes = kPoints * kPoints, kTaps = 9;
// Tiles that are gone through together: their values stay in the second cache.
constexpr std::int64_t kBlock = 32;

// From images of `in` channels to images of `out` channels. The gradient of the input is such a
// convolution too, of the gradient of the output with filters turned round.
struct WinogradShape {
  std::int64_t n = 0, in = 0, h = 0, w = 0;
  std::int64_t out = 0, out_h = 0, out_w = 0, pad_h = 0, pad_w = 0;
  bool turned = false;  // filters are [in, out, 3, 3] and turned by half a circle
  std::int64_t tiles_h() const { return (out_h + kTile - 1) / kTile; }
  std::int64_t tiles_w() const { return (out_w + kTile - 1) / kTile; }
  std::int64_t tiles() const { return n * tiles_h() * tiles_w(); }
};

// From one point's values of a block to the next one's: a cache line more than they need, or those
// of one tile would all want the same few places of the cache.
constexpr std::int64_t plane_of(std::int64_t channels) { return kBlock * channels + 16; }

// Where the parts of scratch begin, in floats.
struct WinogradScratch {
  explicit WinogradScratch(const WinogradShape& s)
      : zeros(0),
        filters(zeros + std::max(s.in, s.out)),
        turned(filters + kPlanes * s.in * s.out),
        inputs(turned + kTaps * s.in * s.out),
        outputs(inputs + kPlanes * plane_of(s.in)),
        size(outputs + kPlanes * plane_of(s.out)) {}
  std::int64_t zeros;    // a pixel outside of the image
  std::int64_t filters;  // [36, in, out]
  std::int64_t turned;   // [in, 9, out]
  std::int64_t inputs;   // [36, tiles of a block, in]
  std::int64_t outputs;  // [36, tiles of a block, out]
  std::int64_t size;
};

struct WinogradFunctions {
  void (*convolve)(const WinogradShape&, const float* x, const float* w, float* y, float* scratch);
  void (*weight_gradient)(const WinogradShape&, const float* x, const float* dy, float* dw,
                          float* scratch);
};

}  // namespace
}  // namespace descent::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace descent::kernels::HWY_NAMESPACE {

using Lanes = hn::ScalableTag<float>;
using Vector = hn::Vec<Lanes>;

// The points and what a filter's value at each is divided by: the product of its distances to the
// other points.
constexpr float kA = 0.625f, kB = 1.5f, kA2 = kA * kA, kB2 = kB * kB;
constexpr float kScale0 = 1 / (kA2 * kB2), kScaleA = 1 / (2 * kA2 * (kA2 - kB2)),
                kScaleB = 1 / (2 * kB2 * (kB2 - kA2));

HWY_INLINE Vector Of(float x) { return hn::Set(Lanes(), x); }

// Six pixels to the six points.
HWY_INLINE void PixelsToPoints(const Vector x[6], Vector y[6]) {
  const auto even_a = hn::NegMulAdd(Of(kB2), x[2], x[4]);
  const auto odd_a = hn::NegMulAdd(Of(kB2), x[1], x[3]);
  const auto even_b = hn::NegMulAdd(Of(kA2), x[2], x[4]);
  const auto odd_b = hn::NegMulAdd(Of(kA2), x[1], x[3]);
  y[0] = hn::MulAdd(Of(kA2 * kB2), x[0], hn::NegMulAdd(Of(kA2 + kB2), x[2], x[4]));
  y[1] = hn::MulAdd(Of(kA), odd_a, even_a);
  y[2] = hn::NegMulAdd(Of(kA), odd_a, even_a);
  y[3] = hn::MulAdd(Of(kB), odd_b, even_b);
  y[4] = hn::NegMulAdd(Of(kB), odd_b, even_b);
  y[5] = hn::MulAdd(Of(kA2 * kB2), x[1], hn::NegMulAdd(Of(kA2 + kB2), x[3], x[5]));
}

// Values at the points to four results.
HWY_INLINE void PointsToResults(const Vector x[6], Vector y[4]) {
  const auto sum_a = hn::Add(x[1], x[2]), difference_a = hn::Sub(x[1], x[2]);
  const auto sum_b = hn::Add(x[3], x[4]), difference_b = hn::Sub(x[3], x[4]);
  y[0] = hn::Add(hn::Add(x[0], sum_a), sum_b);
  y[1] = hn::MulAdd(Of(kA), difference_a, hn::Mul(Of(kB), difference_b));
  y[2] = hn::MulAdd(Of(kA2), sum_a, hn::Mul(Of(kB2), sum_b));
  y[3] = hn::MulAdd(Of(kA2 * kA), difference_a, hn::MulAdd(Of(kB2 * kB), difference_b, x[5]));
}

// The transpose of that: four gradients to the points.
HWY_INLINE void ResultsToPoints(const Vector x[4], Vector y[6]) {
  const auto even_a = hn::MulAdd(Of(kA2), x[2], x[0]), odd_a = hn::MulAdd(Of(kA2), x[3], x[1]);
  const auto even_b = hn::MulAdd(Of(kB2), x[2], x[0]), odd_b = hn::MulAdd(Of(kB2), x[3], x[1]);
  y[0] = x[0];
  y[1] = hn::MulAdd(Of(kA), odd_a, even_a);
  y[2] = hn::NegMulAdd(Of(kA), odd_a, even_a);
  y[3] = hn::MulAdd(Of(kB), odd_b, even_b);
  y[4] = hn::NegMulAdd(Of(kB), odd_b, even_b);
  y[5] = x[3];
}

// Three taps of a filter to the points, and the transpose.
HWY_INLINE void TapsToPoints(const Vector x[3], Vector y[6]) {
  const auto even_a = hn::Mul(Of(kScaleA), hn::MulAdd(Of(kA2), x[2], x[0]));
  const auto even_b = hn::Mul(Of(kScaleB), hn::MulAdd(Of(kB2), x[2], x[0]));
  y[0] = hn::Mul(Of(kScale0), x[0]);
  y[1] = hn::MulAdd(Of(kA * kScaleA), x[1], even_a);
  y[2] = hn::NegMulAdd(Of(kA * kScaleA), x[1], even_a);
  y[3] = hn::MulAdd(Of(kB * kScaleB), x[1], even_b);
  y[4] = hn::NegMulAdd(Of(kB * kScaleB), x[1], even_b);
  y[5] = x[2];
}
HWY_INLINE void PointsToTaps(const Vector x[6], Vector y[3]) {
  const auto sum_a = hn::Mul(Of(kScaleA), hn::Add(x[1], x[2]));
  const auto sum_b = hn::Mul(Of(kScaleB), hn::Add(x[3], x[4]));
  const auto difference_a = hn::Sub(x[1], x[2]), difference_b = hn::Sub(x[3], x[4]);
  y[0] = hn::Add(hn::MulAdd(Of(kScale0), x[0], sum_a), sum_b);
  y[1] = hn::MulAdd(Of(kA * kScaleA), difference_a, hn::Mul(Of(kB * kScaleB), difference_b));
  y[2] = hn::MulAdd(Of(kA2), sum_a, hn::MulAdd(Of(kB2), sum_b, x[5]));
}

// `along`, which makes To values of From, in both directions: From x From loads, To x To stores. A
// direction is a loop, lest addresses and values crowd the registers.
template <int From, int To, class Along, class Load, class Store>
HWY_INLINE void Square(const Along& along, const Load& load, const Store& store) {
  Vector between[From][To];  // by column
#pragma GCC unroll 1
  for (int j = 0; j < From; ++j) {
    Vector column[From];
#pragma GCC unroll 6
    for (int i = 0; i < From; ++i) column[i] = load(i, j);
    along(column, between[j]);
  }
#pragma GCC unroll 1
  for (int i = 0; i < To; ++i) {
    Vector row[From], result[To];
#pragma GCC unroll 6
    for (int j = 0; j < From; ++j) row[j] = between[j][i];
    along(row, result);
#pragma GCC unroll 6
    for (int j = 0; j < To; ++j) store(i, j, result[j]);
  }
}

// Goes through the tiles of all images in order.
struct Tile {
  std::int64_t image = 0, y = 0, x = 0;  // counted in tiles
  void next(const WinogradShape& s) {
    if (++x < s.tiles_w()) return;
    x = 0;
    if (++y < s.tiles_h()) return;
    y = 0, ++image;
  }
};

// A patch of Side x Side pixels at (y, x) of an image [h, w, c], which may reach beyond it.
struct Patch {
  std::int64_t h, w, c, y, x;
  bool inside(std::int64_t i, std::int64_t j) const {
    return y + i >= 0 && y + i < h && x + j >= 0 && x + j < w;
  }
  std::int64_t at(std::int64_t i, std::int64_t j) const { return ((y + i) * w + x + j) * c; }
};

// Values at the points of one patch, all channels, those of point p at out + p * plane.
template <int Side, class Along>
HWY_INLINE void PatchToPoints(const Along& along, const float* image, const Patch& patch,
                              const float* zeros, float* out, std::int64_t plane) {
  const Lanes d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto store = [&](std::int64_t c) HWY_ATTR {
    return [=](int i, int j, Vector v)
               HWY_ATTR { hn::StoreU(v, d, out + (i * kPoints + j) * plane + c); };
  };
  if (patch.inside(0, 0) && patch.inside(Side - 1, Side - 1)) {
    const float* first = image + patch.at(0, 0);
    const std::int64_t row = patch.w * patch.c;
    for (std::int64_t c = 0; c < patch.c; c += lanes) {
      const auto load = [=](int i, int j)
                            HWY_ATTR { return hn::LoadU(d, first + i * row + j * patch.c + c); };
      Square<Side, kPoints>(along, load, store(c));
    }
    return;
  }
  const float* pixels[Side][Side];
  for (int i = 0; i < Side; ++i) {
    for (int j = 0; j < Side; ++j)
      pixels[i][j] = patch.inside(i, j) ? image + patch.at(i, j) : zeros;
  }
  for (std::int64_t c = 0; c < patch.c; c += lanes) {
    const auto load = [&](int i, int j) HWY_ATTR { return hn::LoadU(d, pixels[i][j] + c); };
    Square<Side, kPoints>(along, load, store(c));
  }
}

void InputsToPoints(const WinogradShape& s, const float* x, Tile tile, std::int64_t tiles,
                    const float* zeros, float* out) {
  for (std::int64_t t = 0; t < tiles; ++t, tile.next(s)) {
    const Patch patch{s.h, s.w, s.in, tile.y * kTile - s.pad_h, tile.x * kTile - s.pad_w};
    PatchToPoints<kPoints>(PixelsToPoints, x + tile.image * s.h * s.w * s.in, patch, zeros,
                           out + t * s.in, plane_of(s.in));
  }
}
void GradientsToPoints(const WinogradShape& s, const float* dy, Tile tile, std::int64_t tiles,
                       const float* zeros, float* out) {
  for (std::int64_t t = 0; t < tiles; ++t, tile.next(s)) {
    const Patch patch{s.out_h, s.out_w, s.out, tile.y * kTile, tile.x * kTile};
    PatchToPoints<kTile>(ResultsToPoints, dy + tile.image * s.out_h * s.out_w * s.out, patch, zeros,
                         out + t * s.out, plane_of(s.out));
  }
}

void PointsToOutputs(const WinogradShape& s, const float* values, Tile tile, std::int64_t tiles,
                     float* y) {
  const Lanes d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const std::int64_t plane = plane_of(s.out);
  for (std::int64_t t = 0; t < tiles; ++t, tile.next(s)) {
    const Patch patch{s.out_h, s.out_w, s.out, tile.y * kTile, tile.x * kTile};
    float* image = y + tile.image * s.out_h * s.out_w * s.out;
    const bool whole = patch.inside(kTile - 1, kTile - 1);
    for (std::int64_t c = 0; c < s.out; c += lanes) {
      const auto load = [&](int i, int j) HWY_ATTR {
        return hn::LoadU(d, values + (i * kPoints + j) * plane + t * s.out + c);
      };
      const auto store = [&](int i, int j, Vector v) HWY_ATTR {
        if (whole || patch.inside(i, j)) hn::StoreU(v, d, image + patch.at(i, j) + c);
      };
      Square<kPoints, kTile>(PointsToResults, load, store);
    }
  }
}

// Filters [out, in, 3, 3] (or turned) to [36, in, out].
void FiltersToPoints(const WinogradShape& s, const float* w, float* turned, float* filters) {
  const Lanes d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  if (s.turned) {
    for (std::int64_t i = 0; i < s.in; ++i)
      Transpose(w + i * s.out * kTaps, kTaps, turned + i * kTaps * s.out, s.out, s.out, kTaps);
  } else {
    Transpose(w, s.in * kTaps, turned, s.out, s.out, s.in * kTaps);
  }
  for (std::int64_t i = 0; i < s.in; ++i) {
    const float* taps = turned + i * kTaps * s.out;
    for (std::int64_t o = 0; o < s.out; o += lanes) {
      const auto load = [&](int r, int q) HWY_ATTR {
        const int tap = r * 3 + q;
        return hn::LoadU(d, taps + (s.turned ? 8 - tap : tap) * s.out + o);
      };
      const auto store = [&](int r, int q, Vector v) HWY_ATTR {
        hn::StoreU(v, d, filters + ((r * kPoints + q) * s.in + i) * s.out + o);
      };
      Square<3, kPoints>(TapsToPoints, load, store);
    }
  }
}
// [36, in, out] to the gradient of filters [out, in, 3, 3].
void PointsToFilters(const WinogradShape& s, const float* filters, float* turned, float* dw) {
  const Lanes d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int64_t i = 0; i < s.in; ++i) {
    for (std::int64_t o = 0; o < s.out; o += lanes) {
      const auto load = [&](int r, int q) HWY_ATTR {
        return hn::LoadU(d, filters + ((r * kPoints + q) * s.in + i) * s.out + o);
      };
      const auto store = [&](int r, int q, Vector v) HWY_ATTR {
        hn::StoreU(v, d, turned + (i * kTaps + r * 3 + q) * s.out + o);
      };
      Square<kPoints, 3>(PointsToTaps, load, store);
    }
  }
  Transpose(turned, s.out, dw, s.in * kTaps, s.in * kTaps, s.out);
}

// Part `p` of 36 of the pixels of some tiles of images [n, h, w, c], which lie one after the other:
// brought near while products keep the processor busy. Tiles read and write rows a few pixels at a
// time, which it does not see coming.
HWY_INLINE void FetchAhead(const float* images, std::int64_t pixels, std::int64_t channels,
                           const WinogradShape& s, std::int64_t first, std::int64_t p) {
  const std::int64_t count = std::min(kBlock, s.tiles() - first);
  if (count <= 0) return;
  const std::int64_t all = s.tiles_h() * s.tiles_w();  // of an image
  const auto at = [&](std::int64_t tile) { return tile * pixels / all * channels; };
  const std::int64_t begin = at(first), length = at(first + count) - begin;
  const float* end = images + begin + length * (p + 1) / kPlanes;
  for (const float* line = images + begin + length * p / kPlanes; line < end; line += 16)
    __builtin_prefetch(line);
}

void Convolve(const WinogradShape& s, const float* x, const float* w, float* y, float* scratch) {
  const WinogradScratch at(s);
  float *filters = scratch + at.filters, *inputs = scratch + at.inputs,
        *outputs = scratch + at.outputs;
  std::fill_n(scratch + at.zeros, at.filters - at.zeros, 0.0f);
  FiltersToPoints(s, w, scratch + at.turned, filters);
  Tile tile;
  for (std::int64_t done = 0; done < s.tiles(); done += kBlock) {
    const std::int64_t tiles = std::min(kBlock, s.tiles() - done);
    InputsToPoints(s, x, tile, tiles, scratch + at.zeros, inputs);
    for (std::int64_t p = 0; p < kPlanes; ++p) {
      FetchAhead(x, s.h * s.w, s.in, s, done + kBlock, p);
      FetchAhead(y, s.out_h * s.out_w, s.out, s, done, p);
      Product<false>(View<float>{inputs + p * plane_of(s.in), s.in, 1}, filters + p * s.in * s.out,
                     s.out, outputs + p * plane_of(s.out), s.out, tiles, s.in, s.out);
    }
    PointsToOutputs(s, outputs, tile, tiles, y);
    for (std::int64_t t = 0; t < tiles; ++t) tile.next(s);
  }
}

void WeightGradient(const WinogradShape& s, const float* x, const float* dy, float* dw,
                    float* scratch) {
  const WinogradScratch at(s);
  float *filters = scratch + at.filters, *inputs = scratch + at.inputs,
        *outputs = scratch + at.outputs;
  std::fill_n(scratch + at.zeros, at.filters - at.zeros, 0.0f);
  std::fill_n(filters, kPlanes * s.in * s.out, 0.0f);
  Tile tile;
  for (std::int64_t done = 0; done < s.tiles(); done += kBlock) {
    const std::int64_t tiles = std::min(kBlock, s.tiles() - done);
    InputsToPoints(s, x, tile, tiles, scratch + at.zeros, inputs);
    GradientsToPoints(s, dy, tile, tiles, scratch + at.zeros, outputs);
    for (std::int64_t p = 0; p < kPlanes; ++p) {
      FetchAhead(x, s.h * s.w, s.in, s, done + kBlock, p);
      FetchAhead(dy, s.out_h * s.out_w, s.out, s, done + kBlock, p);
      Product<true>(View<float>{inputs + p * plane_of(s.in), 1, s.in},
                    outputs + p * plane_of(s.out), s.out, filters + p * s.in * s.out, s.out, s.in,
                    tiles, s.out);
    }
    for (std::int64_t t = 0; t < tiles; ++t) tile.next(s);
  }
  PointsToFilters(s, filters, scratch + at.turned, dw);
}

const WinogradFunctions* Functions() {
  static constexpr WinogradFunctions functions = {&Convolve, &WeightGradient};
  return &functions;
}

}  // namespace descent::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace descent::kernels {
namespace {
HWY_EXPORT(Functions);

// The convolution that a call of this kind is.
WinogradShape winograd_shape(ConvKind kind, const ConvShape& s) {
  if (kind != ConvKind::input_gradient)
    return {s.n, s.c, s.h, s.w, s.k, s.out_h(), s.out_w(), s.pad_h, s.pad_w, false};
  return {s.n, s.k, s.out_h(), s.out_w(), s.c, s.h, s.w, 2 - s.pad_h, 2 - s.pad_w, true};
}

class Winograd : public ConvolutionMethod {
 public:
  Winograd(ConvKind kind, const ConvShape& shape)
      : kind_(kind), shape_(winograd_shape(kind, shape)) {}
  std::size_t scratch_bytes() const override {
    return static_cast<std::size_t>(WinogradScratch(shape_).size) * sizeof(float);
  }
  std::function<void()> bind(const void* a, const void* b, void* c, void* scratch) const override {
    static const auto* const f = HWY_DYNAMIC_DISPATCH(Functions)();
    const auto run = kind_ == ConvKind::weight_gradient ? f->weight_gradient : f->convolve;
    return [run, s = shape_, a = static_cast<const float*>(a), b = static_cast<const float*>(b),
            c = static_cast<float*>(c),
            work = static_cast<float*>(scratch)] { run(s, a, b, c, work); };
  }

 private:
  ConvKind kind_;
  WinogradShape shape_;
};

}  // namespace

ConvolutionMethodPtr winograd_convolution(ConvKind kind, const ConvShape& s) {
  const bool three = s.r == 3 && s.s == 3 && s.stride_h == 1 && s.stride_w == 1 &&
                     s.dilation_h == 1 && s.dilation_w == 1 && s.groups == 1 && s.pad_h <= 2 &&
                     s.pad_w <= 2;
  const bool vectors = s.c % 16 == 0 && s.k % 16 == 0;  // whole ones on every target
  // Beyond, taking the filters to the points and back costs what the products save.
  const bool few = s.c * s.k <= 256 * 256;
  if (!three || !vectors || !few || s.dtype != DType::float32) return nullptr;
  const auto covered = [](std::int64_t extent) { return (extent + kTile - 1) / kTile * kTile; };
  const bool filled = 2 * s.out_h() * s.out_w() >= covered(s.out_h()) * covered(s.out_w());
  if (!filled) return nullptr;
  if (s.channels_last) return std::make_shared<Winograd>(kind, s);
  ConvShape last = s;
  last.channels_last = true;
  return turning_convolution(kind, s, std::make_shared<Winograd>(kind, last));
}

}  // namespace descent::kernels
#endif
