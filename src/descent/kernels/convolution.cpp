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
#include "descent/kernels/onednn.h"

namespace descent::kernels {
namespace {

std::int64_t input_elements(const ConvShape& s) { return s.n * s.c * s.h * s.w; }
std::int64_t weight_elements(const ConvShape& s) { return s.k * (s.c / s.groups) * s.r * s.s; }
std::int64_t output_elements(const ConvShape& s) { return s.n * s.k * s.out_h() * s.out_w(); }
// Elements of a, b and c of a call.
std::array<std::int64_t, 3> elements(ConvKind kind, const ConvShape& s) {
  if (kind == ConvKind::forward) return {input_elements(s), weight_elements(s), output_elements(s)};
  if (kind == ConvKind::input_gradient) {
    return {output_elements(s), weight_elements(s), input_elements(s)};
  }
  return {input_elements(s), output_elements(s), weight_elements(s)};
}

class Library : public ConvolutionMethod {
 public:
  Library(ConvKind kind, const ConvShape& s, ConvLayout layout) {
    const auto type = onednn::data_type(s.dtype);
    const onednn::Dims x{s.n, s.c, s.h, s.w}, y{s.n, s.k, s.out_h(), s.out_w()};
    const bool grouped = s.groups > 1;
    const onednn::Dims w = grouped
                               ? onednn::Dims{s.groups, s.k / s.groups, s.c / s.groups, s.r, s.s}
                               : onednn::Dims{s.k, s.c, s.r, s.s};
    const onednn::Desc plain_x(x, type, onednn::Tag::nchw), plain_y(y, type, onednn::Tag::nchw),
        plain_w(w, type, grouped ? onednn::Tag::goihw : onednn::Tag::oihw);
    const auto image = [&](const onednn::Dims& dims) {
      const auto tag = layout == ConvLayout::plain           ? onednn::Tag::nchw
                       : layout == ConvLayout::channels_last ? onednn::Tag::nhwc
                                                             : onednn::Tag::any;
      return onednn::Desc(dims, type, tag);
    };
    const onednn::Desc wish_x = image(x), wish_y = image(y),
                       wish_w = layout == ConvLayout::plain
                                    ? plain_w
                                    : onednn::Desc(w, type, onednn::Tag::any);
    const onednn::ConvGeometry g{
        {s.stride_h, s.stride_w}, {s.dilation_h - 1, s.dilation_w - 1}, {s.pad_h, s.pad_w}};
    if (kind == ConvKind::forward) {
      const auto pd = onednn::conv_forward(wish_x, wish_w, wish_y, g);
      primitive_ = dnnl::convolution_forward(pd);
      arguments_ = {Argument{DNNL_ARG_SRC, plain_x, pd.src_desc()},
                    Argument{DNNL_ARG_WEIGHTS, plain_w, pd.weights_desc()},
                    Argument{DNNL_ARG_DST, plain_y, pd.dst_desc()}};
      finish(pd.scratchpad_desc());
    } else if (kind == ConvKind::input_gradient) {
      const auto pd = onednn::conv_input_gradient(wish_x, wish_w, wish_y, g);
      primitive_ = dnnl::convolution_backward_data(pd);
      arguments_ = {Argument{DNNL_ARG_DIFF_DST, plain_y, pd.diff_dst_desc()},
                    Argument{DNNL_ARG_WEIGHTS, plain_w, pd.weights_desc()},
                    Argument{DNNL_ARG_DIFF_SRC, plain_x, pd.diff_src_desc()}};
      finish(pd.scratchpad_desc());
    } else {
      const auto pd = onednn::conv_weight_gradient(wish_x, wish_w, wish_y, g);
      primitive_ = dnnl::convolution_backward_weights(pd);
      arguments_ = {Argument{DNNL_ARG_SRC, plain_x, pd.src_desc()},
                    Argument{DNNL_ARG_DIFF_DST, plain_y, pd.diff_dst_desc()},
                    Argument{DNNL_ARG_DIFF_WEIGHTS, plain_w, pd.diff_weights_desc()}};
      finish(pd.scratchpad_desc());
    }
  }
  std::size_t scratch_bytes() const override { return bytes_; }

  std::function<void()> bind(const void* a, const void* b, void* c, void* scratch) const override {
    auto* base = static_cast<std::byte*>(scratch);
    const std::array<const void*, 3> given{a, b, c};
    std::array<const void*, 3> used = given;
    std::vector<onednn::Call> calls;
    for (std::size_t i = 0; i < 3; ++i) {
      const auto& argument = arguments_[i];
      if (!argument.moved) continue;
      used[i] = base + argument.offset;
      if (i < 2) {
        calls.push_back(move(argument, argument.plain, given[i], argument.inside, used[i], base));
      }
    }
    calls.emplace_back(primitive_, std::vector<onednn::Call::Argument>{
                                       {arguments_[0].name, arguments_[0].inside, used[0]},
                                       {arguments_[1].name, arguments_[1].inside, used[1]},
                                       {arguments_[2].name, arguments_[2].inside, used[2]},
                                       {DNNL_ARG_SCRATCHPAD, scratchpad_, base}});
    const auto& result = arguments_[2];
    if (result.moved) {
      calls.push_back(move(result, result.inside, used[2], result.plain, given[2], base));
    }
    return [held = std::make_shared<const std::vector<onednn::Call>>(std::move(calls))] {
      for (const auto& call : *held) call();
    };
  }

 private:
  struct Argument {
    int name = 0;
    onednn::Desc plain, inside;  // as the caller has it, as the primitive wants it
    bool moved = false;
    std::size_t offset = 0;  // in scratch, of the copy
    dnnl::reorder reorder{};
    onednn::Desc scratchpad{};
  };

  // Scratch: the primitives' own (one after the other use the same), then the copies.
  void finish(const onednn::Desc& scratchpad) {
    scratchpad_ = scratchpad;
    bytes_ = align_up(scratchpad.get_size());
    for (std::size_t i = 0; i < 3; ++i) {
      auto& argument = arguments_[i];
      argument.moved = argument.plain != argument.inside;
      if (!argument.moved) continue;
      const auto pd = i < 2 ? onednn::reorder(argument.plain, argument.inside)
                            : onednn::reorder(argument.inside, argument.plain);
      argument.reorder = dnnl::reorder(pd);
      argument.scratchpad = pd.scratchpad_desc();
      bytes_ = std::max(bytes_, align_up(argument.scratchpad.get_size()));
    }
    for (auto& argument : arguments_) {
      if (!argument.moved) continue;
      argument.offset = bytes_;
      bytes_ += align_up(argument.inside.get_size());
    }
  }
  static onednn::Call move(const Argument& argument, const onednn::Desc& from, const void* source,
                           const onednn::Desc& to, const void* target, const void* scratch) {
    return {argument.reorder,
            {{DNNL_ARG_FROM, from, source},
             {DNNL_ARG_TO, to, target},
             {DNNL_ARG_SCRATCHPAD, argument.scratchpad, scratch}}};
  }

  dnnl::primitive primitive_;
  std::array<Argument, 3> arguments_;
  onednn::Desc scratchpad_;
  std::size_t bytes_ = 0;
};

ConvLayout choose_layout(ConvKind, const ConvShape&) { return ConvLayout::any; }

class Converting : public ConvolutionMethod {
 public:
  Converting(ConvKind kind, const ConvShape& s) : count_(elements(kind, s)) {
    ConvShape wide = s;
    wide.dtype = DType::float32;
    inner_ = library_convolution(kind, wide, choose_layout(kind, wide));
    if (inner_ == nullptr) inner_ = unfolding_convolution(kind, wide);
    for (std::size_t i = 0; i < 3; ++i) {
      at_[i + 1] = at_[i] + align_up(static_cast<std::size_t>(count_[i]) * 4);
    }
  }
  std::size_t scratch_bytes() const override { return at_[3] + inner_->scratch_bytes(); }
  std::function<void()> bind(const void* a, const void* b, void* c, void* scratch) const override {
    auto* base = static_cast<std::byte*>(scratch);
    return [count = count_, at = at_, base, a, b, c,
            widen = cast_kernel(DType::bfloat16, DType::float32),
            narrow = cast_kernel(DType::float32, DType::bfloat16),
            inner = inner_->bind(base, base + at_[1], base + at_[2], base + at_[3])] {
      widen(a, base, count[0]);
      widen(b, base + at[1], count[1]);
      inner();
      narrow(base + at[2], c, count[2]);
    };
  }

 private:
  std::array<std::int64_t, 3> count_;
  std::array<std::size_t, 4> at_{};
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
  if (auto method = library_convolution(kind, s, choose_layout(kind, s))) return method;
  return s.dtype == DType::float32 ? unfolding_convolution(kind, s)
                                   : converting_convolution(kind, s);
}

auto key(ConvKind kind, const ConvShape& s) {
  return std::make_tuple(kind, s.n, s.c, s.h, s.w, s.k, s.r, s.s, s.stride_h, s.stride_w, s.pad_h,
                         s.pad_w, s.dilation_h, s.dilation_w, s.groups, s.dtype);
}

}  // namespace

ConvolutionMethodPtr library_convolution(ConvKind kind, const ConvShape& shape, ConvLayout layout) {
  const onednn::OneThread one;
  try {
    return std::make_shared<Library>(kind, shape, layout);
  } catch (const dnnl::error&) {
    return nullptr;  // "unimplemented": the caller has another way
  }
}

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
std::function<void()> Convolution::bind(const void* a, const void* b, void* c,
                                        void* scratch) const {
  return impl_->method->bind(a, b, c, scratch);
}

}  // namespace descent::kernels
