#include "descent/compile/partial_sums.h"

#include <algorithm>
#include <bit>

namespace descent {
namespace {

using kernels::TileProgram;

// Fewer elements are not worth another meeting of the threads.
constexpr std::int64_t kLeast = 1 << 17;
// At most so many pieces: enough for even shares, few to add up.
constexpr std::int64_t kPieces = 64;

std::int64_t pieces_of(const FusedOp& op) { return (op.shape.size() + op.piece - 1) / op.piece; }

// The program over `elements` of them.
TileProgram program_of(const FusedOp& op, std::int64_t elements) {
  auto inputs = op.inputs;
  for (auto& in : inputs) in.shape = in.shape == op.shape ? Shape{elements} : Shape{};
  return {{elements}, inputs, op.instructions, op.outputs, op.sums};
}

// As reduce_kernel(sum) combines blocks: the left branch has the largest power of two below n.
template <class T>
T combine(const T* x, std::int64_t n) {
  if (n == 1) return x[0];
  const auto left = static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(n - 1)));
  const T sum = combine(x, left);
  return sum + combine(x + left, n - left);
}

struct CombinePartialOp final : OpBase<CombinePartialOp> {
  explicit CombinePartialOp(Shape s) : shape(std::move(s)) {}
  Shape shape;
  bool operator==(const CombinePartialOp&) const = default;
  std::string_view name() const override { return "combine_partial_sums"; }
  std::vector<Type> infer(std::span<const Type> in) const override {
    return {{in[0].dtype, shape, in[0].per_shard}};
  }
  Kernel bind(const Binding& b) const override {
    const auto n = b.in_types[0].shape.size();
    const auto bound = [&]<class T>(T*) {
      return whole([n, x = reinterpret_cast<const T*>(b.in[0]),
                    sum = reinterpret_cast<T*>(b.out[0])] { *sum = combine(x, n); });
    };
    if (b.in_types[0].dtype == DType::float64) return bound(static_cast<double*>(nullptr));
    return bound(static_cast<float*>(nullptr));
  }
};

}  // namespace

std::int64_t piece_for_sums(const FusedOp& op) {
  const auto size = op.shape.size();
  if (op.sums.empty() || size < kLeast) return 0;
  const bool total = std::ranges::all_of(op.sums, [](const auto& sum) { return sum.inner == 1; });
  const bool cut = std::ranges::all_of(
      op.inputs, [&op](const auto& in) { return in.shape == op.shape || in.shape.size() == 1; });
  if (!total || !cut) return 0;
  std::int64_t piece = 2 * TileProgram::kTile;  // a block of float32, two of float64
  while (piece * kPieces < size) piece *= 2;
  return piece;
}

Type partial_type(const FusedOp& op, const Type& sum) {
  return {sum.dtype, {pieces_of(op)}, sum.per_shard};
}

Value combine_partial(const Value& partial, const Type& sum) {
  return apply(CombinePartialOp(sum.shape), {partial});
}

Kernel bind_pieces(const FusedOp& op, const Binding& b) {
  const std::int64_t pieces = pieces_of(op), last = op.shape.size() - (pieces - 1) * op.piece;
  // Pointers of each piece, so that running it allocates nothing.
  std::vector<std::vector<const void*>> in(static_cast<std::size_t>(pieces));
  std::vector<std::vector<void*>> out(in.size());
  for (std::int64_t p = 0; p < pieces; ++p) {
    const auto at = static_cast<std::size_t>(p);
    const auto first = static_cast<std::size_t>(p * op.piece);
    for (std::size_t i = 0; i < b.in.size(); ++i) {
      const bool whole = op.inputs[i].shape == op.shape;
      in[at].push_back(b.in[i] + (whole ? first * size_of(op.inputs[i].dtype) : 0));
    }
    for (std::size_t o = 0; o < b.out.size(); ++o) {
      const auto element = size_of(b.out_types[o].dtype);
      out[at].push_back(b.out[o] + (o < op.outputs.size() ? first : at) * element);
    }
  }
  return {[full = program_of(op, op.piece), rest = program_of(op, last), in = std::move(in),
           out = std::move(out), scratch = b.scratch, pieces, size = op.piece,
           last](std::int64_t begin, std::int64_t end) {
            for (std::int64_t p = begin; p < end; ++p) {
              const auto at = static_cast<std::size_t>(p);
              if (p + 1 < pieces) {
                full.run(in[at].data(), out[at].data(), scratch, 0, size);
              } else {
                rest.run(in[at].data(), out[at].data(), scratch, 0, last);
              }
            }
          },
          pieces};
}

std::size_t piece_scratch_bytes(const FusedOp& op) {
  const std::int64_t last = op.shape.size() - (pieces_of(op) - 1) * op.piece;
  return std::max(program_of(op, op.piece).scratch_bytes(), program_of(op, last).scratch_bytes());
}

}  // namespace descent
