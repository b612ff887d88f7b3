// A fused elementwise chain as one operation of the graph; the pass `fuse` makes them.
#pragma once
#include <memory>

#include "descent/ir/op.h"
#include "descent/kernels/tile_program.h"

namespace descent {

struct FusedOp final : Op {
  // Inputs that were sums over shards: the program reads the shards' parts and adds them in order.
  std::vector<bool> reduced;
  int shards = 1;
  std::vector<kernels::TileProgram::Input>
      inputs;  // of the program: a reduced input takes `shards` of them
  std::vector<kernels::TileProgram::Instruction> instructions;
  std::vector<int> outputs;                     // operand numbers
  std::vector<kernels::TileProgram::Sum> sums;  // outputs behind those
  Shape shape;                                  // of the program
  std::int64_t piece = 0;  // where threads share out the sums: elements of a piece (partial_sums.h)
  std::vector<Type> output_types;
  std::string text;  // "mul+add+tanh"

  std::string_view name() const override { return "fused"; }
  std::string attributes() const override {
    return program().in_registers() ? text + ", in registers" : text;
  }
  bool same_as(const Op& other) const override { return this == &other; }
  std::vector<Type> infer(std::span<const Type>) const override { return output_types; }
  bool collective(int input) const override { return reduced[static_cast<std::size_t>(input)]; }
  bool in_place(int input, int output) const override;
  Kernel bind(const Binding& b) const override;
  std::size_t scratch_bytes(std::span<const Type> in, std::span<const Type> out) const override;
  double flops(std::span<const Type> in, std::span<const Type> out) const override;

 private:
  kernels::TileProgram program() const { return {shape, inputs, instructions, outputs, sums}; }
};

}  // namespace descent
