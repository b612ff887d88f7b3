// Commands of the program: one file each in commands/.
#pragma once
#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace descent::cli {

// The command line that is being described. A command adds itself, its options, and what it does.
class Commands {
 public:
  explicit Commands(CLI::App& app) : app_(app) {}

  // Adds a command; run(arguments) gives the exit code, after all of the line has been parsed.
  // describe(command, arguments) adds the options, which are written into `arguments`.
  template <class Arguments>
  void add(const std::string& name, const std::string& help,
           const std::function<void(CLI::App&, Arguments&)>& describe,
           std::function<int(const Arguments&)> run) {
    auto* command = app_.add_subcommand(name, help);
    auto arguments = std::make_shared<Arguments>();
    describe(*command, *arguments);
    command->footer("");
    command->allow_extras();  // reported with a suggestion, see usage.h
    command->callback([this, arguments, run = std::move(run)] {
      chosen_ = [arguments, run] { return run(*arguments); };
    });
  }

  // What the command that was named does; empty: none was named.
  const std::function<int()>& chosen() const { return chosen_; }

 private:
  CLI::App& app_;
  std::function<int()> chosen_;
};

// An option that may be given several times, with one value each time.
inline CLI::Option* add_repeated(CLI::App& command, const std::string& name,
                                 std::vector<std::string>& values, const std::string& help) {
  return command.add_option(name, values, help)->allow_extra_args(false);
}

inline CLI::Option* add_threads(CLI::App& command, int& threads, const std::string& help) {
  const auto check = [](const std::string& text) {
    const bool digits = !text.empty() && text.size() < 5 &&
                        text.find_first_not_of("0123456789") == std::string::npos;
    return digits ? std::string() : "expected a whole number, not \"" + text + "\"";
  };
  return command.add_option("--threads", threads, help)
      ->type_name("N")
      ->check(CLI::Validator(check, ""));
}

// All commands, in the order of the help.
void register_all(Commands& commands);

}  // namespace descent::cli
