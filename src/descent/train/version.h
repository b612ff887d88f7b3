// Versions of descent and of the libraries it runs on.
#pragma once
#include <nlohmann/json.hpp>

namespace descent::train {

inline constexpr const char* kVersion = "0.1.0";
// {"descent": "0.1.0", "onednn": "2.6.3", ...}: as linked, for summaries and `descent doctor`.
nlohmann::json versions();

}  // namespace descent::train
