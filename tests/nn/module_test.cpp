// Scopes, names, containers, summaries and the errors of models that do not fit.
#include "descent/nn/module.h"

#include <gmock/gmock.h>

#include "descent/nn/layers.h"
#include "descent/nn/registry.h"
#include "tests/nn/harness.h"

namespace descent::nn::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

Type batch(const Shape& shape, DType dtype = DType::float32) { return {dtype, shape, true}; }

// "0.weight [64, 13]" for each variable.
std::vector<std::string> listed(const std::vector<Variable>& variables) {
  std::vector<std::string> all;
  for (const auto& v : variables) all.push_back(v.name + " " + to_string(v.type.shape));
  return all;
}

std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

// ---- names ----

TEST(Describe, NamesAndShapesArePyTorchs) {
  const auto model = sequential(linear(64), relu(), linear(1));
  EXPECT_THAT(listed(descent::nn::describe(model, batch({32, 13}))),
              ElementsAre("0.weight [64, 13]", "0.bias [64]", "2.weight [1, 64]", "2.bias [1]"));
}

TEST(Describe, ContainersNest) {
  const auto block = sequential(linear(4), batch_norm());
  const auto variables = descent::nn::describe(sequential(block, linear(2)), batch({8, 3}));
  EXPECT_THAT(listed(variables),
              ElementsAre("0.0.weight [4, 3]", "0.0.bias [4]", "0.1.running_mean [4]",
                          "0.1.running_var [4]", "0.1.weight [4]", "0.1.bias [4]",
                          "1.weight [2, 4]", "1.bias [2]"));
}

TEST(Describe, SaysWhatIsTrainedAndWhatDecays) {
  const auto model = sequential(linear(4), batch_norm(), layer_norm());
  for (const auto& v : descent::nn::describe(model, batch({8, 3}))) {
    EXPECT_EQ(v.decay, v.name == "0.weight") << v.name;
    EXPECT_EQ(v.trained, !v.name.starts_with("1.running")) << v.name;
  }
}

TEST(Describe, ParametersHaveTheTypeOfTheBatch) {
  EXPECT_EQ(descent::nn::describe(linear(1), batch({2, 3}))[0].type.dtype, DType::float32);
  EXPECT_EQ(descent::nn::describe(linear(1), batch({2, 3}, DType::float64))[0].type.dtype,
            DType::float64);
}

// A module that looks rows up, and one that also takes the table whole, first or last.
class TwiceUsed final : public Module {
 public:
  explicit TwiceUsed(std::string how) : how_(std::move(how)) {}
  Value operator()(Scope& scope, const Value& x) const override {
    Value y;
    if (how_ == "whole first") y = scope.parameter("weight", {7, 3}, zeros());
    y = scope.rows("weight", {7, 3}, zeros(), x, true);
    if (how_ == "whole last") y = scope.parameter("weight", {7, 3}, zeros());
    if (how_ == "rows twice") y = scope.rows("weight", {7, 3}, zeros(), x, true);
    return y;
  }
  std::string describe() const override { return "twice_used"; }

 private:
  std::string how_;
};

TEST(Rows, OfASparseParameterAreItsOnlyUse) {
  const Type tokens = batch({4, 2}, DType::int64);
  const auto variables = descent::nn::describe(std::make_shared<TwiceUsed>("once"), tokens);
  ASSERT_EQ(variables.size(), 1U);
  EXPECT_TRUE(variables[0].sparse);
  EXPECT_FALSE(descent::nn::describe(embedding({.vocabulary = 7, .dim = 3}), tokens)[0].sparse);
  for (const char* how : {"whole first", "whole last", "rows twice"}) {
    EXPECT_THAT(error_of([&] { descent::nn::describe(std::make_shared<TwiceUsed>(how), tokens); }),
                HasSubstr("\"weight\" is sparse and is used in two places"))
        << how;
  }
}

// A step may give the rows itself; it is asked for sparse ones alone.
TEST(Rows, MayComeFromTheStep) {
  const Value index = input({DType::int64, {4}}, "tokens"), table = input({DType::float32, {7, 3}}),
              own = input({DType::float32, {4, 3}});
  for (const bool sparse : {true, false}) {
    Scope scope({{"weight", table}}, true, {});
    std::string asked;
    scope.look_up = [&](const std::string& name, const Value& at) {
      EXPECT_EQ(at, index);
      asked = name;
      return own;
    };
    const Value y = (*embedding({.vocabulary = 7, .dim = 3, .sparse = sparse}))(scope, index);
    EXPECT_EQ(y == own, sparse);
    EXPECT_EQ(asked, sparse ? "weight" : "");
  }
}

// The numbers of rows and of shards are no part of a model.
TEST(Describe, DoesNotDependOnTheRows) {
  const auto model = sequential(conv2d({.filters = 3}), batch_norm(), flatten(), linear(2));
  EXPECT_EQ(listed(descent::nn::describe(model, batch({1, 2, 6, 6}))),
            listed(descent::nn::describe(model, batch({64, 2, 6, 6}))));
}

// ---- initial values ----

TEST(Initialize, DependsOnKeyAndNameAlone) {
  const auto small = sequential(linear(5), relu(), linear(2));
  const auto large = sequential(linear(5), relu(), linear(2), relu(), linear(7));
  const auto a = initialize(descent::nn::describe(small, batch({4, 3})), 11);
  const auto b = initialize(descent::nn::describe(large, batch({4, 3})), 11);
  const auto c = initialize(descent::nn::describe(small, batch({4, 3})), 12);
  ASSERT_EQ(a.size(), 4u);
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].first, b[i].first);
    EXPECT_TRUE(identical(a[i].second, b[i].second)) << a[i].first;
    EXPECT_FALSE(identical(a[i].second, c[i].second)) << a[i].first;
  }
}

TEST(Initialize, DrawsEachParameterForItself) {
  const auto variables = descent::nn::describe(sequential(linear(4), linear(4)), batch({2, 4}));
  const auto tree = initialize(variables, 3);
  EXPECT_EQ(tree[0].second.shape(), tree[2].second.shape());
  EXPECT_FALSE(identical(tree[0].second, tree[2].second));
}

// PyTorch's defaults: weight and bias U(-1/sqrt(in), 1/sqrt(in)). Of 4000 draws the largest lies
// within 1 % of the bound but for a chance of 0.99^4000 = 1e-17; of 100, within 20 % but for 2e-10.
TEST(Initialize, LinearAndConvolutionStartAsInPyTorch) {
  const auto starts_at = [](const Layer& layer, const Shape& shape, double fan_in) {
    const auto tree = initialize(descent::nn::describe(layer, batch(shape)), 1);
    EXPECT_LE(largest(tree[0].second), 1 / std::sqrt(fan_in) * (1 + 1e-7));
    EXPECT_GT(largest(tree[0].second), 0.99 / std::sqrt(fan_in));
    EXPECT_LE(largest(tree[1].second), 1 / std::sqrt(fan_in) * (1 + 1e-7));
    EXPECT_GT(largest(tree[1].second), 0.8 / std::sqrt(fan_in));
  };
  starts_at(linear(100), {2, 40}, 40);
  starts_at(conv2d({.filters = 100, .kernel = 3}), {2, 8, 5, 5}, 72);
  starts_at(conv2d({.filters = 100, .kernel = 3, .groups = 2}), {2, 16, 5, 5}, 72);
}

TEST(Initialize, TakesWhatTheOptionsSay) {
  const auto layer = linear(50, {.init = he_normal(), .bias_init = constant(0.5)});
  const auto tree = initialize(descent::nn::describe(layer, batch({2, 50})), 1);
  EXPECT_TRUE(identical(tree[0].second,
                        he_normal()(DType::float32, {50, 50}, fold_in(1, hash_text("weight")))));
  EXPECT_THAT(tree[1].second.to_vector(), testing::Each(0.5));
  const auto bad = linear(3, {.bias_init = he_normal()});
  EXPECT_THAT(error_of([&] {
                initialize(descent::nn::describe(bad, batch({2, 5})), 1);
              }),
              HasSubstr("parameter \"bias\""));
}

// ---- applying ----

// x W^T + b with small integers, exactly.
TEST(Scope, HandsOutWhatWasBound) {
  const EagerScope eager;
  const auto value = [](std::vector<double> x, Shape shape) {
    return constant(Array::from(x, std::move(shape)));
  };
  Scope scope({{"0.weight", value({1, 2, 3, 4}, {2, 2})}, {"0.bias", value({10, 20}, {2})}}, true,
              {}, DType::float64);
  const auto y =
      (*sequential(linear(2)))(scope, computed({Array::from<double>({1, 1, 0, 2}, {2, 2})}, true));
  EXPECT_THAT(y.array().to_vector(), ElementsAre(13, 27, 14, 28));
}

TEST(Scope, SaysWhatIsNotBound) {
  const auto apply_bound = [](const Shape& weight) {
    Scope scope({{"0.weight", zeros_like(input({DType::float32, weight}))}, {"0.bais", scalar(0)}},
                false, {});
    (*sequential(linear(2)))(scope, input(batch({4, 3})));
  };
  EXPECT_EQ(error_of([&] {
              apply_bound({2, 3});
            }),
            "layer 0 (linear): nothing is bound to \"0.bias\"\n"
            "  bound names: 0.bais, 0.weight");
  EXPECT_THAT(
      error_of([&] {
        apply_bound({2, 5});
      }),
      HasSubstr("layer 0 (linear): \"0.weight\" has shape [2, 5] where the layer needs [2, 3]"));
}

TEST(Scope, WantsAKeyOnlyForWhatIsRandom) {
  const auto apply_model = [](bool training) {
    Scope scope({}, training, {});
    (*sequential(dropout(0.5)))(scope, input(batch({4, 3})));
  };
  EXPECT_THAT(error_of([&] { apply_model(true); }),
              HasSubstr("layer 0 (dropout): a random operation"));
  EXPECT_EQ(error_of([&] { apply_model(false); }), "no error");
}

// A module that holds one parameter and calls another layer twice under one name.
class Tied final : public Module {
 public:
  Value operator()(Scope& scope, const Value& x) const override {
    const Value y = call(inner_, scope, "inner", call(inner_, scope, "inner", x));
    return y * scope.parameter("scale", {3}, ones());
  }
  std::string describe() const override { return "tied"; }
  std::vector<std::pair<std::string, Layer>> children() const override {
    return {{"inner", inner_}};
  }

 private:
  Layer inner_ = linear(3);
};

TEST(Scope, SharesWhatIsAskedForTwice) {
  const auto model = sequential(std::make_shared<const Tied>());
  EXPECT_THAT(listed(descent::nn::describe(model, batch({4, 3}))),
              ElementsAre("0.inner.weight [3, 3]", "0.inner.bias [3]", "0.scale [3]"));
  // The second use of another width cannot be the same parameter.
  EXPECT_THAT(error_of([&] {
                descent::nn::describe(model, batch({4, 5}));
              }),
              HasSubstr("layer 0.inner (linear): \"0.inner.weight\" is asked for with shape [3, 5] "
                        "and with shape [3, 3]"));
}

// Names of the caller's own NameScope are no part of parameter names, and an error leaves the scope
// as it was.
TEST(Scope, PathsAreItsOwn) {
  const NameScope outside("step");
  EXPECT_EQ(descent::nn::describe(sequential(linear(1)), batch({2, 3}))[0].name, "0.weight");
  Scope scope;
  EXPECT_THROW((*sequential(max_pool2d()))(scope, input(batch({4, 3}))), Error);
  (*sequential(linear(1)))(scope, input(batch({4, 3})));
  EXPECT_EQ(scope.variables()[0].name, "0.weight");
}

TEST(Scope, BuffersChangeWhileTrainingOnly) {
  const EagerScope eager;
  const auto updated = [](bool training) {
    Scope scope({{"running_mean", constant(Array::from<double>({0, 0}, {2}))},
                 {"running_var", constant(Array::from<double>({1, 1}, {2}))}},
                training, {}, DType::float64);
    (*batch_norm({.affine = false}))(scope,
                                     computed({Array::from<double>({1, 2, 3, 6}, {2, 2})}, true));
    return scope.updated();
  };
  EXPECT_TRUE(updated(false).empty());
  const auto now = updated(true);
  ASSERT_EQ(now.size(), 2u);
  // mean 2 and 4, variance (n - 1) 2 and 8, a tenth of the way.
  EXPECT_THAT(now.at("running_mean").array().to_vector(),
              ElementsAre(testing::DoubleEq(0.2), testing::DoubleEq(0.4)));
  EXPECT_THAT(now.at("running_var").array().to_vector(),
              ElementsAre(testing::DoubleEq(1.1), testing::DoubleEq(1.7)));
}

// Counts its uses, and says so in every mode.
class Counter final : public Module {
 public:
  Value operator()(Scope& scope, const Value& x) const override {
    scope.update_buffer("uses", scope.buffer("uses", {}, zeros()) + 1.0);
    return x;
  }
  std::string describe() const override { return "counter"; }
};

TEST(Scope, IgnoresUpdatesInEvaluation) {
  for (const bool training : {true, false}) {
    const EagerScope eager;
    Scope scope({{"uses", scalar(4)}}, training, {});
    Counter()(scope, computed({Array(DType::float32, {1, 1})}, true));
    ASSERT_EQ(scope.updated().size(), training ? 1u : 0u);
    EXPECT_EQ(scope.updated().contains("uses") ? scope.updated().at("uses").item() : 5, 5);
  }
}

// ---- errors ----

TEST(Errors, NameTheLayerAndTheShapes) {
  const auto images = batch({4, 3, 8, 8});
  const auto fails = [](const Layer& model, const Type& type) {
    return error_of([&] { descent::nn::describe(model, type); });
  };
  EXPECT_THAT(fails(sequential(relu(), conv2d({.filters = 4})), batch({4, 13})),
              StartsWith("layer 1 (conv2d): conv2d wants images [rows, channels, height, width], "
                         "not float32[4, 13] per shard"));
  EXPECT_THAT(fails(sequential(conv2d({.filters = 4, .groups = 2})), images),
              StartsWith("layer 0 (conv2d): 3 channels of"));
  EXPECT_THAT(fails(sequential(conv2d({.filters = 4, .kernel = 9})), images),
              StartsWith("layer 0 (conv2d): conv2d("));
  EXPECT_THAT(fails(sequential(sequential(max_pool2d({.kernel = 9}))), images),
              StartsWith("layer 0.0 (max_pool2d): windows of 9x9 do not fit"));
  EXPECT_THAT(fails(linear(3), batch({4})), StartsWith("model (linear): "));
  EXPECT_THAT(fails(sequential(conv1d({.filters = 4})), images),
              StartsWith("layer 0 (conv1d): conv1d wants sequences [rows, channels, length], not "
                         "float32[4, 3, 8, 8]"));
  EXPECT_THAT(fails(sequential(conv2d({.filters = 4})), batch({4, 3, 8})),
              HasSubstr("the layers for sequences end in 1d"));
  EXPECT_THAT(fails(sequential(conv1d({.filters = 4, .groups = 2})), batch({4, 3, 8})),
              AllOf(StartsWith("layer 0 (conv1d): 3 channels of float32[4, 3, 8]"),
                    HasSubstr("let groups divide the channels")));
  EXPECT_THAT(
      fails(sequential(conv2d(
                {.filters = 4, .kernel = 17, .padding = 8, .padding_mode = PadMode::reflect})),
            images),
      AllOf(StartsWith("layer 0 (conv2d): reflecting padding by 8 needs more than the 8 "
                       "values along axis 2 of float32[4, 3, 8, 8]"),
            HasSubstr("pad by less, or with zeros")));
  EXPECT_THAT(fails(sequential(conv_transpose2d({.filters = 4, .padding = 5})), images),
              AllOf(StartsWith("layer 0 (conv_transpose2d): conv_transpose2d(float32[4, 3, 8, 8]"),
                    HasSubstr("the result would be of 0x0"), HasSubstr("use less padding")));
  EXPECT_THAT(fails(sequential(conv_transpose2d({.filters = 4, .groups = 2})), images),
              StartsWith("layer 0 (conv_transpose2d): 3 channels of"));
  EXPECT_THAT(fails(sequential(max_pool1d({.kernel = 9})), batch({4, 3, 8})),
              StartsWith("layer 0 (max_pool1d): windows of 9 do not fit into float32[4, 3, 8]"));
  EXPECT_THAT(fails(sequential(global_max_pool2d()), batch({4, 3})),
              StartsWith("layer 0 (global_max_pool2d): global_max_pool2d wants images"));
  EXPECT_THAT(fails(sequential(group_norm(2)), images),
              AllOf(StartsWith("layer 0 (group_norm): 3 channels of float32[4, 3, 8, 8]"),
                    HasSubstr("let groups divide the channels")));
  EXPECT_THAT(
      fails(sequential(group_norm(3)), batch({4, 3})),
      StartsWith("layer 0 (group_norm): group_norm of float32[4, 3] per shard has one value "
                 "in each group"));
  EXPECT_THAT(fails(sequential(instance_norm()), batch({4, 3})),
              StartsWith("layer 0 (instance_norm): instance_norm wants [rows, channels, height"));
  EXPECT_THAT(fails(sequential(rms_norm({.axes = 2})), batch({4, 3})),
              StartsWith("layer 0 (rms_norm): rms_norm over the last 2 axes cannot take float32"));
  EXPECT_THAT(
      fails(sequential(subsample({.channels = 2})), images),
      AllOf(StartsWith("layer 0 (subsample): float32[4, 3, 8, 8] per shard has more than 2"),
            HasSubstr("1x1")));
  EXPECT_THAT(
      fails(sequential(relu(), residual(sequential(relu(), max_pool2d({.kernel = 9})))), images),
      StartsWith("layer 1.body.1 (max_pool2d): windows of 9x9"));
  EXPECT_THAT(fails(sequential(residual(sequential(conv2d({.filters = 4})))), images),
              AllOf(StartsWith("layer 0 (residual): the layers give float32[4, 4, 6, 6] per shard, "
                               "the shortcut float32[4, 3, 8, 8]"),
                    HasSubstr("padding = \"same\""), HasSubstr("add a shortcut")));
  EXPECT_THAT(fails(sequential(layer_norm({.axes = 2})), batch({4, 3})),
              StartsWith("layer 0 (layer_norm): "));
}

TEST(Errors, RefuseOptionsWithoutMeaning) {
  EXPECT_THROW(linear(0), Error);
  EXPECT_THROW(conv2d({}), Error);
  EXPECT_THROW(conv2d({.filters = 5, .groups = 2}), Error);
  EXPECT_THROW(max_pool2d({.kernel = 2, .padding = 2}), Error);
  EXPECT_THROW(batch_norm({.eps = 0}), Error);
  EXPECT_THROW(dropout(1), Error);
  EXPECT_THROW(gelu("erf"), Error);
  EXPECT_THROW(softplus(0), Error);
  EXPECT_THROW(activation("rel"), Error);
  EXPECT_THROW(sequential(relu(), nullptr), Error);
  EXPECT_THROW(residual(nullptr), Error);
  EXPECT_THROW(conv1d({.filters = 2, .kernel = Size2d(3, 2)}), Error);
  EXPECT_THROW(conv2d({.filters = 2, .padding = -1}), Error);
  EXPECT_THROW(depthwise_conv2d({.multiplier = 0}), Error);
  EXPECT_THROW(conv_transpose2d({.filters = 2, .stride = 2, .output_padding = 2}), Error);
  EXPECT_THROW(conv_transpose2d({.filters = 2, .padding = -1}), Error);
  EXPECT_THROW(group_norm(0), Error);
  EXPECT_THROW(instance_norm({.eps = 0}), Error);
  EXPECT_THROW(rms_norm({.eps = 0}), Error);
  EXPECT_THROW(subsample({.channels = -1}), Error);
}

Layer from_registry(const std::string& name, const Options& options) {
  const auto& entry = layers().at(name);
  return entry.make(resolve(entry.options, options, "[[model.layers]] 3"));
}

TEST(Errors, OfOptionsSayWhatToWrite) {
  const auto fails = [](const std::string& name, const Options& options) {
    return error_of([&] { from_registry(name, options); });
  };
  EXPECT_THAT(fails("linear", {}), HasSubstr("option \"units\" is required"));
  EXPECT_THAT(fails("linear", with({{"unit", 3}})), HasSubstr("did you mean \"units\"?"));
  EXPECT_THAT(fails("linear", with({{"units", 3}, {"init", "he_norm"}})),
              HasSubstr("did you mean \"he_normal\"?"));
  EXPECT_THAT(fails("conv2d", with({{"filters", 3}, {"padding", "full"}})),
              HasSubstr("write \"same\", \"valid\", \"1\" or \"1,2\""));
  EXPECT_THAT(fails("conv2d", with({{"filters", 3}, {"kernel", Integers{1, 2, 3}}})),
              HasSubstr("conv2d: kernel: 3 numbers"));
  EXPECT_THAT(fails("conv1d", with({{"filters", 3}, {"padding", "1,2"}})),
              HasSubstr("write \"same\", \"valid\" or \"1\""));
  EXPECT_THAT(fails("conv2d", with({{"filters", 3}, {"padding_mode", "mirror"}})),
              HasSubstr("one of: zeros, reflect, replicate, circular"));
  EXPECT_THAT(fails("residual", with({{"layers", std::vector<LayerConfig>{}}})),
              HasSubstr("a residual block needs layers"));
  EXPECT_THAT(error_of([] { layers().at("conv2"); }), HasSubstr("did you mean \"conv2d\"?"));
}

// ---- the constructors and the registry make the same ----

TEST(Registry, MakesWhatTheConstructorsMake) {
  const auto same = [](const std::string& name, const Options& options, const Layer& layer,
                       const Shape& shape) {
    const auto made = from_registry(name, options);
    EXPECT_EQ(made->describe(), layer->describe());
    const auto a = initialize(descent::nn::describe(made, batch(shape)), 1);
    const auto b = initialize(descent::nn::describe(layer, batch(shape)), 1);
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
      EXPECT_TRUE(identical(a[i].second, b[i].second)) << a[i].first;
    }
  };
  same("linear", with({{"units", 4}}), linear(4), {2, 3});
  same("linear", with({{"units", 4}, {"init", "he_normal"}, {"bias_init", "zeros"}}),
       linear(4, {.init = he_normal(), .bias_init = zeros()}), {2, 3});
  same("conv2d", with({{"filters", 4}, {"padding", "2"}, {"bias_init", "ones"}}),
       conv2d({.filters = 4, .padding = 2, .bias_init = ones()}), {2, 3, 5, 5});
  same("conv2d", with({{"filters", 4}, {"padding", "[1, 2]"}}),
       conv2d({.filters = 4, .padding = Size2d(1, 2)}), {2, 3, 5, 5});
  same("conv2d", with({{"filters", 4}, {"padding", 1}, {"padding_mode", "circular"}}),
       conv2d({.filters = 4, .padding = 1, .padding_mode = PadMode::circular}), {2, 3, 5, 5});
  same("conv1d", with({{"filters", 4}, {"kernel", 5}, {"padding", "same"}}),
       conv1d({.filters = 4, .kernel = 5, .padding = Padding::same()}), {2, 3, 5});
  same("depthwise_conv2d", with({{"multiplier", 2}, {"stride", 2}}),
       depthwise_conv2d({.multiplier = 2, .stride = 2}), {2, 3, 5, 5});
  same("conv_transpose2d",
       with({{"filters", 4}, {"stride", 2}, {"output_padding", 1}, {"bias_init", "ones"}}),
       conv_transpose2d({.filters = 4, .stride = 2, .output_padding = 1, .bias_init = ones()}),
       {2, 3, 5, 5});
  same("conv_transpose1d", with({{"filters", 4}, {"groups", 2}}),
       conv_transpose1d({.filters = 4, .groups = 2}), {2, 4, 5});
  same("max_pool1d", with({{"stride", 1}}), max_pool1d({.stride = 1}), {2, 3, 4});
  same("avg_pool1d", {}, avg_pool1d(), {2, 3, 4});
  same("group_norm", with({{"groups", 3}}), group_norm(3), {2, 3, 4});
  same("instance_norm", {}, instance_norm(), {2, 3, 4});
  same("rms_norm", {}, rms_norm(), {2, 3});
  same("layer_norm", with({{"bias", false}}), layer_norm({.bias = false}), {2, 3});
  same("residual",
       with({{"layers", std::vector{inside("linear", with({{"units", 3}}))}},
             {"activation", "tanh"}}),
       residual(sequential(linear(3)), nullptr, nn::tanh()), {2, 3});
  same("batch_norm", {}, batch_norm(), {2, 3});
  same("layer_norm", {}, layer_norm(), {2, 3});
  same("max_pool2d", {}, max_pool2d(), {2, 3, 4, 4});
  same("dropout", {}, dropout(), {2, 3});
  for (const auto& name : activation_names()) same(name, {}, activation(name), {2, 3});
}

// ---- summaries ----

TEST(Summarize, ListsLayersWithOutputsAndParameters) {
  const auto model =
      sequential(conv2d({.filters = 4, .padding = Padding::same()}), batch_norm(),
                 sequential(max_pool2d(), flatten()), linear(3), std::make_shared<const Tied>());
  std::vector<std::string> lines;
  for (const auto& row : summarize(model, batch({8, 2, 4, 4}))) {
    lines.push_back(row.name + " " + row.description + " " + to_string(row.output) + " " +
                    std::to_string(row.parameters));
  }
  // Running statistics are not trained; a container is listed for parameters of its own only.
  EXPECT_THAT(lines, ElementsAre("0 conv2d(4, 3x3, same padding) [4, 4, 4] 76",
                                 "1 batch_norm [4, 4, 4] 8", "2.0 max_pool2d(2x2) [4, 2, 2] 0",
                                 "2.1 flatten [16] 0", "3 linear(3) [3] 51", "4 tied [3] 3",
                                 "4.inner linear(3) [3] 12", "4.inner linear(3) [3] 0"));
}

TEST(Summarize, TakesASingleLayer) {
  const auto rows = summarize(linear(5), batch({8, 3}));
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].parameters, 20);
}

// ---- mixed precision ----

// Operands are rounded to 8 bits: each product errs by at most 2 * 2^-9 of its size; the result and
// the gradients are float32.
TEST(MixedPrecision, LinearRoundsItsOperands) {
  const EagerScope eager({.shards = 2});
  const auto x = numbers({4, 16}, "input", DType::float32);
  const auto w = numbers({3, 16}, "weight", DType::float32);
  const auto apply_with = [&](DType compute) {
    const Value weight = computed({w}, false);
    Scope scope({{"weight", weight}}, true, {});
    scope.compute = compute;
    const Value y = (*linear(3, {.bias = false}))(scope, leaf(x, true, 2));
    const Value slope =
        gradients(Values{batch_sum(square(y))}, Values{weight}, Values{scalar(1)})[0];
    return std::pair{whole(y, 2), slope.array()};
  };
  const auto [exact, exact_slope] = apply_with(DType::float32);
  const auto [rounded, rounded_slope] = apply_with(DType::bfloat16);
  EXPECT_EQ(rounded.dtype(), DType::float32);
  EXPECT_EQ(rounded_slope.dtype(), DType::float32);
  EXPECT_FALSE(identical(exact, rounded));
  for (std::int64_t i = 0; i < exact.size(); ++i) {
    double size = 0;
    for (int k = 0; k < 16; ++k) {
      size += std::abs(x.item(i / 3 * 16 + k) * w.item(i % 3 * 16 + k));
    }
    EXPECT_NEAR(rounded.item(i), exact.item(i), size * 0x1p-8);
  }
  // The gradient also rounds its cotangent: some 2^-7 of sums of 4 products.
  expect_close(rounded_slope, exact_slope, 0x1p-6, "gradient");
}

// What comes out is the float32 convolution of the rounded operands.
TEST(MixedPrecision, ConvolutionsRoundTheirOperands) {
  const EagerScope eager({.shards = 2});
  const auto x = numbers({4, 3, 6, 6}, "input", DType::float32);
  const std::pair<Layer, Shape> cases[] = {
      {conv2d({.filters = 5, .kernel = 3, .padding = 1, .bias = false}), {5, 3, 3, 3}},
      {conv_transpose2d({.filters = 5, .kernel = 3, .stride = 2, .bias = false}), {3, 5, 3, 3}}};
  for (const auto& [layer, shape] : cases) {
    const auto w = numbers(shape, "weight", DType::float32);
    const auto apply_with = [&](DType compute, const Array& image, const Array& kernel) {
      Scope scope({{"weight", computed({kernel}, false)}}, true, {});
      scope.compute = compute;
      return whole((*layer)(scope, leaf(image, true, 2)), 2);
    };
    const auto rounded = [](const Array& a) {
      return cast(cast(computed({a}, false), DType::bfloat16), DType::float32).array();
    };
    const auto exact = apply_with(DType::float32, x, w);
    const auto mixed = apply_with(DType::bfloat16, x, w);
    EXPECT_EQ(mixed.dtype(), DType::float32);
    EXPECT_FALSE(identical(exact, mixed));
    // Relative to the largest: 27 products of its size or less, summed in another order.
    expect_close(mixed, apply_with(DType::float32, rounded(x), rounded(w)), 27 * 0x1p-22,
                 layer->describe());
  }
}

}  // namespace
}  // namespace descent::nn::test
