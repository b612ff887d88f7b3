#include "descent/base/options.h"

#include <gmock/gmock.h>

#include <limits>

#include "descent/base/error.h"
#include "tests/support/errors.h"

namespace descent {
namespace {

using descent::test::error_of;

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<Option> described() {
  return {
      {.key = "lr", .type = OptionType::number, .fallback = 1e-3, .help = "rate", .min = 0},
      {.key = "steps", .type = OptionType::integer, .help = "steps to take", .min = 1, .max = 100},
      {.key = "nesterov", .type = OptionType::boolean, .fallback = false},
      {.key = "mode",
       .type = OptionType::text,
       .fallback = std::string("min"),
       .choices = {"min", "max"}},
      {.key = "sizes", .type = OptionType::integers, .fallback = std::vector<std::int64_t>{64}},
      {.key = "betas", .type = OptionType::numbers, .min = 0, .max = 1},
      {.key = "drop", .type = OptionType::texts},
  };
}

Option option(const std::string& key) {
  for (auto& o : described()) {
    if (o.key == key) return o;
  }
  throw std::logic_error(key);
}

Options with(const std::string& key, OptionValue value) {
  Options options;
  options.set(key, std::move(value));
  return options;
}

std::string refusal(const std::string& key, OptionValue value) {
  return error_of(
      [&] { resolve(described(), with(key, std::move(value)), "c.toml:4:1 [optimizer]"); });
}

std::string misparse(const std::string& key, const std::string& text) {
  return error_of([&] { parse_value(option(key), text, "--set"); });
}

TEST(Options, DefaultsAreFilledIn) {
  const auto o = resolve(described(), {}, "");
  EXPECT_EQ(o.number("lr"), 1e-3);
  EXPECT_FALSE(o.boolean("nesterov"));
  EXPECT_EQ(o.text("mode"), "min");
  EXPECT_THAT(o.integers("sizes"), ElementsAre(64));
  EXPECT_THAT(o.numbers("sizes"), ElementsAre(64.0));
  EXPECT_FALSE(o.has("steps"));  // no default: not set
  EXPECT_EQ(o.find("steps"), nullptr);
}

TEST(Options, GivenValuesReplaceDefaults) {
  auto given = with("lr", 0.5);
  given.set("drop", std::vector<std::string>{"a", "b"});
  given.set("steps", std::int64_t{7});
  const auto o = resolve(described(), given, "");
  EXPECT_EQ(o.number("lr"), 0.5);
  EXPECT_THAT(o.texts("drop"), ElementsAre("a", "b"));
  EXPECT_EQ(o.integer("steps"), 7);
  EXPECT_EQ(o.number("steps"), 7.0);
}

TEST(Options, UnknownKeyWithSuggestion) {
  const auto text = refusal("nestrov", true);
  EXPECT_THAT(text, HasSubstr("c.toml:4:1 [optimizer]: unknown option \"nestrov\""));
  EXPECT_THAT(text, HasSubstr("did you mean \"nesterov\"?"));
  EXPECT_THAT(refusal("zzzzzz", true), HasSubstr("one of: lr, steps, nesterov"));
  EXPECT_THAT(error_of([] { resolve({}, with("a", true), ""); }), HasSubstr("no options here"));
}

TEST(Options, WrongTypes) {
  EXPECT_THAT(refusal("lr", std::string("fast")),
              HasSubstr("c.toml:4:1 [optimizer]: option \"lr\" must be a number, not \"fast\""));
  EXPECT_THAT(refusal("lr", true), HasSubstr("must be a number, not true"));
  EXPECT_THAT(refusal("nesterov", std::int64_t{1}), HasSubstr("must be true or false, not 1"));
  EXPECT_THAT(refusal("steps", 3.0), HasSubstr("must be an integer, not 3.0"));
  EXPECT_THAT(refusal("steps", 3.0), HasSubstr("without a point or exponent"));
  EXPECT_THAT(refusal("sizes", std::vector<double>{1.5}), HasSubstr("not [1.5]"));
  EXPECT_THAT(refusal("drop", std::string("a")), HasSubstr("must be a list of texts, not \"a\""));
}

TEST(Options, AnIntegerStandsForAListOfOneAndForItsText) {
  EXPECT_THAT(std::get<std::vector<std::int64_t>>(check(option("sizes"), std::int64_t{3}, "")),
              ElementsAre(3));
  EXPECT_EQ(std::get<std::string>(check({.key = "padding"}, std::int64_t{1}, "")), "1");
}

TEST(Options, IntegersAreNumbersAndEmptyListsAreAnyList) {
  const auto value = check(option("lr"), std::int64_t{2}, "");
  EXPECT_EQ(std::get<double>(value), 2.0);
  EXPECT_THAT(
      std::get<std::vector<double>>(check(option("betas"), std::vector<std::int64_t>{0, 1}, "")),
      ElementsAre(0.0, 1.0));
  EXPECT_TRUE(
      std::get<std::vector<std::string>>(check(option("drop"), std::vector<double>{}, "")).empty());
  EXPECT_TRUE(
      std::get<std::vector<std::int64_t>>(check(option("sizes"), std::vector<std::string>{}, ""))
          .empty());
}

TEST(Options, Bounds) {
  EXPECT_THAT(refusal("lr", -1.0), HasSubstr("option \"lr\" must be at least 0, not -1"));
  EXPECT_THAT(refusal("steps", std::int64_t{0}), HasSubstr("must lie between 1 and 100, not 0"));
  EXPECT_THAT(refusal("steps", std::int64_t{101}), HasSubstr("must lie between 1 and 100"));
  EXPECT_EQ(refusal("steps", std::int64_t{100}), "no error");  // inclusive
  EXPECT_EQ(refusal("steps", std::int64_t{1}), "no error");
  EXPECT_THAT(refusal("betas", std::vector<double>{0.5, 1.5}), HasSubstr("not 1.5"));
  EXPECT_THAT(refusal("lr", std::numeric_limits<double>::quiet_NaN()), HasSubstr("not nan"));
}

TEST(Options, Choices) {
  EXPECT_THAT(refusal("mode", std::string("maxi")),
              HasSubstr("option \"mode\" has no choice \"maxi\""));
  EXPECT_THAT(refusal("mode", std::string("maxi")), HasSubstr("did you mean \"max\"?"));
  EXPECT_EQ(refusal("mode", std::string("max")), "no error");
}

TEST(Options, Required) {
  const std::vector<Option> options{
      {.key = "size", .type = OptionType::integer, .help = "number of units", .required = true}};
  const auto text = error_of([&] { resolve(options, {}, "layer 3"); });
  EXPECT_THAT(text, HasSubstr("layer 3: option \"size\" is required"));
  EXPECT_THAT(text, HasSubstr("number of units"));
  EXPECT_THAT(error_of([&] { resolve(options, with("size", {}), ""); }), HasSubstr("is required"));
}

TEST(Options, ReadingWhatIsNotSetIsADefect) {
  const auto o = resolve(described(), {}, "");
  for (const auto& read : std::vector<std::function<void()>>{[&] { (void)o.integer("steps"); },
                                                             [&] { (void)o.boolean("lr"); },
                                                             [&] { (void)o.text("nowhere"); }}) {
    try {
      read();
      FAIL();
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::internal);
    }
  }
}

TEST(ParseValue, Numbers) {
  const auto number = [](const std::string& text) {
    return std::get<double>(parse_value(option("lr"), text, ""));
  };
  EXPECT_EQ(number("0.1"), 0.1);
  EXPECT_EQ(number(" 1e-3 "), 1e-3);
  EXPECT_EQ(number("+2"), 2.0);
  EXPECT_EQ(number("1_000.5"), 1000.5);
  EXPECT_EQ(number("inf"), std::numeric_limits<double>::infinity());
  EXPECT_THAT(misparse("lr", "0.1x"),
              HasSubstr("--set: option \"lr\" must be a number, not \"0.1x\""));
  EXPECT_THAT(misparse("lr", ""), HasSubstr("must be a number"));
  EXPECT_THAT(misparse("lr", "-1"), HasSubstr("at least 0"));
  EXPECT_THAT(misparse("lr", "+-1"), HasSubstr("must be a number"));
}

TEST(ParseValue, IntegersAndBooleans) {
  EXPECT_EQ(std::get<std::int64_t>(parse_value(option("steps"), "42", "")), 42);
  EXPECT_THAT(misparse("steps", "1e1"), HasSubstr("without a point or exponent"));
  EXPECT_THAT(misparse("steps", "99999999999999999999"), HasSubstr("must be an integer"));
  EXPECT_TRUE(std::get<bool>(parse_value(option("nesterov"), "true", "")));
  EXPECT_FALSE(std::get<bool>(parse_value(option("nesterov"), "false", "")));
  EXPECT_THAT(misparse("nesterov", "yes"), HasSubstr("must be true or false, not \"yes\""));
}

TEST(ParseValue, Texts) {
  const Option any{.key = "path", .type = OptionType::text};
  const auto text = [&](const std::string& t) {
    return std::get<std::string>(parse_value(any, t, ""));
  };
  EXPECT_EQ(text("plain text, [1]"), "plain text, [1]");
  EXPECT_EQ(text("\"a \\\"b\\\" \\\\ \\n\""), "a \"b\" \\ \n");
  EXPECT_EQ(text(""), "");
  EXPECT_THAT(misparse("mode", "mux"), HasSubstr("has no choice \"mux\""));
}

TEST(ParseValue, Lists) {
  const auto integers = [](const std::string& t) {
    return std::get<std::vector<std::int64_t>>(parse_value(option("sizes"), t, ""));
  };
  EXPECT_THAT(integers("[1,2]"), ElementsAre(1, 2));
  EXPECT_THAT(integers("1, 2,3"), ElementsAre(1, 2, 3));
  EXPECT_THAT(integers("7"), ElementsAre(7));
  EXPECT_THAT(integers("[1, 2,]"), ElementsAre(1, 2));
  EXPECT_TRUE(integers("[]").empty());
  EXPECT_THAT(misparse("sizes", "1,,2"), HasSubstr("must be a list of integers"));
  EXPECT_THAT(misparse("sizes", "1,x"), HasSubstr("\"x\""));
  EXPECT_THAT(std::get<std::vector<double>>(parse_value(option("betas"), "0.5,1", "")),
              ElementsAre(0.5, 1.0));
  EXPECT_THAT(
      std::get<std::vector<std::string>>(parse_value(option("drop"), "a, \"b, c\",d\\", "")),
      ElementsAre("a", "b, c", "d\\"));
}

TEST(ToString, AsTomlWritesIt) {
  EXPECT_EQ(to_string(OptionValue{}), "");
  EXPECT_EQ(to_string(true), "true");
  EXPECT_EQ(to_string(std::int64_t{-3}), "-3");
  EXPECT_EQ(to_string(1.0), "1.0");
  EXPECT_EQ(to_string(0.1), "0.1");
  EXPECT_EQ(to_string(1e-8), "1e-8");
  EXPECT_EQ(to_string(1.5e300), "1.5e300");
  EXPECT_EQ(to_string(1e22), "1e22");
  EXPECT_EQ(to_string(-1e-10), "-1e-10");
  EXPECT_EQ(to_string(-0.0), "-0.0");
  EXPECT_EQ(to_string(std::numeric_limits<double>::infinity()), "inf");
  EXPECT_EQ(to_string(-std::numeric_limits<double>::infinity()), "-inf");
  EXPECT_EQ(to_string(std::string("a \"b\" \\ \n\x01 é")), "\"a \\\"b\\\" \\\\ \\n\\u0001 é\"");
  EXPECT_EQ(to_string(std::vector<std::int64_t>{1, 2}), "[1, 2]");
  EXPECT_EQ(to_string(std::vector<double>{1, 0.5}), "[1.0, 0.5]");
  EXPECT_EQ(to_string(std::vector<std::string>{"a", "b"}), "[\"a\", \"b\"]");
  EXPECT_EQ(to_string(std::vector<double>{}), "[]");
}

// What to_string writes, parse_value reads back to the same bits.
TEST(ToString, ReadsBack) {
  const Option number{.key = "x", .type = OptionType::number},
      text{.key = "t", .type = OptionType::text};
  for (const double x : {0.1, 1e-3, 1.0 / 3, 12345678.9, 5e-324, 1.7976931348623157e308, -2.5e-9}) {
    EXPECT_EQ(std::get<double>(parse_value(number, to_string(x), "")), x);
  }
  for (const std::string t : {"plain", "a \"quote\"", "tab\tline\nback\\slash", ""}) {
    EXPECT_EQ(std::get<std::string>(parse_value(text, to_string(t), "")), t);
  }
  const Option texts{.key = "l", .type = OptionType::texts};
  const std::vector<std::string> list{"a,b", "c \"d\"", "e"};
  EXPECT_EQ(std::get<std::vector<std::string>>(parse_value(texts, to_string(list), "")), list);
}

TEST(OptionType, Names) {
  EXPECT_EQ(name_of(OptionType::boolean), "boolean");
  EXPECT_EQ(name_of(OptionType::texts), "texts");
}

}  // namespace
}  // namespace descent
