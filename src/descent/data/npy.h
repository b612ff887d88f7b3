// NumPy's .npy format, versions 1 to 3:
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#pragma once
#include <string>
#include <string_view>

#include "descent/base/array.h"

namespace descent::data {

// The array in `bytes`: little-endian f4 f8 i4 i8 u1 b1, in C or Fortran order (the latter is
// transposed). `where` begins the place of errors, which are of kind data and give byte offsets.
Array decode_npy(std::string_view bytes, const std::string& where);

// Version 1, C order, data aligned to 64 bytes. bfloat16 is written as float32.
std::string encode_npy(const Array& array);

}  // namespace descent::data
