// Any bytes are an array or a data error; an array survives being written and read.
#include <cstdlib>

#include "descent/base/error.h"
#include "descent/data/npy.h"

using namespace descent;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  try {
    const Array array = data::decode_npy({reinterpret_cast<const char*>(bytes), size}, "fuzz");
    if (!identical(data::decode_npy(data::encode_npy(array), "again"), array)) std::abort();
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::data) std::abort();
  }
  return 0;
}
