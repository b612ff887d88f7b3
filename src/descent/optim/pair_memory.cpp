#include "descent/optim/pair_memory.h"

#include "descent/ops/linalg.h"
#include "descent/ops/ops.h"

namespace descent::optim {
namespace {

enum Tensor { kS, kY, kSy, kYy, kCount, kNext };

// In place of a divisor that may be 0 where the quotient does not count.
Value nonzero(const Value& x) { return x + equal_mask(x, 0.0); }

Value diagonal_of(const Value& square) {
  return sum(square * eye(square.shape()[0], square.dtype()), {1});
}

Value element(const Value& vector, std::int64_t k) { return slice(vector, 0, k, k + 1); }
Value column(const Value& x, std::int64_t k) {
  return reshape(slice(x, 1, k, k + 1), {x.shape()[0]});
}
Value row(const Value& x, std::int64_t k) { return reshape(slice(x, 0, k, k + 1), {x.shape()[1]}); }

// l a = r
Value forward(const Value& l, Value r) {
  Values a;
  for (std::int64_t k = 0; k < l.shape()[0]; ++k) {
    a.push_back(element(r, k) / element(column(l, k), k));
    r = r - a.back() * column(l, k);
  }
  return concat(a);
}

// l' a = r
Value backward(const Value& l, Value r) {
  const std::int64_t m = l.shape()[0];
  Values a(static_cast<std::size_t>(m));
  for (std::int64_t k = m - 1; k >= 0; --k) {
    auto& now = a[static_cast<std::size_t>(k)];
    now = element(r, k) / element(row(l, k), k);
    r = r - now * row(l, k);
  }
  return concat(a);
}

// rows' coefficients
Value combined(const Value& coefficients, const Value& rows) {
  const auto m = rows.shape()[0], n = rows.shape()[1];
  return reshape(matmul(reshape(coefficients, {1, m}), rows), {n});
}

}  // namespace

std::vector<StateTensor> PairMemory::state(const std::string& name, std::int64_t history,
                                           std::int64_t size, DType dtype) {
  const Type rows{dtype, {history, size}, false}, square{dtype, {history, history}, false},
      number{dtype, {}, false};
  return {{name + ".s", rows},    {name + ".y", rows},       {name + ".sy", square},
          {name + ".yy", square}, {name + ".count", number}, {name + ".next", number}};
}

PairMemory::PairMemory(std::span<Value> state, FirstScale scale)
    : state_(state), scale_(scale), sy_(state[kSy]), yy_(state[kYy]), count_(state[kCount]) {
  // The newest pair lies before the row that is written next.
  const Value at = state[kNext] - 1.0 - ages();
  order_ = cast(at + static_cast<double>(history()) * less_mask(at, 0.0), DType::int64);
}

Value PairMemory::ages() const { return iota(history(), dtype()); }

// Products of the stored rows with a vector, by age. Row by row: each is a product and its sum in
// one pass, with no value of the size of all rows.
Value PairMemory::by_age(const Value& rows, const Value& vector) const {
  Values products;
  for (std::int64_t k = 0; k < history(); ++k)
    products.push_back(reshape(dot(row(rows, k), vector), {1}));
  return gather(concat(products), order_);
}

// A vector by age, one older.
Value PairMemory::with_newest(const Value& newest, const Value& others) const {
  return slice(concat({reshape(newest, {1}), others}), 0, 0, history());
}

Value PairMemory::gram_with_newest(const Value& gram, const Value& corner, const Value& row,
                                   const Value& column) const {
  const auto m = history();
  const Value top = concat({reshape(corner, {1, 1}), reshape(row, {1, m})}, 1);
  const Value rest = concat({reshape(column, {m, 1}), gram}, 1);
  return slice(slice(concat({top, rest}, 0), 0, 0, m), 1, 0, m);
}

void PairMemory::push(const Value& s, const Value& y, const Value& add) {
  s_ = s;
  y_ = y;
  added_ = add;
  const Value older = by_age(state_[kS], y), both = by_age(state_[kY], y);
  sy_ = select(add, gram_with_newest(sy_, dot(s, y), zeros_like(older), older), sy_);
  yy_ = select(add, gram_with_newest(yy_, dot(y, y), both, both), yy_);
  count_ = minimum(count_ + add, static_cast<double>(history()));
}

void PairMemory::clear(const Value& mask) { count_ = select(mask, zeros_like(count_), count_); }

Value PairMemory::first_scale(const Value& diagonal, const Value& valid) const {
  const Value ratio = diagonal / nonzero(diagonal_of(yy_) * valid);
  const Value scale = scale_ == FirstScale::newest ? reshape(element(ratio, 0), {})
                                                   : sum(ratio * valid) / maximum(count_, 1.0);
  return select(count_, scale, ones_like(scale));
}

Value PairMemory::direction(const Value& g) const {
  const auto m = history();
  Value sg = by_age(state_[kS], g), yg = by_age(state_[kY], g);
  if (added_) {
    sg = select(added_, with_newest(dot(s_, g), sg), sg);
    yg = select(added_, with_newest(dot(y_, g), yg), yg);
  }
  const Value valid = less_mask(ages(), count_);
  const Value both = expand_dims(valid, 1) * expand_dims(valid, 0);
  const Value l = sy_ * both + eye(m, dtype()) * (1.0 - valid);
  const Value diagonal = diagonal_of(l), gamma = first_scale(diagonal, valid);
  const Value a = forward(l, sg * valid);
  const Value yya = sum(yy_ * both * expand_dims(a, 0), {1});
  const Value b = backward(l, diagonal * a - gamma * (yg * valid - yya));
  // Of the stored pairs: those of this step's and older by one, where it is taken.
  const auto of_stored = [&](const Value& c) {
    if (!added_) return gather(c, order_);
    const Value younger = slice(concat({c, zeros_like(element(c, 0))}), 0, 1, m + 1);
    return gather(select(added_, younger, c), order_);
  };
  Value ya = combined(of_stored(a), state_[kY]), sb = combined(of_stored(b), state_[kS]);
  if (added_) {
    const Value none = zeros_like(s_);
    ya = ya + reshape(element(a, 0), {}) * select(added_, y_, none);
    sb = sb + reshape(element(b, 0), {}) * select(added_, s_, none);
  }
  return -(gamma * (g - ya) + sb);
}

void PairMemory::store() {
  if (added_) {
    const Value written = expand_dims(equal_mask(ages(), state_[kNext]) * added_, 1);
    state_[kS] = select(written, expand_dims(s_, 0), state_[kS]);
    state_[kY] = select(written, expand_dims(y_, 0), state_[kY]);
    const Value next = state_[kNext] + added_;
    state_[kNext] = next * less_mask(next, static_cast<double>(history()));
  }
  state_[kSy] = sy_;
  state_[kYy] = yy_;
  state_[kCount] = count_;
}

Value joined(ValueSpan parts) {
  Values flat;
  for (const auto& part : parts) flat.push_back(reshape(part, {-1}));
  return flat.size() == 1 ? flat[0] : concat(flat);
}

Values parted(const Value& vector, const std::vector<Parameter>& info) {
  Values parts;
  std::int64_t at = 0;
  for (const auto& p : info) {
    const auto n = p.type.shape.size();
    parts.push_back(reshape(slice(vector, 0, at, at + n), p.type.shape));
    at += n;
  }
  return parts;
}

std::int64_t joined_size(const std::vector<Parameter>& info) {
  std::int64_t n = 0;
  for (const auto& p : info) n += p.type.shape.size();
  return n;
}

}  // namespace descent::optim
