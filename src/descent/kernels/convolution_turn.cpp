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
  int copies() const override {
    return (same(true) ? 0 : 1) + (same(false) ? 0 : 1) + inner_->copies();
  }
  std::function<void()> bind(const void* a, const void* b, void* c, void* scratch) const override {
    auto* base = static_cast<std::byte*>(scratch);
    const auto turned = [&](bool input) { return base + (input ? 0 : align_up(bytes(true))); };
    auto* rest = base + align_up(bytes(true)) + align_up(bytes(false));
    const bool first = kind_ != ConvKind::input_gradient;  // a: the input, or the output's gradient
    const bool both = kind_ == ConvKind::weight_gradient;  // b is the other one, else c
    const bool turn_a = !same(first), turn_b = both && !same(false),
               turn_c = !both && !same(!first);
    auto inner = inner_->bind(turn_a ? turned(first) : a, turn_b ? turned(false) : b,
                              turn_c ? turned(!first) : c, rest);
    return [self = *this, a, b, c, first, turn_a, turn_b, turn_c, to_a = turned(first),
            other = turned(!first), inner = std::move(inner)] {
      if (turn_a) self.turn(a, to_a, first, true);
      if (turn_b) self.turn(b, other, false, true);
      inner();
      if (turn_c) self.turn(other, c, !first, false);
    };
  }

 private:
  // Of the images of the input, or of the output.
  std::int64_t channels(bool input) const { return input ? s_.c : s_.k; }
  std::int64_t places(bool input) const { return input ? s_.h * s_.w : s_.out_h() * s_.out_w(); }
  // One channel or one place lies the same way in both.
  bool same(bool input) const { return channels(input) == 1 || places(input) == 1; }
  std::size_t element(bool input) const {
    const ConvKind result = input ? ConvKind::input_gradient : ConvKind::forward;
    return size_of(kind_ == result ? s_.result() : s_.dtype);
  }
  std::size_t bytes(bool input) const {
    return static_cast<std::size_t>(s_.n * channels(input) * places(input)) * element(input);
  }
  // Between [n, places, channels] and [n, channels, places]; `inwards`: to what the method wants.
  void turn(const void* from, void* to, bool input, bool inwards) const {
    const bool to_planes = s_.channels_last == inwards;
    const std::int64_t rows = to_planes ? places(input) : channels(input),
                       columns = to_planes ? channels(input) : places(input);
    const auto transpose = transpose_kernel(element(input));
    const std::size_t image = static_cast<std::size_t>(rows * columns) * element(input);
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
