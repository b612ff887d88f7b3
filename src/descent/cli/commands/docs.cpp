// descent docs: writes docs/configuration.md from the schema, or checks that it is up to date.
#include <fmt/format.h>

#include <filesystem>

#include "descent/base/error.h"
#include "descent/base/file.h"
#include "descent/cli/reference.h"
#include "descent/cli/registry.h"
#include "descent/cli/run_directory.h"

namespace descent::cli {
namespace {

struct Arguments {
  std::string directory;
  bool check = false;
};

int run(const Arguments& a) {
  const auto path = in(a.directory, "configuration.md");
  const auto text = configuration_reference();
  if (!a.check) {
    std::filesystem::create_directories(a.directory);
    write_file_atomic(path, text);
    return 0;
  }
  const bool same = std::filesystem::exists(path) && read_file(path) == text;
  if (!same) {
    fmt::print(stderr, "{}: differs from the program's options; write it anew: descent docs {}\n",
               path, a.directory);
  }
  return same ? 0 : 1;
}

void describe(CLI::App& command, Arguments& a) {
  command.add_option("DIR", a.directory, "Where configuration.md lies")->required();
  command.add_flag("--check", a.check, "Write nothing; exit code 1 where the file differs");
}

}  // namespace

void register_docs(Commands& commands) {
  commands.add<Arguments>("docs", "Write the configuration reference", describe, run);
}

}  // namespace descent::cli
