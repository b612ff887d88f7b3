#include "descent/data/libsvm.h"

#include <algorithm>

#include "descent/data/registry.h"

namespace descent::data {
namespace {

// Whether one of the first lines is "label index:value ..." and none is anything else.
bool looks_sparse(const std::string& bytes) {
  constexpr std::size_t sample = std::size_t{64} << 10;
  std::string_view text = std::string_view(bytes).substr(0, sample);
  if (text.size() < bytes.size()) text = text.substr(0, text.rfind('\n') + 1);
  try {
    const SparseRows rows = parse_libsvm(text, "", true);
    return !rows.indices.empty();
  } catch (const Error&) {
    return false;
  }
}

int recognise(const Origin& origin) {
  if (origin.folder || origin.bytes.empty()) return 0;
  const auto names = {"libsvm", "svm", "svmlight"};
  if (std::ranges::find(names, origin.extension) != names.end()) return 80;
  return looks_sparse(origin.bytes) ? 60 : 0;
}

Tables read(const Origin& origin, const Options& options, std::uint64_t) {
  const bool strict = options.has("strict") && options.boolean("strict");
  SparseRows rows = parse_libsvm(origin.bytes, origin.path, strict);
  Table table;
  table.where = origin.path;
  table.rows = rows.rows();
  table.block = densify(rows, origin.path);
  table.sparse = true;
  table.columns.push_back({.name = "label", .numbers = std::move(rows.labels)});
  table.origin = std::move(rows.lines);
  table.warnings = std::move(rows.warnings);
  return {.train = std::move(table)};
}

}  // namespace

void register_libsvm(ReaderRegistry& registry) {
  registry.add({.name = "libsvm",
                .help = "sparse rows \"label index:value ...\" of LIBSVM and SVMlight, made dense",
                .make = [] { return Reader{.recognise = recognise, .read = read}; }});
}

}  // namespace descent::data
