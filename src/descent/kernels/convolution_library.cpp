// Convolution by oneDNN on images with channels last, where its matrix kernels do best and a plan
// keeps them. Images that lie otherwise are turned round by loops of our own: its reorders cost
// more than the convolution. Weights, small, are copied into the layout that its kernels want.
#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "descent/base/memory.h"
#include "descent/kernels/convolution_method.h"
#include "descent/kernels/onednn.h"
#include "descent/kernels/transpose.h"

namespace descent::kernels {
namespace {

using Run = std::function<void()>;

// Images [n, rows, columns] to [n, columns, rows].
Run turned(const void* from, void* to, std::int64_t n, std::int64_t rows, std::int64_t columns,
           std::size_t element) {
  return [x = static_cast<const std::byte*>(from), y = static_cast<std::byte*>(to), n, rows,
          columns, bytes = static_cast<std::size_t>(rows * columns) * element,
          transpose = transpose_kernel(element)] {
    for (std::size_t i = 0; i < static_cast<std::size_t>(n); ++i)
      transpose(x + i * bytes, columns, y + i * bytes, rows, rows, columns);
  };
}

// A memory of the call: as the caller has it and as the primitive wants it.
struct Argument {
  int name = 0;
  onednn::Desc plain, inside;
  bool image = false;
  std::size_t offset = 0;  // in scratch, of the copy
  dnnl::reorder reorder{};
  onednn::Desc scratchpad{};

  bool moved() const { return plain != inside; }
};

class Library : public ConvolutionMethod {
 public:
  Library(ConvKind kind, const ConvShape& s)
      : s_(s),
        x_{s.n, s.c, s.h, s.w},
        y_{s.n, s.k, s.out_h(), s.out_w()},
        w_(s.groups > 1 ? onednn::Dims{s.groups, s.k / s.groups, s.c / s.groups, s.r, s.s}
                        : onednn::Dims{s.k, s.c, s.r, s.s}) {
    const auto type = [&](ConvKind result) {
      return onednn::data_type(kind == result ? s.result() : s.dtype);
    };
    x_type_ = type(ConvKind::input_gradient);
    y_type_ = type(ConvKind::forward);
    w_type_ = type(ConvKind::weight_gradient);
    const onednn::Desc x(x_, x_type_, onednn::Tag::nhwc), y(y_, y_type_, onednn::Tag::nhwc),
        w(w_, w_type_, onednn::Tag::any);
    const onednn::ConvGeometry g{
        {s.stride_h, s.stride_w}, {s.dilation_h - 1, s.dilation_w - 1}, {s.pad_h, s.pad_w}};
    if (kind == ConvKind::forward) {
      const auto pd = onednn::conv_forward(x, w, y, g);
      arguments_ = {image_of(DNNL_ARG_SRC, x_, pd.src_desc()),
                    weight_of(DNNL_ARG_WEIGHTS, pd.weights_desc()),
                    image_of(DNNL_ARG_DST, y_, pd.dst_desc())};
      finish(dnnl::convolution_forward(pd), pd.scratchpad_desc());
    } else if (kind == ConvKind::input_gradient) {
      const auto pd = onednn::conv_input_gradient(x, w, y, g);
      arguments_ = {image_of(DNNL_ARG_DIFF_DST, y_, pd.diff_dst_desc()),
                    weight_of(DNNL_ARG_WEIGHTS, pd.weights_desc()),
                    image_of(DNNL_ARG_DIFF_SRC, x_, pd.diff_src_desc())};
      finish(dnnl::convolution_backward_data(pd), pd.scratchpad_desc());
    } else {
      const auto pd = onednn::conv_weight_gradient(x, w, y, g);
      arguments_ = {image_of(DNNL_ARG_SRC, x_, pd.src_desc()),
                    image_of(DNNL_ARG_DIFF_DST, y_, pd.diff_dst_desc()),
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
  onednn::Tag plain_weight() const {
    return s_.groups > 1 ? onednn::Tag::goihw : onednn::Tag::oihw;
  }
  Argument image_of(int name, const onednn::Dims& dims, const onednn::Desc& inside) const {
    // One channel or one place lies the same way in both.
    const bool same = s_.channels_last || dims[1] == 1 || dims[2] * dims[3] == 1;
    const auto type = is_x(name) ? x_type_ : y_type_;
    return {name, same ? inside : onednn::Desc(dims, type, onednn::Tag::nchw), inside, true};
  }
  Argument weight_of(int name, const onednn::Desc& inside) const {
    return {name, onednn::Desc(w_, w_type_, plain_weight()), inside};
  }

  // Scratch: the primitives' own (one after the other use the same), then the copies.
  void finish(dnnl::primitive primitive, const onednn::Desc& scratchpad) {
    primitive_ = std::move(primitive);
    scratchpad_ = scratchpad;
    bytes_ = align_up(scratchpad.get_size());
    for (std::size_t i = 0; i < 3; ++i) {
      auto& argument = arguments_[i];
      if (!argument.moved() || argument.image) continue;
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

  static bool is_x(int name) { return name == DNNL_ARG_SRC || name == DNNL_ARG_DIFF_SRC; }
  const onednn::Dims& dims(const Argument& argument) const { return is_x(argument.name) ? x_ : y_; }
  Run move_in(const Argument& argument, const void* plain, std::byte* base) const {
    void* inside = base + argument.offset;
    if (argument.image) {
      const auto& d = dims(argument);
      return turned(plain, inside, d[0], d[1], d[2] * d[3], size_of(s_.dtype));  // an operand
    }
    return onednn::held(argument.reorder, {{DNNL_ARG_FROM, argument.plain, plain},
                                           {DNNL_ARG_TO, argument.inside, inside},
                                           {DNNL_ARG_SCRATCHPAD, argument.scratchpad, base}});
  }
  Run move_out(const Argument& argument, void* plain, std::byte* base) const {
    const void* inside = base + argument.offset;
    if (argument.image) {
      const auto& d = dims(argument);
      return turned(inside, plain, d[0], d[2] * d[3], d[1], size_of(s_.result()));
    }
    return onednn::held(argument.reorder, {{DNNL_ARG_FROM, argument.inside, inside},
                                           {DNNL_ARG_TO, argument.plain, plain},
                                           {DNNL_ARG_SCRATCHPAD, argument.scratchpad, base}});
  }

  ConvShape s_;
  dnnl::memory::data_type x_type_{}, y_type_{}, w_type_{};
  onednn::Dims x_, y_, w_;
  dnnl::primitive primitive_;
  std::array<Argument, 3> arguments_;
  onednn::Desc scratchpad_;
  std::size_t bytes_ = 0;
};

}  // namespace

ConvolutionMethodPtr library_convolution(ConvKind kind, const ConvShape& shape) {
  const onednn::OneThread one;
  try {
    return std::make_shared<Library>(kind, shape);
  } catch (const dnnl::error&) {
    return nullptr;  // "unimplemented": the caller has another way
  }
}

}  // namespace descent::kernels
