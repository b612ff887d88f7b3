// Any bytes are sparse rows or a data error. The first byte chooses strictness.
#include <cstdlib>

#include "descent/base/error.h"
#include "descent/data/libsvm.h"

using namespace descent;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  try {
    const data::SparseRows rows = data::parse_libsvm(text, "fuzz", (bytes[0] & 1) != 0);
    const auto n = rows.labels.size();
    if (n == 0 || rows.begins.size() != n + 1 || rows.lines.size() != n) std::abort();
    if (rows.indices.size() != rows.values.size()) std::abort();
    (void)data::densify(rows, "fuzz", std::uint64_t{1} << 24);
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::data) std::abort();
  }
  return 0;
}
