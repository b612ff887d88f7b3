#include "descent/cli/cli.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>

#include "descent/cli/registry.h"
#include "descent/cli/usage.h"
#include "descent/train/version.h"

namespace descent::cli {
namespace {

int parse_and_run(int argc, char** argv) {
  CLI::App app("Trains models by gradient descent.", "descent");
  app.set_version_flag("--version", fmt::format("descent {}", train::kVersion),
                       "Print the version");
  app.footer("A command explains its options: descent train --help");
  app.allow_extras();
  Commands commands(app);
  register_all(commands);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {  // --help, --version
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    throw usage_error(app, error);
  }
  check_extras(app);
  if (commands.chosen()) return commands.chosen()();
  std::fputs(app.help().c_str(), stderr);
  return static_cast<int>(ErrorKind::usage);
}

// What was printed must have arrived: a full disk is an error too.
int finished(int code) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
  return report(Error(ErrorKind::data, fmt::format("cannot write: {}", std::strerror(errno)),
                      "standard output"));
}

int defect(const char* what) {
  return report(Error(ErrorKind::internal, what, "", "this is a defect of descent: report it"));
}

}  // namespace

int report(const Error& error) {
  std::string text = error.where().empty() ? "" : error.where() + ": ";
  text = "error: " + text + error.message() + "\n";
  if (!error.remedy().empty()) {
    text += "  ";
    for (const char c : error.remedy()) text += c == '\n' ? std::string("\n  ") : std::string(1, c);
    text += "\n";
  }
  std::fflush(stdout);
  std::fputs(text.c_str(), stderr);
  return static_cast<int>(error.kind());
}

int run_program(int argc, char** argv) {
  try {
    return finished(parse_and_run(argc, argv));
  } catch (const Error& error) {
    return report(error);
  } catch (const std::bad_alloc&) {
    return report(
        Error(ErrorKind::usage, "out of memory", "", "use a smaller batch, model or data set"));
  } catch (const std::exception& error) {
    return defect(error.what());
  }
}

}  // namespace descent::cli
