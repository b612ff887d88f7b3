// Configuration files: what is wrong with them is told with line, column, key and a suggestion;
// what is right comes back the same from the text that a run writes.
#include "descent/cli/config_file.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "descent/base/error.h"
#include "descent/train/config_schema.h"

namespace descent::cli {
namespace {

using testing::AllOf;
using testing::HasSubstr;

train::Config config_of(const std::string& text) {
  return train::resolve(parse_config(text, "c.toml"));
}

// A configuration without a fault, but for what is put in.
std::string with(const std::string& more) { return "[data]\npath = \"x.csv\"\n" + more; }

struct Bad {
  const char* name;
  std::string text;
  std::vector<std::string> fragments;  // of "where: what\n  remedy"
};

void PrintTo(const Bad& bad, std::ostream* out) { *out << bad.name; }

const Bad kBad[] = {
    // ---- TOML ----
    {"no_value", "[data]\npath =\n", {"c.toml:2:7", "not valid TOML"}},
    {"no_quotes", "[data]\npath = x.csv\n", {"c.toml:2:8", "not valid TOML"}},
    {"open_quote", "[data]\npath = \"x.csv\n", {"c.toml:2:", "not valid TOML"}},
    {"open_bracket", "[data\npath = \"x\"\n", {"c.toml:1:6", "not valid TOML"}},
    {"twice_a_key", "[data]\npath = \"x\"\npath = \"y\"\n", {"c.toml:3:", "not valid TOML"}},
    {"twice_a_section", "[data]\n[train]\n[data]\n", {"c.toml:3:", "not valid TOML"}},
    {"no_utf8", "[data]\npath = \"\xff\"\n", {"c.toml:2:", "not valid TOML"}},
    {"bad_number", "[optimizer]\nlr = 1e\n", {"c.toml:2:", "not valid TOML"}},
    {"two_on_a_line", "seed = 1 seed = 2\n", {"c.toml:1:10", "not valid TOML"}},
    // ---- sections ----
    {"misspelt_section",
     with("[optimzer]\nlr = 1\n"),
     {"c.toml:3:1", "unknown section [optimzer]", "did you mean \"optimizer\"?"}},
    {"empty_misspelt_section", "[modle]\n", {"c.toml:1:1", "did you mean \"model\"?"}},
    {"strange_section",
     "[gpu]\nid = 1\n",
     {"c.toml:1:1", "unknown section [gpu]", "data, model, loss, optimizer"}},
    {"name_for_a_section",
     "optimizer = \"adam\"\n",
     {"c.toml:1:1", "\"optimizer\" is a section", "optimizer.name = "}},
    {"value_for_a_section", "train = 3\n", {"c.toml:1:1", "\"train\" is a section", "[train]"}},
    {"layers_at_the_top",
     with("[[layers]]\ntype = \"relu\"\n"),
     {"c.toml:3:3", "[[layers]]", "write [[model.layers]]"}},
    {"layers_no_list",
     with("[model]\nlayers = 3\n"),
     {"c.toml:4:1", "unknown key \"model.layers\" of model \"mlp\"", "have this key"}},
    {"layers_of_texts", with("[model]\nlayers = [\"relu\"]\n"), {"c.toml:4:1", "[[model.layers]]"}},
    {"table_for_a_value",
     with("[train.epochs]\nn = 3\n"),
     {"c.toml:3:8", "\"train.epochs\" is a table where a value is wanted"}},
    // ---- keys ----
    {"misspelt_seed", "sead = 1\n", {"c.toml:1:1", "unknown key \"sead\"", "\"seed\"?"}},
    {"key_of_a_section_at_the_top",
     "epochs = 3\n" + with(""),
     {"c.toml:1:1", "unknown key \"epochs\"", "did you mean \"train.epochs\"?"}},
    {"unknown_at_the_top",
     "zzzzzzzzz = 1\n",
     {"c.toml:1:1", "unknown key \"zzzzzzzzz\"", "the sections are"}},
    {"misspelt_key",
     with("[optimizer]\nlrr = 0.1\n"),
     {"c.toml:4:1", "unknown key \"optimizer.lrr\"", "did you mean \"optimizer.lr\"?"}},
    {"misspelt_data_key",
     with("targte = \"y\"\n"),
     {"c.toml:3:1", "unknown key \"data.targte\"", "did you mean \"data.target\"?"}},
    {"key_in_another_section",
     with("[model]\nepochs = 3\n"),
     {"c.toml:4:1", "unknown key \"model.epochs\"", "did you mean \"train.epochs\"?"}},
    {"key_of_another_optimizer",
     with("[optimizer]\nname = \"adam\"\nmomentum = 0.9\n"),
     {"c.toml:5:1", "unknown key \"optimizer.momentum\" of optimizer \"adam\"", "only ", "sgd"}},
    {"key_of_another_model",
     with("[model]\nname = \"linear\"\nhidden = 3\n"),
     {"c.toml:5:1", "unknown key \"model.hidden\" of model \"linear\"", "mlp"}},
    {"key_nobody_has",
     with("[loss]\nname = \"mse\"\nqqqqqqqqqq = 1\n"),
     {"c.toml:5:1", "unknown key \"loss.qqqqqqqqqq\"", "the keys of [loss] are name"}},
    {"indented_key",
     with("[optimizer]\n   lrr = 0.1\n"),
     {"c.toml:4:4", "unknown key \"optimizer.lrr\""}},
    {"dotted_key",
     with("[train]\n[optimizer]\nlr.x = 1\n"),
     {"c.toml:5:1", "\"optimizer.lr\" is a table"}},
    // ---- names ----
    {"misspelt_optimizer",
     with("[optimizer]\nname = \"admm\"\n"),
     {"c.toml:4:1", "no optimizer is called \"admm\"", "did you mean \"adam\"?"}},
    {"misspelt_model",
     with("[model]\nname = \"mpl\"\n"),
     {"c.toml:4:1", "no model is called \"mpl\"", "did you mean \"mlp\"?"}},
    {"misspelt_loss",
     with("[loss]\nname = \"crossentropy\"\n"),
     {"c.toml:4:1", "no loss is called", "did you mean \"cross_entropy\"?"}},
    {"misspelt_schedule",
     with("[schedule]\nname = \"cosin\"\n"),
     {"c.toml:4:1", "no schedule is called \"cosin\"", "did you mean \"cosine\"?"}},
    {"name_no_text",
     with("[optimizer]\nname = 3\n"),
     {"c.toml:4:1", "\"optimizer.name\" must be a text, not 3"}},
    // ---- values ----
    {"text_for_a_number",
     with("[optimizer]\nlr = \"fast\"\n"),
     {"c.toml:4:1", "\"optimizer.lr\" must be a number, not \"fast\""}},
    {"number_for_an_integer",
     with("[train]\nepochs = 2.5\n"),
     {"c.toml:4:1", "\"train.epochs\" must be an integer, not 2.5"}},
    {"whole_number_for_an_integer",
     with("[train]\nepochs = 2.0\n"),
     {"c.toml:4:1", "\"train.epochs\"", "without a point"}},
    {"negative_epochs", with("[train]\nepochs = -1\n"), {"c.toml:4:1", "\"train.epochs\" must"}},
    {"negative_seed", "seed = -1\n", {"c.toml:1:1", "\"seed\" must be at least 0, not -1"}},
    {"text_for_the_seed", "seed = \"x\"\n", {"c.toml:1:1", "\"seed\" must be an integer"}},
    {"boolean_for_a_number",
     with("[optimizer]\nlr = true\n"),
     {"c.toml:4:1", "\"optimizer.lr\" must be a number, not true"}},
    {"number_for_a_boolean",
     with("strict = 1\n"),
     {"c.toml:3:1", "\"data.strict\" must be true or false, not 1"}},
    {"nan", with("[optimizer]\nlr = nan\n"), {"c.toml:4:1", "\"optimizer.lr\" must", "nan"}},
    {"out_of_bounds",
     with("[model]\ndropout = 1.5\n"),
     {"c.toml:4:1", "\"model.dropout\" must lie between 0 and 1, not 1.5"}},
    {"out_of_bounds_in_a_list",
     with("[model]\nhidden = [64, 0]\n"),
     {"c.toml:4:1", "\"model.hidden\" must be at least 1, not 0"}},
    {"no_such_choice",
     with("normalize = \"standrad\"\n"),
     {"c.toml:3:1", "\"data.normalize\" has no choice", "did you mean \"standard\"?"}},
    {"mixed_list",
     with("split = [0.8, \"x\"]\n"),
     {"c.toml:3:1", "\"data.split\" is a list of mixed or nested values"}},
    {"nested_list", with("split = [[0.8], [0.2]]\n"), {"c.toml:3:1", "\"data.split\" is a list"}},
    {"texts_for_numbers",
     with("split = [\"a\"]\n"),
     {"c.toml:3:1", "\"data.split\" must be a list of numbers"}},
    {"list_for_a_text",
     with("target = [\"a\", \"b\"]\n"),
     {"c.toml:3:1", "\"data.target\" must be a text"}},
    {"date", with("target = 2024-01-01\n"), {"c.toml:3:1", "\"data.target\" is a date or time"}},
    {"too_large_integer",
     with("[train]\nepochs = 99999999999999999999\n"),
     {"c.toml:4:", "not valid TOML"}},
    // ---- layers ----
    {"layer_without_type",
     with("[[model.layers]]\nunits = 3\n"),
     {"c.toml:3:1", "\"model.layers.0.type\" is required", "linear"}},
    {"misspelt_layer",
     with("[[model.layers]]\ntype = \"liner\"\n"),
     {"c.toml:4:1", "no layer is called \"liner\"", "did you mean \"linear\"?"}},
    {"type_no_text",
     with("[[model.layers]]\ntype = 1\n"),
     {"c.toml:4:1", "\"model.layers.0.type\" must be a text"}},
    {"required_of_a_layer",
     with("[[model.layers]]\ntype = \"relu\"\n[[model.layers]]\ntype = \"linear\"\n"),
     {"c.toml:5:1", "\"model.layers.1.units\" is required"}},
    {"unknown_key_of_a_layer",
     with("[[model.layers]]\ntype = \"linear\"\nunit = 3\n"),
     {"c.toml:5:1", "unknown key \"model.layers.0.unit\" of layer \"linear\"", "\"units\"?"}},
    {"key_of_a_layer_without_keys",
     with("[[model.layers]]\ntype = \"flatten\"\nunits = 3\n"),
     {"c.toml:5:1", "\"model.layers.0.units\"", "flatten has no options"}},
    {"bad_value_in_a_layer",
     with("[[model.layers]]\ntype = \"conv2d\"\nfilters = 0\n"),
     {"c.toml:5:1", "\"model.layers.0.filters\" must be at least 1, not 0"}},
    {"inner_layer_type_unknown",
     with("[[model.layers]]\ntype = \"residual\"\nlayers = [\n  {type = \"liner\"},\n]\n"),
     {"c.toml:6:4", "no layer is called \"liner\"", "\"linear\"?"}},
    {"inner_layer_without_type",
     with("[[model.layers]]\ntype = \"residual\"\nlayers = [{units = 3}]\n"),
     {"c.toml:5:11", "\"model.layers.0.layers.0.type\" is required"}},
    {"inner_layer_key_unknown",
     with("[[model.layers]]\ntype = \"residual\"\n[[model.layers.layers]]\ntype = \"relu\"\n"
          "[[model.layers.shortcut]]\ntype = \"conv2d\"\nfilter = 3\n"),
     {"c.toml:9:1", "unknown key \"model.layers.0.shortcut.0.filter\" of layer \"conv2d\"",
      "\"filters\"?"}},
    {"inner_layer_out_of_range",
     with("[[model.layers]]\ntype = \"residual\"\nlayers = [{type = \"linear\", units = 0}]\n"),
     {"c.toml:5:29", "\"model.layers.0.layers.0.units\" must be at least 1, not 0"}},
    {"inner_layers_missing",
     with("[[model.layers]]\ntype = \"residual\"\n"),
     {"c.toml:3:1", "\"model.layers.0.layers\" is required"}},
    {"inner_layers_no_list",
     with("[[model.layers]]\ntype = \"residual\"\nlayers = \"relu\"\n"),
     {"c.toml:5:1", "\"model.layers.0.layers\" must be a list of layers, not \"relu\""}},
    {"inner_layers_misspelt",
     with("[[model.layers]]\ntype = \"residual\"\nlayer = [{type = \"relu\"}]\n"),
     {"c.toml:5:1", "unknown key \"model.layers.0.layer\"", "\"layers\"?"}},
    {"layers_of_a_layer_that_takes_none",
     with("[[model.layers]]\ntype = \"linear\"\nunits = [{type = \"relu\"}]\n"),
     {"c.toml:5:1", "\"model.layers.0.units\" takes no layers"}},
    {"layers_of_a_preset",
     with("[model]\nname = \"mlp\"\n[[model.layers]]\ntype = \"relu\"\n"),
     {"c.toml:4:1", "model \"mlp\" takes no [[model.layers]]", "sequential"}},
    {"sequential_without_layers",
     with("[model]\nname = \"sequential\"\n"),
     {"c.toml:4:1", "a sequential model needs layers"}},
    // ---- groups of parameters ----
    {"groups_at_the_top",
     with("[[groups]]\nlr = 1\n"),
     {"c.toml:3:3", "[[groups]]", "write [[optimizer.groups]]"}},
    {"groups_no_list",
     with("[optimizer]\ngroups = 3\n"),
     {"c.toml:4:1", "optimizer.groups is not a list of tables", "[[optimizer.groups]]"}},
    {"group_without_match",
     with("[[optimizer.groups]]\nlr = 1\n"),
     {"c.toml:3:1", "\"optimizer.groups.0.match\" is required", "patterns"}},
    {"unknown_key_of_a_group",
     with("[[optimizer.groups]]\nmatch = [\"a\"]\nweight_decy = 1\n"),
     {"c.toml:5:1", "unknown key \"optimizer.groups.0.weight_decy\"", "\"weight_decay\"?"}},
    {"bad_rate_of_a_group",
     with("[[optimizer.groups]]\nmatch = \"a\"\nlr = -1\n"),
     {"c.toml:5:1", "\"optimizer.groups.0.lr\" must be at least 0, not -1"}},
    // ---- nothing to do ----
    {"empty", "", {"data.path is not set", "--data"}},
    {"no_data", "[train]\nepochs = 3\n", {"[data]", "data.path is not set"}},
    {"empty_path", "[data]\npath = \"\"\n", {"data.path is not set"}},
};

class ConfigErrors : public testing::TestWithParam<Bad> {};

TEST_P(ConfigErrors, SayWhereAndHow) {
  try {
    config_of(GetParam().text);
    FAIL() << "accepted:\n" << GetParam().text;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);  // exit code 2
    for (const auto& fragment : GetParam().fragments) {
      EXPECT_THAT(error.what(), HasSubstr(fragment));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, ConfigErrors, testing::ValuesIn(kBad),
                         [](const auto& one) { return std::string(one.param.name); });

TEST(ConfigFile, ReadsWhatItSays) {
  const auto config = config_of(R"(
seed = 7
data = { path = "x.csv", target = 3, drop = "id", split = [1, 0.0] }
model.name = "mlp"
model.hidden = 32
[optimizer]
name = "sgd"
lr = 1
[train]
batch_size = 128
)");
  EXPECT_EQ(config.seed, 7);
  EXPECT_EQ(config.data.text("target"), "3");  // an integer where text is wanted
  EXPECT_EQ(config.data.texts("drop"), std::vector<std::string>{"id"});
  EXPECT_EQ(config.data.numbers("split"), (std::vector<double>{1, 0}));
  EXPECT_EQ(config.model.integers("hidden"), std::vector<std::int64_t>{32});
  EXPECT_EQ(config.optimizer.number("lr"), 1.0);
  EXPECT_EQ(config.train.text("batch_size"), "128");
}

TEST(ConfigFile, LayersMakeTheModelSequential) {
  const auto config = config_of(with("[[model.layers]]\ntype = \"linear\"\nunits = 3\n"));
  EXPECT_EQ(config.model.text("name"), "sequential");
  ASSERT_EQ(config.layers.size(), 1u);
  EXPECT_EQ(config.layers[0].options.integer("units"), 3);
  EXPECT_EQ(config.layers[0].where, "c.toml:3:1");
}

TEST(ConfigFile, MissingFileIsUsage) {
  try {
    read_config_file("/nowhere/c.toml");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("/nowhere/c.toml"), HasSubstr("cannot open")));
  }
}

// Two configurations are the same where their JSON is: it holds every value and its type.
void expect_round_trip(const train::Config& config) {
  const auto text = config_text(config, "title");
  SCOPED_TRACE(text);
  EXPECT_EQ(to_json(train::resolve(parse_config(text, "again.toml"))), to_json(config));
}

TEST(ConfigText, ReadsBackTheSame) {
  expect_round_trip(config_of(with("")));
  expect_round_trip(config_of(with(R"(
target = "a \"b\" \\ c, d # e"
drop = ["x,y", "", "ü", "tab\t"]
missing = []
[loss]
name = "cross_entropy"
class_weights = [1, 2.5, 1e-30]
[optimizer]
lr = 0.1
eps = inf
[schedule]
name = "one_cycle"
[[optimizer.groups]]
match = ["0.*", "*.bias"]
lr = 1e-3
[[optimizer.groups]]
match = "1.*"
weight_decay = 0
[model]
init_from = "old run"
init_map = ["a.* -> *"]
[[model.layers]]
type = "conv2d"
filters = 4
kernel = [3, 5]
[[model.layers]]
type = "residual"
activation = "relu"
shortcut = [{type = "conv2d", filters = 4, kernel = 1}]
[[model.layers.layers]]
type = "residual"
layers = [
  {type = "conv2d", filters = 4, padding = "same"},
  {type = "softplus", beta = 2.5},
]
[[model.layers]]
type = "linear"
units = 10
)")));
}

TEST(ConfigText, EveryNameReadsBackTheSame) {
  for (const auto& section : train::section_names()) {
    const auto* named = train::named_section(section);
    if (named == nullptr) continue;
    for (const auto& name : named->names()) {
      if (name == "sequential") continue;
      // Options that a name requires have no default to write.
      const auto text = with(section == "schedule" && name == "multistep"
                                 ? "[schedule]\nname = \"multistep\"\nmilestones = [3, 4]\n"
                                 : "[" + section + "]\nname = \"" + name + "\"\n");
      try {
        expect_round_trip(config_of(text));
      } catch (const Error& error) {
        EXPECT_THAT(error.what(), HasSubstr("is required")) << section << " " << name;
      }
    }
  }
}

TEST(ConfigText, HasEveryKeyWithItsMeaning) {
  const auto text = config_text(config_of(with("")), "title");
  EXPECT_THAT(text, AllOf(HasSubstr("# title\n"), HasSubstr("\nseed = 1\n"),
                          HasSubstr("\npath = \"x.csv\"\n"), HasSubstr("\n# valid_path = \n"),
                          HasSubstr("\n# learning rate\nlr = "), HasSubstr("[checkpoint]")));
  std::size_t at = 0;
  for (std::size_t end; (end = text.find('\n', at)) != std::string::npos; at = end + 1) {
    if (text[at] != '#') continue;
    EXPECT_LE(end - at, 100u) << text.substr(at, end - at);
  }
}

TEST(ConfigText, DefaultsAreValidOnceThereIsData) {
  const auto text = default_config_text();
  auto raw = parse_config(text, "defaults.toml");
  raw.set("data.path=x.csv", "--set");
  EXPECT_EQ(to_json(train::resolve(raw)), to_json(config_of(with(""))));
  for (const auto& key : {"momentum", "hidden", "decay_steps", "label_smoothing", "filters"}) {
    EXPECT_THAT(text, HasSubstr(key));
  }
}

TEST(Examples, ResolveAndReadBackTheSame) {
  int seen = 0;
  for (const auto& file :
       std::filesystem::directory_iterator(DESCENT_GOLDEN_DIR "/../../examples")) {
    if (file.path().extension() != ".toml") continue;
    SCOPED_TRACE(file.path());
    ++seen;
    expect_round_trip(train::resolve(read_config_file(file.path().string())));
  }
  EXPECT_GE(seen, 9);
}

}  // namespace
}  // namespace descent::cli
