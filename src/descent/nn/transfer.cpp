#include "descent/nn/transfer.h"

#include <fmt/format.h>

#include <algorithm>

#include "descent/base/error.h"
#include "descent/base/glob.h"
#include "descent/base/text.h"

namespace descent::nn {
namespace {

// One entry of TransferOptions::map.
struct Renaming {
  std::string text, from, to;
  bool used = false;

  explicit Renaming(const std::string& entry) : text(entry) {
    const auto arrow = entry.find("->");
    if (arrow != std::string::npos) {
      from = trimmed(entry.substr(0, arrow));
      to = trimmed(entry.substr(arrow + 2));
    }
    const auto stars = [](const std::string& s) { return std::ranges::count(s, '*'); };
    if (from.empty() || to.empty() || stars(from) != stars(to)) {
      throw Error(ErrorKind::usage, fmt::format("\"{}\" maps no names", entry), {},
                  "write \"from -> to\" with as many * on both sides, e.g. \"backbone.* -> *\"");
    }
  }

  // The new name, or empty.
  std::string operator()(const std::string& name) const {
    if (from.find('*') == std::string::npos) {
      if (name == from) return to;
      return name.starts_with(from + ".") ? to + name.substr(from.size()) : "";
    }
    const auto found = captures(from, name);
    if (!found) return {};
    std::string out;
    std::size_t next = 0;
    for (const char c : to) out += c == '*' ? (*found)[next++] : std::string(1, c);
    return out;
  }
};

// PyTorch's batch normalisation counts its updates; nothing here depends on that.
bool is_counter(const std::string& name) { return name.ends_with("num_batches_tracked"); }

// The tensors under the names of the model.
std::map<std::string, const Array*> renamed(const Tree& tensors, const TransferOptions& options) {
  std::vector<Renaming> map(options.map.begin(), options.map.end());
  std::map<std::string, const Array*> out;
  std::vector<std::string> names;
  for (const auto& [name, array] : tensors) {
    if (is_counter(name)) continue;
    names.push_back(name);
    auto to = name;
    for (auto& renaming : map) {
      const auto other = renaming(name);
      if (other.empty()) continue;
      renaming.used = true;
      to = other;
      break;
    }
    if (!out.emplace(to, &array).second) {
      throw Error(ErrorKind::usage, fmt::format("two tensors become \"{}\"", to), {},
                  fmt::format("the second is \"{}\": map it to another name", name));
    }
  }
  for (const auto& renaming : map) {
    if (renaming.used) continue;
    throw Error(ErrorKind::usage, fmt::format("\"{}\" matches no tensor", renaming.text), {},
                did_you_mean(renaming.from, names));
  }
  return out;
}

struct Misfits {
  std::vector<std::vector<std::string>> rows;  // what, name, in the file, in the model

  void add(const char* what, const std::string& name, const Array* found, const Variable* wanted) {
    rows.push_back({what, name, found != nullptr ? to_string(found->shape()) : "-",
                    wanted != nullptr ? to_string(wanted->type.shape) : "-"});
  }
  std::string table() const {
    std::vector<std::size_t> widths{0, 4, 7};
    for (const auto& row : rows) {
      for (std::size_t i = 0; i < 3; ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    std::string out = fmt::format("{:{}}  {:{}}  {:{}}  model", "", widths[0], "name", widths[1],
                                  "file", widths[2]);
    for (const auto& row : rows) {
      out += fmt::format("\n{:{}}  {:{}}  {:{}}  {}", row[0], widths[0], row[1], widths[1], row[2],
                         widths[2], row[3]);
    }
    return out;
  }
};

}  // namespace

Transferred transfer(std::vector<Variable>& variables, const Tree& tensors,
                     const TransferOptions& options, const std::string& where) try {
  auto found = renamed(tensors, options);
  std::vector<std::string> names;
  for (const auto& v : variables) names.push_back(v.name);
  for (const auto& [name, array] : found) names.push_back(name);
  require_matches(options.skip, names, "init_skip");

  Transferred result;
  Misfits misfits;
  for (auto& v : variables) {
    const auto it = found.find(v.name);
    const auto* array = it == found.end() ? nullptr : it->second;
    if (it != found.end()) found.erase(it);
    if (matches_any(options.skip, v.name)) continue;
    if (array == nullptr) {
      misfits.add("missing", v.name, nullptr, &v);
      result.missing.push_back(v.name);
    } else if (array->shape() != v.type.shape) {
      misfits.add("shape", v.name, array, &v);
      result.differing.push_back(v.name);
    } else {
      result.taken.push_back(v.name);
      v.init = [value = *array](DType dtype, const Shape&, std::uint64_t) {
        return value.dtype() == dtype ? value.clone() : value.cast(dtype);
      };
    }
  }
  for (const auto& [name, array] : found) {
    if (matches_any(options.skip, name)) continue;
    misfits.add("unexpected", name, array, nullptr);
    result.unexpected.push_back(name);
  }
  if (misfits.rows.empty() || (!options.strict && !result.taken.empty())) return result;
  throw Error(ErrorKind::usage,
              options.strict
                  ? fmt::format("{} of {} names do not fit the model", misfits.rows.size(),
                                misfits.rows.size() + result.taken.size())
                  : "none of the names fits the model",
              {},
              misfits.table() +
                  "\nrename by init_map = [\"from -> to\"], list what may differ in init_skip = "
                  "[\"head.*\"], or take what fits with init_strict = false");
} catch (const Error& error) {
  throw error.at(where);
}

void freeze(std::vector<Variable>& variables, const std::vector<std::string>& patterns) {
  std::vector<std::string> names;
  for (const auto& v : variables) {
    if (v.trained) names.push_back(v.name);
  }
  require_matches(patterns, names, "freeze");
  std::size_t left = names.size();
  for (auto& v : variables) {
    if (!v.trained || !matches_any(patterns, v.name)) continue;
    v.trained = false;
    v.frozen = true;
    --left;
  }
  if (left > 0 || patterns.empty()) return;
  throw Error(ErrorKind::usage, "freeze leaves no parameter to train", {},
              "leave out the patterns of the layers that are to learn");
}

}  // namespace descent::nn
