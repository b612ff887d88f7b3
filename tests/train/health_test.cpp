// The watchdog: what it sees is right, it changes no bit of a run, broken runs are diagnosed with
// the right layer and cause, healthy ones with nothing. (Steps that are not finite:
// divergence_test.cpp.)
#include "descent/train/health.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>

#include <cmath>
#include <csignal>
#include <set>

#include "descent/io/safetensors.h"
#include "descent/optim/registry.h"
#include "descent/train/divergence.h"
#include "descent/train/setup.h"
#include "tests/support/real_data.h"
#include "tests/train/health.h"

namespace descent::test {
namespace {

using nlohmann::json;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
// ---- what is seen ----

TEST(Observation, HasTheNormsAndSharesOfTheStep) {
  Recorder r;
  train::Job job = train::prepare(
      deep_config({"relu", 2, 8, "default", "constant(-0.5)"},
                  {"data.path=synthetic:moons", "optimizer.name=sgd", "optimizer.lr=0.5",
                   "train.precision=float64", "train.batch_size=32"}),
      r);
  train::TrainState state;
  state.parameters = nn::initialize(job.variables, 7);
  state.optimizer = train::TrainStep::initial_state(job.optimizer, job.variables, DType::float64);
  const nn::Tree before = train::clone(state.parameters);
  train::StepOptions options;
  options.shards = 2;
  options.dtype = DType::float64;
  train::TrainStep step(job.model, job.loss, job.optimizer, job.variables, state, options);
  data::Loader loader(job.data.train, {.dtype = DType::float64}, 1);
  const data::Batch& batch = loader.next();
  train::Observation seen;
  const auto result = step.run(batch, &seen);
  ASSERT_EQ(seen.parameters.size(), 6U);
  ASSERT_EQ(seen.activations.size(), 2U);
  double square = 0;
  for (std::size_t i = 0; i < seen.parameters.size(); ++i) {
    const auto& p = seen.parameters[i];
    double weight = 0, update = 0, absolute = 0, count = 0;
    for (std::int64_t k = 0; k < before[i].second.size(); ++k) {
      const double w = before[i].second.item(k), u = state.parameters[i].second.item(k) - w;
      weight += w * w, update += u * u, absolute += std::abs(u), count += u == 0 ? 0 : 1;
    }
    // Sums of at most 64 numbers in float64: 1e-12 of their size; differences of weights lose
    // more.
    EXPECT_EQ(p.name, before[i].first);
    EXPECT_NEAR(p.weight_norm, std::sqrt(weight), 1e-12 * (1 + std::sqrt(weight)));
    EXPECT_NEAR(p.update_norm, std::sqrt(update), 1e-12);
    EXPECT_NEAR(p.update_norm, 0.5 * p.gradient_norm, 1e-12) << "plain descent, rate 0.5";
    EXPECT_NEAR(0.5 * p.mean_gradient, count == 0 ? 0 : absolute / count, 1e-12);
    square += p.gradient_norm * p.gradient_norm;
  }
  EXPECT_NEAR(result.gradient_norm, std::sqrt(square), 1e-12);
  // The first activation by hand.
  const auto x = batch.features;
  int dead = 0;
  double sum = 0, squares = 0;
  for (std::int64_t u = 0; u < 8; ++u) {
    bool alive = false;
    for (std::int64_t i = 0; i < 32; ++i) {
      double y = before[1].second.item(u);
      for (std::int64_t k = 0; k < 2; ++k)
        y += x.item(i * 2 + k) * before[0].second.item(u * 2 + k);
      y = std::max(0.0, y);
      alive = alive || y > 0;
      sum += y, squares += y * y;
    }
    dead += alive ? 0 : 1;
  }
  const auto& a = seen.activations[0];
  EXPECT_EQ(a.label(), "layer 1 relu");
  EXPECT_EQ(a.dead, dead / 8.0);
  EXPECT_NEAR(a.mean, sum / 256, 1e-12);
  EXPECT_NEAR(a.deviation, std::sqrt(squares / 256 - sum * sum / 65536), 1e-9);
}

TEST(Observation, SharesOfSaturatedOutputs) {
  for (const char* kind : {"tanh", "sigmoid"}) {
    const Watched run(deep_config({kind, 2, 16, "constant(100)"},
                                  {"data.path=synthetic:blobs", "train.steps=1"}, 3));
    const auto first = lines_of(run.folder / "run", "observation").at(0);
    EXPECT_EQ(first.at("layers"), json({"0", "2", "4", "1", "3"}));
    EXPECT_GT(first.at("saturated").at(3).get<double>(), 0.9) << kind;
    EXPECT_TRUE(first.at("dead").at(3).is_null());
    EXPECT_TRUE(first.at("saturated").at(0).is_null()) << "a linear layer cannot";
    EXPECT_EQ(first.at("step"), 1);
  }
}

// ---- no bit changes ----

std::string weights(const Texts& assignments) {
  Folder folder;
  Recorder r;
  run(assignments, {folder / "run"}, r);
  return read_file(folder / "run/model.safetensors");
}

void expect_same_weights(Texts assignments) {
  auto off = assignments;
  off.emplace_back("health.enabled=false");
  assignments.emplace_back("health.every=2");
  EXPECT_EQ(weights(assignments), weights(off)) << testing::PrintToString(assignments);
}

TEST(Watching, ChangesNoBitWithAnyOptimizer) {
  for (const auto& [name, entry] : optim::optimizers().entries()) {
    for (const char* shards : {"train.shards=1", "train.shards=2"}) {
      expect_same_weights({"data.path=synthetic:blobs", "optimizer.name=" + name, "train.steps=6",
                           "model.hidden=[20]", "optimizer.clip_norm=0.1", shards});
    }
  }
}

TEST(Watching, ChangesNoBitOfOtherModels) {
  expect_same_weights({"data.path=synthetic:moons", "model.hidden=[300,200]",
                       "model.batch_norm=true", "model.dropout=0.2", "train.epochs=2",
                       "train.shards=2"});
  for (const char* activation : {"tanh", "sigmoid", "gelu", "silu", "leaky_relu", "softplus"}) {
    expect_same_weights({"data.path=synthetic:moons", std::string("model.activation=") + activation,
                         "train.epochs=1", "train.precision=bf16"});
  }
  expect_same_weights({"data.path=synthetic:sine", "train.precision=float64", "train.epochs=1"});
  expect_same_weights({"data.path=synthetic:sine", "train.eager=true", "train.steps=5"});
}

std::string babble(int words) {
  const char* parts[] = {"the ", "cat ", "sat ", "on ", "a ", "mat.\n"};
  std::string text;
  for (int i = 0; i < words; ++i) text += parts[(i + i / 7) % 6];
  return text;
}

TEST(WatchingSlow, ChangesNoBitOfSequenceModels) {
  Folder folder;
  std::ofstream(folder / "text.txt") << babble(1500);
  const std::string path = "data.path=" + folder / "text.txt";
  expect_same_weights({path, "data.context=16", "model.name=gpt", "model.layers=2",
                       "model.width=32", "model.heads=2", "train.steps=12", "train.batch_size=8",
                       "train.shards=2"});
  expect_same_weights({path, "data.context=16", "model.name=char_rnn", "model.units=24",
                       "model.embedding=8", "train.steps=12", "train.batch_size=8"});
}

TEST(WatchingSlow, ChangesNoBitOfConvolutions) {
  DESCENT_NEED_DATA(path, "mnist/t10k-images-idx3-ubyte.gz");
  DESCENT_NEED_DATA(labels, "mnist/t10k-labels-idx1-ubyte.gz");
  const Texts data = {"data.path=" + path,   "data.targets=" + labels, "data.split=[0.05,0,0.95]",
                      "train.batch_size=32", "train.steps=6",          "train.shards=2"};
  for (const Texts& model : {Texts{"model.name=cnn"}, Texts{"model.name=lenet"},
                             Texts{"model.name=resnet", "model.depth=8", "model.width=8"}}) {
    auto all = data;
    all.insert(all.end(), model.begin(), model.end());
    expect_same_weights(all);
  }
}

// ---- broken runs ----

TEST(BrokenRun, DeadReluByNegativeBias) {
  const Watched run(deep_config({"relu", 3, 32, "default", "constant(-10)"},
                                {"data.path=synthetic:moons", "train.epochs=16"}));
  EXPECT_THAT(run.found, Contains("dead_relu 1"));
  EXPECT_THAT(run.found, testing::Not(Contains("vanishing_gradient 0"))) << "this is no cause";
  EXPECT_THAT(run.text("dead_relu"),
              testing::AllOf(HasSubstr("layer 1 relu: 100 % of the units dead"),
                             HasSubstr("learning rate below 3e-4")));
  EXPECT_TRUE(run.told.said("health: layer 1 relu: 100 %"));
  EXPECT_THAT(run.found, Contains("not_learning "));
  // Told once per layer.
  std::map<std::string, int> times;
  for (const auto& f : lines_of(run.folder / "run", "finding"))
    if (f.at("severity") == "warning")
      ++times[f.at("rule").get<std::string>() + " " + f.at("layer").get<std::string>()];
  for (const auto& [what, n] : times) EXPECT_EQ(n, 1) << what;
}

TEST(BrokenRun, SaturatedSigmoidAndTanh) {
  for (const char* kind : {"sigmoid", "tanh"}) {
    const Watched run(
        deep_config({kind, 2, 32, "normal(10)"}, {"data.path=synthetic:moons", "train.epochs=6"}));
    EXPECT_THAT(run.found, Contains("saturated 3")) << kind;
    EXPECT_THAT(run.text("saturated"),
                testing::AllOf(HasSubstr(kind), HasSubstr("% saturated"), HasSubstr("since step 1"),
                               HasSubstr("Glorot")));
  }
}

TEST(BrokenRun, BadInitialisation) {
  const Watched large(
      deep_config({"relu", 4, 256, "normal(1)"}, {"data.path=synthetic:moons", "train.steps=3"}));
  EXPECT_THAT(large.found, Contains("initial_variance 3"));
  EXPECT_THAT(
      large.text("initial_variance"),
      testing::AllOf(HasSubstr("layer 3 relu: the signal blows up"), HasSubstr("he_normal")));
  const Watched small(deep_config({"tanh", 4, 64, "normal(0.01)", "zeros"},
                                  {"data.path=synthetic:moons", "train.steps=3"}));
  EXPECT_THAT(small.text("initial_variance"), HasSubstr("the signal dies out"));
}

TEST(BrokenRun, VanishingGradientIn30TanhLayers) {
  const Watched run(deep_config({"tanh", 30, 32}, {"data.path=synthetic:moons", "train.epochs=4"}));
  EXPECT_THAT(run.found, Contains("vanishing_gradient 0"));
  EXPECT_THAT(run.found, testing::Not(Contains("vanishing_gradient 58"))) << "the last has one";
  EXPECT_THAT(run.text("vanishing_gradient"), HasSubstr("layer 0: the gradient vanishes"));
}

TEST(BrokenRun, HugeRate) {
  const Watched adam({"data.path=synthetic:moons", "optimizer.lr=10", "train.epochs=5"});
  EXPECT_THAT(adam.found, Contains("diverging "));
  EXPECT_THAT(adam.text("diverging"), HasSubstr("learning rate below 1e0"));
  // A square of curvature 2: rates above 1 grow at every step, whatever the rounding.
  const Watched sgd({"data.path=synthetic:sine", "model.name=linear", "optimizer.name=sgd",
                     "optimizer.lr=1.1", "train.epochs=12"});
  EXPECT_THAT(sgd.found, Contains("diverging "));
}

TEST(BrokenRun, TinyRateAndUpdatesLostInRounding) {
  const Watched tiny({"data.path=synthetic:moons", "optimizer.name=sgd", "optimizer.lr=1e-6",
                      "train.epochs=12", "health.every=5"});
  EXPECT_THAT(tiny.found, Contains("update_ratio 0"));
  EXPECT_THAT(tiny.found, Contains("not_learning "));
  const Watched none(
      {"data.path=synthetic:moons", "optimizer.name=sgd", "optimizer.lr=1e-12", "train.epochs=4"});
  EXPECT_THAT(none.found, Contains("unchanged 0"));
  EXPECT_THAT(none.text("unchanged"), HasSubstr("lost in rounding"));
}

// tanh units whose recurrent weights have a spectral radius of 4: through 64 steps the gradient
// grows by a factor of more than a million.
TEST(BrokenRun, LargeRecurrentWeightsExplode) {
  Folder folder;
  std::ofstream(folder / "text.txt") << babble(2000);
  const auto config =
      config_of({"data.path=" + folder / "text.txt", "data.context=64", "model.name=char_rnn",
                 "model.cell=rnn", "model.layers=1", "model.units=64", "model.embedding=16",
                 "train.batch_size=8", "train.steps=60", "health.every=10"});
  const auto enlarge = [](double radius) {
    return [radius](train::Job& job) {
      for (auto& v : job.variables)
        if (v.name == "rnn.weight_hh_l0") v.init = nn::normal(radius / std::sqrt(64.0));
    };
  };
  const Watched run(config, enlarge(4));
  EXPECT_THAT(run.found, testing::ElementsAre("exploding_gradient rnn"));
  EXPECT_THAT(run.text("exploding_gradient"),
              testing::AllOf(HasSubstr("layer rnn: the gradient explodes on its way back, norm "),
                             HasSubstr("the last layer, head, has 0."), HasSubstr("since step 1;"),
                             HasSubstr("optimizer.clip_norm=1"), HasSubstr("orthogonal")));
  const auto finding = lines_of(run.folder / "run", "finding").front();
  const auto first = lines_of(run.folder / "run", "observation").front();
  EXPECT_EQ(finding.at("step"), 1) << "a factor of a million needs no second look";
  EXPECT_THAT(finding.at("evidence").at("parameter").get<std::string>(),
              testing::StartsWith("rnn.weight_"));
  EXPECT_GT(finding.at("evidence").at("gradient_norm").get<double>(),
            1e6 * finding.at("evidence").at("last_layer").get<double>());
  EXPECT_LE(finding.at("evidence").at("gradient_norm").get<double>(),
            first.at("total_grad_norm").get<double>());
  EXPECT_TRUE(run.told.said("health: layer rnn: the gradient explodes"));
  EXPECT_THAT(Watched(config, enlarge(1)).found, IsEmpty()) << "on the edge it trains";
}

// Plain descent on a square: above a rate of 1 every step makes the error larger. The warm-up gets
// there after some seventy steps.
TEST(BrokenRun, ARateThatRisesTooFarExplodes) {
  const Watched run({"data.path=synthetic:sine", "model.name=linear", "optimizer.name=sgd",
                     "optimizer.lr=1.1", "schedule.name=constant", "schedule.warmup_steps=80",
                     "train.steps=150", "health.every=20"});
  EXPECT_THAT(run.found, testing::ElementsAre("diverging ", "exploding_gradient 0"));
  EXPECT_THAT(run.text("exploding_gradient"),
              testing::AllOf(HasSubstr("the gradient explodes: norm "),
                             HasSubstr("most of it in layer 0, since step 100;"),
                             HasSubstr("optimizer.clip_norm=1"), HasSubstr("below 3e-1")));
  for (const auto& f : lines_of(run.folder / "run", "finding")) {
    if (f.at("rule") != "exploding_gradient") continue;
    const auto& evidence = f.at("evidence");
    EXPECT_GT(evidence.at("gradient_norm").get<double>(),
              100 * evidence.at("reference").get<double>());
  }
}

// One row with an absurd target, which comes by in another batch of every epoch of 25.
TEST(BrokenRun, ARowThatIsFarOffMakesSpikes) {
  std::set<std::int64_t> steps_with_it;
  const Watched run(
      config_of({"data.path=synthetic:sine", "train.epochs=12", "train.batch_size=32"}),
      [&](train::Job& job) {
        job.data.train.targets.set_item(33, 50);
        const auto loader = train::make_loader(job, job.config.seed, 0);
        for (std::int64_t epoch = 0; epoch < 12; ++epoch) {
          for (std::int64_t i = 0; i < job.data.train.rows(); ++i)
            if (loader->row_at(epoch, i) == 33)
              steps_with_it.insert(epoch * job.steps_per_epoch + i / 32 + 1);
        }
      });
  EXPECT_THAT(run.found, testing::ElementsAre("loss_spike "));
  EXPECT_THAT(run.text("loss_spike"),
              testing::AllOf(HasSubstr("the loss spikes: "), HasSubstr("the 3rd time in 500 steps"),
                             HasSubstr("optimizer.clip_norm=1"), HasSubstr("learning rate below"),
                             HasSubstr("look at the rows of these batches")));
  const auto finding = lines_of(run.folder / "run", "finding").front();
  const auto steps = finding.at("evidence").at("steps").get<std::vector<std::int64_t>>();
  ASSERT_EQ(steps.size(), 3U);
  for (const auto step : steps)
    EXPECT_THAT(steps_with_it, Contains(step)) << "the row is not in it";
  EXPECT_THAT(run.text("loss_spike"), HasSubstr(fmt::format("(at {})", fmt::join(steps, ", "))));
  EXPECT_GT(finding.at("evidence").at("loss").get<double>(),
            8 * finding.at("evidence").at("deviation").get<double>());
}

// Restarts of the schedule that begin with too large a rate: the loss jumps at each and comes down
// again. Nothing else is wrong.
TEST(BrokenRun, RestartsWithALargeRateMakeSpikes) {
  const Watched run({"data.path=synthetic:sine", "model.name=linear", "optimizer.name=sgd",
                     "optimizer.lr=1", "schedule.name=cosine_restarts", "schedule.period=60",
                     "train.steps=450"});
  EXPECT_THAT(run.found, testing::ElementsAre("loss_spike "));
  const auto finding = lines_of(run.folder / "run", "finding").front();
  for (const auto& step : finding.at("evidence").at("steps"))
    EXPECT_LT(step.get<std::int64_t>() % 60, 20) << "soon after a restart";
}

TEST(BrokenRun, LabelNoiseIsOverfitted) {
  const Watched run({"data.path=synthetic:moons", "data.rows=200", "data.noise=0.6",
                     "model.hidden=[128,128]", "optimizer.lr=0.01", "train.epochs=60"});
  EXPECT_THAT(run.found, Contains("overfitting "));
  EXPECT_THAT(run.text("overfitting"), HasSubstr("early stopping"));
}

TEST(BrokenRun, PlateauIsANote) {
  const Watched run({"data.path=synthetic:moons", "data.noise=0.4", "model.name=linear",
                     "optimizer.lr=0.05", "train.epochs=60"});
  EXPECT_THAT(run.found, Contains("plateau "));
  for (const auto& f : lines_of(run.folder / "run", "finding"))
    EXPECT_NE(f.at("severity"), "warning") << f;
}

// ---- healthy runs ----

void expect_healthy(const Texts& assignments) {
  const Watched run(assignments);
  EXPECT_THAT(lines_of(run.folder / "run", "finding"), IsEmpty())
      << testing::PrintToString(assignments);
  EXPECT_FALSE(run.told.said("health"));
}

TEST(HealthyRun, OnBuiltInData) {
  expect_healthy({"data.path=synthetic:moons", "train.epochs=20"});
  expect_healthy(
      {"data.path=synthetic:spirals", "optimizer.lr=0.01", "train.epochs=30", "health.every=10"});
  expect_healthy({"data.path=synthetic:spirals", "model.activation=tanh", "optimizer.lr=0.01",
                  "model.batch_norm=true", "train.epochs=30"});
  expect_healthy({"data.path=synthetic:blobs", "model.name=linear", "optimizer.name=sgd",
                  "optimizer.lr=0.1", "train.epochs=20"});
  expect_healthy({"data.path=synthetic:sine", "optimizer.name=rmsprop", "train.epochs=30"});
  expect_healthy({"data.path=synthetic:sine", "model.activation=sigmoid", "optimizer.lr=0.01",
                  "train.epochs=20"});
  expect_healthy({"data.path=synthetic:moons", "optimizer.name=adagrad", "optimizer.lr=0.05",
                  "train.batch_size=8", "train.epochs=10"});
  expect_healthy({"data.path=synthetic:moons", "data.rows=100", "train.batch_size=1",
                  "optimizer.name=sgd", "optimizer.lr=0.01", "train.epochs=10"});
  expect_healthy({"data.path=synthetic:moons", "train.batch_size=full", "optimizer.name=sgd",
                  "optimizer.momentum=0.9", "optimizer.lr=0.3", "train.epochs=300"});
  expect_healthy({"data.path=synthetic:spirals", "optimizer.name=adamw", "optimizer.lr=0.01",
                  "schedule.name=one_cycle", "model.dropout=0.1", "train.epochs=30"});
}

TEST(HealthyRunSlow, OnRealTables) {
  DESCENT_NEED_DATA(digits, "digits/digits.csv.gz");
  DESCENT_NEED_DATA(wine, "wine-quality/winequality-red.csv");
  DESCENT_NEED_DATA(iris, "iris/iris.csv");
  expect_healthy({"data.path=" + digits, "train.epochs=15"});
  expect_healthy({"data.path=" + digits, "optimizer.name=sgd", "optimizer.momentum=0.9",
                  "optimizer.lr=0.02", "model.hidden=[128,128,128,128]", "train.epochs=10"});
  expect_healthy({"data.path=" + wine, "optimizer.name=adamw", "train.epochs=8"});
  expect_healthy({"data.path=" + iris, "train.epochs=20", "optimizer.lr=0.01"});
}

TEST(HealthyRunSlow, OnImagesAndText) {
  DESCENT_NEED_DATA(path, "mnist/t10k-images-idx3-ubyte.gz");
  DESCENT_NEED_DATA(labels, "mnist/t10k-labels-idx1-ubyte.gz");
  expect_healthy({"data.path=" + path, "data.targets=" + labels, "data.split=[0.2,0.1,0.7]",
                  "model.name=cnn", "train.epochs=3", "train.batch_size=32"});
  expect_healthy({"data.path=" + path, "data.targets=" + labels, "data.split=[0.1,0.1,0.8]",
                  "model.name=resnet", "model.depth=8", "model.width=8", "train.epochs=3",
                  "train.batch_size=32", "optimizer.lr=3e-3"});
  Folder folder;
  std::ofstream(folder / "text.txt") << babble(6000);
  const std::string text = "data.path=" + folder / "text.txt";
  expect_healthy({text, "data.context=16", "model.name=gpt", "model.layers=2", "model.width=32",
                  "model.heads=2", "train.epochs=2", "train.batch_size=8", "optimizer.name=adamw",
                  "optimizer.lr=3e-3", "schedule.name=cosine", "schedule.warmup_steps=50"});
  expect_healthy({text, "data.context=16", "model.name=char_rnn", "model.units=32",
                  "model.embedding=8", "train.epochs=2", "train.batch_size=8",
                  "optimizer.lr=5e-3"});
}

// ---- options, resume ----

TEST(Watching, CanBeSwitchedOffOrRuleByRule) {
  Folder folder;
  Recorder r;
  run({"data.path=synthetic:moons", "train.epochs=1", "health.enabled=false"}, {folder / "off"}, r);
  EXPECT_FALSE(fs::exists(folder / "off/health.jsonl"));
  const Watched ignoring(deep_config(
      {"relu", 3, 32, "default", "constant(-10)"},
      {"data.path=synthetic:moons", "train.epochs=2", "health.ignore=dead_relu,not_learning"}));
  EXPECT_THAT(ignoring.found, testing::Not(Contains("dead_relu 1")));
  EXPECT_THROW(Watched({"data.path=synthetic:moons", "health.ignore=dead"}), Error);
}

TEST(Watching, AResumedRunFindsTheSame) {
  const auto config = [] {
    return deep_config({"relu", 3, 32, "default", "constant(-10)"},
                       {"data.path=synthetic:moons", "train.epochs=8", "train.log_every=1",
                        "checkpoint.min_seconds=0"});
  };
  Folder folder;
  Recorder r;
  {
    train::Job job = train::prepare(config(), r);
    train::run(job, {folder / "whole"}, r);
  }
  const std::string whole = read_file(folder / "whole/health.jsonl");
  EXPECT_THAT(whole, HasSubstr("dead_relu"));
  for (const std::int64_t stop : {5, 11, 21, 60, 150}) {
    const std::string dir = folder / std::to_string(stop);
    Recorder first;
    first.on_record = [&](const track::Record& record) {
      if (record.step == stop) train::request_stop(SIGINT);
    };
    train::Job job = train::prepare(config(), first);
    EXPECT_EQ(train::run(job, {dir}, first).exit_code, 130);
    train::Job again = train::prepare(config(), r, false);
    EXPECT_EQ(train::run(again, {dir, true}, r).exit_code, 0);
    EXPECT_EQ(read_file(dir + "/health.jsonl"), whole) << "stopped after step " << stop;
  }
}

TEST(RoundedRate, HasOneDigit) {
  EXPECT_EQ(train::rounded_rate(0.0031), "3e-3");
  EXPECT_EQ(train::rounded_rate(1), "1e0");
  EXPECT_EQ(train::rounded_rate(0.001 / 3), "3e-4");
  EXPECT_EQ(train::percent(0.956), "96 %");
}

}  // namespace
}  // namespace descent::test
