// health.jsonl as far as a report needs it: what was observed of every layer, and what was found.
//
//   {"kind": "observation", "step": 120, "layers": ["0", "2"], "gradient_norm": [0.1, 2.3], ...}
//   {"kind": "finding", "step": 310, ...}
//
// Of an observation every list of numbers counts that has one number for each layer; the names of
// the layers may come once. Lines of other kinds, and what is cut off, are passed over.
#pragma once
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "descent/track/series.h"

namespace descent::track {

class Health {
 public:
  // Reads what has been appended since the last time. A file that is not there is empty.
  void read(const std::string& path);

  const std::vector<std::string>& layers() const { return layers_; }
  // "gradient_norm" -> a series for each layer.
  const std::map<std::string, std::vector<Series>>& measures() const { return measures_; }
  const nlohmann::json& findings() const { return findings_; }

 private:
  void line(const std::string& text);
  void observe(const nlohmann::json& object);

  std::size_t done_ = 0;  // bytes
  std::vector<std::string> layers_;
  std::map<std::string, std::vector<Series>> measures_;
  nlohmann::json findings_ = nlohmann::json::array();
};

}  // namespace descent::track
