#include "descent/base/options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <type_traits>

#include "descent/base/error.h"
#include "descent/base/text.h"

namespace descent {
namespace {

using Integers = std::vector<std::int64_t>;
using Numbers = std::vector<double>;
using Texts = std::vector<std::string>;
using Layers = std::vector<LayerConfig>;

// What one must write for an option of this type, for error messages.
std::string_view phrase(OptionType type) {
  constexpr std::string_view phrases[] = {
      "true or false",      "an integer",        "a number",        "a text",
      "a list of integers", "a list of numbers", "a list of texts", "a list of layers"};
  return phrases[static_cast<int>(type)];
}

[[noreturn]] void fail(const Option& option, const std::string& problem, const std::string& where,
                       const std::string& remedy = {}) {
  throw Error(ErrorKind::usage, fmt::format("option \"{}\" {}", option.key, problem), where,
              remedy);
}

// ---- writing ----

std::string write(bool x) { return x ? "true" : "false"; }
std::string write(std::int64_t x) { return fmt::format("{}", x); }

// The shortest text that reads back as x; with a point or exponent, so that it stays a float.
std::string write(double x) {
  if (std::isnan(x)) return "nan";
  if (std::isinf(x)) return x < 0 ? "-inf" : "inf";
  auto text = fmt::format("{}", x);
  const auto e = text.find('e');
  if (e == std::string::npos) return text.find('.') == std::string::npos ? text + ".0" : text;
  auto digits = e + 1;  // fmt pads exponents to two digits and writes "+": 1e-05 -> 1e-5
  if (text[digits] == '+') text.erase(digits, 1);
  if (text[digits] == '-') ++digits;
  while (digits + 1 < text.size() && text[digits] == '0') text.erase(digits, 1);
  return text;
}

std::string write(const std::string& x) {
  std::string out = "\"";
  for (const char c : x) {
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\u{:04X}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

// As an inline table, its type first.
std::string write(const LayerConfig& layer) {
  std::string out = "{type = " + write(layer.type);
  for (const auto& [key, value] : layer.options.values()) {
    if (layer.options.has(key)) out += fmt::format(", {} = {}", key, to_string(value));
  }
  return out + "}";
}

template <class T>
std::string write(const std::vector<T>& list) {
  std::vector<std::string> parts;
  for (const auto& x : list) parts.push_back(write(x));
  return fmt::format("[{}]", fmt::join(parts, ", "));
}

// ---- checking ----

void check_number(const Option& option, double x, const std::string& where) {
  // Negated, so that NaN is outside every bound.
  if ((!option.min || x >= *option.min) && (!option.max || x <= *option.max)) return;
  if (option.min && option.max) {
    fail(option, fmt::format("must lie between {} and {}, not {}", *option.min, *option.max, x),
         where);
  }
  if (option.min) fail(option, fmt::format("must be at least {}, not {}", *option.min, x), where);
  fail(option, fmt::format("must be at most {}, not {}", *option.max, x), where);
}

void check_text(const Option& option, const std::string& x, const std::string& where) {
  if (option.choices.empty() || std::ranges::find(option.choices, x) != option.choices.end())
    return;
  fail(option, fmt::format("has no choice {}", write(x)), where, did_you_mean(x, option.choices));
}

void check_range(const Option& option, const OptionValue& value, const std::string& where) {
  std::visit(
      [&](const auto& x) {
        using T = std::decay_t<decltype(x)>;
        if constexpr (std::is_same_v<T, std::int64_t> || std::is_same_v<T, double>) {
          check_number(option, static_cast<double>(x), where);
        } else if constexpr (std::is_same_v<T, Integers> || std::is_same_v<T, Numbers>) {
          for (const auto one : x) check_number(option, static_cast<double>(one), where);
        } else if constexpr (std::is_same_v<T, std::string>) {
          check_text(option, x, where);
        } else if constexpr (std::is_same_v<T, Texts>) {
          for (const auto& one : x) check_text(option, one, where);
        }
      },
      value);
}

bool is_empty_list(const OptionValue& value) {
  return std::visit(
      [](const auto& x) {
        using T = std::decay_t<decltype(x)>;
        if constexpr (std::is_same_v<T, Integers> || std::is_same_v<T, Numbers> ||
                      std::is_same_v<T, Texts> || std::is_same_v<T, Layers>) {
          return x.empty();
        } else {
          return false;
        }
      },
      value);
}

// Integers become numbers where numbers are wanted; an empty list is a list of anything (TOML's
// [] has no type).
OptionValue convert(OptionType type, OptionValue value) {
  if (type == OptionType::number) {
    if (const auto* i = std::get_if<std::int64_t>(&value)) return static_cast<double>(*i);
  }
  if (type == OptionType::numbers) {
    if (const auto* list = std::get_if<Integers>(&value))
      return Numbers(list->begin(), list->end());
  }
  // `kernel = 3` is a kernel of [3], `padding = 1` the text "1".
  if (const auto* i = std::get_if<std::int64_t>(&value)) {
    if (type == OptionType::integers) return Integers{*i};
    if (type == OptionType::text) return std::to_string(*i);
  }
  if (is_empty_list(value)) {
    if (type == OptionType::integers) return Integers{};
    if (type == OptionType::numbers) return Numbers{};
    if (type == OptionType::texts) return Texts{};
    if (type == OptionType::layers) return Layers{};
  }
  return value;
}

bool has_type(const OptionValue& value, OptionType type) {
  return value.index() == static_cast<std::size_t>(type) + 1;  // after monostate, in enum order
}

// ---- reading ----

// All of `text` as a T, with TOML's leading + and underscores between digits; false otherwise.
template <class T>
bool read(std::string text, T& out) {
  for (std::size_t i = 1; i + 1 < text.size(); ++i) {
    if (text[i] == '_' && std::isdigit(static_cast<unsigned char>(text[i - 1])) &&
        std::isdigit(static_cast<unsigned char>(text[i + 1]))) {
      text.erase(i, 1);
    }
  }
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.erase(0, 1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

template <class T>
T read_number(const Option& option, const std::string& text, const std::string& where) {
  T x{};
  if (read(trimmed(text), x)) return x;
  double other = 0;
  const bool fractional = std::is_integral_v<T> && read(trimmed(text), other);
  fail(option, fmt::format("must be {}, not {}", phrase(option.type), write(text)), where,
       fractional ? "write it without a point or exponent" : "");
}

// "plain text" as it is; "\"quoted\"" without its quotes and with TOML's short escapes undone.
std::string unquoted(const std::string& text) {
  if (text.size() < 2 || text.front() != '"' || text.back() != '"') return text;
  constexpr std::string_view letters = "\"\\nrt", meanings = "\"\\\n\r\t";
  std::string out;
  for (std::size_t i = 1; i + 1 < text.size(); ++i) {
    const auto escape =
        text[i] == '\\' && i + 2 < text.size() ? letters.find(text[i + 1]) : std::string::npos;
    if (escape == std::string::npos) {
      out += text[i];
    } else {
      out += meanings[escape];
      ++i;
    }
  }
  return out;
}

// "[a, b]" or "a,b" to its items; commas inside double quotes do not split.
Texts items(const std::string& list) {
  auto text = trimmed(list);
  if (text.size() >= 2 && text.front() == '[' && text.back() == ']') {
    text = trimmed(text.substr(1, text.size() - 2));
  }
  Texts out;
  if (text.empty()) return out;
  std::string item;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\' && i + 1 < text.size()) {
      item += text[i++];
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (text[i] == ',' && !quoted) {
      out.push_back(trimmed(item));
      item.clear();
      continue;
    }
    item += text[i];
  }
  if (item = trimmed(item); !item.empty()) out.push_back(item);  // TOML allows a comma at the end
  return out;
}

template <class T>
std::vector<T> read_numbers(const Option& option, const std::string& text,
                            const std::string& where) {
  std::vector<T> out;
  for (const auto& item : items(text)) out.push_back(read_number<T>(option, item, where));
  return out;
}

template <class T>
const T* get(const OptionValue* value) {
  return value == nullptr ? nullptr : std::get_if<T>(value);
}

// A reader asked for an option that is not there or has another type: our defect, not the user's.
[[noreturn]] void misread(const std::string& key, OptionType type) {
  throw Error(ErrorKind::internal, fmt::format("option \"{}\" was read as {} but is not set to one",
                                               key, name_of(type)));
}

}  // namespace

std::string_view name_of(OptionType type) {
  constexpr std::string_view names[] = {"boolean",  "integer", "number", "text",
                                        "integers", "numbers", "texts",  "layers"};
  return names[static_cast<int>(type)];
}

std::string to_string(const OptionValue& value) {
  return std::visit(
      [](const auto& x) -> std::string {
        if constexpr (std::is_same_v<std::decay_t<decltype(x)>, std::monostate>) {
          return {};
        } else {
          return write(x);
        }
      },
      value);
}

void Options::set(const std::string& key, OptionValue value) { values_[key] = std::move(value); }

bool operator==(const LayerConfig& a, const LayerConfig& b) {
  return a.type == b.type && a.options.values() == b.options.values();
}

const OptionValue* Options::find(const std::string& key) const {
  const auto it = values_.find(key);
  return it == values_.end() ? nullptr : &it->second;
}

bool Options::has(const std::string& key) const {
  const auto* value = find(key);
  return value != nullptr && !std::holds_alternative<std::monostate>(*value);
}

bool Options::boolean(const std::string& key) const {
  if (const auto* x = get<bool>(find(key))) return *x;
  misread(key, OptionType::boolean);
}

std::int64_t Options::integer(const std::string& key) const {
  if (const auto* x = get<std::int64_t>(find(key))) return *x;
  misread(key, OptionType::integer);
}

double Options::number(const std::string& key) const {
  if (const auto* x = get<double>(find(key))) return *x;
  if (const auto* x = get<std::int64_t>(find(key))) return static_cast<double>(*x);
  misread(key, OptionType::number);
}

const std::string& Options::text(const std::string& key) const {
  if (const auto* x = get<std::string>(find(key))) return *x;
  misread(key, OptionType::text);
}

Integers Options::integers(const std::string& key) const {
  if (const auto* x = get<Integers>(find(key))) return *x;
  misread(key, OptionType::integers);
}

Numbers Options::numbers(const std::string& key) const {
  if (const auto* x = get<Numbers>(find(key))) return *x;
  if (const auto* x = get<Integers>(find(key))) return Numbers(x->begin(), x->end());
  misread(key, OptionType::numbers);
}

Texts Options::texts(const std::string& key) const {
  if (const auto* x = get<Texts>(find(key))) return *x;
  misread(key, OptionType::texts);
}

const Layers& Options::layers(const std::string& key) const {
  static const Layers none;
  if (!has(key)) return none;
  if (const auto* x = get<Layers>(find(key))) return *x;
  misread(key, OptionType::layers);
}

OptionValue check(const Option& option, OptionValue value, const std::string& where) {
  if (std::holds_alternative<std::monostate>(value)) {
    if (option.required) fail(option, "is required", where, option.help);
    return value;
  }
  value = convert(option.type, std::move(value));
  if (!has_type(value, option.type)) {
    const auto* x = std::get_if<double>(&value);
    const bool whole = option.type == OptionType::integer && x != nullptr && *x == std::floor(*x);
    fail(option, fmt::format("must be {}, not {}", phrase(option.type), to_string(value)), where,
         whole ? "write it without a point or exponent" : "");
  }
  check_range(option, value, where);
  return value;
}

Options resolve(const std::vector<Option>& described, const Options& given,
                const std::string& where) {
  Texts keys;
  for (const auto& option : described) keys.push_back(option.key);
  for (const auto& [key, value] : given.values()) {
    if (std::ranges::find(keys, key) != keys.end()) continue;
    throw Error(ErrorKind::usage, fmt::format("unknown option \"{}\"", key), where,
                keys.empty() ? "there are no options here" : did_you_mean(key, keys));
  }
  Options out;
  for (const auto& option : described) {
    auto value =
        given.has(option.key) ? check(option, *given.find(option.key), where) : option.fallback;
    if (std::holds_alternative<std::monostate>(value)) {
      if (option.required) fail(option, "is required", where, option.help);
      continue;
    }
    out.set(option.key, convert(option.type, std::move(value)));
  }
  return out;
}

OptionValue parse_value(const Option& option, const std::string& text, const std::string& where) {
  OptionValue value;
  switch (option.type) {
    case OptionType::boolean: {
      const auto word = trimmed(text);
      if (word != "true" && word != "false") {
        fail(option, fmt::format("must be true or false, not {}", write(text)), where);
      }
      value = word == "true";
      break;
    }
    case OptionType::integer:
      value = read_number<std::int64_t>(option, text, where);
      break;
    case OptionType::number:
      value = read_number<double>(option, text, where);
      break;
    case OptionType::text:
      value = unquoted(text);
      break;
    case OptionType::integers:
      value = read_numbers<std::int64_t>(option, text, where);
      break;
    case OptionType::numbers:
      value = read_numbers<double>(option, text, where);
      break;
    case OptionType::texts: {
      Texts list = items(text);
      for (auto& item : list) item = unquoted(item);
      value = std::move(list);
      break;
    }
    case OptionType::layers:
      fail(option, "cannot be written as a text", where,
           "write its layers in a configuration file");
  }
  return check(option, std::move(value), where);
}

}  // namespace descent
