// Convolution of as many images at once as a vector has lanes, each in its own lane: full vectors
// whatever the channels, where oneDNN, which puts channels into lanes, leaves most of them empty.
// Images are turned into that order and back on the way, in pieces that stay in the cache. All
// three kinds are small products:
//
//   forward          y[place][k]       = sum over taps    x[place + tap] w[tap][k]
//   input gradient   dx[place + tap]  += sum over filters dy[place][k] w[k][tap]
//   weight gradient  dw[k][tap]        = sum over places and images  dy[place][k] x[place + tap]
//
// where a tap is an element (row, column, channel) of the window. Padding is zeros around x.
#include "descent/kernels/convolution_batch.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "descent/base/memory.h"
#include "descent/kernels/convolution_method.h"

namespace descent::kernels {
namespace {

// Places of y that are in work at a time: so many bytes beside rows of x in the first cache.
constexpr std::int64_t kPieceBytes = 12 * 1024;
constexpr std::int64_t kPlaceMultiple = 24;  // of the places in all blocks of registers
// Sums of a weight gradient, gone through for every piece: 512 KiB, for the second cache.
constexpr std::int64_t kMostSums = 128 * 1024;

// n in blocks of at most `most`, as equal as can be: f(begin, size).
template <class F>
void each_block(std::int64_t n, std::int64_t most, const F& f) {
  const std::int64_t blocks = (n + most - 1) / most;
  for (std::int64_t i = 0, begin = 0; i < blocks; ++i) {
    const std::int64_t end = n * (i + 1) / blocks;
    f(begin, end - begin);
    begin = end;
  }
}

class Batch {
 public:
  Batch(ConvKind kind, const ConvShape& s)
      : kind_(kind),
        s_(s),
        loops_(batch_loops()),
        lanes_(loops_.lanes),
        channels_(s.c / s.groups),
        filters_(s.k / s.groups),
        taps_(channels_ * s.r * s.s),
        places_(s.out_h() * s.out_w()),
        wide_(s.w + 2 * s.pad_w),
        image_((s.h + 2 * s.pad_h) * wide_ * s.c * lanes_),
        piece_(std::min(
            places_, std::max<std::int64_t>(kPieceBytes / 4 / (s.k * lanes_ * kPlaceMultiple), 1) *
                         kPlaceMultiple)) {
    for (std::int64_t h = 0; h < s.out_h(); ++h) {
      for (std::int64_t w = 0; w < s.out_w(); ++w)
        x_places_.push_back((h * s.stride_h * wide_ + w * s.stride_w) * s.c * lanes_);
    }
    for (std::int64_t p = 0; p < piece_; ++p) y_places_.push_back(p * s.k * lanes_);
    for (std::int64_t k = 0; k < filters_; ++k) filter_steps_.push_back(k * lanes_);
    for (std::int64_t r = 0; r < s.r; ++r) {
      for (std::int64_t q = 0; q < s.s; ++q) {
        for (std::int64_t c = 0; c < channels_; ++c) {
          tap_steps_.push_back(((r * s.dilation_h * wide_ + q * s.dilation_w) * s.c + c) * lanes_);
          weights_.push_back((c * s.r + r) * s.s + q);
        }
      }
    }
  }

  // Scratch: the images, a piece of y, weights in blocks or sums.
  std::size_t scratch_bytes() const {
    return static_cast<std::size_t>(image_ + piece_ * s_.k * lanes_ + rest()) * sizeof(float);
  }

  void run(const float* a, const float* b, float* c, float* scratch) const {
    float *x = scratch, *y = x + image_, *rest = y + piece_ * s_.k * lanes_;
    if (kind_ == ConvKind::forward) {
      forward(a, b, c, x, y, rest);
    } else if (kind_ == ConvKind::input_gradient) {
      input_gradient(a, b, c, x, y, rest);
    } else {
      weight_gradient(a, b, c, x, y, rest);
    }
  }

 private:
  void forward(const float* x, const float* w, float* y, float* images, float* piece,
               float* packed) const {
    pack(w, packed);
    if (padded()) std::fill_n(images, image_, 0.0f);
    each_vector([&](std::int64_t first, std::int64_t count, std::int64_t) {
      turn_x_in(x, first, count, images);
      each_piece([&](std::int64_t begin, std::int64_t places) {
        const float* block = packed;
        for (std::int64_t g = 0; g < s_.groups; ++g) {
          each_block(filters_, loops_.most_columns, [&](std::int64_t k, std::int64_t columns) {
            loops_.set[static_cast<std::size_t>(columns - 1)](
                {images + g * channels_ * lanes_, &x_places_[static_cast<std::size_t>(begin)],
                 tap_steps_.data(), block, piece + (g * filters_ + k) * lanes_, y_places_.data(),
                 filter_steps_.data(), taps_, places});
            block += taps_ * columns;
          });
        }
        turn_y_out(piece, begin, places, y, first, count);
      });
    });
  }

  void input_gradient(const float* dy, const float* w, float* dx, float* images, float* piece,
                      float* packed) const {
    pack(w, packed);
    each_vector([&](std::int64_t first, std::int64_t count, std::int64_t) {
      std::fill_n(images, image_, 0.0f);
      each_piece([&](std::int64_t begin, std::int64_t places) {
        turn_y_in(dy, first, count, begin, places, piece);
        const float* block = packed;
        for (std::int64_t g = 0; g < s_.groups; ++g) {
          each_block(taps_, loops_.most_columns, [&](std::int64_t t, std::int64_t columns) {
            loops_.add[static_cast<std::size_t>(columns - 1)](
                {piece + g * filters_ * lanes_, y_places_.data(), filter_steps_.data(), block,
                 images + g * channels_ * lanes_, &x_places_[static_cast<std::size_t>(begin)],
                 &tap_steps_[static_cast<std::size_t>(t)], filters_, places});
            block += filters_ * columns;
          });
        }
      });
      turn_x_out(images, dx, first, count);
    });
  }

  void weight_gradient(const float* x, const float* dy, float* dw, float* images, float* piece,
                       float* sums) const {
    std::fill_n(sums, rest(), 0.0f);
    if (padded()) std::fill_n(images, image_, 0.0f);
    each_vector([&](std::int64_t first, std::int64_t count, std::int64_t again) {
      turn_x_in(x, first, count, images);
      if (again > 0) loops_.clear(images, image_ / lanes_, again);
      each_piece([&](std::int64_t begin, std::int64_t places) {
        turn_y_in(dy, first, count, begin, places, piece);
        if (again > 0) loops_.clear(piece, places * s_.k, again);
        each_sum([&](std::int64_t g, std::int64_t k, std::int64_t filters, std::int64_t t,
                     std::int64_t, std::int64_t offset) {
          loops_.sums[static_cast<std::size_t>(filters - 1)](
              {images + g * channels_ * lanes_, &x_places_[static_cast<std::size_t>(begin)],
               &tap_steps_[static_cast<std::size_t>(t)], piece + (g * filters_ + k) * lanes_,
               s_.k * lanes_, sums + offset, taps_ - t, places});
        });
      });
    });
    each_sum([&](std::int64_t g, std::int64_t k, std::int64_t filters, std::int64_t t,
                 std::int64_t taps, std::int64_t offset) {
      for (std::int64_t f = 0; f < filters; ++f) {
        loops_.lane_sums(sums + offset + f * taps * lanes_, std::min(taps, taps_ - t),
                         dw + (g * filters_ + k + f) * taps_,
                         &weights_[static_cast<std::size_t>(t)]);
      }
    });
  }

  // Calls f(first image, how many, how many of these were there before) for the images of each
  // vector: the last one is filled up with images again, since full ones are turned faster.
  template <class F>
  void each_vector(const F& f) const {
    if (s_.n < lanes_) return f(0, s_.n, 0);
    for (std::int64_t i = 0; i < s_.n; i += lanes_) {
      const std::int64_t first = std::min(i, s_.n - lanes_);
      f(first, lanes_, i - first);
    }
  }
  // Calls f(first place, how many).
  template <class F>
  void each_piece(const F& f) const {
    for (std::int64_t p = 0; p < places_; p += piece_) f(p, std::min(piece_, places_ - p));
  }
  // Calls f(group, first filter, how many, first tap, how many, offset in the sums) for each block
  // of sums; the last taps may be too many.
  template <class F>
  void each_sum(const F& f) const {
    std::int64_t offset = 0;
    for (std::int64_t g = 0; g < s_.groups; ++g) {
      each_block(filters_, loops_.most_filters, [&](std::int64_t k, std::int64_t filters) {
        const std::int64_t taps = loops_.taps[static_cast<std::size_t>(filters - 1)];
        for (std::int64_t t = 0; t < taps_; t += taps) {
          f(g, k, filters, t, taps, offset);
          offset += filters * taps * lanes_;
        }
      });
    }
  }

  std::int64_t rest() const {
    if (kind_ != ConvKind::weight_gradient) return s_.k * taps_;
    std::int64_t all = 0;
    each_sum([&](std::int64_t, std::int64_t, std::int64_t filters, std::int64_t, std::int64_t taps,
                 std::int64_t offset) { all = offset + filters * taps * lanes_; });
    return all;
  }

  // Weights in blocks of columns: filters of each tap, or taps of each filter.
  void pack(const float* w, float* packed) const {
    const bool forward = kind_ == ConvKind::forward;
    for (std::int64_t g = 0; g < s_.groups; ++g, w += filters_ * taps_) {
      each_block(forward ? filters_ : taps_, loops_.most_columns,
                 [&](std::int64_t begin, std::int64_t columns) {
                   for (std::int64_t l = 0; l < (forward ? taps_ : filters_); ++l) {
                     for (std::int64_t j = begin; j < begin + columns; ++j) {
                       const auto [k, tap] = forward ? std::pair(j, l) : std::pair(l, j);
                       *packed++ = w[k * taps_ + weights_[static_cast<std::size_t>(tap)]];
                     }
                   }
                 });
    }
  }

  bool padded() const { return s_.pad_h != 0 || s_.pad_w != 0; }
  // Calls f(offset in an image as it lies, offset in the images side by side, columns, step of the
  // latter) for all pieces of x that lie together in both.
  template <class F>
  void each_x(const F& f) const {
    const std::int64_t planes = s_.channels_last ? 1 : s_.c, width = s_.w * s_.c / planes,
                       rows = padded() ? s_.h : 1, columns = padded() ? width : s_.h * width;
    for (std::int64_t c = 0; c < planes; ++c) {
      for (std::int64_t h = 0; h < rows; ++h) {
        f((c * s_.h + h) * width, (((h + s_.pad_h) * wide_ + s_.pad_w) * s_.c + c) * lanes_,
          columns, planes * lanes_);
      }
    }
  }
  void turn_x_in(const float* x, std::int64_t first, std::int64_t count, float* images) const {
    const std::int64_t size = s_.c * s_.h * s_.w;
    each_x([&](std::int64_t from, std::int64_t to, std::int64_t columns, std::int64_t step) {
      loops_.turn_in(x + first * size + from, size, count, columns, images + to, step);
    });
  }
  void turn_x_out(const float* images, float* x, std::int64_t first, std::int64_t count) const {
    const std::int64_t size = s_.c * s_.h * s_.w;
    each_x([&](std::int64_t to, std::int64_t from, std::int64_t columns, std::int64_t step) {
      loops_.turn_out(images + from, step, count, columns, x + first * size + to, size);
    });
  }

  // The same for a piece of y.
  template <class F>
  void each_y(std::int64_t begin, std::int64_t places, const F& f) const {
    if (s_.channels_last) return f(begin * s_.k, 0, places * s_.k, lanes_);
    for (std::int64_t k = 0; k < s_.k; ++k)
      f(k * places_ + begin, k * lanes_, places, s_.k * lanes_);
  }
  void turn_y_in(const float* y, std::int64_t first, std::int64_t count, std::int64_t begin,
                 std::int64_t places, float* piece) const {
    const std::int64_t size = s_.k * places_;
    each_y(begin, places,
           [&](std::int64_t from, std::int64_t to, std::int64_t columns, std::int64_t step) {
             loops_.turn_in(y + first * size + from, size, count, columns, piece + to, step);
           });
  }
  void turn_y_out(const float* piece, std::int64_t begin, std::int64_t places, float* y,
                  std::int64_t first, std::int64_t count) const {
    const std::int64_t size = s_.k * places_;
    each_y(begin, places,
           [&](std::int64_t to, std::int64_t from, std::int64_t columns, std::int64_t step) {
             loops_.turn_out(piece + from, step, count, columns, y + first * size + to, size);
           });
  }

  ConvKind kind_;
  ConvShape s_;
  const BatchLoops& loops_;
  std::int64_t lanes_, channels_, filters_, taps_, places_;  // channels, filters: of a group
  std::int64_t wide_, image_, piece_;  // columns with padding; elements of the images; places
  std::vector<std::int64_t> x_places_, y_places_, filter_steps_, tap_steps_;  // in elements
  std::vector<std::int64_t> weights_;  // where a tap's weight lies among those of a filter
};

class Method : public ConvolutionMethod {
 public:
  Method(ConvKind kind, const ConvShape& s) : batch_(std::make_shared<Batch>(kind, s)) {}
  std::size_t scratch_bytes() const override { return batch_->scratch_bytes(); }
  int copies() const override { return 3; }
  std::function<void()> bind(const void* a, const void* b, void* c, void* scratch) const override {
    return [batch = batch_, a = static_cast<const float*>(a), b = static_cast<const float*>(b),
            c = static_cast<float*>(c),
            work = static_cast<float*>(scratch)] { batch->run(a, b, c, work); };
  }

 private:
  std::shared_ptr<const Batch> batch_;
};

}  // namespace

ConvolutionMethodPtr batch_convolution(ConvKind kind, const ConvShape& shape) {
  return shape.dtype == DType::float32 ? std::make_shared<Method>(kind, shape) : nullptr;
}

// Costs in multiply-adds of vectors, as measured on AVX-512 against oneDNN 2.6. It puts filters
// into lanes, and for dx channels, and leaves the rest of the last vector empty; an element of y
// costs it 6 to 8 besides. Here only the last images leave lanes empty; what is read is turned at
// the price of 24 an element, what is written at that of 16, and for dx each sum over the filters
// is added to memory at that of 8.
bool batch_convolution_pays(ConvKind kind, const ConvShape& s) {
  const std::int64_t lanes = batch_loops().lanes, channels = s.c / s.groups,
                     filters = s.k / s.groups;
  if (s.n < lanes) return false;
  if (s.groups > 1 && channels == 1 && filters == 1) return false;  // it has loops for these
  // By how much n becomes more when vectors are filled up.
  const auto filled = [lanes](std::int64_t n) {
    const std::int64_t whole = (n + lanes - 1) / lanes * lanes;
    return static_cast<double>(whole) / static_cast<double>(n);
  };
  const auto x = static_cast<double>(s.c * s.h * s.w),
             y = static_cast<double>(s.k * s.out_h() * s.out_w()),
             products = y * static_cast<double>(channels * s.r * s.s);
  switch (kind) {
    case ConvKind::forward:
      return filled(s.n) * (products + 24 * x + 16 * y) < filled(filters) * (products + 8 * y);
    case ConvKind::input_gradient:
      return filled(s.n) *
                 (products + 8 * products / static_cast<double>(filters) + 24 * y + 16 * x) <
             filled(channels) * products;
    default:
      return s.k * channels * s.r * s.s * lanes <= kMostSums &&
             filled(s.n) * (1.15 * products + 24 * x + 16 * y) <
                 filled(filters) * (products + 6 * y);
  }
}

}  // namespace descent::kernels
