#include <algorithm>
#include <numeric>
#include <set>

#include "descent/base/random.h"
#include "descent/data/pipeline.h"
#include "tests/data/support.h"

namespace descent::data {
namespace {

using Rows = std::vector<std::int64_t>;

Rows classes_of(std::int64_t rows, std::int64_t classes, std::uint64_t seed) {
  RandomStream random(seed);
  Rows out;
  for (std::int64_t i = 0; i < rows; ++i) {
    // Unequal classes: k is about twice as frequent as k + 1.
    std::int64_t k = 0;
    while (k + 1 < classes && random.uniform() < 0.5) ++k;
    out.push_back(k);
  }
  return out;
}

// Disjoint, ascending, together all rows.
void expect_partition(const SplitRows& parts, std::int64_t rows) {
  Rows all;
  for (const auto* part : {&parts.train, &parts.valid, &parts.test}) {
    EXPECT_TRUE(std::ranges::is_sorted(*part));
    all.insert(all.end(), part->begin(), part->end());
  }
  std::ranges::sort(all);
  Rows expected(static_cast<std::size_t>(rows));
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(all, expected);
}

TEST(Split, FractionsDisjointnessAndStratification) {
  for (const std::int64_t rows : {1, 2, 3, 9, 10, 89, 891, 1000, 4321}) {
    for (const std::int64_t classes : {1, 2, 3, 10}) {
      for (const auto& fractions : {std::vector{0.8, 0.1, 0.1},
                                    {0.5, 0.25, 0.25},
                                    {0.9, 0.1, 0.0},
                                    {1.0, 0.0, 0.0},
                                    {0.34, 0.33, 0.33}}) {
        SCOPED_TRACE(testing::Message() << rows << " rows, " << classes << " classes, "
                                        << testing::PrintToString(fractions));
        const Rows labels = classes_of(rows, classes, static_cast<std::uint64_t>(rows));
        const SplitRows parts = split_rows(rows, fractions, labels, true, 7);
        expect_partition(parts, rows);
        EXPECT_GE(parts.train.size(), 1u);
        for (std::int64_t k = 0; k < classes; ++k) {
          const auto count = [&](const Rows& part) {
            return std::ranges::count_if(
                part, [&](auto i) { return labels[static_cast<std::size_t>(i)] == k; });
          };
          const auto all = std::ranges::count(labels, k);
          if (all > 0) {
            EXPECT_GE(count(parts.train), 1);
          }
          if (rows < 100) continue;
          // Within one row of the exact share.
          EXPECT_NEAR(static_cast<double>(count(parts.valid)),
                      fractions[1] * static_cast<double>(all), 1);
          EXPECT_NEAR(static_cast<double>(count(parts.test)),
                      fractions[2] * static_cast<double>(all), 1);
        }
        if (rows < 100) continue;
        EXPECT_NEAR(static_cast<double>(parts.valid.size()),
                    fractions[1] * static_cast<double>(rows), 0.5);
        EXPECT_NEAR(static_cast<double>(parts.test.size()),
                    fractions[2] * static_cast<double>(rows), 0.5);
      }
    }
  }
}

TEST(Split, IsAFunctionOfTheSeed) {
  const std::vector fractions{0.8, 0.1, 0.1};
  const auto a = split_rows(1000, fractions, {}, true, 1),
             b = split_rows(1000, fractions, {}, true, 1);
  EXPECT_EQ(a.train, b.train);
  EXPECT_EQ(a.test, b.test);
  EXPECT_NE(a.test, split_rows(1000, fractions, {}, true, 2).test);
}

TEST(Split, FileOrder) {
  const auto parts = split_rows(10, std::vector{0.6, 0.2, 0.2}, {}, false, 1);
  EXPECT_EQ(parts.train, (Rows{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(parts.valid, (Rows{6, 7}));
  EXPECT_EQ(parts.test, (Rows{8, 9}));
}

TEST(Split, RefusesFractionsThatDoNotSumToOne) {
  for (const auto& fractions :
       {std::vector{0.8, 0.1, 0.2}, {0.8, 0.2}, {0.0, 0.5, 0.5}, {1.2, -0.1, -0.1}, {}}) {
    expect_error([&] { split_rows(10, fractions, {}, true, 1); }, ErrorKind::usage,
                 {"data.split", "sum to 1", "[0.8, 0.1, 0.1]"});
  }
}

}  // namespace
}  // namespace descent::data
