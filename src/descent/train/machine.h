// What the machine has, for summaries and `descent doctor`.
#pragma once
#include <string>
#include <utility>
#include <vector>

namespace descent::train {

// {"vectors", "AVX3_DL"}, {"processor", "avx2 fma"}, {"threads", "2 of 2 processors"}, ...
std::vector<std::pair<std::string, std::string>> machine();

}  // namespace descent::train
