// Tile programs that are worth a loop of their own: every update of the common optimizers. A
// pattern is the program as the compiler of steps writes it; its loop does the same operations on
// values that stay in registers instead of tiles, so memory is all that it waits for, and the bits
// are the same.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "descent/kernels/eltwise.h"

namespace descent::kernels {

struct RegisterStep {
  Eltwise code;
  int a = 0, b = 0, c = 0;  // operand numbers, as in TileProgram
  friend constexpr bool operator==(const RegisterStep&, const RegisterStep&) = default;
};

// One letter for each input: d (dense) or s (one element).
struct RegisterInputs {
  std::array<char, 16> kinds{};
  std::size_t count = 0;
  constexpr RegisterInputs() = default;
  constexpr RegisterInputs(std::string_view text) : count(text.size()) {
    for (std::size_t i = 0; i < count; ++i) kinds[i] = text[i];
  }
  constexpr RegisterInputs(const char* text) : RegisterInputs(std::string_view(text)) {}
  constexpr std::size_t size() const { return count; }
  constexpr char operator[](std::size_t i) const { return kinds[i]; }
  constexpr void erase(int at) {
    --count;
    for (auto i = static_cast<std::size_t>(at); i < count; ++i) kinds[i] = kinds[i + 1];
  }
};

struct RegisterPattern {
  std::string_view name;
  RegisterInputs inputs;
  int length = 0;
  std::array<RegisterStep, 24> steps{};
  int results = 0;
  std::array<int, 4> outputs{};
  bool guarded = true;  // keeps the old values where an input is 0
};

// Computes elements [begin, end) in float32. An output may be the same memory as an input.
using RegisterFn = void (*)(const void* const* in, void* const* out, std::int64_t begin,
                            std::int64_t end);

// The loop for a float32 program, and which of the program's inputs and outputs it takes in which
// place.
struct RegisterProgram {
  RegisterFn run = nullptr;  // null: the program equals no pattern
  std::vector<int> inputs, outputs;

  // The loop with its operands taken from the program's.
  struct Call {
    RegisterFn run = nullptr;
    std::array<const void*, 16> in{};
    std::array<void*, 4> out{};
    void operator()(std::int64_t begin, std::int64_t end) const {
      run(in.data(), out.data(), begin, end);
    }
  };
  Call call(const void* const* in, void* const* out) const {
    Call c{.run = run};
    for (std::size_t i = 0; i < inputs.size(); ++i) c.in[i] = in[inputs[i]];
    for (std::size_t i = 0; i < outputs.size(); ++i) c.out[i] = out[outputs[i]];
    return c;
  }
};
// Programs are equal to a pattern whatever the order of their inputs, outputs and steps, and of the
// operands of sums and products.
RegisterProgram register_program(std::string_view inputs, std::span<const RegisterStep> steps,
                                 std::span<const int> outputs);
// All patterns, for tests.
std::span<const RegisterPattern> register_patterns();

}  // namespace descent::kernels
