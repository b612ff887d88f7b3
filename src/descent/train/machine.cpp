#include "descent/train/machine.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/utsname.h>

#include <thread>

#include "descent/base/error.h"
#include "descent/base/file.h"
#include "descent/base/threads.h"
#include "descent/kernels/eltwise.h"

namespace descent::train {
namespace {

std::string processor_features() {
  std::vector<std::string> names;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2")) names.emplace_back("avx2");
  if (__builtin_cpu_supports("fma")) names.emplace_back("fma");
  if (__builtin_cpu_supports("avx512f")) names.emplace_back("avx512f");
  if (__builtin_cpu_supports("avx512vnni")) names.emplace_back("avx512vnni");
  if (__builtin_cpu_supports("avx512bf16")) names.emplace_back("avx512bf16");
#endif
  return fmt::format("{}", fmt::join(names, " "));
}

// The part in brackets: "always [madvise] never".
std::string huge_pages() {
  try {
    const auto text = read_file("/sys/kernel/mm/transparent_hugepage/enabled");
    const auto begin = text.find('['), end = text.find(']');
    if (begin < end && end != std::string::npos) return text.substr(begin + 1, end - begin - 1);
  } catch (const Error&) {
  }
  return "unknown";
}

std::string system_name() {
  utsname names{};
  if (uname(&names) != 0) return "unknown";
  return fmt::format("{} {} {}", names.sysname, names.release, names.machine);
}

}  // namespace

std::vector<std::pair<std::string, std::string>> machine() {
  return {{"vectors", std::string(kernels::simd_target())},
          {"processor", processor_features()},
          {"threads",
           fmt::format("{} of {} processors", processors(), std::thread::hardware_concurrency())},
          {"huge pages", huge_pages()},
          {"system", system_name()}};
}

}  // namespace descent::train
