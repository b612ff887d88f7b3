#include "descent/data/dataset.h"

#include <algorithm>
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

Array take_windows(const Dataset& dataset, std::span<const std::int64_t> indices,
                   std::int64_t later) {
  Array out(DType::int64, {static_cast<std::int64_t>(indices.size()), dataset.context});
  auto* to = out.as<std::int64_t>().data();
  for (const auto i : indices) {
    const auto* from = dataset.stream.as<std::int32_t>().data() + i * dataset.context + later;
    to = std::copy_n(from, dataset.context, to);
  }
  return out;
}

}  // namespace

std::string_view name_of(Task task) {
  if (task == Task::language) return "language";
  return task == Task::regression ? "regression" : "classification";
}

std::int64_t Dataset::rows() const {
  if (stream) return std::max<std::int64_t>(stream.size() - 1, 0) / context;
  return features ? features.shape()[0] : 0;
}

std::int64_t Dataset::choices() const {
  if (!stream) return rows();
  return rows() == 0 ? 0 : (stream.size() - context - 1) / stride + 1;
}

Shape Dataset::sample_shape() const {
  if (stream) return {context};
  if (!features) return {};
  const auto& dims = features.shape().dims();
  return Shape(std::vector<std::int64_t>(dims.begin() + 1, dims.end()));
}

Dataset take(const Dataset& dataset, std::span<const std::int64_t> indices) {
  if (dataset.stream) {
    Dataset out;
    out.features = take_windows(dataset, indices, 0);
    out.targets = take_windows(dataset, indices, 1);
    return out;
  }
  Dataset out = dataset;
  out.features = take_rows(dataset.features, indices);
  out.targets = take_rows(dataset.targets, indices);
  out.weights = take_rows(dataset.weights, indices);
  return out;
}

}  // namespace descent::data
