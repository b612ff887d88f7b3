#include "descent/kernels/matmul.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <tuple>

#include "descent/base/error.h"
#include "descent/base/memory.h"
#include "descent/kernels/dense_product.h"
#include "descent/kernels/eltwise.h"
#include "descent/kernels/gemm.h"
#include "descent/kernels/onednn.h"
#include "descent/kernels/packed_product.h"

namespace descent::kernels {
namespace {

std::int64_t elements_a(const MatmulShape& s) { return (s.broadcast_a ? 1 : s.batch) * s.m * s.k; }
std::int64_t elements_b(const MatmulShape& s) { return (s.broadcast_b ? 1 : s.batch) * s.k * s.n; }
std::int64_t elements_c(const MatmulShape& s) { return s.batch * s.m * s.n; }

// Up to here our loops are faster than a call of the library for every transposition: measured on
// Zen 5 with AVX-512, 0.06 against 0.4 us for 16^3, 0.4 against 0.8 us for 32^3, 0.9 against 1.5 us
// for 40^3.
constexpr std::int64_t kSmall = 40 * 40 * 40;
bool is_small(const MatmulShape& s) { return s.m * s.k * s.n <= kSmall; }

// One row or one column lies the same either way.
GemmShape stored(const MatmulShape& s) {
  return {s.m, s.k, s.n, s.transpose_a && s.m > 1 && s.k > 1, s.transpose_b && s.k > 1 && s.n > 1};
}

template <class T>
class Loops : public MatmulMethod {
 public:
  explicit Loops(const MatmulShape& s)
      : shape_(stored(s)),
        gemm_(is_small(s) ? small_gemm<T>(shape_) : panel_gemm<T>(shape_)),
        batch_(s.batch),
        step_a_(s.broadcast_a ? 0 : s.m * s.k),
        step_b_(s.broadcast_b ? 0 : s.k * s.n) {}
  std::size_t scratch_bytes() const override {
    return static_cast<std::size_t>(gemm_.scratch) * sizeof(T);
  }
  std::function<void()> bind(const void* va, const void* vb, void* vc,
                             void* scratch) const override {
    const auto *a = static_cast<const T*>(va), *b = static_cast<const T*>(vb);
    auto *c = static_cast<T*>(vc), *work = static_cast<T*>(scratch);
    if (batch_ == 1) {
      return [s = shape_, run = gemm_.run, a, b, c, work] { run(s, a, b, c, work); };
    }
    return [s = shape_, run = gemm_.run, a, b, c, work, batch = batch_, step_a = step_a_,
            step_b = step_b_] {
      for (std::int64_t i = 0; i < batch; ++i) {
        run(s, a + i * step_a, b + i * step_b, c + i * s.m * s.n, work);
      }
    };
  }

 private:
  GemmShape shape_;
  Gemm<T> gemm_;
  std::int64_t batch_, step_a_, step_b_;
};

class Library : public MatmulMethod {
 public:
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;
  explicit Library(const MatmulShape& s)
      : a_(desc(s, s.in, s.m, s.k, s.transpose_a, s.broadcast_a)),
        b_(desc(s, s.in, s.k, s.n, s.transpose_b, s.broadcast_b)),
        c_(desc(s, s.out, s.m, s.n, false, false)),
        plan_(onednn::matmul(a_, b_, c_)),
        primitive_(plan_) {}
  std::size_t scratch_bytes() const override { return plan_.scratchpad_desc().get_size(); }
  std::function<void()> bind(const void* a, const void* b, void* c, void* scratch) const override {
    return onednn::held(primitive_, {{DNNL_ARG_SRC, a_, a},
                                     {DNNL_ARG_WEIGHTS, b_, b},
                                     {DNNL_ARG_DST, c_, c},
                                     {DNNL_ARG_SCRATCHPAD, plan_.scratchpad_desc(), scratch}});
  }

 private:
  // Rows x columns, stored the other way round if transposed: the strides say it.
  static onednn::Desc desc(const MatmulShape& s, DType t, std::int64_t rows, std::int64_t columns,
                           bool transpose, bool broadcast) {
    onednn::Dims dims{rows, columns};
    onednn::Dims strides = transpose ? onednn::Dims{1, rows} : onednn::Dims{columns, 1};
    if (s.batch > 1) {
      dims.insert(dims.begin(), broadcast ? 1 : s.batch);
      strides.insert(strides.begin(), rows * columns);
    }
    return {dims, onednn::data_type(t), strides};
  }
  onednn::Desc a_, b_, c_;
  dnnl::matmul::primitive_desc plan_;
  dnnl::matmul primitive_;
};

class Converting : public MatmulMethod {
 public:
  explicit Converting(const MatmulShape& s) : shape_(s) {
    MatmulShape wide = s;
    wide.in = wide.out = DType::float32;
    inner_ = is_small(wide)     ? nullptr
             : dense_pays(wide) ? dense_matmul(wide)
                                : library_matmul(wide);
    if (inner_ == nullptr) inner_ = loop_matmul(wide);
    const auto bytes = [](std::int64_t n) { return align_up(static_cast<std::size_t>(n) * 4); };
    b_ = bytes(elements_a(s));
    c_ = b_ + bytes(elements_b(s));
    work_ = c_ + (s.out == DType::float32 ? 0 : bytes(elements_c(s)));
  }
  std::size_t scratch_bytes() const override { return work_ + inner_->scratch_bytes(); }
  std::function<void()> bind(const void* a, const void* b, void* c, void* scratch) const override {
    auto* base = static_cast<std::byte*>(scratch);
    void* wide_c = shape_.out == DType::float32 ? c : base + c_;
    return [widen = cast_kernel(DType::bfloat16, DType::float32),
            narrow = cast_kernel(DType::float32, shape_.out), s = shape_, a, b, c, base, wide_c,
            wide_b = base + b_, product = inner_->bind(base, base + b_, wide_c, base + work_)] {
      widen(a, base, elements_a(s));
      widen(b, wide_b, elements_b(s));
      product();
      if (wide_c != c) narrow(wide_c, c, elements_c(s));
    };
  }

 private:
  MatmulShape shape_;
  MatmulMethodPtr inner_;
  std::size_t b_, c_, work_;
};

void check(const MatmulShape& s) {
  const bool same = s.in == s.out && (s.in == DType::float32 || s.in == DType::float64);
  const bool half = s.in == DType::bfloat16 && (s.out == DType::float32 || s.out == s.in);
  if (!same && !half) {
    throw Error(ErrorKind::usage,
                fmt::format("[matmul] no product of {} giving {}", name_of(s.in), name_of(s.out)),
                {}, "use float32, float64 or bfloat16");
  }
}

MatmulMethodPtr choose(const MatmulShape& s) {
  check(s);
  if (s.in == DType::float64) return loop_matmul(s);
  if (s.batch * s.m * s.n * s.k == 0 || is_small(s)) {
    return s.in == DType::float32 ? loop_matmul(s) : converting_matmul(s);
  }
  // Where the processor is slow at bfloat16, the products of float32 do the same work faster.
  if (s.in == DType::bfloat16 && !bfloat16_pays()) return converting_matmul(s);
  if (dense_pays(s)) return dense_matmul(s);
  if (auto method = library_matmul(s)) return method;
  return s.in == DType::float32 ? loop_matmul(s) : converting_matmul(s);
}

auto key(const MatmulShape& s) {
  return std::make_tuple(s.batch, s.m, s.k, s.n, s.transpose_a, s.transpose_b, s.broadcast_a,
                         s.broadcast_b, s.in, s.out);
}

}  // namespace

MatmulMethodPtr loop_matmul(const MatmulShape& shape) {
  if (shape.in == DType::float64) return std::make_shared<Loops<double>>(shape);
  return std::make_shared<Loops<float>>(shape);
}

MatmulMethodPtr library_matmul(const MatmulShape& shape) {
  const onednn::OneThread one;
  try {
    return std::make_shared<Library>(shape);
  } catch (const dnnl::error&) {
    return nullptr;  // "unimplemented": the caller has another way
  }
}

MatmulMethodPtr converting_matmul(const MatmulShape& shape) {
  return std::make_shared<Converting>(shape);
}

bool turns_b(const MatmulShape& s) {
  if (!s.transpose_b || s.in != s.out || !is_small(s)) return false;
  if (s.in == DType::float32) return small_gemm<float>(stored(s)).turns_b;
  return s.in == DType::float64 && small_gemm<double>(stored(s)).turns_b;
}

struct Matmul::Impl {
  MatmulMethodPtr method;
};

Matmul::Matmul(const MatmulShape& shape) {
  // Every shard asks for the same shapes.
  static std::mutex mutex;
  // Never destroyed: oneDNN may be gone by then.
  static auto& known = *new std::map<decltype(key(shape)), std::shared_ptr<const Impl>>;
  const std::lock_guard lock(mutex);
  auto& slot = known[key(shape)];
  if (slot == nullptr) slot = std::make_shared<const Impl>(Impl{choose(shape)});
  impl_ = slot;
}
Matmul::~Matmul() = default;
Matmul::Matmul(Matmul&&) noexcept = default;
std::size_t Matmul::scratch_bytes() const { return impl_->method->scratch_bytes(); }
std::function<void()> Matmul::bind(const void* a, const void* b, void* c, void* scratch) const {
  return impl_->method->bind(a, b, c, scratch);
}

}  // namespace descent::kernels
