// Data that several jobs share: loaded once for each set of options and seed.
#include "descent/data/shared.h"

#include <filesystem>

#include "tests/data/support.h"

namespace descent::data {
namespace {

std::string table(int rows) {
  std::string text = "a,b,y\n";
  for (int i = 0; i < rows; ++i)
    text +=
        std::to_string(i) + "," + std::to_string(i * 7 % 5) + "," + std::to_string(2 * i) + "\n";
  return text;
}

bool share(const Splits& a, const Splits& b) {
  return a.train.features.raw() == b.train.features.raw() &&
         a.valid.targets.raw() == b.valid.targets.raw();
}

TEST(SharedData, IsWhatLoadGives) {
  const TemporaryFolder folder;
  const auto options = with({{"path", folder.write("t.csv", table(40))}});
  SharedData shared;
  for (const std::uint64_t seed : {3, 4, 3}) {
    const Splits splits = shared(options, seed), own = load(options, seed);
    EXPECT_TRUE(identical(splits.train.features, own.train.features));
    EXPECT_TRUE(identical(splits.test.targets, own.test.targets));
    EXPECT_EQ(splits.train_rows, own.train_rows);
    EXPECT_EQ(splits.notes, own.notes);
    EXPECT_EQ(splits.warnings, own.warnings);
    EXPECT_EQ(splits.transform.to_json(), own.transform.to_json());
  }
}

TEST(SharedData, ReadsTheFilesOnce) {
  const TemporaryFolder folder;
  const auto path = folder.write("t.csv", table(40));
  const auto options = with({{"path", path}}),
             other = with({{"path", path}, {"normalize", "none"}});
  SharedData shared;
  const Splits first = shared(options, 1), seed = shared(options, 2), plain = shared(other, 1);
  std::filesystem::remove(path);
  EXPECT_TRUE(share(shared(options, 1), first));
  EXPECT_TRUE(share(shared(options, 2), seed));
  EXPECT_TRUE(share(shared(other, 1), plain));
  EXPECT_FALSE(share(first, seed));
  EXPECT_FALSE(share(first, plain));
  expect_error([&] { shared(other, 2); }, ErrorKind::data, {"t.csv"});
}

// What does not fit goes, the longest unused first; the last one stays in any case.
TEST(SharedData, KeepsAsMuchAsFits) {
  const TemporaryFolder folder;
  const auto options = with({{"path", folder.write("t.csv", table(40))}});
  // 40 rows of two features and a target in float32.
  SharedData two(2 * 40 * 3 * 4), none(0);
  const Splits a = two(options, 1), b = two(options, 2);
  EXPECT_TRUE(share(two(options, 1), a));
  const Splits c = two(options, 3);
  EXPECT_TRUE(share(two(options, 1), a));
  EXPECT_TRUE(share(two(options, 3), c));
  EXPECT_FALSE(share(two(options, 2), b));
  const Splits d = none(options, 1);
  EXPECT_TRUE(share(none(options, 1), d));
  none(options, 2);
  EXPECT_FALSE(share(none(options, 1), d));
}

}  // namespace
}  // namespace descent::data
