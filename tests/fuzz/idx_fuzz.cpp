// Any bytes are an array or a data error.
#include <cstdlib>

#include "descent/base/error.h"
#include "descent/data/idx.h"

using namespace descent;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  try {
    const Array array = data::decode_idx({reinterpret_cast<const char*>(bytes), size}, "fuzz");
    for (std::int64_t i = 0; i < array.size(); ++i) (void)array.item(i);
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::data) std::abort();
  }
  return 0;
}
