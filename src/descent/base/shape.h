// Shapes and the broadcasting rule (NumPy's: align at the right, 1 stretches).
#pragma once
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

namespace descent {

// Extents, outermost first, row-major. A scalar has rank 0 and one element.
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<std::int64_t> dims) : dims_(dims) {}
  explicit Shape(std::vector<std::int64_t> dims) : dims_(std::move(dims)) {}

  int rank() const { return static_cast<int>(dims_.size()); }
  // Axis may be negative: -1 is the last.
  std::int64_t operator[](int axis) const {
    return dims_[static_cast<std::size_t>(axis < 0 ? axis + rank() : axis)];
  }
  std::int64_t& operator[](int axis) {
    return dims_[static_cast<std::size_t>(axis < 0 ? axis + rank() : axis)];
  }
  std::int64_t size() const;  // number of elements
  const std::vector<std::int64_t>& dims() const { return dims_; }
  auto begin() const { return dims_.begin(); }
  auto end() const { return dims_.end(); }
  void push_back(std::int64_t d) { dims_.push_back(d); }
  std::vector<std::int64_t> strides() const;  // row-major, in elements

  friend bool operator==(const Shape&, const Shape&) = default;

 private:
  std::vector<std::int64_t> dims_;
};

// "[128, 784]"
std::string to_string(const Shape& shape);

// Common shape of two operands, or nothing where they do not fit.
std::optional<Shape> broadcast(const Shape& a, const Shape& b);

}  // namespace descent
