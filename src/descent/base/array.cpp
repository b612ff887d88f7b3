#include "descent/base/array.h"

#include <fmt/format.h>

#include <cstring>

#include "descent/base/error.h"

namespace descent {

Array::Array(DType dtype, Shape shape) : dtype_(dtype), shape_(std::move(shape)) {
  data_ = allocate(bytes());
}

Array::Array(DType dtype, Shape shape, std::shared_ptr<std::byte> owner, std::byte* p)
    : dtype_(dtype), shape_(std::move(shape)), data_(std::move(owner), p) {}

void Array::check_type(DType asked) const {
  if (asked == dtype_) return;
  throw Error(ErrorKind::internal,
              fmt::format("array of {} read as {}", name_of(dtype_), name_of(asked)));
}

double Array::item(std::int64_t i) const {
  return dispatch(dtype_, [&](auto t) {
    using T = decltype(t);
    const T x = reinterpret_cast<const T*>(data_.get())[i];
    if constexpr (std::is_same_v<T, bfloat16>)
      return static_cast<double>(static_cast<float>(x));
    else
      return static_cast<double>(x);
  });
}

void Array::set_item(std::int64_t i, double value) {
  dispatch(dtype_, [&](auto t) {
    using T = decltype(t);
    auto& x = reinterpret_cast<T*>(data_.get())[i];
    if constexpr (std::is_same_v<T, bfloat16>)
      x = bfloat16(static_cast<float>(value));
    else
      x = static_cast<T>(value);
  });
}

Array Array::clone() const {
  Array copy(dtype_, shape_);
  if (bytes() > 0) std::memcpy(copy.raw(), raw(), bytes());
  return copy;
}

Array Array::cast(DType to) const {
  if (to == dtype_) return clone();
  Array out(to, shape_);
  for (std::int64_t i = 0; i < size(); ++i) out.set_item(i, item(i));
  return out;
}

Array Array::reshaped(Shape shape) const {
  if (shape.size() != size()) {
    throw Error(ErrorKind::internal, fmt::format("array of shape {} reshaped to {}",
                                                 to_string(shape_), to_string(shape)));
  }
  Array a = *this;
  a.shape_ = std::move(shape);
  return a;
}

Array Array::rows(std::int64_t begin, std::int64_t end) const {
  Shape shape = shape_;
  const auto row = shape_[0] == 0 ? 0 : bytes() / static_cast<std::size_t>(shape_[0]);
  shape[0] = end - begin;
  return {dtype_, std::move(shape), data_, data_.get() + static_cast<std::size_t>(begin) * row};
}

std::vector<double> Array::to_vector() const {
  std::vector<double> v(static_cast<std::size_t>(size()));
  for (std::int64_t i = 0; i < size(); ++i) v[static_cast<std::size_t>(i)] = item(i);
  return v;
}

bool identical(const Array& a, const Array& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() &&
         (a.bytes() == 0 || std::memcmp(a.raw(), b.raw(), a.bytes()) == 0);
}

}  // namespace descent
