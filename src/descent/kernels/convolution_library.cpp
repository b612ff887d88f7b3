// Convolution by oneDNN. Images are copied into the layout its kernels want and back: by loops of
// our own where that is a matter of turning matrices round, since its reorders cost more than the
// convolution.
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

// Images in blocks of channels, [n, c / block, h * w, block], the last block filled up with zeros.
// A block of all channels is NHWC.
struct ChannelBlocks {
  std::int64_t n, c, places, block;
  std::size_t element;

  std::size_t block_bytes() const { return static_cast<std::size_t>(places * block) * element; }
  std::size_t plane_bytes() const { return static_cast<std::size_t>(places) * element; }

  // Calls f(plain planes, block, channels in it) for every block.
  template <class F>
  void each(std::byte* plain, std::byte* blocked, const F& f) const {
    for (std::int64_t i = 0; i < n; ++i) {
      for (std::int64_t first = 0; first < c; first += block) {
        const std::int64_t channels = std::min(block, c - first);
        f(plain, blocked, channels);
        plain += static_cast<std::size_t>(channels) * plane_bytes();
        blocked += block_bytes();
      }
    }
  }
  Run gather(const void* plain, void* blocked) const {
    return [*this, from = static_cast<std::byte*>(const_cast<void*>(plain)),
            to = static_cast<std::byte*>(blocked), transpose = transpose_kernel(element)] {
      each(from, to, [&](std::byte* planes, std::byte* out, std::int64_t channels) {
        if (channels < block) std::memset(out, 0, block_bytes());
        transpose(planes, places, out, block, channels, places);
      });
    };
  }
  Run scatter(const void* blocked, void* plain) const {
    return [*this, from = static_cast<std::byte*>(const_cast<void*>(blocked)),
            to = static_cast<std::byte*>(plain), transpose = transpose_kernel(element)] {
      each(to, from, [&](std::byte* planes, std::byte* in, std::int64_t channels) {
        transpose(in, block, planes, places, places, channels);
      });
    };
  }
};

// A memory of the call: as the caller has it and as the primitive wants it.
struct Argument {
  int name = 0;
  onednn::Desc plain, inside;
  std::int64_t block = 0;  // > 0: an image in blocks of so many channels
  std::size_t offset = 0;  // in scratch, of the copy
  dnnl::reorder reorder{};
  onednn::Desc scratchpad{};

  bool moved() const { return plain != inside; }
};

class Library : public ConvolutionMethod {
 public:
  Library(ConvKind kind, const ConvShape& s, ConvLayout layout)
      : s_(s),
        type_(onednn::data_type(s.dtype)),
        x_{s.n, s.c, s.h, s.w},
        y_{s.n, s.k, s.out_h(), s.out_w()},
        w_(s.groups > 1 ? onednn::Dims{s.groups, s.k / s.groups, s.c / s.groups, s.r, s.s}
                        : onednn::Dims{s.k, s.c, s.r, s.s}) {
    const auto image = layout == ConvLayout::plain           ? onednn::Tag::nchw
                       : layout == ConvLayout::channels_last ? onednn::Tag::nhwc
                                                             : onednn::Tag::any;
    const auto weight = layout == ConvLayout::plain ? plain_weight() : onednn::Tag::any;
    const onednn::Desc x(x_, type_, image), y(y_, type_, image), w(w_, type_, weight);
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
    Argument argument{name, onednn::Desc(dims, type_, onednn::Tag::nchw), inside};
    const std::pair<onednn::Tag, std::int64_t> layouts[] = {
        {onednn::Tag::nhwc, dims[1]}, {onednn::Tag::nChw16c, 16}, {onednn::Tag::nChw8c, 8}};
    for (const auto& [tag, block] : layouts) {
      if (inside == onednn::Desc(dims, type_, tag)) argument.block = block;
    }
    // One channel lies the same way in both.
    if (argument.block == 1) argument.plain = inside;
    return argument;
  }
  Argument weight_of(int name, const onednn::Desc& inside) const {
    return {name, onednn::Desc(w_, type_, plain_weight()), inside};
  }

  // Scratch: the primitives' own (one after the other use the same), then the copies.
  void finish(dnnl::primitive primitive, const onednn::Desc& scratchpad) {
    primitive_ = std::move(primitive);
    scratchpad_ = scratchpad;
    bytes_ = align_up(scratchpad.get_size());
    for (std::size_t i = 0; i < 3; ++i) {
      auto& argument = arguments_[i];
      if (!argument.moved() || argument.block > 0) continue;
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

  ChannelBlocks blocks(const Argument& argument) const {
    const auto& dims =
        argument.name == DNNL_ARG_SRC || argument.name == DNNL_ARG_DIFF_SRC ? x_ : y_;
    return {dims[0], dims[1], dims[2] * dims[3], argument.block, size_of(s_.dtype)};
  }
  Run move_in(const Argument& argument, const void* plain, std::byte* base) const {
    void* inside = base + argument.offset;
    if (argument.block > 0) return blocks(argument).gather(plain, inside);
    return onednn::held(argument.reorder, {{DNNL_ARG_FROM, argument.plain, plain},
                                           {DNNL_ARG_TO, argument.inside, inside},
                                           {DNNL_ARG_SCRATCHPAD, argument.scratchpad, base}});
  }
  Run move_out(const Argument& argument, void* plain, std::byte* base) const {
    const void* inside = base + argument.offset;
    if (argument.block > 0) return blocks(argument).scatter(inside, plain);
    return onednn::held(argument.reorder, {{DNNL_ARG_FROM, argument.inside, inside},
                                           {DNNL_ARG_TO, argument.plain, plain},
                                           {DNNL_ARG_SCRATCHPAD, argument.scratchpad, base}});
  }

  ConvShape s_;
  dnnl::memory::data_type type_;
  onednn::Dims x_, y_, w_;
  dnnl::primitive primitive_;
  std::array<Argument, 3> arguments_;
  onednn::Desc scratchpad_;
  std::size_t bytes_ = 0;
};

}  // namespace

ConvolutionMethodPtr library_convolution(ConvKind kind, const ConvShape& shape, ConvLayout layout) {
  const onednn::OneThread one;
  try {
    return std::make_shared<Library>(kind, shape, layout);
  } catch (const dnnl::error&) {
    return nullptr;  // "unimplemented": the caller has another way
  }
}

}  // namespace descent::kernels
