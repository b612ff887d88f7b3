// The schema, --set and JSON. Errors of whole files are in tests/cli/config_file_test.cpp.
#include "descent/train/config.h"

#include <gmock/gmock.h>

#include "descent/base/error.h"
#include "descent/train/config_schema.h"

namespace descent::train {
namespace {

using testing::HasSubstr;

RawConfig raw_of(const std::vector<std::string>& assignments) {
  RawConfig raw;
  raw.set("data.path=x.csv", "--data");
  for (const auto& one : assignments) raw.set(one, "--set " + one);
  return raw;
}

Config config_of(const std::vector<std::string>& assignments) {
  return resolve(raw_of(assignments));
}

std::string error_of(const std::vector<std::string>& assignments) {
  try {
    config_of(assignments);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    return error.what();
  }
  ADD_FAILURE() << "accepted";
  return {};
}

RawConfig with_layers() {
  RawConfig raw = raw_of({});
  raw.layers.push_back(
      {{{"type", {std::string("linear"), "l:2"}}, {"units", {std::int64_t{3}, "l:3"}}}, "l:1"});
  raw.layers.push_back({{{"type", {std::string("relu"), "l:5"}}}, "l:4"});
  return raw;
}

// with_layers() and a residual block: linear, then relu as its shortcut.
RawConfig with_residual() {
  RawConfig raw = with_layers();
  const auto layer = [](const std::string& type, const std::string& place) {
    return RawConfig::Table{{{"type", {type, place}}}, place};
  };
  auto block = layer("residual", "l:6");
  auto inner = layer("linear", "l:8");
  inner.values["units"] = {std::int64_t{3}, "l:8"};
  block.values["layers"] = {{}, "l:7", {inner, layer("tanh", "l:9")}};
  block.values["shortcut"] = {{}, "l:10", {layer("relu", "l:11")}};
  raw.layers.push_back(std::move(block));
  return raw;
}

// Keys that scripts and CONTRIBUTING rely on.
TEST(Schema, HasTheKeysThatScriptsUse) {
  const char* keys[] = {"seed",
                        "data.path",
                        "data.target",
                        "data.strict",
                        "data.split",
                        "model.name",
                        "loss.name",
                        "optimizer.name",
                        "optimizer.lr",
                        "schedule.name",
                        "train.epochs",
                        "train.steps",
                        "train.batch_size",
                        "train.shards",
                        "train.precision",
                        "checkpoint.keep",
                        "checkpoint.every_steps"};
  std::vector<std::string> all;
  for (const auto& section : schema()) {
    for (const auto& option : section.options) {
      all.push_back(section.name.empty() ? option.key : section.name + "." + option.key);
    }
  }
  for (const auto* key : keys) EXPECT_THAT(all, testing::Contains(key));
}

TEST(Schema, EveryOptionIsDescribed) {
  for (const auto& section : schema()) {
    EXPECT_FALSE(section.help.empty()) << section.name;
    for (const auto& option : section.options) {
      EXPECT_FALSE(option.help.empty()) << section.name << "." << option.key;
    }
    if (!section.named) continue;
    for (const auto& entry : named_section(section.name)->entries) {
      EXPECT_FALSE(entry.help.empty()) << section.name << " " << entry.name;
      for (const auto& option : entry.options) {
        EXPECT_FALSE(option.help.empty()) << entry.name << "." << option.key;
      }
    }
  }
}

TEST(Schema, DefaultsPassTheirOwnChecks) {
  for (const auto& section : schema()) {
    for (const auto& option : section.options) {
      EXPECT_NO_THROW(check({.key = option.key,
                             .type = option.type,
                             .choices = option.choices,
                             .min = option.min,
                             .max = option.max},
                            option.fallback, ""))
          << section.name << "." << option.key;
    }
  }
}

TEST(SectionOptions, BelongToAName) {
  const auto adam = section_options("optimizer", "adam", "");
  EXPECT_EQ(adam.front().key, "name");
  EXPECT_NE(find_option(adam, "beta1"), nullptr);
  EXPECT_EQ(find_option(section_options("optimizer", "sgd", ""), "beta1"), nullptr);
  EXPECT_THROW(section_options("optimizer", "adm", ""), Error);
  EXPECT_THROW(section_options("optimiser", "adam", ""), Error);
}

TEST(Resolve, FillsDefaults) {
  const auto config = config_of({});
  EXPECT_EQ(config.seed, 1);
  EXPECT_EQ(config.model.text("name"), "mlp");
  EXPECT_EQ(config.loss.text("name"), "auto");
  EXPECT_EQ(config.optimizer.text("name"), "adam");
  EXPECT_EQ(config.schedule.text("name"), "constant");
  EXPECT_EQ(config.optimizer.number("lr"), 1e-3);
  EXPECT_TRUE(config.layers.empty());
  EXPECT_FALSE(config.data.has("valid_path"));
}

TEST(Set, ReadsByTheOptionsType) {
  const auto config = config_of({"seed=3", "optimizer.lr=1", "optimizer.amsgrad=true",
                                 "model.hidden=8,4", "data.split=[0.7, 0.3]", "data.drop=a,b",
                                 "train.batch_size=64", "data.target=a=b"});
  EXPECT_EQ(config.seed, 3);
  EXPECT_EQ(config.optimizer.number("lr"), 1.0);
  EXPECT_TRUE(config.optimizer.boolean("amsgrad"));
  EXPECT_EQ(config.model.integers("hidden"), (std::vector<std::int64_t>{8, 4}));
  EXPECT_EQ(config.data.numbers("split"), (std::vector<double>{0.7, 0.3}));
  EXPECT_EQ(config.data.texts("drop"), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(config.train.text("batch_size"), "64");
  EXPECT_EQ(config.data.text("target"), "a=b");  // the first = counts
}

TEST(Set, TheLastOneCounts) { EXPECT_EQ(config_of({"seed=3", "seed=4"}).seed, 4); }

TEST(Set, NamesMayComeBeforeOrAfterTheirOptions) {
  for (const auto& order :
       {std::vector<std::string>{"optimizer.name=sgd", "optimizer.momentum=0.9"},
        std::vector<std::string>{"optimizer.momentum=0.9", "optimizer.name=sgd"}}) {
    EXPECT_EQ(config_of(order).optimizer.number("momentum"), 0.9);
  }
}

TEST(Set, AnotherNameTakesTheFormerOnesOptionsAway) {
  const auto config = config_of({"optimizer.beta1=0.8", "optimizer.lr=0.5", "optimizer.name=sgd"});
  EXPECT_EQ(config.optimizer.number("lr"), 0.5);
  EXPECT_FALSE(config.optimizer.has("beta1"));
  RawConfig raw = with_layers();
  raw.set("model.name=mlp", "--model");
  EXPECT_TRUE(resolve(raw).layers.empty());
}

TEST(Set, EmptyTakesBackWhatMayBeWithoutValue) {
  EXPECT_FALSE(config_of({"data.target=y", "data.target="}).data.has("target"));
  EXPECT_THAT(error_of({"optimizer.lr="}), HasSubstr("\"optimizer.lr\" must be a number"));
}

TEST(Set, ChangesLayers) {
  RawConfig raw = with_layers();
  raw.set("model.layers.0.units=9", "--set");
  raw.set("model.layers.1.type=tanh", "--set");
  const auto config = resolve(raw);
  EXPECT_EQ(config.layers[0].options.integer("units"), 9);
  EXPECT_EQ(config.layers[1].type, "tanh");
}

TEST(Set, LayerErrors) {
  const std::pair<const char*, const char*> rows[] = {
      {"model.layers.2.units=9", "layers count from 0 to 1"},
      {"model.layers.x.units=9", "write model.layers.INDEX.KEY=value"},
      {"model.layers.0=9", "write model.layers.INDEX.KEY=value"},
      {"model.layers.0.=9", "write model.layers.INDEX.KEY=value"},
      {"model.layers.0.unit=9", "did you mean \"units\"?"},
      {"model.layers.0.units=many", "\"model.layers.0.units\" must be an integer"},
      {"model.layers.1.type=rellu", "did you mean \"relu\"?"},
  };
  for (const auto& [assignment, expected] : rows) {
    try {
      with_layers().set(assignment, "--set");
      ADD_FAILURE() << assignment;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr(expected));
    }
  }
  EXPECT_THAT(error_of({"model.layers.0.units=1"}), HasSubstr("has no [[model.layers]]"));
}

struct BadSet {
  const char* assignment;
  const char* expected;
};

TEST(Set, Errors) {
  const BadSet rows[] = {
      {"optimizer.lr", "is no assignment"},
      {"=3", "is no assignment"},
      {"optimzer.lr=1", "did you mean \"optimizer\"?"},
      {"optimizer.lrr=1", "did you mean \"optimizer.lr\"?"},
      {"optimizer.lr=fast", "\"optimizer.lr\" must be a number, not \"fast\""},
      {"optimizer=sgd", "write optimizer.name=sgd"},
      {"train=3", "write train.KEY=value"},
      {"epochs=3", "did you mean \"train.epochs\"?"},
      {"lr=3", "did you mean \"optimizer.lr\"?"},
      {"seed=1.5", "\"seed\" must be an integer"},
      {"optimizer.name=adm", "did you mean \"adam\"?"},
      {"optimizer.momentum=0.9", "of optimizer \"adam\""},
      {"data.strict=yes", "must be true or false"},
      {"data.target=\xff", "not UTF-8"},
      {".=1", "unknown section []"},
  };
  for (const auto& [assignment, expected] : rows) {
    const auto error = error_of({assignment});
    EXPECT_THAT(error, HasSubstr(expected));
    EXPECT_THAT(error, HasSubstr("--set"));
  }
}

TEST(Set, ChangesLayersInsideOfLayers) {
  RawConfig raw = with_residual();
  raw.set("model.layers.2.layers.0.units=9", "--set");
  raw.set("model.layers.2.layers.1.type=sigmoid", "--set");
  raw.set("model.layers.2.shortcut=", "--set");
  const auto block = resolve(raw).layers.at(2).options;
  ASSERT_EQ(block.layers("layers").size(), 2u);
  EXPECT_EQ(block.layers("layers")[0].options.integer("units"), 9);
  EXPECT_EQ(block.layers("layers")[1].type, "sigmoid");
  EXPECT_FALSE(block.has("shortcut"));
}

TEST(Set, ErrorsOfLayersInsideOfLayers) {
  const std::pair<std::string, std::string> rows[] = {
      {"model.layers.2.layers.2.units=9", "layers count from 0 to 1"},
      {"model.layers.2.layers.x.units=9", "write model.layers.2.layers.INDEX.KEY=value"},
      {"model.layers.2.layers.0.unit=9", "unknown key \"model.layers.2.layers.0.unit\""},
      {"model.layers.2.layer.0.units=9", "did you mean \"layers\"?"},
      {"model.layers.2.layers=relu", "\"model.layers.2.layers\" cannot be written as a text"},
      {"model.layers.0.layers.0.units=9", "of layer \"linear\""},
  };
  for (const auto& [assignment, expected] : rows) {
    try {
      with_residual().set(assignment, "--set");
      ADD_FAILURE() << assignment;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr(expected)) << assignment;
    }
  }
}

TEST(Set, ChangesAGroup) {
  RawConfig raw = with_layers();
  raw.groups.push_back({{{"match", {std::string("0.*"), "g:2"}}}, "g:1"});
  raw.set("optimizer.groups.0.lr=0.5", "--set");
  raw.set("optimizer.groups.0.match=1.*,2.*", "--set");
  const auto config = resolve(raw);
  ASSERT_EQ(config.groups.size(), 1u);
  EXPECT_EQ(config.groups[0].options.number("lr"), 0.5);
  EXPECT_EQ(config.groups[0].options.texts("match"), (std::vector<std::string>{"1.*", "2.*"}));
  EXPECT_FALSE(config.groups[0].options.has("weight_decay"));
  EXPECT_THROW(raw.set("optimizer.groups.1.lr=0.5", "--set"), Error);
  EXPECT_THROW(raw.set("optimizer.groups.0.rate=0.5", "--set"), Error);
  EXPECT_THAT(error_of({"optimizer.groups.0.lr=1"}), HasSubstr("has no [[optimizer.groups]]"));
}

TEST(Json, ReadsBackTheSame) {
  RawConfig raw = with_residual();
  raw.groups.push_back({{{"match", {std::string("0.*"), "g:2"}}, {"lr", {0.25, "g:3"}}}, "g:1"});
  for (const auto* one : {"seed=9", "optimizer.name=sgd", "optimizer.lr=0.1", "optimizer.l2=inf",
                          "data.drop=a,b", "data.split=1,0", "loss.name=cross_entropy",
                          "loss.class_weights=[1, inf]", "schedule.name=cosine"}) {
    raw.set(one, "--set");
  }
  const auto json = to_json(resolve(raw));
  const auto text = json.dump();
  const auto again = config_from_json(nlohmann::json::parse(text));
  EXPECT_EQ(to_json(again).dump(), text);
  EXPECT_EQ(again.optimizer.values(), resolve(raw).optimizer.values());
  EXPECT_EQ(again.loss.values(), resolve(raw).loss.values());
  ASSERT_EQ(again.layers.size(), 3u);
  EXPECT_EQ(again.layers[2].options.layers("layers"),
            resolve(raw).layers[2].options.layers("layers"));
  ASSERT_EQ(again.groups.size(), 1u);
  EXPECT_EQ(again.groups[0].options.values(), resolve(raw).groups[0].options.values());
}

TEST(Json, WhatIsNoConfigurationIsADataError) {
  const char* rows[] = {"3",
                        "[]",
                        R"({"data": 3})",
                        R"({"data": {"path": {}}})",
                        R"({"data": {"pth": "x"}})",
                        R"({"date": {}})",
                        R"({"seed": "x"})",
                        R"({"seed": -1})",
                        R"({"seed": 18446744073709551615})",
                        R"({"optimizer": {"name": "adm"}})",
                        R"({"optimizer": {"name": 3}})",
                        R"({"optimizer": {"lr": "x"}})",
                        R"({"model": {"layers": 3}})",
                        R"({"model": {"layers": [3]}})",
                        R"({"model": {"layers": [{}]}})",
                        R"({"model": {"layers": [{"type": "x"}]}})",
                        R"({"model": {"layers": [{"type": "residual", "layers": 3}]}})",
                        R"({"model": {"layers": [{"type": "residual", "layers": [3]}]}})",
                        R"({"data": {"split": [1, "x"]}})",
                        R"({"data": {"split": [[1]]}})",
                        R"({"data": {"drop": [1, "x"]}})",
                        R"({"data": {"drop": [true]}})"};
  for (const auto* text : rows) {
    try {
      config_from_json(nlohmann::json::parse(text));
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data) << text;
    }
  }
}

}  // namespace
}  // namespace descent::train
