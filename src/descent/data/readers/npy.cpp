#include "descent/data/npy.h"

#include "descent/data/block.h"
#include "descent/data/registry.h"

namespace descent::data {
namespace {

int recognise(const Origin& origin) { return origin.bytes.starts_with("\x93NUMPY") ? 100 : 0; }

Tables read(const Origin& origin, const Options&, std::uint64_t) {
  return {.train = block_table(decode_npy(origin.bytes, origin.path), origin.path)};
}

}  // namespace

void register_npy(ReaderRegistry& registry) {
  registry.add({.name = "npy",
                .help = "a NumPy array [rows, ...]; its targets are another, data.targets",
                .make = [] { return Reader{.recognise = recognise, .read = read}; }});
}

}  // namespace descent::data
