// Convolution of images that lie the other way than a method wants them.
#include <utility>

#include "descent/base/memory.h"
#include "descent/kernels/convolution_method.h"
#include "descent/kernels/transpose.h"

namespace descent::kernels {
namespace {

class Turning : public ConvolutionMethod {
 public:
  Turning(ConvKind kind, const ConvShape& s, ConvolutionMethodPtr inner)
      : kind_(kind), s_(s), inner_(std::move(inner)) {}
  std::size_t scratch_bytes() const override {
    return align_up(bytes(true)) + align_up(bytes(false)) + inner_->scratch_bytes();
  }
  int copies() const override { return 2 + inner_->copies(); }
  std::function<void()> bind(const void* a, const void* b, void* c, void* scratch) const override {
    auto* in = static_cast<std::byte*>(scratch);
    auto* out = in + align_up(bytes(true));
    auto* rest = out + align_up(bytes(false));
    switch (kind_) {
      case ConvKind::forward:
        return [self = *this, a, c, in, out, inner = inner_->bind(in, b, out, rest)] {
          self.turn(a, in, true, true);
          inner();
          self.turn(out, c, false, false);
        };
      case ConvKind::input_gradient:
        return [self = *this, a, c, in, out, inner = inner_->bind(out, b, in, rest)] {
          self.turn(a, out, false, true);
          inner();
          self.turn(in, c, true, false);
        };
      default:
        return [self = *this, a, b, in, out, inner = inner_->bind(in, out, c, rest)] {
          self.turn(a, in, true, true);
          self.turn(b, out, false, true);
          inner();
        };
    }
  }

 private:
  std::int64_t channels(bool input) const { return input ? s_.c : s_.k; }
  std::int64_t places(bool input) const { return input ? s_.h * s_.w : s_.out_h() * s_.out_w(); }
  std::size_t bytes(bool input) const {
    return static_cast<std::size_t>(s_.n * channels(input) * places(input)) * size_of(s_.dtype);
  }
  // Between [n, places, channels] and [n, channels, places]; `inwards`: to what the method wants.
  void turn(const void* from, void* to, bool input, bool inwards) const {
    const bool to_planes = s_.channels_last == inwards;
    const std::int64_t rows = to_planes ? places(input) : channels(input),
                       columns = to_planes ? channels(input) : places(input);
    const auto transpose = transpose_kernel(size_of(s_.dtype));
    const std::size_t image = bytes(input) / static_cast<std::size_t>(s_.n);
    for (std::size_t i = 0; i < static_cast<std::size_t>(s_.n); ++i) {
      transpose(static_cast<const std::byte*>(from) + i * image, columns,
                static_cast<std::byte*>(to) + i * image, rows, rows, columns);
    }
  }

  ConvKind kind_;
  ConvShape s_;
  ConvolutionMethodPtr inner_;
};

}  // namespace

ConvolutionMethodPtr turning_convolution(ConvKind kind, const ConvShape& shape,
                                         ConvolutionMethodPtr inner) {
  return std::make_shared<Turning>(kind, shape, std::move(inner));
}

}  // namespace descent::kernels
