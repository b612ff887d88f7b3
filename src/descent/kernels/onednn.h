// The little of oneDNN that this room uses, the same for its version 2 (Debian 12: operations are
// described by an `op_desc` first) and 3 (Ubuntu 24.04: a primitive_desc takes everything itself).
#pragma once
#include <omp.h>

#include <functional>
#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <utility>
#include <vector>

#include "descent/base/dtype.h"
#include "descent/base/memory.h"

namespace descent::kernels::onednn {

using Desc = dnnl::memory::desc;
using Dims = dnnl::memory::dims;
using Tag = dnnl::memory::format_tag;

inline const dnnl::engine& engine() {
  static const auto& cpu = *new dnnl::engine(dnnl::engine::kind::cpu, 0);
  return cpu;
}

inline dnnl::memory::data_type data_type(DType t) {
  return t == DType::bfloat16 ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32;
}

// One OpenMP thread while a primitive is created (it keeps the number) or run.
class OneThread {
 public:
  OneThread() : before_(omp_get_max_threads()) {
    if (before_ != 1) omp_set_num_threads(1);
  }
  ~OneThread() {
    if (before_ != 1) omp_set_num_threads(before_);
  }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

// Scratch of the library's own is shared between threads and gives wrong results: always ours.
inline dnnl::primitive_attr attributes() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

inline dnnl::matmul::primitive_desc matmul(const Desc& a, const Desc& b, const Desc& c) {
#if DNNL_VERSION_MAJOR >= 3
  return {engine(), a, b, c, attributes()};
#else
  return {{a, b, c}, attributes(), engine()};
#endif
}

inline dnnl::reorder::primitive_desc reorder(const Desc& from, const Desc& to) {
  return {engine(), from, engine(), to, attributes()};
}

struct ConvGeometry {
  Dims strides, dilations, padding;  // dilations: 0 for dense
};

inline dnnl::convolution_forward::primitive_desc conv_forward(const Desc& x, const Desc& w,
                                                              const Desc& y,
                                                              const ConvGeometry& g) {
  const auto kind = dnnl::prop_kind::forward_training;
  const auto direct = dnnl::algorithm::convolution_direct;
#if DNNL_VERSION_MAJOR >= 3
  return {engine(),  kind,        direct,    x,         w,           y,
          g.strides, g.dilations, g.padding, g.padding, attributes()};
#else
  return {{kind, direct, x, w, y, g.strides, g.dilations, g.padding, g.padding},
          attributes(),
          engine()};
#endif
}

inline dnnl::convolution_backward_data::primitive_desc conv_input_gradient(const Desc& dx,
                                                                           const Desc& w,
                                                                           const Desc& dy,
                                                                           const ConvGeometry& g) {
  const auto direct = dnnl::algorithm::convolution_direct;
  const auto hint = conv_forward(dx, w, dy, g);
#if DNNL_VERSION_MAJOR >= 3
  return {engine(),    direct,    dx,        w,    dy,          g.strides,
          g.dilations, g.padding, g.padding, hint, attributes()};
#else
  return {{direct, dx, w, dy, g.strides, g.dilations, g.padding, g.padding},
          attributes(),
          engine(),
          hint};
#endif
}

inline dnnl::convolution_backward_weights::primitive_desc conv_weight_gradient(
    const Desc& x, const Desc& dw, const Desc& dy, const ConvGeometry& g) {
  const auto direct = dnnl::algorithm::convolution_direct;
  const auto hint = conv_forward(x, dw, dy, g);
#if DNNL_VERSION_MAJOR >= 3
  return {engine(),    direct,    x,         dw,   dy,          g.strides,
          g.dilations, g.padding, g.padding, hint, attributes()};
#else
  return {{direct, x, dw, dy, g.strides, g.dilations, g.padding, g.padding},
          attributes(),
          engine(),
          hint};
#endif
}

// A primitive bound to its memory. Calling it neither looks anything up nor builds arguments, as
// dnnl::primitive::execute does each time.
class Call {
 public:
  struct Argument {
    int name;
    Desc desc;
    const void* memory;
  };
  Call(dnnl::primitive primitive, const std::vector<Argument>& arguments)
      : primitive_(std::move(primitive)), stream_(engine()) {
    for (const auto& [name, desc, memory] : arguments) {
      memory_.emplace_back(desc, engine(), const_cast<void*>(memory));
      arguments_.push_back({name, memory_.back().get()});
    }
  }
  void operator()() const {
    const OneThread one;
    dnnl::error::wrap_c_api(
        dnnl_primitive_execute(primitive_.get(), stream_.get(), static_cast<int>(arguments_.size()),
                               arguments_.data()),
        "could not execute a primitive");
  }

 private:
  dnnl::primitive primitive_;
  dnnl::stream stream_;
  std::vector<dnnl::memory> memory_;
  std::vector<dnnl_exec_arg_t> arguments_;
};

// A Call as a plan keeps it.
inline std::function<void()> held(const dnnl::primitive& primitive,
                                  const std::vector<Call::Argument>& arguments) {
  return [call = std::make_shared<const Call>(primitive, arguments)] { (*call)(); };
}

}  // namespace descent::kernels::onednn
