// The ways to convolve that Convolution chooses from; apart so that tests can ask for each.
#pragma once
#include <functional>
#include <memory>

#include "descent/kernels/convolution.h"

namespace descent::kernels {

class ConvolutionMethod {
 public:
  virtual ~ConvolutionMethod() = default;
  virtual std::size_t scratch_bytes() const = 0;
  virtual int copies() const { return 0; }
  virtual std::function<void()> bind(const void* a, const void* b, void* c,
                                     void* scratch) const = 0;
};
using ConvolutionMethodPtr = std::shared_ptr<const ConvolutionMethod>;

// oneDNN, on images with channels last: others are turned round on the way in and out, so that both
// give the same bits. nullptr where it has no kernel for this type on this processor.
ConvolutionMethodPtr library_convolution(ConvKind kind, const ConvShape& shape);
// Filters of 3 x 3 by fewer multiplications, with roundings of its own; float32. nullptr where the
// shape does not suit it, however many images there are.
ConvolutionMethodPtr winograd_convolution(ConvKind kind, const ConvShape& shape);
// Unfolds the windows into a matrix and multiplies; float32 and float64.
ConvolutionMethodPtr unfolding_convolution(ConvKind kind, const ConvShape& shape);
// Images side by side in the lanes of vectors: full vectors however few the channels, where there
// are images enough. Both layouts give the same bits. float32 only, nullptr for others.
ConvolutionMethodPtr batch_convolution(ConvKind kind, const ConvShape& shape);
// Whether that is faster than oneDNN: a function of the shape and of the processor's vectors.
bool batch_convolution_pays(ConvKind kind, const ConvShape& shape);
// By `inner`, made for images that lie the other way (channels_last): turned round on the way in
// and out.
ConvolutionMethodPtr turning_convolution(ConvKind kind, const ConvShape& shape,
                                         ConvolutionMethodPtr inner);
// bfloat16 where that is faster or oneDNN has none: the operands converted to float32.
ConvolutionMethodPtr converting_convolution(ConvKind kind, const ConvShape& shape);

}  // namespace descent::kernels
