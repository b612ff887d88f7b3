// Any bytes are a table or a data error. The first byte chooses the options.
#include <cstdlib>

#include "descent/base/error.h"
#include "descent/data/csv.h"

using namespace descent;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size == 0) return 0;
  const unsigned choice = bytes[0];
  const std::string_view text(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  data::CsvOptions options;
  options.strict = (choice & 1) != 0;
  if ((choice & 2) != 0) options.header = (choice & 4) != 0;
  constexpr char separators[] = {'\0', ',', ' ', '\t'};
  options.separator = separators[choice >> 3 & 3];
  if ((choice & 32) != 0) options.quote = '\0';
  try {
    const data::Table table = data::parse_csv(text, "fuzz", options);
    const auto rows = static_cast<std::size_t>(table.rows);
    if (rows == 0 || table.origin.size() != rows) std::abort();
    for (const auto& column : table.columns) {
      const bool numeric = column.kind == data::Column::Kind::numeric;
      if ((numeric ? column.numbers.size() : column.codes.size()) != rows) std::abort();
      for (const auto code : column.codes) {
        if (code < -1 || code >= static_cast<int>(column.dictionary.size())) std::abort();
      }
    }
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::data) std::abort();
  }
  return 0;
}
