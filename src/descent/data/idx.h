// IDX, the format of MNIST: two zero bytes, a type, the rank, the extents and the elements, all
// big-endian (http://yann.lecun.com/exdb/mnist/).
#pragma once
#include <string>
#include <string_view>

#include "descent/base/array.h"

namespace descent::data {

// The array in `bytes`: unsigned bytes as uint8, signed bytes, shorts and ints as int32, floats as
// float32, doubles as float64. Errors are of kind data and give byte offsets.
Array decode_idx(std::string_view bytes, const std::string& where);

}  // namespace descent::data
