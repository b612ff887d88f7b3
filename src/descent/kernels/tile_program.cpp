#include "descent/kernels/tile_program.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>

#include "descent/base/error.h"
#include "descent/base/memory.h"
#include "hwy/highway.h"

namespace descent::kernels {
namespace {

[[noreturn]] void malformed(const std::string& what) {
  throw Error(ErrorKind::internal, "[TileProgram] " + what);
}

DType operand_type(int o, const std::vector<TileProgram::Input>& inputs,
                   const std::vector<TileProgram::Instruction>& instructions) {
  const auto k = static_cast<std::size_t>(o);
  return k < inputs.size() ? inputs[k].dtype : instructions[k - inputs.size()].dtype;
}

// The loop for a whole program of float32 on dense operands and single elements, where there is
// one.
RegisterProgram find_registers(const std::vector<BroadcastPattern>& patterns,
                               const std::vector<TileProgram::Input>& inputs,
                               const std::vector<TileProgram::Instruction>& instructions,
                               const std::vector<int>& outputs) {
  std::string kinds;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const bool single = patterns[i].period() == 1;
    if (inputs[i].dtype != DType::float32 || (!single && !patterns[i].dense())) return {};
    kinds += single && inputs[i].shape.size() == 1 ? 's' : 'd';
  }
  std::vector<RegisterStep> steps;
  for (const auto& i : instructions) {
    if (i.is_cast || i.dtype != DType::float32) return {};
    const auto number = [](int operand) { return std::max(operand, 0); };
    steps.push_back({i.code, number(i.in[0]), number(i.in[1]), number(i.in[2])});
  }
  return register_program(kinds, steps, outputs);
}

}  // namespace

// Decides where every operand lies. Positions: instruction i is at i; outputs that are inputs are
// copied first, at -1.
class TileProgram::Planner {
 public:
  Planner(std::int64_t size, std::int64_t tile, const std::vector<BroadcastPattern>& patterns,
          const std::vector<Input>& inputs, const std::vector<Instruction>& instructions,
          const std::vector<int>& outputs, const std::vector<Sum>& sums)
      : size_(size),
        tile_(tile),
        patterns_(patterns),
        inputs_(inputs),
        instructions_(instructions),
        outputs_(outputs),
        sums_(sums),
        last_use_(inputs.size() + instructions.size(), -2) {
    for (std::size_t i = 0; i < instructions.size(); ++i) {
      for (int a = 0; a < arity(instructions[i]); ++a) {
        last_use_[operand(instructions[i].in[a], i)] = static_cast<int>(i);
      }
    }
    // Sums are taken at a tile's end.
    for (const auto& sum : sums) {
      last_use_[operand(sum.operand, instructions.size())] = static_cast<int>(instructions.size());
    }
    for (const int o : outputs) {
      if (o < 0 || static_cast<std::size_t>(o) >= last_use_.size()) malformed("no such output");
      if (!is_input(o)) continue;
      last_use_[static_cast<std::size_t>(o)] = std::max(last_use_[static_cast<std::size_t>(o)], -1);
    }
  }

  DType type_of(int o) const { return operand_type(o, inputs_, instructions_); }

  static int arity(const Instruction& i) { return i.is_cast ? 1 : info(i.code).arity; }

  std::vector<Hazard> hazards() const {
    std::vector<Hazard> found;
    for (std::size_t q = 0; q < outputs_.size(); ++q) {
      const int written = is_input(outputs_[q]) ? -1 : outputs_[q] - inputs();
      for (int i = 0; i < inputs(); ++i) {
        const auto& input = inputs_[static_cast<std::size_t>(i)];
        const int read = last_use_[static_cast<std::size_t>(i)];
        // Copies at -1 follow each other: a later one may read what an earlier one wrote.
        const bool later = read > written || (written == -1 && copied_after(i, q));
        if (later && patterns_[static_cast<std::size_t>(i)].dense() &&
            input.dtype == type_of(outputs_[q])) {
          found.push_back({i, static_cast<int>(q)});
        }
      }
    }
    return found;
  }

  // careful: whether each output goes through a tile of its own until the tile's end.
  Layout plan(const std::vector<bool>& careful) {
    layout_ = {};
    slot_.assign(last_use_.size(), -1);
    free_.clear();
    place_inputs();
    std::vector<Step> late = copy_input_outputs(careful);
    for (std::size_t i = 0; i < instructions_.size(); ++i) add_step(i, careful, late);
    copy_duplicates(late);
    for (const auto& sum : sums_)
      layout_.summed.push_back(
          static_cast<std::uint32_t>(slot_[static_cast<std::size_t>(sum.operand)]));
    layout_.late = std::move(late);
    return finish();
  }

 private:
  int inputs() const { return static_cast<int>(inputs_.size()); }
  bool is_input(int o) const { return o < inputs(); }
  std::size_t operand(int o, std::size_t instruction) const {
    if (o < 0 || o >= inputs() + static_cast<int>(instruction)) {
      malformed(fmt::format("instruction {} uses operand {}", instruction, o));
    }
    return static_cast<std::size_t>(o);
  }
  bool copied_after(int input, std::size_t q) const {
    return std::find(outputs_.begin() + static_cast<std::ptrdiff_t>(q) + 1, outputs_.end(),
                     input) != outputs_.end();
  }
  // The first output that shows operand o, or -1.
  int output_of(int o) const {
    const auto it = std::find(outputs_.begin(), outputs_.end(), o);
    return it == outputs_.end() ? -1 : static_cast<int>(it - outputs_.begin());
  }

  int add_slot(Slot slot, std::int64_t elements, DType type) {
    if (slot.kind == SlotKind::input || slot.kind == SlotKind::output) {
      slot.tile_step = tile_ * static_cast<std::int64_t>(size_of(type));
    } else {
      slot.offset = layout_.bytes;
      // 64 bytes more than full: tiles exactly 4 KiB apart would hinder each other in L1.
      layout_.bytes += 64 + align_up(static_cast<std::size_t>(elements + BroadcastPattern::kSlack) *
                                     size_of(type));
    }
    layout_.slots.push_back(slot);
    return static_cast<int>(layout_.slots.size()) - 1;
  }
  int output_slot(int q) {
    return add_slot({SlotKind::output, q, 0, 0}, 0, type_of(outputs_[static_cast<std::size_t>(q)]));
  }
  int take_tile(DType type) {
    auto& list = free_[size_of(type)];
    if (list.empty()) return add_slot({}, std::min(tile_, size_), type);
    const int slot = list.back();
    list.pop_back();
    return slot;
  }

  void place_inputs() {
    for (int i = 0; i < inputs(); ++i) {
      if (last_use_[static_cast<std::size_t>(i)] == -2) continue;
      const auto& pattern = patterns_[static_cast<std::size_t>(i)];
      const DType type = inputs_[static_cast<std::size_t>(i)].dtype;
      const std::int64_t tile = std::min(tile_, size_);
      int slot;
      if (pattern.dense()) {
        slot = add_slot({SlotKind::input, i, 0, 0}, 0, type);
      } else if (pattern.period() <= kTile) {
        slot = add_slot({SlotKind::periodic, i, 0, 0}, tile + pattern.period() - 1, type);
      } else {
        slot = add_slot({SlotKind::filled, i, 0, 0}, tile, type);
      }
      slot_[static_cast<std::size_t>(i)] = slot;
    }
  }

  static Step copy(int from, int to, DType type) {
    Step step;
    step.cast = cast_kernel(type, type);
    step.in[0] = static_cast<std::uint32_t>(from);
    step.out = static_cast<std::uint32_t>(to);
    return step;
  }

  std::vector<Step> copy_input_outputs(const std::vector<bool>& careful) {
    std::vector<Step> late;
    for (std::size_t q = 0; q < outputs_.size(); ++q) {
      const int o = outputs_[q];
      if (!is_input(o)) continue;
      int to = output_slot(static_cast<int>(q));
      if (careful[q]) {
        const int tile = take_tile(type_of(o));  // never given back
        late.push_back(copy(tile, to, type_of(o)));
        to = tile;
      }
      layout_.steps.push_back(copy(slot_[static_cast<std::size_t>(o)], to, type_of(o)));
    }
    return late;
  }

  void add_step(std::size_t i, const std::vector<bool>& careful, std::vector<Step>& late) {
    const Instruction& instruction = instructions_[i];
    const int result = inputs() + static_cast<int>(i), q = output_of(result);
    if (q < 0 && last_use_[static_cast<std::size_t>(result)] == -2) return;  // nobody wants it
    Step step;
    if (instruction.is_cast) {
      step.cast = cast_kernel(instruction.from, instruction.dtype);
    } else {
      step.function = eltwise_kernel(instruction.code, instruction.dtype);
      if (step.function == nullptr) {
        malformed(fmt::format("{} has no kernel for {}", info(instruction.code).name,
                              name_of(instruction.dtype)));
      }
    }
    for (int a = 0; a < arity(instruction); ++a) {
      const int o = instruction.in[a];
      const DType want = instruction.is_cast ? instruction.from : instruction.dtype;
      if (type_of(o) != want)
        malformed(fmt::format("operand {} of instruction {} is {}", a, i, name_of(type_of(o))));
      step.in[a] = static_cast<std::uint32_t>(slot_[static_cast<std::size_t>(o)]);
    }
    // Tiles read for the last time are free already for the result: kernels work in place.
    release_operands(instruction, i);
    int slot;
    if (q < 0) {
      slot = take_tile(instruction.dtype);
    } else if (careful[static_cast<std::size_t>(q)]) {
      slot = take_tile(instruction.dtype);
      late.push_back(copy(slot, output_slot(q), instruction.dtype));
    } else {
      slot = output_slot(q);
    }
    slot_[static_cast<std::size_t>(result)] = slot;
    step.out = static_cast<std::uint32_t>(slot);
    layout_.steps.push_back(step);
  }

  void release_operands(const Instruction& instruction, std::size_t i) {
    for (int a = 0; a < arity(instruction); ++a) {
      const int o = instruction.in[a];
      const auto operand = static_cast<std::size_t>(o);
      if (is_input(o) || last_use_[operand] != static_cast<int>(i) || output_of(o) >= 0) continue;
      auto& list = free_[size_of(type_of(o))];
      if (std::find(list.begin(), list.end(), slot_[operand]) == list.end()) {  // x * x: once
        list.push_back(slot_[operand]);
      }
    }
  }

  // A result shown by two outputs.
  void copy_duplicates(std::vector<Step>& late) {
    for (std::size_t q = 0; q < outputs_.size(); ++q) {
      const int o = outputs_[q];
      if (is_input(o) || output_of(o) == static_cast<int>(q)) continue;
      late.push_back(
          copy(slot_[static_cast<std::size_t>(o)], output_slot(static_cast<int>(q)), type_of(o)));
    }
  }

  // Puts the table of addresses before the tiles.
  Layout finish() {
    const std::size_t table = align_up(layout_.slots.size() * sizeof(std::byte*));
    layout_.bytes += table;
    for (std::uint32_t k = 0; k < layout_.slots.size(); ++k) {
      Slot& slot = layout_.slots[k];
      slot.offset += table;
      const bool stream = slot.kind == SlotKind::input || slot.kind == SlotKind::output;
      const bool constant = slot.kind == SlotKind::tile ||
                            (slot.kind == SlotKind::periodic &&
                             patterns_[static_cast<std::size_t>(slot.index)].period() == 1);
      if (stream) {
        layout_.streams.push_back(k);
      } else if (!constant) {
        layout_.moving.push_back(k);
      }
    }
    return std::move(layout_);
  }

  std::int64_t size_, tile_;
  const std::vector<BroadcastPattern>& patterns_;
  const std::vector<Input>& inputs_;
  const std::vector<Instruction>& instructions_;
  const std::vector<int>& outputs_;
  const std::vector<Sum>& sums_;
  std::vector<int> last_use_;  // position of the last reader of an operand; -2: none
  Layout layout_;
  std::vector<int> slot_;                         // of each operand
  std::map<std::size_t, std::vector<int>> free_;  // tiles to be used again, by element size
};

TileProgram::TileProgram(const Shape& shape, const std::vector<Input>& inputs,
                         const std::vector<Instruction>& instructions,
                         const std::vector<int>& outputs, const std::vector<Sum>& sums)
    : size_(shape.size()), outputs_(outputs.size()) {
  for (const auto& input : inputs) patterns_.emplace_back(input.shape, shape, size_of(input.dtype));
  for (const auto& sum : sums) {
    const DType dtype = operand_type(sum.operand, inputs, instructions);
    if (!sums_tiles(size_, sum.inner, dtype)) malformed("rows that straddle tiles are summed");
    sums_.push_back({{size_ / sum.inner, sum.inner, dtype}, sum.operand});
  }
  tile_ = choose_tile();
  Planner planner(size_, tile_, patterns_, inputs, instructions, outputs, sums);
  hazards_ = planner.hazards();
  std::vector<bool> careful(outputs.size(), false);
  direct_ = planner.plan(careful);
  for (const auto& hazard : hazards_) careful[static_cast<std::size_t>(hazard.output)] = true;
  careful_ = planner.plan(careful);
  scratch_bytes_ = std::max(direct_.bytes, careful_.bytes);
  if (sums.empty()) registers_ = find_registers(patterns_, inputs, instructions, outputs);
  for (auto& sum : sums_) {
    sum.offset = scratch_bytes_ = align_up(scratch_bytes_);
    scratch_bytes_ += sum.stream.state_bytes();
  }
}

// Whole pieces of every sum, else the smallest whose instructions still outweigh their calls: tiles
// of a dozen operands, and the next ones on their way from memory, share L1.
std::int64_t TileProgram::choose_tile() const {
  const auto searched = [](const BroadcastPattern& p) { return !p.dense() && p.period() > kTile; };
  if (std::any_of(patterns_.begin(), patterns_.end(), searched)) return kTile;
  // A program of one tile is cheaper to call: so goes what fits in L1, with a temporary.
  const auto operands = static_cast<std::int64_t>(patterns_.size() + outputs_) + 1;
  const bool one = size_ > 0 && size_ < 2 * kTile && operands * size_ <= 8 * kTile;
  if (one) return size_;
  // And up to two of the tiles below go as one.
  for (std::int64_t tile = size_ <= kTile / 2 ? kTile / 2 : kTile / 4; tile < kTile; tile *= 2) {
    const auto fits = [&](const BoundSum& sum) {
      return size_ <= tile || tile % sum.stream.grain() == 0;
    };
    if (std::all_of(sums_.begin(), sums_.end(), fits)) return tile;
  }
  return kTile;
}

bool TileProgram::sums_tiles(std::int64_t size, std::int64_t inner, DType dtype) {
  if (dtype != DType::float32 && dtype != DType::float64) return false;
  if (inner < 1 || size < inner || size % inner != 0) return false;
  const SumStream stream{size / inner, inner, dtype};
  return size <= kTile || kTile % stream.grain() == 0;
}

void TileProgram::prepare(const Layout& layout, const void* const* in, void* const* out,
                          std::byte** at, std::byte* scratch, std::int64_t begin,
                          std::int64_t end) const {
  const std::int64_t first = begin == 0 ? 0 : begin / tile_;  // small programs feel a division
  for (std::size_t k = 0; k < layout.slots.size(); ++k) {
    const Slot& slot = layout.slots[k];
    switch (slot.kind) {
      case SlotKind::input:
        at[k] = static_cast<std::byte*>(const_cast<void*>(in[slot.index])) + first * slot.tile_step;
        break;
      case SlotKind::output:
        at[k] = static_cast<std::byte*>(out[slot.index]) + first * slot.tile_step;
        break;
      case SlotKind::periodic: {
        // A tile may begin anywhere in the period: one tile and one period hold every case.
        const auto& pattern = patterns_[static_cast<std::size_t>(slot.index)];
        const std::int64_t period = pattern.period();
        const std::int64_t count =
            std::min(std::min(tile_, size_) + period - 1,
                     period == 1 ? end - begin : begin % period + end - begin);
        at[k] = scratch + slot.offset;
        pattern.repeat(in[slot.index], count, at[k]);
        break;
      }
      default:
        at[k] = scratch + slot.offset;
    }
  }
}

void TileProgram::move_to(const Layout& layout, const void* const* in, std::byte** at,
                          std::byte* scratch, std::int64_t begin, std::int64_t count) const {
  for (const std::uint32_t k : layout.moving) {
    const Slot& slot = layout.slots[k];
    if (slot.kind == SlotKind::periodic) {
      const auto& pattern = patterns_[static_cast<std::size_t>(slot.index)];
      at[k] = scratch + slot.offset +
              static_cast<std::size_t>(begin % pattern.period()) * pattern.element_bytes();
    } else {
      const auto& pattern = patterns_[static_cast<std::size_t>(slot.index)];
      at[k] = static_cast<std::byte*>(
          const_cast<void*>(pattern.find(in[slot.index], begin, count, scratch + slot.offset)));
    }
  }
}

// Brings the next tile's memory into L1 while this tile is computed, some lines with each
// instruction: the processor's own prefetching loses its way where a tile ends and another operand
// begins.
class TileProgram::Prefetch {
 public:
  static constexpr std::int64_t kWorthwhile = 32 * kTile;  // elements

  Prefetch(const Layout& layout, std::byte* const* at) : layout_(layout), at_(at) {
    for (const std::uint32_t k : layout.streams) {
      const bool known = std::any_of(streams_.begin(), streams_.begin() + count_,
                                     [&](std::uint32_t other) { return at[other] == at[k]; });
      if (known) continue;
      if (count_ == std::ssize(streams_)) break;
      streams_[static_cast<std::size_t>(count_++)] = k;
      lines_ += layout.slots[k].tile_step / kLine;
    }
    const auto steps = std::max<std::int64_t>(1, std::ssize(layout.steps));
    each_ = lines_ / steps + 1;
    distance_ = std::max<std::int64_t>(1, kSteps / steps);
  }
  void begin(bool more) {
    stream_ = more ? 0 : count_;
    line_ = 0;
  }
  void some() {
    for (std::int64_t left = each_; left > 0 && stream_ < count_;) {
      const std::uint32_t k = streams_[static_cast<std::size_t>(stream_)];
      const std::int64_t step = layout_.slots[k].tile_step;
      const std::int64_t lines = std::min(left, step / kLine - line_);
      const std::byte* next = at_[k] + distance_ * step + line_ * kLine;
      for (std::int64_t i = 0; i < lines; ++i) __builtin_prefetch(next + i * kLine);
      left -= lines;
      line_ += lines;
      if (line_ * kLine < step) continue;
      line_ = 0;
      ++stream_;
    }
  }

 private:
  static constexpr std::int64_t kLine = 64;
  // So many instructions, each over a tile, take as long as memory takes to answer.
  static constexpr std::int64_t kSteps = 12;

  const Layout& layout_;
  std::byte* const* at_;
  std::array<std::uint32_t, 12> streams_{};
  std::ptrdiff_t count_ = 0, stream_ = 0;
  std::int64_t lines_ = 0, each_ = 0, line_ = 0, distance_ = 1;  // in tiles
};

struct TileProgram::NoPrefetch {
  NoPrefetch(const Layout&, std::byte* const*) {}
  void begin(bool) {}
  void some() {}
};

template <class Ahead>
HWY_INLINE void TileProgram::run_tiles(const Layout& layout, const void* const* in, std::byte** at,
                                       std::int64_t begin, std::int64_t end) const {
  auto* scratch = reinterpret_cast<std::byte*>(at);
  Ahead ahead(layout, at);
  for (std::int64_t tile = begin; tile < end; tile += tile_) {
    const std::int64_t count = std::min(tile_, end - tile);
    move_to(layout, in, at, scratch, tile, count);
    ahead.begin(end - tile > tile_);
    for (const Step& step : layout.steps) {
      ahead.some();
      if (step.function != nullptr) {
        step.function(at[step.in[0]], at[step.in[1]], at[step.in[2]], at[step.out], count);
      } else {
        step.cast(at[step.in[0]], at[step.out], count);
      }
    }
    for (std::size_t k = 0; k < sums_.size(); ++k)
      sums_[k].stream.add(scratch + sums_[k].offset, at[layout.summed[k]], count);
    for (const Step& step : layout.late) step.cast(at[step.in[0]], at[step.out], count);
    for (const std::uint32_t k : layout.streams) at[k] += layout.slots[k].tile_step;
  }
}

const TileProgram::Layout& TileProgram::layout_for(const void* const* in, void* const* out) const {
  const bool aliased = std::any_of(hazards_.begin(), hazards_.end(),
                                   [&](Hazard h) { return in[h.input] == out[h.output]; });
  return aliased ? careful_ : direct_;
}

void TileProgram::run(const void* const* in, void* const* out, void* scratch, std::int64_t begin,
                      std::int64_t end) const {
  if (in_registers()) return registers_.call(in, out)(begin, end);
  const Layout& layout = layout_for(in, out);
  auto* base = static_cast<std::byte*>(scratch);
  auto** at = static_cast<std::byte**>(scratch);
  if (begin >= end) return;
  prepare(layout, in, out, at, base, begin, end);
  for (const auto& sum : sums_) sum.stream.begin(base + sum.offset);
  if (end - begin < Prefetch::kWorthwhile) {
    run_tiles<NoPrefetch>(layout, in, at, begin, end);
  } else {
    run_tiles<Prefetch>(layout, in, at, begin, end);
  }
  for (std::size_t k = 0; k < sums_.size(); ++k)
    sums_[k].stream.finish(base + sums_[k].offset, out[outputs_ + k]);
}

}  // namespace descent::kernels
