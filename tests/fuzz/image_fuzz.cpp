// Any bytes are an image, which fits any size, or a data error.
#include <cstdlib>
#include <vector>

#include "descent/base/error.h"
#include "descent/data/image.h"

using namespace descent;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  try {
    // A small bound, since time and memory grow with the pixels that a file claims.
    const auto image =
        data::decode_image({reinterpret_cast<const char*>(bytes), size}, "fuzz", 1 << 16);
    for (const auto& wanted : {data::ImageSize{3, 5, 9}, data::ImageSize{1, 40, 3}}) {
      std::vector<std::uint8_t> planes(static_cast<std::size_t>(wanted.bytes()));
      data::fit_image(image, wanted, planes.data());
    }
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::data) std::abort();
  }
  return 0;
}
