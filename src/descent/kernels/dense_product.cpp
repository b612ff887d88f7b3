#include "descent/kernels/dense_product.h"

#include <algorithm>

#include "descent/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "descent/kernels/dense_product.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h: it decides what these mean.
#include "descent/kernels/dense_block-inl.h"
#include "descent/kernels/transpose-inl.h"
#include "descent/kernels/vector-inl.h"
#include "hwy/highway.h"

#ifndef DESCENT_DENSE_PRODUCT_FUNCTIONS
#define DESCENT_DENSE_PRODUCT_FUNCTIONS
namespace descent::kernels {
namespace {

struct DenseShape {
  std::int64_t m, k, n;
};
using DenseFn = void (*)(const DenseShape& shape, const float* a, const float* b, float* c,
                         float* scratch);
struct DenseFunctions {
  DenseFn forward, backward;
  void (*summed)(const DenseShape& shape, const float* const* a, const float* const* b, int parts,
                 std::int64_t begin, std::int64_t end, float* c, float* scratch);
};

constexpr std::int64_t kWidest = 32;   // columns of a panel on the widest target: two vectors
constexpr std::int64_t kDepth = 256;   // rows of a panel gone through at once: 32 KiB, for L1
constexpr std::int64_t kLong = 1024;   // where it is x that is in panels, which stay in L2
constexpr std::int64_t kOutputs = 96;  // rows of w at once: they stay in L2
constexpr std::int64_t kPiece = 8;     // rows of a summed product that are not parted
constexpr std::int64_t kChunk = 48;    // rows of it that go through the panels together

constexpr std::int64_t rounded_up(std::int64_t n, std::int64_t to) {
  return (n + to - 1) / to * to;
}

// Blocks of k of at most `most` and of equal size.
std::int64_t even_blocks(std::int64_t k, std::int64_t most) {
  const std::int64_t blocks = (k + most - 1) / most;
  return (k + blocks - 1) / blocks;
}

}  // namespace
}  // namespace descent::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace descent::kernels::HWY_NAMESPACE {
namespace {
using namespace dense;  // NOLINT(google-build-using-namespace): the blocks of this file alone

constexpr std::int64_t kLanes = static_cast<std::int64_t>(hn::MaxLanes(hn::ScalableTag<float>()));
constexpr std::int64_t kWidth = kVectors * kLanes;
static_assert(kWidth <= kWidest);

// Asks for rows [begin, end) of a block, for reading or writing.
template <bool Write>
void AskFor(const float* x, std::int64_t x_row, std::int64_t begin, std::int64_t end,
            std::int64_t columns) {
  constexpr std::int64_t line = 64 / sizeof(float);
  for (std::int64_t r = begin; r < end; ++r) {
    for (std::int64_t q = 0; q < columns; q += line)
      __builtin_prefetch(x + r * x_row + q, Write ? 1 : 0);
  }
}

// y[m, n] = x[m, k] w[n, k]^T, as y^T = w x^T: so w, the larger one, needs no turning round.
void Forward(const DenseShape& s, const float* x, const float* w, float* y, float* scratch) {
  const std::int64_t rows = rounded_up(s.m, kWidth), depth = even_blocks(s.k, kLong);
  float* turned = scratch;               // x^T in panels [rows / kWidth][k, kWidth]
  float* result = scratch + rows * s.k;  // y^T in panels [rows / kWidth][kOutputs, kWidth]
  if (rows > s.m) std::fill_n(turned + (rows - kWidth) * s.k, kWidth * s.k, 0.0f);
  for (std::int64_t j = 0; j < s.m; j += kWidth)
    Transpose(x + j * s.k, s.k, turned + j * s.k, kWidth, std::min(kWidth, s.m - j), s.k);
  for (std::int64_t i = 0; i < s.n; i += kOutputs) {
    const std::int64_t outputs = std::min(kOutputs, s.n - i);
    for (std::int64_t l = 0; l < s.k; l += depth) {
      const Streamed<float> a{{w + i * s.k + l, s.k, 1}};
      const std::int64_t terms = std::min(depth, s.k - l);
      const auto run = l == 0 ? &Rows<Into::set, true, kVectors, Streamed<float>, float>
                              : &Rows<Into::more, true, kVectors, Streamed<float>, float>;
      for (std::int64_t j = 0; j < rows; j += kWidth) {
        // Of the places in y, each block of k asks for its share.
        const auto until = [&](std::int64_t at) {
          return std::min(s.m, j + kWidth * std::min(at, s.k) / s.k);
        };
        AskFor<true>(y + i, s.n, until(l), until(l + terms), outputs);
        run(a, turned + j * s.k + l * kWidth, kWidth, result + j * kOutputs, kWidth, outputs, terms,
            kLanes);
      }
    }
    for (std::int64_t j = 0; j < s.m; j += kWidth) {
      Transpose(result + j * kOutputs, kWidth, y + j * s.n + i, s.n, outputs,
                std::min(kWidth, s.m - j));
    }
  }
}

// c[m, columns] (=, or += after the first block of k) a[m, k] b[k, columns]: the first rows read b
// where it lies and leave it in the panel for the others.
template <Into I, bool Whole>
HWY_NOINLINE void PackedColumn(Matrix<float> a, const float* b, std::int64_t n, float* c,
                               std::int64_t m, std::int64_t k, std::size_t last, float* panel) {
  constexpr std::int64_t ahead = 16;  // rows
  const Packing<Whole, kVectors, float> source{{b, n}, panel, ahead * n};
  Block<I, Whole, kRows, kVectors>(a, source, c, n, k, last);
  a.data += kRows * a.row;
  Rows<I, Whole, kVectors>(a, panel, kWidth, c + kRows * n, n, m - kRows, k, last);
}

// dx[m, n] = dy[m, k] w[k, n], m >= kRows.
void Backward(const DenseShape& s, const float* dy, const float* w, float* dx, float* panel) {
  const std::int64_t depth = even_blocks(s.k, kDepth);
  for (std::int64_t j = 0; j < s.n; j += kWidth) {
    const std::int64_t columns = std::min(kWidth, s.n - j);
    if (columns <= kLanes) {  // one vector
      return Column<Into::set, 1>(Matrix<float>{dy, s.k, 1}, w + j, s.n, dx + j, s.n, s.m, s.k,
                                  static_cast<std::size_t>(columns));
    }
    const auto last = static_cast<std::size_t>(columns - kLanes);
    const bool whole = columns == kWidth;
    for (std::int64_t l = 0; l < s.k; l += depth) {
      const auto run =
          l == 0 ? (whole ? &PackedColumn<Into::set, true> : &PackedColumn<Into::set, false>)
                 : (whole ? &PackedColumn<Into::more, true> : &PackedColumn<Into::more, false>);
      run({dy + l, s.k, 1}, w + l * s.n + j, s.n, dx + j, s.m, std::min(depth, s.k - l), last,
          panel);
    }
  }
}

// Copies rows of `columns` elements into dense ones of `width`, zeros behind.
void CopyRows(const float* x, std::int64_t x_row, std::int64_t rows, std::int64_t columns,
              float* to, std::int64_t width) {
  const hn::ScalableTag<float> d;
  for (std::int64_t l = 0; l < rows; ++l, x += x_row, to += width) {
    std::int64_t q = 0;
    for (; q + kLanes <= columns; q += kLanes) hn::StoreU(hn::LoadU(d, x + q), d, to + q);
    if (q < columns) {
      hn::StoreU(LoadSome(d, x + q, static_cast<std::size_t>(columns - q)), d, to + q);
      q += kLanes;
    }
    for (; q < width; q += kLanes) hn::StoreU(hn::Zero(d), d, to + q);
  }
}

// What is summed, for a panel of columns: b where it lies, and the panels of all parts, `step`
// apart; a, dense rows of kChunk, `a_step` apart.
struct Summands {
  const float* a;
  std::int64_t a_step;
  const float* const* b;
  std::int64_t column;
  float* panels;
  std::int64_t step;
  int parts;
};
// Rows of c from `row` on. The first ones read b where it lies and leave it in the panels; while
// they do, the next columns of b are asked for, and c is, for writing.
template <Into I, bool First, bool Whole, int Vectors, int Rows>
HWY_INLINE void AddPart(const DenseShape& s, const Summands& x, int p, std::int64_t row, float* c,
                        std::size_t last) {
  const Matrix<float> a{x.a + p * x.a_step + row, 1, kChunk};
  float* panel = x.panels + p * x.step;
  if constexpr (First) {
    const Plain<Whole, Vectors, float> b{x.b[p] + x.column, s.n};
    Block<I, Whole, Rows, Vectors>(a, Packing<Whole, Vectors, float>{b, panel, kWidth}, c, s.n, s.k,
                                   last);
  } else {
    // Behind the last column a panel has zeros, so all of it can be read.
    Block<I, Whole, Rows, Vectors>(a, Plain<Whole, Vectors, float>{panel, Vectors * kLanes}, c, s.n,
                                   s.k, last);
  }
}
template <bool First, bool Whole, int Vectors, int Rows>
HWY_INLINE void SummedRows(const DenseShape& s, const Summands& x, std::int64_t row, float* c,
                           std::size_t last) {
  for (int i = 0; i < Rows; ++i) {
    for (int v = 0; v < Vectors; ++v) __builtin_prefetch(c + i * s.n + v * kLanes, 1);
  }
  AddPart<Into::set, First, Whole, Vectors, Rows>(s, x, 0, row, c, last);
  for (int p = 1; p < x.parts; ++p)
    AddPart<Into::add, First, Whole, Vectors, Rows>(s, x, p, row, c, last);
}
template <bool First, bool Whole, int Vectors>
HWY_NOINLINE void SummedColumn(const DenseShape& s, const Summands& x, float* c, std::int64_t rows,
                               std::size_t last) {
  std::int64_t i = 0;
  if constexpr (First) {
    if (rows >= kRows) {
      SummedRows<true, Whole, Vectors, kRows>(s, x, 0, c, last);
      i = kRows;
    } else {
      SummedRows<true, Whole, Vectors, 1>(s, x, 0, c, last);
      i = 1;
    }
  }
  for (; i + kRows <= rows; i += kRows)
    SummedRows<false, Whole, Vectors, kRows>(s, x, i, c + i * s.n, last);
  for (; i + 2 <= rows; i += 2) SummedRows<false, Whole, Vectors, 2>(s, x, i, c + i * s.n, last);
  if (i < rows) SummedRows<false, Whole, Vectors, 1>(s, x, i, c + i * s.n, last);
}
template <bool First>
auto SummedColumnFor(std::int64_t columns) {
  if (columns == kWidth) return &SummedColumn<First, true, kVectors>;
  return columns > kLanes ? &SummedColumn<First, false, kVectors> : &SummedColumn<First, false, 1>;
}

void Summed(const DenseShape& s, const float* const* a, const float* const* b, int parts,
            std::int64_t begin, std::int64_t end, float* c, float* scratch) {
  float* rows_of_a = scratch;                      // [parts][k, kChunk]
  float* panels = scratch + parts * s.k * kChunk;  // [n / kWidth][parts][k, kWidth]
  const std::int64_t first = begin * kPiece, until = std::min(s.m, end * kPiece);
  for (std::int64_t i = first; i < until; i += kChunk) {
    const std::int64_t rows = std::min(kChunk, until - i),
                       next = std::min(kChunk, until - i - rows);
    for (int p = 0; p < parts; ++p)
      CopyRows(a[p] + i, s.m, s.k, rows, rows_of_a + p * s.k * kChunk, kChunk);
    for (std::int64_t j = 0; j < s.n; j += kWidth) {
      const std::int64_t columns = std::min(kWidth, s.n - j);
      const auto last = static_cast<std::size_t>(columns > kLanes ? columns - kLanes : columns);
      const Summands x{rows_of_a,    s.k * kChunk, b, j, panels + j * parts * s.k,
                       s.k * kWidth, parts};
      // Of the next rows of a, each panel asks for its share.
      for (int p = 0; p < parts; ++p)
        AskFor<false>(a[p] + i + rows, s.m, s.k * j / s.n, s.k * (j + columns) / s.n, next);
      const auto run =
          i == first ? SummedColumnFor<true>(columns) : SummedColumnFor<false>(columns);
      run(s, x, c + i * s.n + j, rows, last);
    }
  }
}

}  // namespace

const DenseFunctions* DenseFunctionsOfTarget() {
  static constexpr DenseFunctions functions = {&Forward, &Backward, &Summed};
  return &functions;
}

}  // namespace descent::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace descent::kernels {
namespace {
HWY_EXPORT(DenseFunctionsOfTarget);

const DenseFunctions& functions() {
  static const auto* const all = HWY_DYNAMIC_DISPATCH(DenseFunctionsOfTarget)();
  return *all;
}

class Loop : public MatmulMethod {
 public:
  Loop(const MatmulShape& s, DenseFn run, std::int64_t scratch)
      : shape_{s.m, s.k, s.n}, run_(run), scratch_(scratch) {}
  std::size_t scratch_bytes() const override {
    return static_cast<std::size_t>(scratch_) * sizeof(float);
  }
  std::function<void()> bind(const void* a, const void* b, void* c, void* scratch) const override {
    return [s = shape_, run = run_, x = static_cast<const float*>(a),
            y = static_cast<const float*>(b), z = static_cast<float*>(c),
            work = static_cast<float*>(scratch)] { run(s, x, y, z, work); };
  }

 private:
  DenseShape shape_;
  DenseFn run_;
  std::int64_t scratch_;
};

// One part of a sum.
class WeightGradient : public MatmulMethod {
 public:
  explicit WeightGradient(const MatmulShape& s) : sum_(s, 1) {}
  std::size_t scratch_bytes() const override { return sum_.scratch_bytes(); }
  std::function<void()> bind(const void* a, const void* b, void* c, void* scratch) const override {
    return [run = sum_.bind({static_cast<const float*>(a)}, {static_cast<const float*>(b)},
                            static_cast<float*>(c), static_cast<float*>(scratch)),
            n = sum_.extent()] { run(0, n); };
  }

 private:
  SummedProduct sum_;
};

}  // namespace

MatmulMethodPtr dense_matmul(const MatmulShape& s) {
  const bool plain = s.batch == 1 && s.in == DType::float32 && s.out == DType::float32;
  if (!plain || s.m * s.k * s.n == 0 || (s.transpose_a && s.transpose_b)) return nullptr;
  if (s.transpose_a) return std::make_shared<WeightGradient>(s);
  if (s.transpose_b) {
    const std::int64_t rows = rounded_up(s.m, kWidest);
    return std::make_shared<Loop>(s, functions().forward, rows * (s.k + kOutputs));
  }
  if (s.m < 8) return nullptr;  // a block of rows
  return std::make_shared<Loop>(s, functions().backward, kWidest * kDepth);
}

// Measured on one core of a Xeon with AVX-512 and 2 MiB of second cache, against oneDNN 2.6: where
// few rows meet a matrix beyond the first cache, the library's copies cost it 5 to 30 %; with more
// rows its blocks are the better ones.
bool dense_pays(const MatmulShape& s) {
  if (dense_matmul(s) == nullptr) return false;
  if (s.transpose_a) return s.k <= 192 && s.m * s.n >= 1 << 17;
  if (!s.transpose_b) return s.m <= 192 && s.n >= 192 && s.k * s.n >= 1 << 16;
  const std::int64_t padding = rounded_up(s.m, kWidest) - s.m;
  const std::int64_t least = s.m <= 32 ? 1 << 16 : s.m <= 64 ? 1 << 17 : 1 << 18;
  return s.m <= 128 && 8 * padding <= s.m && s.k * s.n >= least;
}

bool SummedProduct::suits(const MatmulShape& s) {
  return dense_pays(s) && s.transpose_a && 2 * s.k * (s.m + s.n) <= s.m * s.n;
}

SummedProduct::SummedProduct(const MatmulShape& part, int parts)
    : m_(part.m), k_(part.k), n_(part.n), parts_(parts) {}

std::int64_t SummedProduct::extent() const { return (m_ + kPiece - 1) / kPiece; }

std::size_t SummedProduct::scratch_bytes() const {
  return static_cast<std::size_t>(parts_ * k_ * (rounded_up(n_, kWidest) + kChunk)) * sizeof(float);
}

std::function<void(std::int64_t, std::int64_t)> SummedProduct::bind(std::vector<const float*> a,
                                                                    std::vector<const float*> b,
                                                                    float* c,
                                                                    float* scratch) const {
  return [s = DenseShape{m_, k_, n_}, parts = parts_, a = std::move(a), b = std::move(b), c,
          scratch, run = functions().summed](std::int64_t begin, std::int64_t end) {
    run(s, a.data(), b.data(), parts, begin, end, c, scratch);
  };
}

}  // namespace descent::kernels
#endif
