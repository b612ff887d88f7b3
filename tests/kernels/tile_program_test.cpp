#include "descent/kernels/tile_program.h"

#include <cmath>

#include "tests/kernels/support.h"

namespace descent::kernels {
namespace {
using testing::between;
using testing::Scratch;
using Instruction = TileProgram::Instruction;
using Input = TileProgram::Input;

// Memory of one operand.
using Bytes = std::vector<std::uint64_t>;
Bytes make(DType t, std::int64_t n) {
  return Bytes((static_cast<std::size_t>(n) * size_of(t) + 7) / 8 + 1, 0x7B7B7B7B7B7B7B7Bu);
}

struct Program {
  Shape shape;
  std::vector<Input> inputs;
  std::vector<Instruction> instructions;
  std::vector<int> outputs;

  DType type_of(int o) const {
    const auto i = static_cast<std::size_t>(o);
    return i < inputs.size() ? inputs[i].dtype : instructions[i - inputs.size()].dtype;
  }
  int add(Eltwise code, int a, int b = -1, int c = -1) {
    instructions.push_back({.code = code, .dtype = type_of(a), .in = {a, b, c}});
    return static_cast<int>(inputs.size() + instructions.size()) - 1;
  }
  int cast(int a, DType to) {
    instructions.push_back({.is_cast = true, .dtype = to, .from = type_of(a), .in = {a, -1, -1}});
    return static_cast<int>(inputs.size() + instructions.size()) - 1;
  }
  TileProgram compile() const { return {shape, inputs, instructions, outputs}; }
};

// A broadcast input in full, element by element.
Bytes expand(const Input& input, const Shape& shape, const Bytes& from) {
  const std::size_t size = size_of(input.dtype);
  Bytes all = make(input.dtype, shape.size());
  const auto strides = input.shape.strides();
  for (std::int64_t i = 0; i < shape.size(); ++i) {
    std::int64_t rest = i, at = 0;
    for (int k = 1; k <= shape.rank(); ++k) {
      const std::int64_t index = rest % shape[-k];
      rest /= shape[-k];
      if (k <= input.shape.rank() && input.shape[-k] != 1)
        at += index * strides[static_cast<std::size_t>(input.shape.rank() - k)];
    }
    std::memcpy(reinterpret_cast<char*>(all.data()) + static_cast<std::size_t>(i) * size,
                reinterpret_cast<const char*>(from.data()) + static_cast<std::size_t>(at) * size,
                size);
  }
  return all;
}

// The operations one after the other over whole arrays.
std::vector<Bytes> unfused(const Program& p, const std::vector<Bytes>& in) {
  std::vector<Bytes> operands;
  const std::int64_t n = p.shape.size();
  for (std::size_t i = 0; i < in.size(); ++i)
    operands.push_back(expand(p.inputs[i], p.shape, in[i]));
  for (const auto& instruction : p.instructions) {
    Bytes out = make(instruction.dtype, n);
    const auto at = [&](int k) -> const void* {
      return instruction.in[static_cast<std::size_t>(k)] < 0
                 ? nullptr
                 : operands[static_cast<std::size_t>(instruction.in[static_cast<std::size_t>(k)])]
                       .data();
    };
    if (instruction.is_cast)
      cast_kernel(instruction.from, instruction.dtype)(at(0), out.data(), n);
    else
      eltwise_kernel(instruction.code, instruction.dtype)(at(0), at(1), at(2), out.data(), n);
    operands.push_back(std::move(out));
  }
  std::vector<Bytes> outputs;
  for (const int o : p.outputs) outputs.push_back(operands[static_cast<std::size_t>(o)]);
  return outputs;
}

std::vector<Bytes> random_inputs(const Program& p, RandomStream& random) {
  std::vector<Bytes> in;
  for (const auto& input : p.inputs) {
    Bytes x = make(input.dtype, input.shape.size());
    for (std::int64_t i = 0; i < input.shape.size(); ++i) {
      const double v = random.uniform() * 3 - 1;
      dispatch(input.dtype, [&](auto zero) {
        using T = decltype(zero);
        if constexpr (std::is_same_v<T, bfloat16>)
          reinterpret_cast<T*>(x.data())[i] = bfloat16(static_cast<float>(v));
        else if constexpr (std::is_same_v<T, bool>)
          reinterpret_cast<T*>(x.data())[i] = v > 0;
        else
          reinterpret_cast<T*>(x.data())[i] =
              static_cast<T>(std::is_floating_point_v<T> ? v : std::fabs(v * 50));
      });
    }
    in.push_back(std::move(x));
  }
  return in;
}

// alias[q] = input whose memory output q shares, or -1.
void check(const Program& p, std::uint64_t seed, std::vector<int> alias = {}) {
  RandomStream random(seed);
  auto in = random_inputs(p, random);
  const auto want = unfused(p, in);
  const TileProgram program = p.compile();
  ASSERT_EQ(program.size(), p.shape.size());
  enum class Way { whole, split, small };
  for (const Way way : {Way::whole, Way::split, Way::small}) {
    if (way == Way::small && !program.small()) continue;
    auto memory = in;
    std::vector<Bytes> results;
    for (const int o : p.outputs) results.push_back(make(p.type_of(o), p.shape.size()));
    std::vector<const void*> from;
    std::vector<void*> to;
    for (const auto& m : memory) from.push_back(m.data());
    for (std::size_t q = 0; q < results.size(); ++q) {
      const int shared = q < alias.size() ? alias[q] : -1;
      to.push_back(shared < 0 ? results[q].data()
                              : memory[static_cast<std::size_t>(shared)].data());
    }
    Scratch first(program.scratch_bytes()), second(program.scratch_bytes());
    const std::int64_t n = program.size(), cut = n / 2 / TileProgram::kTile * TileProgram::kTile;
    const auto small =
        way == Way::small
            ? program.bind_small(from, std::vector<bool>(from.size(), true), to, first.data())
            : nullptr;
    const long before = testing::allocations();
    if (small) {
      small(0, 1);
    } else if (way == Way::split) {
      program.run(from.data(), to.data(), second.data(), cut, n);  // the second part first
      program.run(from.data(), to.data(), first.data(), 0, cut);
    } else {
      program.run(from.data(), to.data(), first.data(), 0, n);
    }
    EXPECT_EQ(testing::allocations(), before) << "run() allocated";
    ASSERT_TRUE(first.intact() && second.intact());
    for (std::size_t q = 0; q < results.size(); ++q) {
      const std::size_t bytes = static_cast<std::size_t>(n) * size_of(p.type_of(p.outputs[q]));
      ASSERT_EQ(std::memcmp(to[q], want[q].data(), bytes), 0)
          << "output " << q << " of shape " << to_string(p.shape) << ", way "
          << static_cast<int>(way);
      const auto* end = static_cast<const unsigned char*>(to[q]) + bytes;
      ASSERT_EQ(*end, 0x7B) << "written past the end";
    }
    for (std::size_t i = 0; i < in.size(); ++i) {
      if (std::find(alias.begin(), alias.end(), static_cast<int>(i)) != alias.end()) continue;
      ASSERT_EQ(memory[i], in[i]) << "an input was written";
    }
  }
}

// gelu-like: a broadcast of the given shape added, then a chain.
Program chain(const Shape& shape, const Shape& small, DType type = DType::float32) {
  Program p{shape, {{type, shape}, {type, small}, {type, Shape{}}}, {}, {}};
  const int h = p.add(Eltwise::add, 0, 1), e = p.add(Eltwise::erf, p.add(Eltwise::mul, h, 2));
  p.outputs = {p.add(Eltwise::mul, h, p.add(Eltwise::add, e, 2)), h};
  return p;
}

TEST(TileProgram, EverySizeAroundATile) {
  for (std::int64_t n = 0; n <= 70; ++n) check(chain(Shape{n}, Shape{1}), 1);
  // 40000: enough for the next tile to be fetched ahead.
  for (const std::int64_t n : {255, 256, 257, 1023, 1024, 1025, 2047, 2048, 2049, 5000, 40000})
    check(chain(Shape{n}, Shape{}), 2);
}

TEST(TileProgram, EveryBroadcast) {
  const std::pair<Shape, Shape> cases[] = {{{40, 100}, {100}},
                                           {{40, 100}, {40, 1}},
                                           {{3, 2000}, {2000}},
                                           {{3, 2000}, {3, 1}},
                                           {{700, 3}, {700, 1}},
                                           {{700, 3}, {3}},
                                           {{300, 17}, {300, 1}},
                                           {{300, 16}, {300, 1}},
                                           {{4, 8, 50}, {8, 1}},
                                           {{4, 8, 50}, {4, 1, 50}},
                                           {{4, 8, 50}, {1, 8, 50}},
                                           {{4, 8, 50}, {4, 1, 1}},
                                           {{4, 8, 50}, {50}},
                                           {{4, 300, 5}, {4, 1, 5}},
                                           {{2, 3, 4, 5, 60}, {3, 1, 5, 1}},
                                           {{2, 3, 4, 5, 60}, {2, 1, 4, 1, 60}},
                                           {{5, 1, 900}, {1, 1, 900}},
                                           {{1, 1}, {1}},
                                           {{1024, 2}, {2}},
                                           {{2, 1024}, {1024}},
                                           {{3, 1025}, {1025}},
                                           {{2, 4000}, {4000}}};
  for (const auto& [shape, small] : cases) {
    check(chain(shape, small), 3);
    check(chain(shape, small, DType::float64), 3);
  }
}

// Random graphs with casts, several outputs, results used after they were written out.
Program random_program(RandomStream& random) {
  Program p;
  const int rank = static_cast<int>(between(random, 1, 4));
  std::vector<std::int64_t> dims;
  for (int k = 0; k < rank; ++k)
    dims.push_back(random.below(3) == 0 ? between(random, 1, 70) : between(random, 1, 6));
  p.shape = Shape(dims);
  constexpr DType types[] = {DType::float32, DType::float32,  DType::float64,
                             DType::int32,   DType::bfloat16, DType::boolean};
  const int inputs = static_cast<int>(between(random, 1, 4));
  for (int i = 0; i < inputs; ++i) {
    std::vector<std::int64_t> small = dims;
    for (auto& d : small) {
      if (random.below(3) == 0) d = 1;
    }
    if (random.below(2) == 0) small = dims;
    if (random.below(4) == 0)
      small.erase(small.begin(),
                  small.begin() + static_cast<std::ptrdiff_t>(random.below(small.size() + 1)));
    p.inputs.push_back({types[random.below(6)], Shape(small)});
  }
  const auto pick = [&](DType type) {  // an operand of this type, cast if there is none
    const int count = static_cast<int>(p.inputs.size() + p.instructions.size());
    for (int trial = 0; trial < 8; ++trial) {
      const int o = static_cast<int>(random.below(static_cast<std::uint64_t>(count)));
      if (p.type_of(o) == type) return o;
    }
    return p.cast(static_cast<int>(random.below(static_cast<std::uint64_t>(count))), type);
  };
  constexpr Eltwise codes[] = {Eltwise::add,    Eltwise::mul,    Eltwise::sub,
                               Eltwise::neg,    Eltwise::square, Eltwise::maximum,
                               Eltwise::select, Eltwise::relu,   Eltwise::less_mask};
  constexpr Eltwise functions[] = {Eltwise::exp, Eltwise::tanh, Eltwise::sigmoid,
                                   Eltwise::div, Eltwise::sqrt, Eltwise::sin};
  const int steps = static_cast<int>(between(random, 1, 8));
  for (int i = 0; i < steps; ++i) {
    const DType type = types[random.below(4)];
    const auto code = type != DType::int32 && random.below(2) == 0 ? functions[random.below(6)]
                                                                   : codes[random.below(9)];
    const int a = pick(type), b = pick(type), c = pick(type);
    p.add(code, a, info(code).arity > 1 ? b : -1, info(code).arity > 2 ? c : -1);
  }
  const int count = static_cast<int>(p.inputs.size() + p.instructions.size());
  const int outputs = static_cast<int>(between(random, 1, 3));
  for (int q = 0; q < outputs; ++q)
    p.outputs.push_back(random.below(5) == 0
                            ? static_cast<int>(random.below(static_cast<std::uint64_t>(count)))
                            : count - 1 -
                                  static_cast<int>(random.below(
                                      std::min<std::uint64_t>(4, p.instructions.size()))));
  return p;
}

TEST(TileProgram, RandomProgramsEqualTheUnfusedOperations) {
  RandomStream random(17);
  for (int trial = 0; trial < 400; ++trial) {
    const Program p = random_program(random);
    check(p, static_cast<std::uint64_t>(trial));
  }
}

// Every way to let outputs share memory with full inputs of the same type.
TEST(TileProgram, RandomProgramsInPlace) {
  RandomStream random(23);
  int shared = 0;
  for (int trial = 0; trial < 400; ++trial) {
    const Program p = random_program(random);
    std::vector<int> alias(p.outputs.size(), -1);
    std::vector<bool> taken(p.inputs.size());
    for (std::size_t q = 0; q < p.outputs.size(); ++q) {
      for (std::size_t i = 0; i < p.inputs.size(); ++i) {
        if (taken[i] || p.inputs[i].shape != p.shape ||
            p.inputs[i].dtype != p.type_of(p.outputs[q]))
          continue;
        alias[q] = static_cast<int>(i);
        taken[i] = true;
        ++shared;
        break;
      }
    }
    check(p, static_cast<std::uint64_t>(trial), alias);
  }
  EXPECT_GT(shared, 100);  // or this test tests nothing
}

// Swapping two arrays: each output is written before the other input is read for the last time.
TEST(TileProgram, HazardsBetweenOutputsAndLaterReads) {
  for (const std::int64_t n : {5, 1024, 3000}) {
    Program swap{Shape{n}, {{DType::float32, Shape{n}}, {DType::float32, Shape{n}}}, {}, {}};
    const int a = swap.add(Eltwise::neg, 1), b = swap.add(Eltwise::neg, 0);
    swap.outputs = {a, b};
    check(swap, 1, {0, 1});
    Program copies{Shape{n}, {{DType::float32, Shape{n}}, {DType::float32, Shape{n}}}, {}, {1, 0}};
    check(copies, 1, {0, 1});
  }
}

void check_adam(std::int64_t n) {
  Program p{Shape{n}, {}, {}, {}};
  for (int i = 0; i < 4; ++i) p.inputs.push_back({DType::float32, Shape{n}});  // p m v g
  for (int i = 0; i < 5; ++i) p.inputs.push_back({DType::float32, Shape{1}});  // b1 b2 eps lr decay
  const int m = p.add(Eltwise::add, p.add(Eltwise::mul, 1, 4),
                      p.add(Eltwise::sub, 3, p.add(Eltwise::mul, 3, 4)));
  const int v = p.add(Eltwise::add, p.add(Eltwise::mul, 2, 5), p.add(Eltwise::square, 3));
  const int up =
      p.add(Eltwise::div, m, p.add(Eltwise::add, p.add(Eltwise::sqrt, p.add(Eltwise::abs, v)), 6));
  const int q = p.add(Eltwise::sub, 0,
                      p.add(Eltwise::mul, p.add(Eltwise::add, up, p.add(Eltwise::mul, 0, 8)), 7));
  p.outputs = {q, m, v};
  check(p, 5, {0, 1, 2});
  check(p, 5);
  p.outputs = {m, m, 0};  // one result twice, and an input
  check(p, 5);
}

TEST(TileProgram, AdamInPlace) {
  for (const std::int64_t n : {2500, 70000}) check_adam(n);
}

// Every pattern that has a loop of its own: found whatever the order of inputs and commuting
// operands, and the same bits as one operation after the other. `equal`: the first two scalars are
// one input, as equal constants are.
void check_pattern(const RegisterPattern& pattern, bool equal) {
  const auto n_inputs = pattern.inputs.size();
  const auto inputs = static_cast<int>(n_inputs);
  std::vector<int> scalars;
  for (int i = 0; i < inputs; ++i) {
    if (pattern.inputs[static_cast<std::size_t>(i)] == 's') scalars.push_back(i);
  }
  if (equal && scalars.size() < 2) return;
  const auto place = [&](int operand) {  // inputs in reverse order
    if (equal && operand == scalars[1]) operand = scalars[0];
    return operand < inputs ? inputs - 1 - operand : operand;
  };
  for (const std::int64_t size : {1, 7, 16, 33, 1024, 3000}) {
    std::vector<std::vector<float>> values;
    std::vector<TileProgram::Input> types(n_inputs);
    for (int i = 0; i < inputs; ++i) {
      const bool dense = pattern.inputs[static_cast<std::size_t>(i)] == 'd';
      values.push_back(testing::random_vector<float>(dense ? size : 1,
                                                     static_cast<std::uint64_t>(i) + 1, 0.5, 2));
      types[static_cast<std::size_t>(place(i))] = {DType::float32, dense ? Shape{size} : Shape{}};
    }
    if (equal) {
      values[static_cast<std::size_t>(scalars[1])] = values[static_cast<std::size_t>(scalars[0])];
      types[static_cast<std::size_t>(inputs - 1 - scalars[1])] = {DType::float32, Shape{}};
    }
    std::vector<const void*> in(n_inputs);
    for (int i = 0; i < inputs; ++i)
      in[static_cast<std::size_t>(place(i))] = values[static_cast<std::size_t>(i)].data();
    std::vector<TileProgram::Instruction> instructions;
    for (int k = 0; k < pattern.length; ++k) {
      const auto& step = pattern.steps[static_cast<std::size_t>(k)];
      TileProgram::Instruction instruction{.code = step.code};
      const int arity = info(step.code).arity;
      instruction.in = {place(step.a), arity > 1 ? place(step.b) : -1,
                        arity > 2 ? place(step.c) : -1};
      const bool commutes = step.code == Eltwise::add || step.code == Eltwise::mul;
      if (commutes && k % 2 == 0) std::swap(instruction.in[0], instruction.in[1]);
      instructions.push_back(instruction);
      // The reference: one operation after the other, single elements stretched.
      std::array<std::vector<float>, 3> operand;
      const std::array<int, 3> numbers{step.a, step.b, step.c};
      for (int a = 0; a < arity; ++a) {
        auto& v = operand[static_cast<std::size_t>(a)];
        v = values[static_cast<std::size_t>(numbers[static_cast<std::size_t>(a)])];
        if (v.size() == 1) v.resize(static_cast<std::size_t>(size), v[0]);
      }
      std::vector<float> result(static_cast<std::size_t>(size));
      eltwise_kernel(step.code, DType::float32)(operand[0].data(), operand[1].data(),
                                                operand[2].data(), result.data(), size);
      values.push_back(std::move(result));
    }
    std::vector<int> outputs(pattern.outputs.begin(), pattern.outputs.begin() + pattern.results);
    std::reverse(outputs.begin(), outputs.end());
    const TileProgram program({size}, types, instructions, outputs);
    if (size > 1) {  // with one element, dense and single are the same
      ASSERT_TRUE(program.in_registers()) << pattern.name << (equal ? ", equal scalars" : "");
    }
    std::vector<std::vector<float>> got(outputs.size(),
                                        std::vector<float>(static_cast<std::size_t>(size)));
    std::vector<void*> out;
    for (auto& v : got) out.push_back(v.data());
    testing::Scratch scratch(program.scratch_bytes());
    program.run(in.data(), out.data(), scratch.data(), 0, size);
    for (std::size_t q = 0; q < outputs.size(); ++q) {
      ASSERT_TRUE(testing::same_bits(got[q].data(),
                                     values[static_cast<std::size_t>(outputs[q])].data(), size))
          << pattern.name << ", output " << q << ", size " << size;
    }
  }
}

TEST(TileProgram, RunsPatternsInRegisters) {
  for (const auto& pattern : register_patterns()) {
    for (const bool equal : {false, true}) check_pattern(pattern, equal);
  }
}

TEST(TileProgram, RefusesMalformedPrograms) {
  const Input x{DType::float32, Shape{4}};
  const auto bad = [&](std::vector<Input> in, std::vector<Instruction> code, std::vector<int> out) {
    EXPECT_ANY_THROW(TileProgram(Shape{4}, std::move(in), std::move(code), std::move(out)));
  };
  bad({{DType::float32, Shape{3}}}, {{.code = Eltwise::neg, .in = {0, -1, -1}}}, {1});
  bad({x}, {{.code = Eltwise::add, .in = {0, 1, -1}}}, {1});  // its own result
  bad({x}, {{.code = Eltwise::neg, .in = {0, -1, -1}}}, {2});
  bad({x}, {{.code = Eltwise::neg, .dtype = DType::float64, .in = {0, -1, -1}}}, {1});
  bad({{DType::bfloat16, Shape{4}}},
      {{.code = Eltwise::neg, .dtype = DType::bfloat16, .in = {0, -1, -1}}}, {1});
  bad({{DType::float32, Shape{2, 4}}}, {{.code = Eltwise::neg, .in = {0, -1, -1}}}, {1});
}

}  // namespace
}  // namespace descent::kernels
