// Any bytes are images or a data error; what is recognised is read.
#include <cstdlib>

#include "descent/base/error.h"
#include "descent/data/cifar.h"

using namespace descent;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  const bool recognised = data::is_cifar(text);
  try {
    const auto decoded = data::decode_cifar({{text, "fuzz"}});
    if (!recognised) std::abort();
    if (decoded.images.shape()[0] != static_cast<std::int64_t>(decoded.labels.size())) std::abort();
  } catch (const Error& e) {
    if (recognised || e.kind() != ErrorKind::data) std::abort();
  }
  return 0;
}
