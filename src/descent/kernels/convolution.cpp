#include "descent/kernels/convolution.h"

#include <fmt/format.h>

#include <array>
#include <map>
#include <mutex>
#include <tuple>

#include "descent/base/error.h"
#include "descent/base/memory.h"
#include "descent/kernels/convolution_method.h"
#include "descent/kernels/eltwise.h"
#include "descent/kernels/packed_product.h"

namespace descent::kernels {
namespace {

std::int64_t input_elements(const ConvShape& s) { return s.n * s.c * s.h * s.w; }
std::int64_t weight_elements(const ConvShape& s) { return s.k * (s.c / s.groups) * s.r * s.s; }
std::int64_t output_elements(const ConvShape& s) { return s.n * s.k * s.out_h() * s.out_w(); }
// Elements of a and b of a call.
std::array<std::int64_t, 2> elements(ConvKind kind, const ConvShape& s) {
  if (kind == ConvKind::forward) return {input_elements(s), weight_elements(s)};
  if (kind == ConvKind::input_gradient) return {output_elements(s), weight_elements(s)};
  return {input_elements(s), output_elements(s)};
}

ConvolutionMethodPtr float32_convolution(ConvKind kind, const ConvShape& s) {
  if (auto method = winograd_convolution(kind, s)) return method;
  if (batch_convolution_pays(kind, s)) return batch_convolution(kind, s);
  if (auto method = library_convolution(kind, s)) return method;
  return unfolding_convolution(kind, s);
}

class Converting : public ConvolutionMethod {
 public:
  Converting(ConvKind kind, const ConvShape& s) : count_(elements(kind, s)) {
    ConvShape wide = s;
    wide.dtype = DType::float32;
    inner_ = float32_convolution(kind, wide);
    b_ = align_up(static_cast<std::size_t>(count_[0]) * 4);
    work_ = b_ + align_up(static_cast<std::size_t>(count_[1]) * 4);
  }
  std::size_t scratch_bytes() const override { return work_ + inner_->scratch_bytes(); }
  std::function<void()> bind(const void* a, const void* b, void* c, void* scratch) const override {
    auto* base = static_cast<std::byte*>(scratch);
    return [count = count_, base, wide_b = base + b_, a, b,
            widen = cast_kernel(DType::bfloat16, DType::float32),
            inner = inner_->bind(base, base + b_, c, base + work_)] {
      widen(a, base, count[0]);
      widen(b, wide_b, count[1]);
      inner();
    };
  }

 private:
  std::array<std::int64_t, 2> count_;
  std::size_t b_ = 0, work_ = 0;  // in scratch, behind a
  ConvolutionMethodPtr inner_;
};

void check(const ConvShape& s) {
  const auto wrong = [&](const char* why) {
    throw Error(ErrorKind::usage,
                fmt::format("[conv2d] input [{}, {}, {}, {}], kernel {} x {} x {}, {} groups: {}",
                            s.n, s.c, s.h, s.w, s.k, s.r, s.s, s.groups, why));
  };
  if (s.groups < 1 || s.c % s.groups != 0 || s.k % s.groups != 0) {
    wrong("groups must divide input and output channels");
  }
  if (s.stride_h < 1 || s.stride_w < 1 || s.dilation_h < 1 || s.dilation_w < 1 || s.pad_h < 0 ||
      s.pad_w < 0) {
    wrong("strides and dilations are at least 1, padding at least 0");
  }
  if (s.h + 2 * s.pad_h < s.dilation_h * (s.r - 1) + 1 ||
      s.w + 2 * s.pad_w < s.dilation_w * (s.s - 1) + 1) {
    wrong("the kernel is larger than the padded input");
  }
  if (s.dtype != DType::float32 && s.dtype != DType::float64 && s.dtype != DType::bfloat16) {
    wrong("only float32, float64 and bfloat16 are convolved");
  }
}

ConvolutionMethodPtr choose(ConvKind kind, const ConvShape& s) {
  check(s);
  if (s.dtype == DType::float64) return unfolding_convolution(kind, s);
  if (s.dtype == DType::float32) return float32_convolution(kind, s);
  // Where the processor is slow at bfloat16, the products of float32 do the same work faster.
  if (bfloat16_pays()) {
    if (auto method = library_convolution(kind, s)) return method;
  }
  return converting_convolution(kind, s);
}

auto key(ConvKind kind, const ConvShape& s) {
  return std::make_tuple(kind, s.n, s.c, s.h, s.w, s.k, s.r, s.s, s.stride_h, s.stride_w, s.pad_h,
                         s.pad_w, s.dilation_h, s.dilation_w, s.groups, s.dtype, s.channels_last);
}

}  // namespace

ConvolutionMethodPtr converting_convolution(ConvKind kind, const ConvShape& shape) {
  return std::make_shared<Converting>(kind, shape);
}

struct Convolution::Impl {
  ConvolutionMethodPtr method;
};

Convolution::Convolution(ConvKind kind, const ConvShape& shape) {
  // Every shard asks for the same shapes. Never destroyed: oneDNN may be gone by then.
  static std::mutex mutex;
  static auto& known = *new std::map<decltype(key(kind, shape)), std::shared_ptr<const Impl>>;
  const std::lock_guard lock(mutex);
  auto& slot = known[key(kind, shape)];
  if (slot == nullptr) slot = std::make_shared<const Impl>(Impl{choose(kind, shape)});
  impl_ = slot;
}
Convolution::~Convolution() = default;
Convolution::Convolution(Convolution&&) noexcept = default;
std::size_t Convolution::scratch_bytes() const { return impl_->method->scratch_bytes(); }
int Convolution::copies() const { return impl_->method->copies(); }
std::function<void()> Convolution::bind(const void* a, const void* b, void* c,
                                        void* scratch) const {
  return impl_->method->bind(a, b, c, scratch);
}

}  // namespace descent::kernels
