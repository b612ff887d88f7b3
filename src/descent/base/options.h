// One description of an option drives parsing, defaults, --help, "did you mean" and the generated
// configuration reference. Layers, losses, optimizers, schedules and the sections of the
// configuration file all describe theirs with it.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace descent {

enum class OptionType { boolean, integer, number, text, integers, numbers, texts, layers };
std::string_view name_of(OptionType type);

struct LayerConfig;
// std::monostate: no value (the option has no default, or "not set").
using OptionValue =
    std::variant<std::monostate, bool, std::int64_t, double, std::string, std::vector<std::int64_t>,
                 std::vector<double>, std::vector<std::string>, std::vector<LayerConfig>>;
// As TOML writes it: true, 3, 1e-3, "text", [1, 2], [{type = "relu"}].
std::string to_string(const OptionValue& value);

struct Option {
  std::string key;
  OptionType type = OptionType::text;
  OptionValue fallback;              // the default; monostate: none
  std::string help;                  // meaning, unit, source
  std::vector<std::string> choices;  // for text: the values allowed; empty: any
  std::optional<double> min, max;    // for numbers: inclusive bounds
  bool required = false;
};

// Values by key, already checked against a list of Option and with defaults filled in.
class Options {
 public:
  void set(const std::string& key, OptionValue value);
  bool has(const std::string& key) const;  // present and not monostate
  bool boolean(const std::string& key) const;
  std::int64_t integer(const std::string& key) const;
  double number(const std::string& key) const;  // an integer is a number too
  const std::string& text(const std::string& key) const;
  std::vector<std::int64_t> integers(const std::string& key) const;
  std::vector<double> numbers(const std::string& key) const;
  std::vector<std::string> texts(const std::string& key) const;
  const std::map<std::string, OptionValue>& values() const { return values_; }
  const OptionValue* find(const std::string& key) const;
  // Empty where there is no value.
  const std::vector<LayerConfig>& layers(const std::string& key) const;

 private:
  std::map<std::string, OptionValue> values_;
};

// One table of a list of layers, [[model.layers]] or inside of another layer: which layer, and its
// options.
struct LayerConfig {
  std::string type;
  Options options;
  std::string where;  // "config.toml:12:1", for errors; no part of the value
  friend bool operator==(const LayerConfig& a, const LayerConfig& b);
};

// Checks `given` against `described`: unknown keys ("did you mean"), types, choices, bounds,
// required ones; fills defaults. `where` begins the place in an error ("config.toml:4:1
// [optimizer]").
Options resolve(const std::vector<Option>& described, const Options& given,
                const std::string& where);
// Checks one value (an integer where a number is wanted is converted); throws a usage error.
OptionValue check(const Option& option, OptionValue value, const std::string& where);
// Reads `text` as the command line writes it ("0.1", "true", "[1,2]", "1,2", plain text).
OptionValue parse_value(const Option& option, const std::string& text, const std::string& where);

}  // namespace descent
