// Convolution by oneDNN on images with channels last, where its matrix kernels do best and a plan
// keeps them; its own reorders of others would cost more than the convolution. Weights, small, are
// copied into the layout that its kernels want.
#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "descent/base/memory.h"
#include "descent/kernels/convolution_method.h"
#include "descent/kernels/onednn.h"

namespace descent::kernels {
namespace {

using Run = std::function<void()>;

// A memory of the call: as the caller has it and as the primitive wants it.
struct Argument {
  int name = 0;
  onednn::Desc plain, inside;
  std::size_t offset = 0;  // in scratch, of the copy
  dnnl::reorder reorder{};
  onednn::Desc scratchpad{};

  bool moved() const { return plain != inside; }
};

class Library : public ConvolutionMethod {
 public:
  Library(ConvKind kind, const ConvShape& s)
      : w_(s.groups > 1 ? onednn::Dims{s.groups, s.k / s.groups, s.c / s.groups, s.r, s.s}
                        : onednn::Dims{s.k, s.c, s.r, s.s}) {
    const auto type = [&](ConvKind result) {
      return onednn::data_type(kind == result ? s.result() : s.dtype);
    };
    w_type_ = type(ConvKind::weight_gradient);
    const onednn::Desc x({s.n, s.c, s.h, s.w}, type(ConvKind::input_gradient), onednn::Tag::nhwc),
        y({s.n, s.k, s.out_h(), s.out_w()}, type(ConvKind::forward), onednn::Tag::nhwc),
        w(w_, w_type_, onednn::Tag::any);
    const onednn::ConvGeometry g{
        {s.stride_h, s.stride_w}, {s.dilation_h - 1, s.dilation_w - 1}, {s.pad_h, s.pad_w}};
    if (kind == ConvKind::forward) {
      const auto pd = onednn::conv_forward(x, w, y, g);
      arguments_ = {image_of(DNNL_ARG_SRC, pd.src_desc()),
                    weight_of(DNNL_ARG_WEIGHTS, pd.weights_desc()),
                    image_of(DNNL_ARG_DST, pd.dst_desc())};
      finish(dnnl::convolution_forward(pd), pd.scratchpad_desc());
    } else if (kind == ConvKind::input_gradient) {
      const auto pd = onednn::conv_input_gradient(x, w, y, g);
      arguments_ = {image_of(DNNL_ARG_DIFF_DST, pd.diff_dst_desc()),
                    weight_of(DNNL_ARG_WEIGHTS, pd.weights_desc()),
                    image_of(DNNL_ARG_DIFF_SRC, pd.diff_src_desc())};
      finish(dnnl::convolution_backward_data(pd), pd.scratchpad_desc());
    } else {
      const auto pd = onednn::conv_weight_gradient(x, w, y, g);
      arguments_ = {image_of(DNNL_ARG_SRC, pd.src_desc()),
                    image_of(DNNL_ARG_DIFF_DST, pd.diff_dst_desc()),
                    weight_of(DNNL_ARG_DIFF_WEIGHTS, pd.diff_weights_desc())};
      finish(dnnl::convolution_backward_weights(pd), pd.scratchpad_desc());
    }
  }

  std::size_t scratch_bytes() const override { return bytes_; }
  int copies() const override {
    return static_cast<int>(std::count_if(arguments_.begin(), arguments_.end(),
                                          [](const Argument& a) { return a.moved(); }));
  }

  Run bind(const void* a, const void* b, void* c, void* scratch) const override {
    auto* base = static_cast<std::byte*>(scratch);
    const std::array<const void*, 3> given{a, b, c};
    std::array<const void*, 3> used = given;
    std::vector<Run> runs;
    for (std::size_t i = 0; i < 3; ++i) {
      if (!arguments_[i].moved()) continue;
      used[i] = base + arguments_[i].offset;
      if (i < 2) runs.push_back(move_in(arguments_[i], given[i], base));
    }
    std::vector<onednn::Call::Argument> all{{DNNL_ARG_SCRATCHPAD, scratchpad_, base}};
    for (std::size_t i = 0; i < 3; ++i) {
      all.push_back({arguments_[i].name, arguments_[i].inside, used[i]});
    }
    runs.push_back(onednn::held(primitive_, all));
    if (arguments_[2].moved()) runs.push_back(move_out(arguments_[2], c, base));
    if (runs.size() == 1) return runs[0];
    return [held = std::make_shared<const std::vector<Run>>(std::move(runs))] {
      for (const auto& run : *held) run();
    };
  }

 private:
  static Argument image_of(int name, const onednn::Desc& desc) { return {name, desc, desc}; }
  Argument weight_of(int name, const onednn::Desc& inside) const {
    return {name,
            onednn::Desc(w_, w_type_, w_.size() == 5 ? onednn::Tag::goihw : onednn::Tag::oihw),
            inside};
  }

  // Scratch: the primitives' own (one after the other use the same), then the copies.
  void finish(dnnl::primitive primitive, const onednn::Desc& scratchpad) {
    primitive_ = std::move(primitive);
    scratchpad_ = scratchpad;
    bytes_ = align_up(scratchpad.get_size());
    for (std::size_t i = 0; i < 3; ++i) {
      auto& argument = arguments_[i];
      if (!argument.moved()) continue;
      const auto pd = i < 2 ? onednn::reorder(argument.plain, argument.inside)
                            : onednn::reorder(argument.inside, argument.plain);
      argument.reorder = dnnl::reorder(pd);
      argument.scratchpad = pd.scratchpad_desc();
      bytes_ = std::max(bytes_, align_up(argument.scratchpad.get_size()));
    }
    for (auto& argument : arguments_) {
      if (!argument.moved()) continue;
      argument.offset = bytes_;
      bytes_ += align_up(argument.inside.get_size());
    }
  }

  static Run move_in(const Argument& argument, const void* plain, std::byte* base) {
    void* inside = base + argument.offset;
    return onednn::held(argument.reorder, {{DNNL_ARG_FROM, argument.plain, plain},
                                           {DNNL_ARG_TO, argument.inside, inside},
                                           {DNNL_ARG_SCRATCHPAD, argument.scratchpad, base}});
  }
  static Run move_out(const Argument& argument, void* plain, std::byte* base) {
    const void* inside = base + argument.offset;
    return onednn::held(argument.reorder, {{DNNL_ARG_FROM, argument.inside, inside},
                                           {DNNL_ARG_TO, argument.plain, plain},
                                           {DNNL_ARG_SCRATCHPAD, argument.scratchpad, base}});
  }

  dnnl::memory::data_type w_type_{};
  onednn::Dims w_;
  dnnl::primitive primitive_;
  std::array<Argument, 3> arguments_;
  onednn::Desc scratchpad_;
  std::size_t bytes_ = 0;
};

}  // namespace

ConvolutionMethodPtr library_convolution(ConvKind kind, const ConvShape& shape) {
  const onednn::OneThread one;
  try {
    const auto method = std::make_shared<Library>(kind, shape);
    if (shape.channels_last) return method;
    return turning_convolution(kind, shape, method);
  } catch (const dnnl::error&) {
    return nullptr;  // "unimplemented": the caller has another way
  }
}

}  // namespace descent::kernels
