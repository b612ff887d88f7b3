#include "descent/cli/usage.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

namespace descent::cli {
namespace {

// The command that was named, or the program itself.
const CLI::App& named_command(const CLI::App& app) {
  const auto commands = app.get_subcommands();
  return commands.empty() ? app : *commands.front();
}

std::vector<std::string> option_names(const CLI::App& command) {
  std::vector<std::string> names;
  for (const auto* option : command.get_options()) {
    for (const auto& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const auto* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(command->get_name());
  }
  return names;
}

std::string see_help(const CLI::App& app, const CLI::App& command) {
  if (&command == &app) return "see descent --help";
  return fmt::format("see descent {} --help", command.get_name());
}

bool is_option(const std::string& argument) {
  return argument.size() > 1 && argument.front() == '-';
}

[[noreturn]] void unknown_option(const CLI::App& app, const CLI::App& command,
                                 const std::string& argument) {
  const auto name = argument.substr(0, argument.find('='));
  const auto near = closest(name, option_names(command));
  throw Error(ErrorKind::usage, fmt::format("unknown option {}", name), "",
              near.empty() ? see_help(app, command) : fmt::format("did you mean {}?", near));
}

// "--seed needs a value" for CLI11's "--seed: 1 required N missing".
std::string in_words(const CLI::ParseError& error) {
  const std::string text = error.what();
  const auto colon = text.find(": ");
  if (colon == std::string::npos || !text.ends_with("missing")) return text;
  return fmt::format("{} needs a value", text.substr(0, colon));
}

}  // namespace

Error usage_error(const CLI::App& app, const CLI::ParseError& error) {
  const auto& command = named_command(app);
  // An unknown option often explains what else is wrong.
  const auto rest = command.remaining();
  const auto option = std::ranges::find_if(rest, is_option);
  if (option != rest.end()) {
    try {
      unknown_option(app, command, *option);
    } catch (const Error& unknown) {
      return unknown;
    }
  }
  return {ErrorKind::usage, in_words(error), "", see_help(app, command)};
}

void check_extras(const CLI::App& app) {
  const auto& command = named_command(app);
  const auto rest = command.remaining();
  if (rest.empty()) return;
  const auto option = std::ranges::find_if(rest, is_option);
  if (option != rest.end()) unknown_option(app, command, *option);
  if (&command == &app) {
    throw Error(ErrorKind::usage, fmt::format("no command is called \"{}\"", rest.front()), "",
                did_you_mean(rest.front(), command_names(app)));
  }
  throw Error(ErrorKind::usage, fmt::format("unexpected argument \"{}\"", rest.front()), "",
              see_help(app, command));
}

}  // namespace descent::cli
