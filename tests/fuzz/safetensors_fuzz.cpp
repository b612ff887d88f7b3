// Any bytes are tensors or a data error; tensors survive being written and read.
#include <cstdlib>

#include "descent/base/error.h"
#include "descent/io/safetensors.h"

using namespace descent;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  try {
    const auto file = io::decode({reinterpret_cast<const char*>(bytes), size}, "fuzz");
    const auto again = io::decode(io::encode(file), "again");
    if (again.tensors.size() != file.tensors.size()) std::abort();
    if (again.metadata != file.metadata) std::abort();
    for (std::size_t i = 0; i < file.tensors.size(); ++i) {
      if (again.tensors[i].first != file.tensors[i].first) std::abort();
      if (!identical(again.tensors[i].second, file.tensors[i].second)) std::abort();
    }
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::data) std::abort();
  }
  return 0;
}
