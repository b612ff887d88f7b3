#include "descent/kernels/packed_product.h"

#include <algorithm>

#include "descent/base/memory.h"
#include "descent/kernels/eltwise.h"
#include "descent/kernels/packed_product_library.h"
#include "descent/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "descent/kernels/packed_product.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h: it decides what these mean.
#include "descent/kernels/transpose-inl.h"
#include "descent/kernels/vector-inl.h"
#include "hwy/highway.h"

#ifndef DESCENT_PACKED_PRODUCT_FUNCTIONS
#define DESCENT_PACKED_PRODUCT_FUNCTIONS
namespace descent::kernels {
namespace {

template <class T>
struct PackedFunctions {
  void (*pack)(const PackedShape& shape, const T* b, T* packed);
  void (*multiply)(const PackedShape& shape, const T* a, const T* packed, T* c);
};
struct AllPackedFunctions {
  PackedFunctions<float> f32;
  PackedFunctions<double> f64;
};

// The widest panel: two vectors of 64 bytes.
constexpr std::size_t kPanelBytes = 128;

}  // namespace
}  // namespace descent::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace descent::kernels::HWY_NAMESPACE {
namespace {

// A block of c in registers, Rows x 2 vectors: 16 sums where there are 32 registers, 12 where there
// are 16. Both hide the latency of multiply-add.
constexpr int kVectors = 2;
constexpr int kRows = HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM_A64 ? 8 : 6;

template <class T>
constexpr std::int64_t Width() {
  return kVectors * static_cast<std::int64_t>(hn::MaxLanes(hn::ScalableTag<T>()));
}

// c[Rows, columns] = a[Rows, k] panel[k, Width]; columns <= Width.
template <int Rows, class T>
HWY_INLINE void Block(const T* a, const T* panel, T* c, std::int64_t k, std::int64_t n,
                      std::int64_t columns) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  constexpr auto lanes = static_cast<std::int64_t>(hn::MaxLanes(d));
  V sum[Rows][kVectors];
#pragma GCC unroll 8
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) sum[i][v] = hn::Zero(d);
  }
  for (std::int64_t l = 0; l < k; ++l) {
    V b[kVectors];
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) b[v] = hn::Load(d, panel + (l * kVectors + v) * lanes);
#pragma GCC unroll 8
    for (int i = 0; i < Rows; ++i) {
      const V x = hn::Set(d, a[i * k + l]);
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) sum[i][v] = hn::MulAdd(x, b[v], sum[i][v]);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) {
      const std::int64_t left = columns - v * lanes;
      T* p = c + i * n + v * lanes;
      if (left >= lanes) {
        hn::StoreU(sum[i][v], d, p);
      } else if (left > 0) {
        StoreSome(sum[i][v], d, p, static_cast<std::size_t>(left));
      }
    }
  }
}

template <class T>
void Multiply(const PackedShape& s, const T* a, const T* packed, T* c) {
  constexpr std::int64_t width = Width<T>();
  for (std::int64_t j = 0; j < s.n; j += width, packed += s.k * width) {
    const std::int64_t columns = std::min(width, s.n - j);
    const T* rows = a;
    T* out = c + j;
    std::int64_t m = s.m;
    for (; m >= kRows; m -= kRows, rows += kRows * s.k, out += kRows * s.n) {
      Block<kRows>(rows, packed, out, s.k, s.n, columns);
    }
    if (m >= 4) {
      Block<4>(rows, packed, out, s.k, s.n, columns);
      m -= 4, rows += 4 * s.k, out += 4 * s.n;
    }
    if (m >= 2) {
      Block<2>(rows, packed, out, s.k, s.n, columns);
      m -= 2, rows += 2 * s.k, out += 2 * s.n;
    }
    if (m == 1) Block<1>(rows, packed, out, s.k, s.n, columns);
  }
}

// Panels of Width columns one after another, each k rows; zeros beyond n.
template <class T>
void Pack(const PackedShape& s, const T* b, T* packed) {
  constexpr std::int64_t width = Width<T>();
  for (std::int64_t j = 0; j < s.n; j += width, packed += s.k * width) {
    const std::int64_t columns = std::min(width, s.n - j);
    if (columns < width) std::fill_n(packed, s.k * width, T{});
    if (s.transpose_b) {
      Transpose(b + j * s.k, s.k, packed, width, columns, s.k);
    } else {
      for (std::int64_t l = 0; l < s.k; ++l)
        std::copy_n(b + l * s.n + j, columns, packed + l * width);
    }
  }
}

}  // namespace

const AllPackedFunctions* PackedFunctionsOfTarget() {
  static constexpr AllPackedFunctions all = {{&Pack<float>, &Multiply<float>},
                                             {&Pack<double>, &Multiply<double>}};
  return &all;
}

}  // namespace descent::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace descent::kernels {
namespace {
HWY_EXPORT(PackedFunctionsOfTarget);

template <class T>
const PackedFunctions<T>& functions() {
  const auto* const all = HWY_DYNAMIC_DISPATCH(PackedFunctionsOfTarget)();
  if constexpr (sizeof(T) == 4)
    return all->f32;
  else
    return all->f64;
}

std::size_t packed_bytes(const PackedShape& s) {
  const auto width = static_cast<std::int64_t>(kPanelBytes / size_of(s.dtype));
  return static_cast<std::size_t>((s.n + width - 1) / width * s.k) * kPanelBytes;
}

// x as bfloat16, widened again: a product of two such numbers is exact in float32, so sums of them
// are those of a bfloat16 product with float32 accumulation.
void round_through(DType dtype, const void* x, void* narrow, void* out, std::int64_t n) {
  static const auto f32 = cast_kernel(DType::float32, DType::bfloat16),
                    f64 = cast_kernel(DType::float64, DType::bfloat16);
  (dtype == DType::float32 ? f32 : f64)(x, narrow, n);
  cast_kernel(DType::bfloat16, dtype)(narrow, out, n);
}

template <class T>
PackedProduct::Bound bind_as(const PackedShape& s, void* c, void* scratch) {
  const auto& f = functions<T>();
  auto* packed = static_cast<T*>(scratch);
  if (s.operands != DType::bfloat16) {
    return {[s, f, packed](const void* b) { f.pack(s, static_cast<const T*>(b), packed); },
            [s, f, packed, c](const void* a) {
              f.multiply(s, static_cast<const T*>(a), packed, static_cast<T*>(c));
            }};
  }
  auto* narrow = static_cast<std::byte*>(scratch) + packed_bytes(s);
  auto* rounded = narrow + align_up(static_cast<std::size_t>(std::max(s.m, s.n) * s.k) * 2);
  return {[s, f, packed, narrow, rounded](const void* b) {
            round_through(s.dtype, b, narrow, rounded, s.k * s.n);
            f.pack(s, reinterpret_cast<const T*>(rounded), packed);
          },
          [s, f, packed, narrow, rounded, c](const void* a) {
            round_through(s.dtype, a, narrow, rounded, s.m * s.k);
            f.multiply(s, reinterpret_cast<const T*>(rounded), packed, static_cast<T*>(c));
          }};
}

}  // namespace

PackedProduct::PackedProduct(const PackedShape& shape, bool library)
    : shape_(shape), library_(library ? library_product(shape) : nullptr) {}

std::size_t PackedProduct::scratch_bytes() const {
  if (library_ != nullptr) return library_->scratch_bytes();
  const auto& s = shape_;
  const auto most = static_cast<std::size_t>(std::max(s.m, s.n) * s.k);
  const bool rounds = s.operands == DType::bfloat16;
  return packed_bytes(s) + (rounds ? align_up(most * 2) + align_up(most * size_of(s.dtype)) : 0);
}

PackedProduct::Bound PackedProduct::bind(void* c, void* scratch) const {
  if (library_ != nullptr) return library_->bind(c, scratch);
  return shape_.dtype == DType::float64 ? bind_as<double>(shape_, c, scratch)
                                        : bind_as<float>(shape_, c, scratch);
}

}  // namespace descent::kernels
#endif
