#include "descent/data/shared.h"

#include <algorithm>

namespace descent::data {
namespace {

std::size_t size_of(const Splits& splits) {
  std::size_t total = 0;
  for (const auto* part : {&splits.train, &splits.valid, &splits.test}) {
    for (const auto* array : {&part->features, &part->targets, &part->weights, &part->stream})
      total += *array ? array->bytes() : 0;
  }
  return total;
}

}  // namespace

Splits SharedData::operator()(const Options& options, std::uint64_t seed) {
  const auto found = std::ranges::find_if(kept_, [&](const Kept& kept) {
    return kept.seed == seed && kept.options == options.values();
  });
  if (found != kept_.end()) {
    kept_.splice(kept_.begin(), kept_, found);
    return kept_.front().splits;
  }
  Splits splits = load(options, seed);
  kept_.push_front({options.values(), seed, splits, size_of(splits)});
  std::size_t total = 0;
  for (auto at = kept_.begin(); at != kept_.end();) {
    total += at->bytes;
    at = at == kept_.begin() || total <= bytes_ ? std::next(at) : kept_.erase(at);
  }
  return splits;
}

}  // namespace descent::data
