// Array: elements in memory with a type and a shape, dense and row-major. Copies share the
// elements (clone() does not).
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "descent/base/dtype.h"
#include "descent/base/memory.h"
#include "descent/base/shape.h"

namespace descent {

class Array {
 public:
  Array() = default;
  Array(DType dtype, Shape shape);  // zeros
  // Elements that live in `owner`'s memory at p.
  Array(DType dtype, Shape shape, std::shared_ptr<std::byte> owner, std::byte* p);
  template <class T>
  static Array from(const std::vector<T>& values, Shape shape);
  template <class T>
  static Array scalar(T value) {
    return from(std::vector<T>{value}, {});
  }

  explicit operator bool() const { return data_ != nullptr; }
  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  std::int64_t size() const { return shape_.size(); }
  std::size_t bytes() const { return static_cast<std::size_t>(size()) * size_of(dtype_); }
  std::byte* raw() const { return data_.get(); }

  // Elements as T; an error where T is not the array's type.
  template <class T>
  std::span<T> as() const {
    check_type(dtype_of<T>);
    return {reinterpret_cast<T*>(data_.get()), static_cast<std::size_t>(size())};
  }
  double item(std::int64_t i = 0) const;        // element i as a double
  void set_item(std::int64_t i, double value);  // rounds to the array's type
  Array clone() const;
  Array cast(DType to) const;                              // converted copy
  Array reshaped(Shape shape) const;                       // shares the elements
  Array rows(std::int64_t begin, std::int64_t end) const;  // shares; along the first axis
  std::vector<double> to_vector() const;

 private:
  void check_type(DType asked) const;
  DType dtype_ = DType::float32;
  Shape shape_;
  std::shared_ptr<std::byte> data_;
};

// Same type, shape and bytes.
bool identical(const Array& a, const Array& b);

template <class T>
Array Array::from(const std::vector<T>& values, Shape shape) {
  Array a(dtype_of<T>, std::move(shape));
  auto out = a.as<T>();
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = values.at(i);
  return a;
}

}  // namespace descent
