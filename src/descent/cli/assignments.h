// Lists on the command line: "x=1,y=2", "[64,32],[128]".
#pragma once
#include <string>
#include <utility>
#include <vector>

namespace descent::cli {

// Parts between commas, trimmed. What is in brackets or quotes stays whole.
std::vector<std::string> split_commas(const std::string& text);
// "x=1" at its first =, both sides trimmed; without one the name is empty.
std::pair<std::string, std::string> split_assignment(const std::string& text);

}  // namespace descent::cli
