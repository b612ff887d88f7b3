// A fused chain of elementwise operations with their broadcasts, and sums over its rows at its end,
// run over tiles that stay in L1: memory is read once and written once, however long the chain.
// Portable, no compiler at run time. Each instruction rounds to its type, so the result equals the
// unfused operations bit for bit.
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include "descent/base/shape.h"
#include "descent/kernels/broadcast_pattern.h"
#include "descent/kernels/eltwise.h"
#include "descent/kernels/reduce.h"
#include "descent/kernels/register_programs.h"

namespace descent::kernels {

class TileProgram {
 public:
  // Where a program's work may be cut, in elements. Its own tiles are a quarter of this, unless
  // sums over its rows want more: a dozen of them fit in L1. What is less than two of these and has
  // few operands is one tile.
  static constexpr std::int64_t kTile = 1024;

  struct Input {
    DType dtype;
    Shape shape;  // broadcastable to the program's shape
  };
  // operand numbers: inputs first (0 .. inputs-1), then one number per instruction's result.
  struct Instruction {
    bool is_cast = false;  // then from -> dtype, and code is not used
    Eltwise code = Eltwise::add;
    DType dtype = DType::float32;  // of operands and result (of the result for a cast)
    DType from = DType::float32;
    std::array<int, 3> in{-1, -1, -1};
    friend bool operator==(const Instruction&, const Instruction&) = default;
  };

  // An operand viewed as rows [n, inner] and summed to [inner].
  struct Sum {
    int operand = 0;
    std::int64_t inner = 1;
  };
  // True where rows of `inner` elements can be summed tile by tile.
  static bool sums_tiles(std::int64_t size, std::int64_t inner, DType dtype);

  // outputs: operand numbers to be written to memory, dense, each of the program's shape. `sums`
  // are written behind them.
  TileProgram(const Shape& shape, const std::vector<Input>& inputs,
              const std::vector<Instruction>& instructions, const std::vector<int>& outputs,
              const std::vector<Sum>& sums = {});

  std::int64_t size() const { return size_; }
  // True where the program has a loop of its own (register_programs.h).
  bool in_registers() const { return registers_.run != nullptr; }
  // Bytes of scratch that run() needs (tiles of temporaries and of materialised broadcasts).
  std::size_t scratch_bytes() const { return scratch_bytes_; }
  // Computes elements [begin, end) of the row-major output; begin is a multiple of kTile; with
  // sums, all elements at once. An output may be the same memory as an input of the same type and
  // the full shape. Never allocates.
  void run(const void* const* in, void* const* out, void* scratch, std::int64_t begin,
           std::int64_t end) const;
  // True where all is one tile: bind_small() then gives the same as run() over all elements with
  // its operands' addresses known, which is most of what such a program costs. What a `constant`
  // input holds never changes. The arguments of the function it gives are not used.
  bool small() const { return size_ > 0 && size_ <= tile_; }
  using Bound = std::function<void(std::int64_t begin, std::int64_t end)>;
  Bound bind_small(const std::vector<const void*>& in, const std::vector<bool>& constant,
                   const std::vector<void*>& out, void* scratch) const;

 private:
  // Where tiles lie. run() keeps one address per slot in its scratch.
  enum class SlotKind : std::uint8_t { input, output, periodic, filled, tile };
  struct Slot {
    SlotKind kind = SlotKind::tile;
    int index = 0;               // of the input or output
    std::int64_t tile_step = 0;  // bytes from one tile to the next (input, output)
    std::size_t offset = 0;      // in scratch (periodic, filled, tile)
  };
  struct Step {
    EltwiseFn function = nullptr;  // or
    CastFn cast = nullptr;
    std::array<std::uint32_t, 3> in{};  // slots
    std::uint32_t out = 0;
  };
  struct Layout {
    std::vector<Slot> slots;
    std::vector<Step> steps;
    std::vector<Step> late;              // after the sums: results in danger go to their outputs
    std::vector<std::uint32_t> streams;  // slots that advance with the tiles
    std::vector<std::uint32_t> moving;   // slots to be found anew for each tile
    std::vector<std::uint32_t> summed;   // slots that are summed
    std::size_t bytes = 0;
  };
  // An input that is still read after an output was written: trouble if they are one memory.
  struct Hazard {
    int input, output;
  };
  class Planner;
  class Prefetch;
  struct Small;
  struct NoPrefetch;

  std::int64_t choose_tile() const;
  const Layout& layout_for(const void* const* in, void* const* out) const;
  void prepare(const Layout& layout, const void* const* in, void* const* out, std::byte** at,
               std::byte* scratch, std::int64_t begin, std::int64_t end) const;
  void move_to(const Layout& layout, const void* const* in, std::byte** at, std::byte* scratch,
               std::int64_t begin, std::int64_t count) const;

  template <class Ahead>
  void run_tiles(const Layout& layout, const void* const* in, std::byte** at, std::int64_t begin,
                 std::int64_t end) const;

  struct BoundSum {
    SumStream stream;
    int operand = 0;
    std::size_t offset = 0;  // of its state in scratch
  };

  std::int64_t size_ = 0, tile_ = kTile;
  std::size_t scratch_bytes_ = 0;
  std::size_t outputs_ = 0;
  std::vector<BoundSum> sums_;
  RegisterProgram registers_;
  std::vector<BroadcastPattern> patterns_;  // one per input
  std::vector<Hazard> hazards_;
  Layout direct_;   // results go to their outputs at once
  Layout careful_;  // for when a hazard is real: outputs in danger are copied at a tile's end
};

}  // namespace descent::kernels
