#include "descent/kernels/packed_product_library.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "descent/base/memory.h"
#include "descent/kernels/eltwise.h"
#include "descent/kernels/onednn.h"

namespace descent::kernels {
namespace {

class Held final : public LibraryProduct {
 public:
  explicit Held(const PackedShape& s)
      : shape_(s),
        stored_({s.k, s.n}, dnnl::memory::data_type::bf16,
                s.transpose_b ? onednn::Tag::ba : onednn::Tag::ab),
        plan_(onednn::matmul({{s.m, s.k}, dnnl::memory::data_type::bf16, onednn::Tag::ab},
                             {{s.k, s.n}, dnnl::memory::data_type::bf16, onednn::Tag::any},
                             {{s.m, s.n}, dnnl::memory::data_type::f32, onednn::Tag::ab})),
        reorder_(onednn::reorder(stored_, plan_.weights_desc())) {}

  std::size_t scratch_bytes() const override { return Places(*this, nullptr).bytes; }

  PackedProduct::Bound bind(void* c, void* scratch) const override {
    const Places at(*this, scratch);
    auto pack = onednn::held(dnnl::reorder(reorder_),
                             {{DNNL_ARG_FROM, stored_, at.b},
                              {DNNL_ARG_TO, plan_.weights_desc(), at.packed},
                              {DNNL_ARG_SCRATCHPAD, reorder_.scratchpad_desc(), at.work}});
    auto product = onednn::held(dnnl::matmul(plan_),
                                {{DNNL_ARG_SRC, plan_.src_desc(), at.a},
                                 {DNNL_ARG_WEIGHTS, plan_.weights_desc(), at.packed},
                                 {DNNL_ARG_DST, plan_.dst_desc(), c},
                                 {DNNL_ARG_SCRATCHPAD, plan_.scratchpad_desc(), at.work}});
    const auto narrow = cast_kernel(DType::float32, DType::bfloat16);
    return {
        [narrow, pack = std::move(pack), to = at.b, n = shape_.k * shape_.n](const void* b) {
          narrow(b, to, n);
          pack();
        },
        [narrow, product = std::move(product), to = at.a, n = shape_.m * shape_.k](const void* a) {
          narrow(a, to, n);
          product();
        }};
  }

 private:
  struct Places {
    Places(const Held& h, void* base) {
      const auto take = [&](std::size_t size) {
        std::byte* const place = base == nullptr ? nullptr : static_cast<std::byte*>(base) + bytes;
        bytes += align_up(size);
        return place;
      };
      const auto& s = h.shape_;
      a = take(static_cast<std::size_t>(s.m * s.k) * 2);
      b = take(static_cast<std::size_t>(s.k * s.n) * 2);
      packed = take(h.plan_.weights_desc().get_size());
      work = take(
          std::max(h.plan_.scratchpad_desc().get_size(), h.reorder_.scratchpad_desc().get_size()));
    }
    std::byte *a, *b, *packed, *work;
    std::size_t bytes = 0;
  };

  PackedShape shape_;
  onednn::Desc stored_;
  dnnl::matmul::primitive_desc plan_;
  dnnl::reorder::primitive_desc reorder_;
};

}  // namespace

bool bfloat16_pays() {
#if defined(__x86_64__)
  static const bool pays = [] {
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d >> 22 & 1U) != 0) return true;  // AMX
    const bool has = __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a >> 5 & 1U) != 0;
    return has && __builtin_cpu_is("amd") != 0;
  }();
  return pays;
#else
  return false;
#endif
}

std::shared_ptr<const LibraryProduct> library_product(const PackedShape& shape) {
  if (shape.operands != DType::bfloat16 || shape.dtype != DType::float32) return nullptr;
  const onednn::OneThread one;
  try {
    return std::make_shared<const Held>(shape);
  } catch (const dnnl::error&) {
    return nullptr;
  }
}

}  // namespace descent::kernels
