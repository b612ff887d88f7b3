// Programs of one tile, bound: all addresses are known beforehand, so that a run is a few calls. In
// small models the search for them costs more than the arithmetic.
#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <tuple>

#include "descent/base/memory.h"
#include "descent/kernels/tile_program.h"

namespace descent::kernels {
namespace {

// A tile full of one constant, the same for all programs that are alive: together they fit in L1,
// one for each program of each shard would not.
std::shared_ptr<std::byte> constant_tile(const BroadcastPattern& pattern, const void* value,
                                         std::int64_t count) {
  static std::mutex mutex;
  static auto& known =
      *new std::map<std::tuple<std::size_t, std::uint64_t, std::int64_t>, std::weak_ptr<std::byte>>;
  const std::size_t element = pattern.element_bytes();
  std::uint64_t bits = 0;
  std::memcpy(&bits, value, element);
  const std::lock_guard lock(mutex);
  auto& slot = known[{element, bits, count}];
  auto tile = slot.lock();
  if (tile == nullptr) {
    tile = allocate(static_cast<std::size_t>(count + BroadcastPattern::kSlack) * element);
    pattern.repeat(value, count, tile.get());
    slot = tile;
  }
  return tile;
}

}  // namespace

struct TileProgram::Small {
  struct Fill {
    BroadcastPattern pattern;
    const void* from;
    void* to;
  };
  struct Call {
    EltwiseFn function;
    CastFn cast;
    std::array<const void*, 3> in;
    void* out;
  };
  struct Total {
    ReduceFn reduce;
    const void* from;
    void* to;
    std::int64_t n, inner;
  };

  std::int64_t size = 0;
  std::vector<Fill> fills;
  std::vector<Call> calls;
  std::vector<Total> totals;
  std::vector<Call> late;
  std::vector<std::shared_ptr<std::byte>> kept;  // tiles of constants

  void run() const {
    for (const auto& f : fills) f.pattern.repeat(f.from, size, f.to);
    for (const auto& c : calls) {
      if (c.function != nullptr) {
        c.function(c.in[0], c.in[1], c.in[2], c.out, size);
      } else {
        c.cast(c.in[0], c.out, size);
      }
    }
    for (const auto& t : totals) t.reduce(t.from, t.to, 1, t.n, t.inner);
    for (const auto& c : late) c.cast(c.in[0], c.out, size);
  }
};

TileProgram::Bound TileProgram::bind_small(const std::vector<const void*>& in,
                                           const std::vector<bool>& constant,
                                           const std::vector<void*>& out, void* scratch) const {
  if (in_registers()) {
    return [call = registers_.call(in.data(), out.data()), size = size_](
               std::int64_t, std::int64_t) { call(0, size); };
  }
  const Layout& layout = layout_for(in.data(), out.data());
  auto small = std::make_shared<Small>();
  small->size = size_;
  std::vector<std::byte*> at;
  for (const Slot& slot : layout.slots) {
    const auto k = static_cast<std::size_t>(slot.index);
    auto* tile = static_cast<std::byte*>(scratch) + slot.offset;
    if (slot.kind == SlotKind::input) {
      tile = static_cast<std::byte*>(const_cast<void*>(in[k]));
    } else if (slot.kind == SlotKind::output) {
      tile = static_cast<std::byte*>(out[k]);
    } else if (slot.kind != SlotKind::tile && constant[k]) {
      const auto& pattern = patterns_[k];
      const bool scalar = pattern.period() == 1 && pattern.element_bytes() <= 8;
      // Of one size for all programs of one element size.
      const std::int64_t count = scalar ? 2 * kTile : size_;
      if (scalar) {
        small->kept.push_back(constant_tile(pattern, in[k], count));
      } else {
        small->kept.push_back(allocate(static_cast<std::size_t>(count + BroadcastPattern::kSlack) *
                                       pattern.element_bytes()));
        pattern.repeat(in[k], count, small->kept.back().get());
      }
      tile = small->kept.back().get();
    } else if (slot.kind != SlotKind::tile) {
      small->fills.push_back({patterns_[k], in[k], tile});
    }
    at.push_back(tile);
  }
  const auto call = [&](const Step& step) {
    return Small::Call{
        step.function, step.cast, {at[step.in[0]], at[step.in[1]], at[step.in[2]]}, at[step.out]};
  };
  for (const Step& step : layout.steps) small->calls.push_back(call(step));
  for (const Step& step : layout.late) small->late.push_back(call(step));
  for (std::size_t k = 0; k < sums_.size(); ++k) {
    const SumStream& sum = sums_[k].stream;
    small->totals.push_back({reduce_kernel(Reduction::sum, sum.dtype), at[layout.summed[k]],
                             out[outputs_ + k], sum.n, sum.inner});
  }
  return [small](std::int64_t, std::int64_t) { small->run(); };
}

}  // namespace descent::kernels
