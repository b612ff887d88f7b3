#include "descent/base/glob.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "descent/base/error.h"

namespace descent {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Glob, StarsStandForAnyCharacters) {
  EXPECT_TRUE(matches("0.weight", "0.weight"));
  EXPECT_FALSE(matches("0.weight", "10.weight"));
  EXPECT_FALSE(matches("0", "0.weight"));
  EXPECT_TRUE(matches("0.*", "0.weight"));
  EXPECT_FALSE(matches("0.*", "0"));
  EXPECT_TRUE(matches("encoder.*", "encoder.3.attention.weight"));
  EXPECT_TRUE(matches("*.bias", "a.b.bias"));
  EXPECT_FALSE(matches("*.bias", "a.bias.weight"));
  EXPECT_TRUE(matches("*", ""));
  EXPECT_TRUE(matches("**", "x"));
  EXPECT_TRUE(matches("a*b*c", "aXbYbZc"));
  EXPECT_FALSE(matches("a*b*c", "aXbYbZ"));
  EXPECT_TRUE(matches("", ""));
  EXPECT_FALSE(matches("", "a"));
  // Not exponential.
  EXPECT_FALSE(matches("*a*a*a*a*a*a*a*a*a*a*a*a*b", std::string(20000, 'a')));
}

TEST(Glob, Captures) {
  EXPECT_THAT(*captures("layers.*.attn.*", "layers.3.attn.q.weight"), ElementsAre("3", "q.weight"));
  EXPECT_THAT(*captures("*a", "aaa"), ElementsAre("aa"));
  EXPECT_THAT(*captures("*.*", "x.y.z"), ElementsAre("x", "y.z"));
  EXPECT_THAT(*captures("plain", "plain"), ElementsAre());
  EXPECT_FALSE(captures("plain", "plane"));
}

TEST(Glob, APatternThatMatchesNothingIsAnError) {
  require_matches({"0.*", "1.bias"}, {"0.weight", "1.bias"}, "freeze");
  try {
    require_matches({"0.*", "1.wieght"}, {"0.weight", "1.weight"}, "freeze");
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::usage);
    EXPECT_THAT(e.what(), HasSubstr("freeze: \"1.wieght\" matches no name"));
    EXPECT_THAT(e.what(), HasSubstr("did you mean \"1.weight\"?"));
  }
}

}  // namespace
}  // namespace descent
