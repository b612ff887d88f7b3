#include "descent/ir/op.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>

namespace descent {

Values Op::vjp(ValueSpan in, ValueSpan, ValueSpan) const {
  std::vector<Type> types;
  for (const auto& v : in) types.push_back(v.type());
  fail("has no derivative", types, "wrap its result in stop_gradient() where none is wanted");
}

Values Op::jvp(ValueSpan in, ValueSpan, ValueSpan) const {
  std::vector<Type> types;
  for (const auto& v : in) types.push_back(v.type());
  fail("has no derivative", types, "wrap its result in stop_gradient() where none is wanted");
}

std::size_t Op::scratch_bytes(std::span<const Type>, std::span<const Type>) const { return 0; }

double Op::flops(std::span<const Type>, std::span<const Type> out) const {
  return out.empty() ? 0 : static_cast<double>(out[0].shape.size());
}

void Op::fail(const std::string& why, std::span<const Type> in, const std::string& remedy) const {
  std::vector<std::string> types;
  for (const auto& t : in) types.push_back(to_string(t));
  const auto parameters = attributes();
  throw Error(ErrorKind::usage,
              fmt::format("{}({}{}{}): {}", name(), fmt::join(types, ", "),
                          parameters.empty() ? "" : "; ", parameters, why),
              "", remedy);
}

bool any_per_shard(std::span<const Type> types) {
  return std::any_of(types.begin(), types.end(), [](const Type& t) { return t.per_shard; });
}

Kernel InputOp::bind(const Binding&) const {
  throw Error(ErrorKind::usage, fmt::format("the placeholder \"{}\" has no value", label), "",
              "make it an argument of the function that is compiled");
}

std::string ConstantOp::attributes() const {
  if (array.size() == 1) return fmt::format("{}", array.item());
  return "";
}

bool ConstantOp::same_as(const Op& other) const {
  const auto* c = dynamic_cast<const ConstantOp*>(&other);
  return c != nullptr && identical(array, c->array);
}

Kernel ConstantOp::bind(const Binding& b) const {
  return whole([a = array, out = b.out[0]] { std::memcpy(out, a.raw(), a.bytes()); });
}

std::optional<double> constant_scalar(const Value& value) {
  const auto* c = dynamic_cast<const ConstantOp*>(value.node()->op.get());
  if (c == nullptr || c->array.size() != 1) return std::nullopt;
  return c->array.item();
}

}  // namespace descent
