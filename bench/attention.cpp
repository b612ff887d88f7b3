// Attention and its gradient alone, one thread, causal, q, k and v packed as the layer has them:
// GFLOP/s, counting four (forward) and ten (gradient) operations for each feature of each pair of
// query and key that causality leaves, and layer normalisation: GB/s of what it must read and
// write.
#include "descent/kernels/attention.h"

#include <fmt/format.h>

#include "bench/workload.h"
#include "descent/base/memory.h"
#include "descent/kernels/layer_norm.h"

using namespace descent;
using namespace descent::kernels;

namespace {

// Least seconds of a call, over calls for a fifth of a second.
template <class F>
double seconds(const F& f) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::milliseconds(200);
  double least = 1e9;
  for (int i = 0; i < 3 || Clock::now() < end; ++i) {
    const auto start = Clock::now();
    f();
    least = std::min(least, std::chrono::duration<double>(Clock::now() - start).count());
  }
  return least;
}

void measure_attention(std::int64_t rows, std::int64_t heads, std::int64_t time, std::int64_t dim) {
  const std::int64_t width = heads * dim;
  Array qkv = bench::uniform(1, {rows, time, 3, heads, dim}, 1.0F),
        g = bench::uniform(2, {rows, time, width}, 1.0F), out(DType::float32, {rows, time, width}),
        dqkv(DType::float32, qkv.shape()), lse(DType::float32, {rows, heads, time});
  const AttentionShape shape{.rows = rows,
                             .heads = heads,
                             .queries = time,
                             .keys = time,
                             .dim = dim,
                             .causal = true,
                             .scale = 1 / std::sqrt(static_cast<double>(dim))};
  const auto part = [&](std::byte* data, int i) {
    return AttentionOutput{data + 4 * i * width, 3 * width * time, dim, 3 * width};
  };
  const auto input = [](const AttentionOutput& x) {
    return AttentionInput{x.data, x.row, x.head, x.time};
  };
  const AttentionOutput o{out.raw(), width * time, dim, width},
      og{g.raw(), width * time, dim, width};
  const AttentionForward forward{shape,
                                 input(part(qkv.raw(), 0)),
                                 input(part(qkv.raw(), 1)),
                                 input(part(qkv.raw(), 2)),
                                 nullptr,
                                 o,
                                 lse.raw()};
  const AttentionBackward backward{shape,
                                   forward.q,
                                   forward.k,
                                   forward.v,
                                   nullptr,
                                   input(o),
                                   input(og),
                                   lse.raw(),
                                   part(dqkv.raw(), 0),
                                   part(dqkv.raw(), 1),
                                   part(dqkv.raw(), 2)};
  const auto scratch =
      allocate(std::max(attention_scratch_bytes(shape), attention_gradient_scratch_bytes(shape)));
  const double pairs = static_cast<double>(rows * heads * time * (time + 1)) / 2;
  const double there = seconds([&] { attention(forward, scratch.get()); });
  const double back = seconds([&] { attention_gradient(backward, scratch.get()); });
  fmt::print(
      "attention N {:2} H {} T {:4} D {:2}: forward {:7.1f} us {:6.1f} GFLOP/s, gradient {:7.1f} "
      "us "
      "{:6.1f} GFLOP/s\n",
      rows, heads, time, dim, there * 1e6, 4e-9 * pairs * static_cast<double>(dim) / there,
      back * 1e6, 10e-9 * pairs * static_cast<double>(dim) / back);
}

void measure_norm(std::int64_t rows, std::int64_t n) {
  Array x = bench::uniform(1, {rows, n}, 1.0F), g = bench::uniform(2, {rows, n}, 1.0F),
        weight = bench::uniform(3, {n}, 1.0F), y(DType::float32, {rows, n}), dx = y.clone(),
        dweight(DType::float32, {n}), mean(DType::float32, {rows}), rstd = mean.clone();
  const LayerNormShape shape{.rows = rows, .n = n};
  const auto scratch = allocate(layer_norm_gradient_scratch_bytes(shape));
  const double there = seconds([&] {
    layer_norm({shape, x.raw(), weight.raw(), nullptr, y.raw(), mean.raw(), rstd.raw()});
  });
  const double back = seconds([&] {
    layer_norm_gradient({shape, x.raw(), g.raw(), mean.raw(), rstd.raw(), weight.raw(), dx.raw(),
                         dweight.raw(), nullptr},
                        scratch.get());
  });
  const auto bytes = static_cast<double>(4 * rows * n);
  fmt::print(
      "layer_norm {:5} x {:3}: forward {:6.1f} us {:5.1f} GB/s, gradient {:6.1f} us {:5.1f} GB/s\n",
      rows, n, there * 1e6, 2e-9 * bytes / there, back * 1e6, 3e-9 * bytes / back);
}

}  // namespace

int main() {
  measure_attention(12, 4, 64, 32);
  measure_attention(8, 6, 256, 64);
  measure_attention(1, 8, 1024, 64);
  measure_norm(12 * 64, 128);
  measure_norm(8 * 256, 384);
}
