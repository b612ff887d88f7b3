// Any bytes as a configuration file: refused with an Error, or resolved to a configuration that
// comes back the same from its own text and JSON.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "descent/base/error.h"
#include "descent/cli/config_file.h"
#include "descent/train/config.h"

namespace {

using namespace descent;

void require(bool condition) {
  if (!condition) std::abort();
}

void check_round_trip(const train::Config& config) {
  const auto json = to_json(config);
  const auto text = cli::config_text(config, "title");
  require(to_json(train::resolve(cli::parse_config(text, "again.toml"))) == json);
  require(to_json(train::config_from_json(nlohmann::json::parse(json.dump()))) == json);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  train::Config config;
  try {
    auto raw = cli::parse_config(text, "fuzz.toml");
    // The first line is an assignment, too.
    if (text.starts_with("#")) raw.set(text.substr(1, text.find('\n') - 1), "--set");
    config = train::resolve(raw);
  } catch (const Error&) {
    return 0;
  }
  check_round_trip(config);
  return 0;
}
