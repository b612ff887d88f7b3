// A parsed formula: instructions for a stack of operands. A list instead of a tree, so that neither
// building nor freeing a long formula recurses.
#pragma once
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "descent/base/error.h"
#include "descent/ir/value.h"

namespace descent::optim::expression {

enum class Code {
  number,
  name,
  negate,
  transpose,
  add,
  subtract,
  multiply,           // the matrix product where a matrix is involved
  multiply_elements,  // .*
  matmul,             // @
  divide,
  power,
  less,
  less_equal,
  greater,
  greater_equal,
  equal,
  not_equal,
  call,  // of `count` operands
  list,  // of `count` operands
  index  // by `parts`
};

// One part of x[...]: an index, or a range whose ends and step may be missing.
struct IndexPart {
  bool range = false, has_begin = false, has_end = false, has_step = false;
  int operands() const {
    return static_cast<int>(has_begin) + static_cast<int>(has_end) + static_cast<int>(has_step);
  }
};

struct Instruction {
  Code code = Code::number;
  std::size_t offset = 0;  // of its first byte in the text
  double number = 0;
  int id = 0;     // of the name or of the function
  int count = 0;  // of the operands of a call or a list
  std::vector<IndexPart> parts = {};
};

struct Program {
  std::string text;
  std::vector<std::string> names;  // all, with pi and e
  std::vector<Instruction> code;
};

// A number stays one until it meets a value: exponents, indices and sizes must be known early.
struct Operand {
  Value value;
  std::optional<double> number;
};

struct Function {
  std::string_view name;
  int least = 1, most = 1;  // operands; most < 0: any number
  Value (*make)(std::span<const Operand> operands);
};
std::span<const Function> function_table();  // in order of name
// -1 where there is none.
int find_function(std::string_view name);

// pi, e.
std::optional<double> named_constant(std::string_view name);

// A usage error at a place of the text: "formula, column 7", the text with a caret under it, a
// hint.
Error error_at(const std::string& text, std::size_t offset, const std::string& message,
               const std::string& hint);

// The operand as a float64 value.
Value as_value(const Operand& operand);
// Of a vector: a row.
Value transposed(const Value& x);
// A vector of numbers, a matrix of vectors.
Value make_list(std::span<const Operand> operands);
// A vector's length, which must be a number in the text; a vector of so many equal numbers.
std::int64_t list_size(const Operand& count);
Value filled(const Operand& count, double number);
Operand apply_binary(Code code, const Operand& a, const Operand& b);
Value apply_index(const Value& x, const std::vector<IndexPart>& parts,
                  std::span<const Operand> ends);

}  // namespace descent::optim::expression
