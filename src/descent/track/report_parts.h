// The files that report.html is made of, compiled in (descent_embed in CMakeLists.txt).
#pragma once
#include <string_view>

namespace descent::track::parts {

std::string_view uplot_js();
std::string_view uplot_css();
std::string_view report_js();
std::string_view report_css();

}  // namespace descent::track::parts
