#include "descent/data/dataset.h"

#include <cstring>

namespace descent::data {
namespace {

Array take_rows(const Array& array, std::span<const std::int64_t> indices) {
  if (!array) return {};
  Shape shape = array.shape();
  shape[0] = static_cast<std::int64_t>(indices.size());
  Array out(array.dtype(), shape);
  const std::size_t row =
      array.shape()[0] == 0 ? 0 : array.bytes() / static_cast<std::size_t>(array.shape()[0]);
  std::byte* to = out.raw();
  for (const auto i : indices) {
    std::memcpy(to, array.raw() + static_cast<std::size_t>(i) * row, row);
    to += row;
  }
  return out;
}

}  // namespace

std::string_view name_of(Task task) {
  return task == Task::regression ? "regression" : "classification";
}

Shape Dataset::sample_shape() const {
  if (!features) return {};
  const auto& dims = features.shape().dims();
  return Shape(std::vector<std::int64_t>(dims.begin() + 1, dims.end()));
}

Dataset take(const Dataset& dataset, std::span<const std::int64_t> indices) {
  Dataset out = dataset;
  out.features = take_rows(dataset.features, indices);
  out.targets = take_rows(dataset.targets, indices);
  out.weights = take_rows(dataset.weights, indices);
  return out;
}

}  // namespace descent::data
