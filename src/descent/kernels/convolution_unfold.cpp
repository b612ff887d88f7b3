// Convolution as a product: the windows of one image become the columns of a matrix.
#include <algorithm>
#include <type_traits>

#include "descent/base/memory.h"
#include "descent/kernels/convolution_method.h"
#include "descent/kernels/gemm.h"

namespace descent::kernels {
namespace {

template <class T>
class Unfolding : public ConvolutionMethod {
 public:
  Unfolding(ConvKind kind, const ConvShape& s)
      : kind_(kind),
        s_(s),
        channels_(s.c / s.groups),
        filters_(s.k / s.groups),
        taps_(channels_ * s.r * s.s),
        places_(s.out_h() * s.out_w()),
        product_(shape()),
        gemm_(panel_gemm<T>(product_)) {}

  std::size_t scratch_bytes() const override {
    return align_up(columns_bytes()) + align_up(weight_bytes()) +
           static_cast<std::size_t>(gemm_.scratch) * sizeof(T);
  }

  std::function<void()> bind(const void* va, const void* vb, void* vc,
                             void* scratch) const override {
    auto* base = static_cast<std::byte*>(scratch);
    auto* columns = reinterpret_cast<T*>(base);
    auto* part = reinterpret_cast<T*>(base + align_up(columns_bytes()));
    auto* work = reinterpret_cast<T*>(base + align_up(columns_bytes()) + align_up(weight_bytes()));
    const auto *a = static_cast<const T*>(va), *b = static_cast<const T*>(vb);
    auto* c = static_cast<T*>(vc);
    return [self = *this, a, b, c, columns, part, work] {
      if (self.kind_ == ConvKind::forward) self.forward(a, b, c, columns, work);
      if (self.kind_ == ConvKind::input_gradient) self.input_gradient(a, b, c, columns, work);
      if (self.kind_ == ConvKind::weight_gradient)
        self.weight_gradient(a, b, c, columns, part, work);
    };
  }

 private:
  // The product of one image and one group.
  GemmShape shape() const {
    if (kind_ == ConvKind::forward) return {filters_, taps_, places_, false, false};
    if (kind_ == ConvKind::input_gradient) return {taps_, filters_, places_, true, false};
    return {filters_, places_, taps_, false, true};
  }
  std::size_t columns_bytes() const {
    return static_cast<std::size_t>(taps_ * places_) * sizeof(T);
  }
  std::size_t weight_bytes() const {
    return static_cast<std::size_t>(filters_ * taps_) * sizeof(T);
  }

  // Calls f(offset in the image of this group, index in columns, length, step in the image, inside)
  // for each row of places of each tap.
  template <class F>
  void each_tap(const F& f) const {
    std::int64_t row = 0;
    for (std::int64_t ch = 0; ch < channels_; ++ch) {
      for (std::int64_t r = 0; r < s_.r; ++r) {
        for (std::int64_t q = 0; q < s_.s; ++q, ++row) {
          for (std::int64_t oh = 0; oh < s_.out_h(); ++oh) {
            const std::int64_t ih = oh * s_.stride_h - s_.pad_h + r * s_.dilation_h;
            const std::int64_t column = row * places_ + oh * s_.out_w();
            for (std::int64_t ow = 0; ow < s_.out_w(); ++ow) {
              const std::int64_t iw = ow * s_.stride_w - s_.pad_w + q * s_.dilation_w;
              const bool inside = ih >= 0 && ih < s_.h && iw >= 0 && iw < s_.w;
              f((ch * s_.h + ih) * s_.w + iw, column + ow, inside);
            }
          }
        }
      }
    }
  }
  void unfold(const T* image, T* columns) const {
    each_tap([=](std::int64_t pixel, std::int64_t column, bool inside) {
      columns[column] = inside ? image[pixel] : T{0};
    });
  }
  void fold(const T* columns, T* image) const {
    each_tap([=](std::int64_t pixel, std::int64_t column, bool inside) {
      if (inside) image[pixel] += columns[column];
    });
  }
  // Calls f(image of the input, image of the output, weight, all of this group) in a fixed order.
  template <class F>
  void each_image(const F& f) const {
    for (std::int64_t i = 0; i < s_.n; ++i) {
      for (std::int64_t g = 0; g < s_.groups; ++g) {
        f((i * s_.c + g * channels_) * s_.h * s_.w, (i * s_.k + g * filters_) * places_,
          g * filters_ * taps_);
      }
    }
  }
  void forward(const T* x, const T* w, T* y, T* columns, T* work) const {
    each_image([&](std::int64_t in, std::int64_t out, std::int64_t weight) {
      unfold(x + in, columns);
      gemm_.run(product_, w + weight, columns, y + out, work);
    });
  }
  void input_gradient(const T* dy, const T* w, T* dx, T* columns, T* work) const {
    std::fill_n(dx, s_.n * s_.c * s_.h * s_.w, T{0});
    each_image([&](std::int64_t in, std::int64_t out, std::int64_t weight) {
      gemm_.run(product_, w + weight, dy + out, columns, work);
      fold(columns, dx + in);
    });
  }
  void weight_gradient(const T* x, const T* dy, T* dw, T* columns, T* part, T* work) const {
    std::fill_n(dw, s_.groups * filters_ * taps_, T{0});
    each_image([&](std::int64_t in, std::int64_t out, std::int64_t weight) {
      unfold(x + in, columns);
      gemm_.run(product_, dy + out, columns, part, work);
      for (std::int64_t i = 0; i < filters_ * taps_; ++i) dw[weight + i] += part[i];
    });
  }

  ConvKind kind_;
  ConvShape s_;
  std::int64_t channels_, filters_, taps_, places_;  // of a group
  GemmShape product_;
  Gemm<T> gemm_;
};

}  // namespace

ConvolutionMethodPtr unfolding_convolution(ConvKind kind, const ConvShape& shape) {
  if (shape.channels_last) {
    ConvShape planes = shape;
    planes.channels_last = false;
    return turning_convolution(kind, shape, unfolding_convolution(kind, planes));
  }
  if (shape.dtype == DType::float64) return std::make_shared<Unfolding<double>>(kind, shape);
  return std::make_shared<Unfolding<float>>(kind, shape);
}

}  // namespace descent::kernels
