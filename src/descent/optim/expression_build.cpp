// What the operators of a formula mean, and the stack machine that runs its instructions.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numbers>
#include <utility>

#include "descent/ops/ops.h"
#include "descent/optim/expression.h"
#include "descent/optim/expression_program.h"

namespace descent::optim {
namespace expression {
namespace {

bool is_matrix(const Value& x) { return x.rank() == 2; }

// NumPy's matmul of vectors and matrices.
Value product(const Value& a, const Value& b) {
  if (a.rank() == 0 || b.rank() == 0)
    throw Error(ErrorKind::usage, "@ is the product of vectors and matrices, not of numbers", "",
                "write *");
  if (a.shape()[a.rank() - 1] != b.shape()[0])
    throw Error(ErrorKind::usage,
                fmt::format("the product of {} and {} needs equal inner extents",
                            to_string(a.shape()), to_string(b.shape())),
                "", "the product by elements is .*, the transpose of A is A'");
  if (a.rank() == 1 && b.rank() == 1) return dot(a, b);
  const Value left = a.rank() == 1 ? expand_dims(a, 0) : a;
  const Value right = b.rank() == 1 ? expand_dims(b, 1) : b;
  Value y = matmul(left, right);
  if (a.rank() == 1) y = squeeze(y, 0);
  if (b.rank() == 1) y = squeeze(y, y.rank() - 1);
  return y;
}

// On paper x'Ax is a number, though a row times a vector has one element.
Value multiply(const Value& a, const Value& b) {
  const bool matrices = (is_matrix(a) && b.rank() > 0) || (is_matrix(b) && a.rank() > 0);
  if (!matrices) return a * b;
  const Value y = product(a, b);
  return y.shape().size() == 1 ? reshape(y, {}) : y;
}

// Small whole powers are products: exact, and their derivatives know no logarithm.
Value integer_power(const Value& x, int n) {
  if (n == 1) return x;
  if (n == 2) return square(x);
  const Value half = integer_power(x, n / 2);
  return n % 2 == 0 ? square(half) : square(half) * x;
}

Value power(const Value& x, double n) {
  constexpr int kLargest = 64;
  if (n == 0) return ones_like(x);
  if (n == 0.5) return sqrt(x);
  if (n == -0.5) return rsqrt(x);
  if (n == std::floor(n) && std::abs(n) <= kLargest) {
    const Value y = integer_power(x, static_cast<int>(std::abs(n)));
    return n > 0 ? y : reciprocal(y);
  }
  return pow(x, n);
}

Value value_power(const Operand& a, const Operand& b) {
  if (b.number) return power(a.value, *b.number);
  if (a.number) return *a.number == std::numbers::e ? exp(b.value) : pow(*a.number, b.value);
  return pow(a.value, b.value);
}

Value compare(Code code, const Value& a, const Value& b) {
  switch (code) {
    case Code::less:
      return less(a, b);
    case Code::less_equal:
      return less_equal(a, b);
    case Code::greater:
      return greater(a, b);
    case Code::greater_equal:
      return greater_equal(a, b);
    case Code::equal:
      return equal(a, b);
    default:
      return not_equal(a, b);
  }
}

std::optional<double> of_numbers(Code code, double a, double b) {
  switch (code) {
    case Code::add:
      return a + b;
    case Code::subtract:
      return a - b;
    case Code::multiply:
    case Code::multiply_elements:
      return a * b;
    case Code::divide:
      return a / b;
    case Code::power:
      return std::pow(a, b);
    default:
      return std::nullopt;
  }
}

std::int64_t whole(const Operand& operand, const std::string& what) {
  constexpr double kLargest = 1e15;
  if (!operand.number || *operand.number != std::floor(*operand.number) ||
      std::abs(*operand.number) > kLargest)
    throw Error(ErrorKind::usage, what + " must be a whole number that is written out");
  return static_cast<std::int64_t>(*operand.number);
}

}  // namespace

Value as_value(const Operand& operand) {
  if (operand.number) return scalar(*operand.number, DType::float64);
  return cast(operand.value, DType::float64);
}

Value transposed(const Value& x) {
  if (x.rank() == 0) return x;
  return x.rank() == 1 ? expand_dims(x, 0) : transpose(x);
}

Operand apply_binary(Code code, const Operand& a, const Operand& b) {
  if (a.number && b.number) {
    if (const auto number = of_numbers(code, *a.number, *b.number))
      return {.value = {}, .number = number};
  }
  const auto made = [&]() -> Value {
    // A plain number takes part without a value of its own.
    const bool left = a.number.has_value(), right = b.number.has_value();
    switch (code) {
      case Code::add:
        return right ? a.value + *b.number : left ? *a.number + b.value : a.value + b.value;
      case Code::subtract:
        return right ? a.value - *b.number : left ? *a.number - b.value : a.value - b.value;
      case Code::divide:
        return right ? a.value / *b.number : left ? *a.number / b.value : a.value / b.value;
      case Code::multiply:
        return right  ? a.value * *b.number
               : left ? *a.number * b.value
                      : multiply(a.value, b.value);
      case Code::multiply_elements:
        return as_value(a) * as_value(b);
      case Code::matmul:
        return product(as_value(a), as_value(b));
      case Code::power:
        return value_power(a, b);
      default:
        return cast(compare(code, as_value(a), as_value(b)), DType::float64);
    }
  };
  return {.value = made(), .number = {}};
}

Value apply_index(const Value& x, const std::vector<IndexPart>& parts,
                  std::span<const Operand> ends) {
  if (std::ssize(parts) > x.rank())
    throw Error(ErrorKind::usage, x.rank() == 0 ? std::string("a number has no elements to index")
                                                : fmt::format("{} indices for the shape {}",
                                                              parts.size(), to_string(x.shape())));
  Value y = x;
  int axis = 0;
  std::size_t next = 0;
  for (const auto& part : parts) {
    const std::int64_t extent = y.shape()[axis];
    const auto bound = [&](bool given, std::int64_t missing) {
      if (!given) return missing;
      const auto at = whole(ends[next++], "an index");
      return at < 0 ? at + extent : at;
    };
    if (part.range) {
      const auto begin = std::clamp<std::int64_t>(bound(part.has_begin, 0), 0, extent);
      const auto end = std::clamp<std::int64_t>(bound(part.has_end, extent), 0, extent);
      if (begin >= end)
        throw Error(ErrorKind::usage, fmt::format("an empty range of {} elements", extent));
      const auto step = part.has_step ? whole(ends[next++], "a step") : 1;
      if (step < 1) throw Error(ErrorKind::usage, fmt::format("a step of {}", step));
      y = slice(y, axis, begin, end, step);
      ++axis;
    } else {
      const auto at = bound(true, 0);
      if (at < 0 || at >= extent)
        throw Error(ErrorKind::usage,
                    fmt::format("index {} of {} elements", at < 0 ? at - extent : at, extent), "",
                    fmt::format("indices go from 0 to {}", extent - 1));
      y = squeeze(slice(y, axis, at, at + 1), axis);
    }
  }
  return y;
}

Value make_list(std::span<const Operand> operands) {
  if (operands.empty()) throw Error(ErrorKind::usage, "an empty list");
  Values parts;
  for (const auto& operand : operands) {
    parts.push_back(as_value(operand));
    if (parts.back().shape() != parts.front().shape() || parts.back().rank() > 1)
      throw Error(ErrorKind::usage, "a list holds numbers, or vectors of one length");
  }
  return stack(parts);
}

Value filled(const Operand& count, double number) {
  return full({.dtype = DType::float64, .shape = Shape({list_size(count)})}, number);
}

std::int64_t list_size(const Operand& count) {
  constexpr std::int64_t kLargest = 1'000'000;
  const auto n = whole(count, "a size");
  if (n < 1 || n > kLargest)
    throw Error(ErrorKind::usage,
                fmt::format("a size of {}: from 1 to {} is possible", n, kLargest));
  return n;
}

}  // namespace expression

Value Expression::build(const std::map<std::string, Value>& bound) const {
  using expression::Code, expression::Operand;
  std::vector<Operand> stack;
  const auto pop = [&stack] {
    Operand top = std::move(stack.back());
    stack.pop_back();
    return top;
  };
  const auto pop_many = [&stack](std::size_t count) {
    const auto first = stack.end() - static_cast<std::ptrdiff_t>(count);
    std::vector<Operand> taken(std::make_move_iterator(first),
                               std::make_move_iterator(stack.end()));
    stack.erase(first, stack.end());
    return taken;
  };
  const auto step = [&](const expression::Instruction& i) -> Operand {
    switch (i.code) {
      case Code::number:
        return {.number = i.number};
      case Code::name: {
        const auto& name = program_->names[static_cast<std::size_t>(i.id)];
        if (const auto it = bound.find(name); it != bound.end())
          return {.value = it->second, .number = {}};
        if (const auto number = expression::named_constant(name)) return {.number = number};
        throw Error(ErrorKind::usage, fmt::format("\"{}\" has no value", name), "",
                    expression::find_function(name) >= 0
                        ? fmt::format("\"{0}\" is a function: write {0}(...)", name)
                        : "");
      }
      case Code::negate: {
        const auto x = pop();
        if (x.number) return {.number = -*x.number};
        return {.value = expression::as_value(x) * -1.0, .number = {}};
      }
      case Code::transpose: {
        const auto x = pop();
        if (x.number) return x;
        return {.value = expression::transposed(x.value), .number = {}};
      }
      case Code::call: {
        const auto operands = pop_many(static_cast<std::size_t>(i.count));
        const auto& function = expression::function_table()[static_cast<std::size_t>(i.id)];
        return {.value = function.make(operands), .number = {}};
      }
      case Code::list: {
        const auto operands = pop_many(static_cast<std::size_t>(i.count));
        return {.value = expression::make_list(operands), .number = {}};
      }
      case Code::index: {
        std::size_t ends = 0;
        for (const auto& part : i.parts) ends += static_cast<std::size_t>(part.operands());
        const auto operands = pop_many(ends);
        const auto x = pop();
        return {.value = expression::apply_index(expression::as_value(x), i.parts, operands),
                .number = {}};
      }
      default: {
        const auto b = pop(), a = pop();
        return expression::apply_binary(i.code, a, b);
      }
    }
  };
  for (const auto& i : program_->code) {
    try {
      stack.push_back(step(i));
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::usage) throw;
      throw expression::error_at(program_->text, i.offset, error.message(), error.remedy());
    }
  }
  return expression::as_value(stack.back());
}

}  // namespace descent::optim
