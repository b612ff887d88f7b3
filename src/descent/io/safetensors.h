// Safetensors: named arrays in one file (https://github.com/huggingface/safetensors).
//   u64 little-endian N; N bytes of JSON {"name": {"dtype": "F32", "shape": [2, 3],
//   "data_offsets": [begin, end]}, ..., "__metadata__": {"key": "text"}}; then the elements,
//   row-major, little-endian, without holes. Offsets count from the end of the header.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "descent/base/array.h"

namespace descent::io {

struct TensorFile {
  std::vector<std::pair<std::string, Array>> tensors;  // in the order of the header
  std::map<std::string, std::string> metadata;

  // The tensor of that name, or nullptr.
  const Array* find(const std::string& name) const;
  // The tensor of that name, or a data error that suggests a name.
  const Array& at(const std::string& name, const std::string& where = {}) const;
};

// The bytes of a file: the header is padded with blanks so that elements begin at a multiple of 8,
// and wider types come first, so that every tensor is aligned to its element. Throws an internal
// error for a duplicate or reserved name.
std::string encode(const TensorFile& file);

// The tensors in `bytes`, copied; F16 becomes float32. Every departure from the format is a data
// error that gives `where`, the byte offset or the tensor, and what was expected.
TensorFile decode(std::string_view bytes, const std::string& where);

TensorFile load_safetensors(const std::string& path);
// Atomic: a reader sees the old file or the new one.
void save_safetensors(const std::string& path, const TensorFile& file);

}  // namespace descent::io
