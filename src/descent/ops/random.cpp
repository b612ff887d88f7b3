// Random numbers as operations: Philox of (key, stream, element). An element of a per-shard value
// counts on from the shard before it, so the draw is one function of the whole batch.
#include "descent/base/random.h"

#include <fmt/format.h>

#include <numbers>

#include "descent/ir/op.h"
#include "descent/kernels/reduce.h"
#include "descent/ops/ops.h"
#include "descent/ops/random.h"

namespace descent {
namespace {

struct RandomUniformOp final : OpBase<RandomUniformOp> {
  RandomUniformOp(Type t, std::uint64_t s) : type(std::move(t)), stream(s) {}
  Type type;
  std::uint64_t stream;
  bool operator==(const RandomUniformOp&) const = default;
  std::string_view name() const override { return "random_uniform"; }
  std::string attributes() const override { return fmt::format("stream {:x}", stream); }
  std::vector<Type> infer(std::span<const Type> in) const override {
    if (in[0].dtype != DType::int64 || in[0].shape.size() != 1)
      fail("wants an int64 scalar as its key", in);
    if (type.dtype != DType::float32 && type.dtype != DType::float64)
      fail("draws float32 or float64", in);
    return {type};
  }
  Values vjp(ValueSpan, ValueSpan, ValueSpan) const override { return {Value()}; }
  Values jvp(ValueSpan, ValueSpan, ValueSpan) const override { return {Value()}; }
  Kernel bind(const Binding& b) const override {
    const auto n = type.shape.size();
    return whole([key = reinterpret_cast<const std::uint64_t*>(b.in[0]), s = stream,
                  first = b.shard() * n, n, o = b.out[0],
                  t = type.dtype] { kernels::random_uniform(*key, s, first, n, o, t); });
  }
};

// Operations of one module path draw from streams of their own.
std::uint64_t stream_of(std::uint64_t stream, std::uint64_t salt) {
  return fold_in(hash_text(NameScope::current().c_str()), stream * 4 + salt);
}

}  // namespace

Value random_uniform(const Value& key, const Type& type, std::uint64_t stream) {
  return apply(RandomUniformOp(type, stream_of(stream, 0)), {key});
}

Value random_normal(const Value& key, const Type& type, std::uint64_t stream) {
  const Value u = apply(RandomUniformOp(type, stream_of(stream, 1)), {key});
  const Value v = apply(RandomUniformOp(type, stream_of(stream, 2)), {key});
  return sqrt(-2.0 * log(1.0 - u)) * cos((2.0 * std::numbers::pi) * v);
}

Value dropout(const Value& x, const Value& key, double rate, std::uint64_t stream) {
  check_dropout(rate);
  if (rate == 0) return x;
  return x * kept_or_dropped(uniform_of_stream(key, x.type(), dropout_stream(stream)), rate);
}

void check_dropout(double rate) {
  if (rate >= 0 && rate < 1) return;
  throw Error(ErrorKind::usage, fmt::format("dropout rate {} is not in [0, 1)", rate),
              NameScope::current());
}

std::uint64_t dropout_stream(std::uint64_t stream) { return stream_of(stream, 3); }

Value uniform_of_stream(const Value& key, const Type& type, std::uint64_t stream) {
  return apply(RandomUniformOp(type, stream), {key});
}

Value kept_or_dropped(const Value& u, double rate) {
  return greater_equal_mask(u, scalar(rate, u.dtype())) * (1.0 / (1.0 - rate));
}

}  // namespace descent
