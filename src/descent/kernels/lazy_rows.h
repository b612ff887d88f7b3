// Tables of which a step looks up few rows, and that must be what they would be had every step
// updated all of their rows. A row that is not looked up has a zero gradient, but momentum, decay
// and Adam move it nevertheless. These idle updates are made up for when the row is looked up next,
// one after another, with the very operations of the whole update and the numbers of each step
// (learning rate, bias corrections), so that the bits are the same.
//
// A table is a number of slots [rows, elements]: slot 0 the weights, then the optimizer's tensors.
// Beside it stand, for each row, the steps that it has had, and the numbers of the last steps in a
// ring.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "descent/base/array.h"
#include "descent/kernels/tile_program.h"

namespace descent::kernels {

// The update of a row with a zero gradient, as a program over its elements.
struct IdleUpdate {
  enum class Source : std::uint8_t { gradient, slot, scalar, constant };
  struct Operand {
    Source source = Source::gradient;
    int index = 0;  // of the slot, of the step's scalar, of the constant
  };
  Shape row;  // [1, elements]
  DType dtype = DType::float32;
  int slots = 1;
  std::vector<TileProgram::Input> inputs;
  std::vector<Operand> operands;  // one per input
  std::vector<Array> constants;
  std::vector<TileProgram::Instruction> instructions;
  std::vector<int> outputs;  // operand numbers
  std::vector<int> written;  // the slot of each output

  std::size_t row_bytes() const { return static_cast<std::size_t>(row.size()) * size_of(dtype); }
  TileProgram program() const { return {row, inputs, instructions, outputs}; }
};

// Slots that must be zero for a row to stay as it is whatever the step: then there is nothing to
// make up for. False: no zeros would do (weight decay moves a row in any case).
struct Rest {
  bool possible = false;
  std::vector<int> zero;  // slots
};
Rest rest_of(const IdleUpdate& update);

// Where a table lies.
struct LazyTable {
  std::vector<std::byte*> slots;
  std::int64_t* done = nullptr;        // steps that each row has had
  const std::byte* scalars = nullptr;  // [period, width]: those of step s at s % period
  std::int64_t period = 1, width = 0;
};

// Makes up for idle updates. Holds what one thread needs.
class IdleRows {
 public:
  IdleRows(const IdleUpdate& update, std::byte* scratch);
  static std::size_t scratch_bytes(const IdleUpdate& update) {
    return update.program().scratch_bytes();
  }
  // The updates of steps [from, to), at most a period, to a row whose slots lie at `row`.
  void run(std::byte* const* row, std::int64_t from, std::int64_t to, const LazyTable& table);

 private:
  bool rests(std::byte* const* row) const;
  TileProgram program_;
  std::vector<IdleUpdate::Operand> operands_;
  std::vector<int> written_;
  std::vector<Array> constants_;
  Array zeros_;
  Rest rest_;
  std::size_t row_bytes_, element_bytes_;
  std::byte* scratch_;
  std::vector<const void*> in_;
  std::vector<void*> out_;
};

// Stands in a list of rows behind the last one.
inline constexpr std::int64_t kNoRow = INT64_MAX;
// The different rows among all parts of n each, in rising order, with kNoRow up to parts * n.
void distinct_rows(std::span<const std::byte* const> parts, std::int64_t n, std::int64_t* rows);
// out[i] = place of index[i] in such a list, which has it.
void find_rows(const std::int64_t* rows, std::int64_t count, const std::int64_t* index,
               std::int64_t* out, std::int64_t n);

}  // namespace descent::kernels
