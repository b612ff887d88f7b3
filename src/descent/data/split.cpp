#include <algorithm>
#include <cmath>
#include <numeric>

#include "descent/base/error.h"
#include "descent/base/random.h"
#include "descent/data/pipeline.h"

namespace descent::data {
namespace {

using Counts = std::vector<std::int64_t>;

// Shares `total` among classes in proportion to their sizes: the whole parts first, then one each
// by the largest remainder. No class gives more than `most`.
Counts share(std::int64_t total, const Counts& sizes, double fraction, const Counts& most) {
  Counts given(sizes.size());
  std::vector<double> remainder(sizes.size());
  std::int64_t left = total;
  for (std::size_t c = 0; c < sizes.size(); ++c) {
    const double quota = fraction * static_cast<double>(sizes[c]);
    given[c] = std::min(static_cast<std::int64_t>(quota), most[c]);
    remainder[c] = quota - static_cast<double>(given[c]);
    left -= given[c];
  }
  std::vector<std::size_t> order(sizes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, [&](auto a, auto b) { return remainder[a] > remainder[b]; });
  for (bool progress = true; left > 0 && progress;) {
    progress = false;
    for (const auto c : order) {
      if (left == 0 || given[c] == most[c]) continue;
      ++given[c];
      --left;
      progress = true;
    }
  }
  return given;
}

void check(std::int64_t rows, std::span<const double> fractions) {
  const double sum = std::accumulate(fractions.begin(), fractions.end(), 0.0);
  const bool negative = std::ranges::any_of(fractions, [](double f) { return !(f >= 0); });
  if (fractions.size() != 3 || negative || !(std::abs(sum - 1) < 1e-6) || fractions[0] == 0) {
    throw Error(ErrorKind::usage,
                "the fractions of train, valid and test must be two or three numbers from 0 that "
                "sum to 1, train above 0",
                "option \"data.split\"", "for example [0.8, 0.1, 0.1]");
  }
  if (rows < 1) throw Error(ErrorKind::data, "there are no rows to split");
}

}  // namespace

std::array<std::int64_t, 3> split_sizes(std::int64_t rows, std::span<const double> fractions) {
  check(rows, fractions);
  std::int64_t valid = std::llround(fractions[1] * static_cast<double>(rows));
  std::int64_t test = std::llround(fractions[2] * static_cast<double>(rows));
  while (valid + test >= rows) --(valid > test ? valid : test);
  return {rows - valid - test, valid, test};
}

SplitRows split_rows(std::int64_t rows, std::span<const double> fractions,
                     std::span<const std::int64_t> classes, bool shuffle, std::uint64_t seed) {
  const auto [train, valid, test] = split_sizes(rows, fractions);
  SplitRows parts;
  if (!shuffle) {
    for (std::int64_t i = 0; i < rows; ++i) {
      auto& part = i < train ? parts.train : i < train + valid ? parts.valid : parts.test;
      part.push_back(i);
    }
    return parts;
  }
  // Without classes all rows are one.
  std::int64_t count = 1;
  for (const auto c : classes) count = std::max(count, c + 1);
  std::vector<std::vector<std::int64_t>> members(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < rows; ++i) {
    const auto c = classes.empty() ? 0 : classes[static_cast<std::size_t>(i)];
    members[static_cast<std::size_t>(c)].push_back(i);
  }
  Counts sizes, most;
  for (const auto& member : members) {
    sizes.push_back(static_cast<std::int64_t>(member.size()));
    most.push_back(std::max<std::int64_t>(sizes.back() - 1, 0));
  }
  const Counts tests = share(test, sizes, fractions[2], most);
  for (std::size_t c = 0; c < most.size(); ++c) most[c] -= tests[c];
  const Counts valids = share(valid, sizes, fractions[1], most);

  const std::uint64_t key = fold_in(seed, hash_text("split"));
  for (std::size_t c = 0; c < members.size(); ++c) {
    if (sizes[c] == 0) continue;
    const Permutation permutation(static_cast<std::uint64_t>(sizes[c]), fold_in(key, c));
    for (std::int64_t k = 0; k < sizes[c]; ++k) {
      const auto row = members[c][permutation(static_cast<std::uint64_t>(k))];
      auto& part = k < tests[c] ? parts.test : k < tests[c] + valids[c] ? parts.valid : parts.train;
      part.push_back(row);
    }
  }
  for (auto* part : {&parts.train, &parts.valid, &parts.test}) std::ranges::sort(*part);
  return parts;
}

}  // namespace descent::data
