#include "descent/train/batch_sizes.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "descent/base/error.h"

namespace descent::train {
namespace {

// The whole text as a number above 0, else 0.
std::int64_t number(std::string_view text) {
  std::int64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  return error == std::errc() && end == text.data() + text.size() && n > 0 ? n : 0;
}

std::int64_t divided_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

}  // namespace

BatchSizes::BatchSizes(std::int64_t first, const std::vector<std::string>& schedule,
                       std::int64_t rows, bool drop_last, std::int64_t accumulate)
    : stages_{{0, first}}, rows_(rows), accumulate_(accumulate), drop_last_(drop_last) {
  for (const auto& text : schedule) {
    const std::string_view view = text;
    const auto colon = std::min(view.find(':'), view.size());
    const std::int64_t epoch = number(view.substr(0, colon));
    const std::int64_t size = number(view.substr(std::min(colon + 1, view.size())));
    const bool rises = epoch > 1 && epoch - 1 > stages_.back().epoch;
    if (size == 0 || !rises) {
      throw Error(ErrorKind::usage, fmt::format("train.batch_schedule has \"{}\"", text), "[train]",
                  "give epochs, from 2 on and rising, and rows: [\"10:256\", \"20:512\"]");
    }
    stages_.push_back({epoch - 1, std::min(size, rows)});
  }
}

std::int64_t BatchSizes::at(std::int64_t epoch) const {
  const auto next = std::ranges::upper_bound(stages_, epoch, {}, &Stage::epoch);
  return std::prev(next)->rows;
}

std::int64_t BatchSizes::steps_in(std::int64_t epoch) const {
  const std::int64_t size = at(epoch);
  const std::int64_t batches = drop_last_ ? rows_ / size : divided_up(rows_, size);
  const std::int64_t steps = drop_last_ ? batches / accumulate_ : divided_up(batches, accumulate_);
  return std::max<std::int64_t>(1, steps);
}

std::int64_t BatchSizes::steps_of(std::int64_t epochs) const {
  std::int64_t steps = 0;
  for (std::size_t i = 0; i < stages_.size(); ++i) {
    const std::int64_t end =
        i + 1 < stages_.size() ? std::min(epochs, stages_[i + 1].epoch) : epochs;
    if (end > stages_[i].epoch) steps += (end - stages_[i].epoch) * steps_in(stages_[i].epoch);
  }
  return steps;
}

std::int64_t BatchSizes::epochs_for(std::int64_t steps) const {
  for (std::size_t i = 0; i < stages_.size(); ++i) {
    const std::int64_t begin = stages_[i].epoch, left = steps - steps_of(begin);
    const std::int64_t epochs = begin + divided_up(left, steps_in(begin));
    if (i + 1 == stages_.size() || epochs <= stages_[i + 1].epoch) return epochs;
  }
  return 0;
}

}  // namespace descent::train
