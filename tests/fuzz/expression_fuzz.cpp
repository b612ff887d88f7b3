// Any text is a formula or a usage error; what parses builds from numbers, or is refused as a
// usage error too.
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>

#include "descent/base/error.h"
#include "descent/ir/value.h"
#include "descent/optim/expression.h"

using namespace descent;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size == 0) return 0;
  // The first byte chooses the shapes: numbers, vectors or matrices, in turn.
  const unsigned choice = bytes[0];
  const std::string text(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  try {
    const auto formula = optim::Expression::parse(text);
    if (formula.text() != text) std::abort();
    std::map<std::string, Value> bound;
    unsigned k = choice;
    for (const auto& name : formula.names()) {
      if (!formula.uses(name)) std::abort();
      const Shape shapes[] = {{}, {3}, {3, 3}};
      bound[name] = input({DType::float64, shapes[k++ % 3]}, name);
    }
    if (formula.build(bound).dtype() != DType::float64) std::abort();
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::usage || e.where().empty()) std::abort();
  }
  return 0;
}
