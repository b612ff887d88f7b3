// Schedules one after another, each from its beginning, as torch.optim.lr_scheduler.SequentialLR;
// and all at once, the product of their factors, as ChainedScheduler.
//
// In a configuration the parts are texts, "NAME[:STEPS] [OPTION=VALUE ...]":
//   parts = ["linear:500 start_factor=0.1 end_factor=1", "cosine min_lr=1e-5"]
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <sstream>

#include "descent/base/error.h"
#include "descent/optim/rule.h"

namespace descent::optim {
namespace {

struct Part {
  std::string name;
  std::int64_t steps = 0;  // 0: not said
  Options options;
};

[[noreturn]] void refuse(const std::string& text, const std::string& what) {
  throw Error(ErrorKind::usage, fmt::format("\"{}\": {}", text, what), "option \"schedule.parts\"",
              "write a part as \"linear:500 start_factor=0.1 end_factor=1\"");
}

Part parse(const std::string& text) {
  std::istringstream words(text);
  Part part;
  std::string word;
  if (!(words >> part.name)) refuse(text, "no schedule is named");
  if (const auto colon = part.name.find(':'); colon != std::string::npos) {
    const char *from = part.name.data() + colon + 1, *to = part.name.data() + part.name.size();
    const auto [end, error] = std::from_chars(from, to, part.steps);
    if (error != std::errc() || end != to || part.steps < 1) {
      refuse(text, "what follows the colon is not a number of steps");
    }
    part.name.resize(colon);
  }
  const auto& entry = schedules().at(part.name, "option \"schedule.parts\"");
  const std::string where = fmt::format("schedule.parts, \"{}\"", text);
  while (words >> word) {
    const auto equals = word.find('=');
    if (equals == std::string::npos) refuse(text, fmt::format("\"{}\" has no \"=\"", word));
    const std::string key = word.substr(0, equals), value = word.substr(equals + 1);
    const auto option = std::ranges::find(entry.options, key, &Option::key);
    // resolve() says which names there are.
    part.options.set(key, option == entry.options.end() ? OptionValue(value)
                                                        : parse_value(*option, value, where));
  }
  part.options = resolve(entry.options, part.options, where);
  return part;
}

std::vector<Part> parts_of(const Options& options) {
  std::vector<Part> parts;
  for (const auto& text : options.texts("parts")) parts.push_back(parse(text));
  if (parts.empty()) refuse("", "there are no parts");
  return parts;
}

// A part counts what the whole counts.
RunLength length_for(const Options& options, const RunLength& run) {
  RunLength own = run;
  if (options.text("unit") == "epoch") own.steps_per_epoch = 0;
  return own;
}

Option parts_option(std::string help) {
  return {.key = "parts", .type = OptionType::texts, .help = std::move(help), .required = true};
}

Schedule sequential_from(const Options& options, const RunLength& run) {
  RunLength own = length_for(options, run);
  const auto parts = parts_of(options);
  std::vector<Schedule> made;
  std::vector<std::int64_t> milestones;
  std::int64_t begin = 0;
  for (const auto& part : parts) {
    const bool last = &part == &parts.back();
    if (!last && part.steps == 0) refuse(part.name, "all parts but the last need their steps");
    own.steps = part.steps > 0  ? part.steps
                : run.steps > 0 ? std::max<std::int64_t>(run.steps - begin, 1)
                                : 0;
    made.push_back(schedules().at(part.name).make(part.options, own));
    begin += part.steps;
    if (!last) milestones.push_back(begin);
  }
  return sequential(std::move(made), std::move(milestones));
}

Schedule chained_from(const Options& options, const RunLength& run) {
  std::vector<Schedule> made;
  for (const auto& part : parts_of(options)) {
    RunLength own = length_for(options, run);
    if (part.steps > 0) own.steps = part.steps;
    made.push_back(schedules().at(part.name).make(part.options, own));
  }
  return chained(run.lr, std::move(made));
}

}  // namespace

Schedule sequential(std::vector<Schedule> schedules, std::vector<std::int64_t> milestones) {
  if (schedules.empty() || milestones.size() + 1 != schedules.size()) {
    throw Error(ErrorKind::usage,
                fmt::format("{} schedules and {} milestones", schedules.size(), milestones.size()),
                "sequential schedule", "give one milestone less than schedules");
  }
  if (!std::ranges::is_sorted(milestones) || (!milestones.empty() && milestones.front() < 0)) {
    throw Error(ErrorKind::usage, "the milestones do not rise", "sequential schedule");
  }
  return [schedules = std::move(schedules), milestones = std::move(milestones)](std::int64_t step) {
    const auto passed = std::ranges::upper_bound(milestones, step) - milestones.begin();
    const auto at = static_cast<std::size_t>(passed);
    return schedules[at](at == 0 ? step : step - milestones[at - 1]);
  };
}

Schedule chained(double lr, std::vector<Schedule> schedules) {
  require_positive("chained schedule", "lr", lr);
  return [lr, schedules = std::move(schedules)](std::int64_t step) {
    double rate = lr;
    for (const auto& schedule : schedules) rate *= schedule(step) / lr;
    return rate;
  };
}

void register_sequential(ScheduleRegistry& registry) {
  add_schedule(registry, {.name = "sequential",
                          .help = "schedules one after another, each from its beginning",
                          .options = {parts_option(
                              "\"NAME:STEPS OPTION=VALUE ...\" for each, as \"linear:500 "
                              "start_factor=0.1 end_factor=1\"; the last may leave out its steps")},
                          .make = sequential_from});
  add_schedule(
      registry,
      {.name = "chained",
       .help = "the rate times the factors of several schedules",
       .options = {parts_option("\"NAME OPTION=VALUE ...\" for each, as \"exponential gamma=0.9\"; "
                                "NAME:STEPS where one is shorter than the run")},
       .make = chained_from});
}

}  // namespace descent::optim
