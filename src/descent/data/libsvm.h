// The sparse text format of LIBSVM and SVMlight, one row a line:
//   label [qid:n] index:value index:value ... # comment
// with indices from 1, ascending; absent ones are 0.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "descent/base/array.h"

namespace descent::data {

// Rows with their non-zero values; row i has the entries [begins[i], begins[i + 1]).
struct SparseRows {
  std::vector<double> labels;
  std::vector<std::int64_t> begins = {0};
  std::vector<std::int32_t> indices;  // from 0
  std::vector<float> values;
  std::int64_t columns = 0;         // largest index + 1
  std::vector<std::int64_t> lines;  // of each row, from 1
  std::vector<std::string> warnings;

  std::int64_t rows() const { return static_cast<std::int64_t>(labels.size()); }
};

// Errors are of kind data with "where:line:byte". Without `strict` malformed rows are left out
// with one warning; more bad rows than good ones are an error.
SparseRows parse_libsvm(std::string_view text, const std::string& where, bool strict);

// float32 [rows, columns]; a data error where it would take more than `most_bytes`.
Array densify(const SparseRows& rows, const std::string& where,
              std::uint64_t most_bytes = std::uint64_t{4} << 30);

}  // namespace descent::data
