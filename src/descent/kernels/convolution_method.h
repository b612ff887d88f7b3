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
  virtual std::function<void()> bind(const void* a, const void* b, void* c,
                                     void* scratch) const = 0;
};
using ConvolutionMethodPtr = std::shared_ptr<const ConvolutionMethod>;

// How the images lie that oneDNN is given: as they are, channels last, or as it likes best.
// Reorders to and from NCHW are part of the call.
enum class ConvLayout { plain, channels_last, any };

// oneDNN; nullptr where it has no kernel for this type on this processor.
ConvolutionMethodPtr library_convolution(ConvKind kind, const ConvShape& shape, ConvLayout layout);
// Unfolds the windows into a matrix and multiplies; float32 and float64.
ConvolutionMethodPtr unfolding_convolution(ConvKind kind, const ConvShape& shape);
// bfloat16 where oneDNN has none: converts to float32 and back.
ConvolutionMethodPtr converting_convolution(ConvKind kind, const ConvShape& shape);

}  // namespace descent::kernels
