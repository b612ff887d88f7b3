#include "descent/cli/text.h"

#include <gmock/gmock.h>

#include "descent/cli/reference.h"
#include "descent/cli/run_directory.h"

namespace descent::cli {
namespace {

using testing::ElementsAre;

TEST(Wrapped, BreaksAtBlanks) {
  EXPECT_THAT(wrapped("one two three", 8), ElementsAre("one two", "three"));
  EXPECT_THAT(wrapped("one two", 7), ElementsAre("one two"));
  EXPECT_THAT(wrapped("incomprehensible is long", 4),
              ElementsAre("incomprehensible", "is", "long"));
  EXPECT_THAT(wrapped("", 8), ElementsAre(""));
}

TEST(Grouped, Thousands) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(6402), "6,402");
  EXPECT_EQ(grouped(1234567), "1,234,567");
  EXPECT_EQ(grouped(-1234), "-1,234");
  EXPECT_EQ(grouped(-123), "-123");
}

TEST(Table, AlignsColumns) {
  EXPECT_EQ(table({{"a", "bb"}, {"ccc", "d"}}, {false, true}), "a    bb\nccc   d\n");
}

TEST(NameFor, DataAndConfigurations) {
  EXPECT_EQ(name_for("titanic.csv"), "titanic");
  EXPECT_EQ(name_for("/data/digits.csv.gz"), "digits");
  EXPECT_EQ(name_for("synthetic:spirals"), "spirals");
  EXPECT_EQ(name_for("/usr/share/datasets/fashion-mnist/"), "fashion-mnist");
  EXPECT_EQ(name_for("examples/my job.toml"), "my_job");
  EXPECT_EQ(name_for(".."), "run");
  EXPECT_EQ(name_for("/"), "run");
}

TEST(Reference, IsWellFormed) {
  const auto text = configuration_reference();
  for (const auto* part :
       {"## [data]\n", "## [[model.layers]]\n", "### optimizer.name = \"adam\"\n",
        "### type = \"conv2d\"\n", "| `every_steps` |"}) {
    EXPECT_THAT(text, testing::HasSubstr(part));
  }
}

}  // namespace
}  // namespace descent::cli
