// Language models from end to end: training, measures, resuming, scoring and generating.
#include <gmock/gmock.h>

#include <cmath>
#include <csignal>
#include <filesystem>

#include "descent/io/safetensors.h"
#include "descent/train/checkpoint.h"
#include "descent/train/generate.h"
#include "tests/train/support.h"

namespace descent::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Words of a small grammar, so that there is something to learn.
std::string babble(int words) {
  const char* parts[] = {"the ", "cat ", "sat ", "on ", "a ", "mat.\n"};
  std::string text;
  for (int i = 0; i < words; ++i) text += parts[(i + i / 7) % 6];
  return text;
}
constexpr std::int64_t kCharacters = 12;  // of babble: newline, blank, point, acehmnost

// A model that sees the last token alone: embedding and linear.
train::Config config_of(const std::string& path, const std::vector<std::string>& more = {}) {
  train::RawConfig raw;
  const auto layer = [&](std::map<std::string, OptionValue> values) {
    auto& to = raw.layers.emplace_back();
    to.where = "test";
    for (auto& [key, value] : values) to.values[key] = {value, "test"};
  };
  layer({{"type", "embedding"}, {"vocabulary", kCharacters}, {"dim", std::int64_t{8}}});
  layer({{"type", "linear"}, {"units", kCharacters}});
  std::vector<std::string> all = {
      "data.path=" + path, "data.context=16", "optimizer.lr=0.05", "train.batch_size=8",
      "train.epochs=3",    "train.shards=2",  "train.log_every=1", "checkpoint.min_seconds=0"};
  all.insert(all.end(), more.begin(), more.end());
  for (const auto& assignment : all) raw.set(assignment, "test");
  return train::resolve(raw);
}

train::Outcome run(const train::Config& config, const train::RunOptions& options,
                   Recorder& recorder) {
  train::Job job = train::prepare(config, recorder);
  return train::run(job, options, recorder);
}

// A trained model in a folder that goes with the test.
struct Trained {
  Folder folder;
  std::string path;
  Recorder recorder;
  explicit Trained(const std::vector<std::string>& more = {}) : path(folder / "text.txt") {
    write_file_atomic(path, babble(400));
    run(config_of(path, more), {folder / "run"}, recorder);
  }
  train::SavedModel load() const { return train::SavedModel::load(folder / "run"); }
};

// -log p(next | token) by the formula, from the weights.
class Bigram {
 public:
  explicit Bigram(const train::SavedModel& model) {
    for (const auto& [name, array] : model.variables) weights_[name] = array.to_vector();
  }
  std::vector<double> logits(std::int64_t token) const {
    const auto &table = weights_.at("0.weight"), &w = weights_.at("1.weight"),
               &b = weights_.at("1.bias");
    std::vector<double> y = b;
    for (std::size_t k = 0; k < y.size(); ++k) {
      for (std::size_t j = 0; j < 8; ++j)
        y[k] += w[k * 8 + j] * table[static_cast<std::size_t>(token) * 8 + j];
    }
    return y;
  }
  double loss(std::int64_t token, std::int64_t next) const {
    const auto y = logits(token);
    double sum = 0;
    for (const double x : y) sum += std::exp(x);
    return std::log(sum) - y[static_cast<std::size_t>(next)];
  }

 private:
  std::map<std::string, std::vector<double>> weights_;
};

TEST(LanguageModel, LearnsAndTellsItsMeasures) {
  const Trained trained({"train.precision=float64"});
  const auto model = trained.load();
  EXPECT_EQ(model.config.loss.text("name"), "cross_entropy");
  const auto rows = data::load_for(model.transform, trained.path, true).data;
  const auto metrics = train::evaluate(model, rows, 1);
  const Bigram bigram(model);
  double loss = 0, right = 0;
  const auto tokens = rows.stream.as<std::int32_t>();
  const auto n = static_cast<std::size_t>(rows.rows() * 16);
  for (std::size_t i = 0; i < n; ++i) {
    loss += bigram.loss(tokens[i], tokens[i + 1]) / static_cast<double>(n);
    const auto y = bigram.logits(tokens[i]);
    right += std::ranges::max_element(y) - y.begin() == tokens[i + 1];
  }
  // A sum of some two thousand terms in another order.
  EXPECT_NEAR(train::value_of(metrics, "loss"), loss, 1e-12);
  EXPECT_NEAR(train::value_of(metrics, "perplexity"), std::exp(loss), 1e-11);
  EXPECT_NEAR(train::value_of(metrics, "accuracy"), right / static_cast<double>(n), 1e-12);
  EXPECT_NEAR(train::value_of(metrics, "bits_per_character"), loss / std::log(2), 1e-12);
  EXPECT_LT(loss, 1.2);  // log 12 = 2.48 for a model that knows nothing
  EXPECT_NEAR(trained.recorder.last("valid", "loss"), loss, 0.3);
}

TEST(LanguageModel, MeasuresDoNotDependOnTheWayToThem) {
  const Trained trained;
  const auto model = trained.load();
  const auto rows = data::load_for(model.transform, trained.path, true).data;
  const auto one = train::evaluate(model, rows, 1), two = train::evaluate(model, rows, 2);
  EXPECT_EQ(one, two);
  // Windows held as rows of tokens give the same as windows of the stream.
  std::vector<std::int64_t> all;
  for (std::int64_t i = 0; i < rows.rows(); ++i) all.push_back(i);
  EXPECT_EQ(train::evaluate(model, data::take(rows, all), 1), one);
}

TEST(LanguageModel, ScoresTextsOfAnyLength) {
  const Trained trained({"train.precision=float64"});
  const auto model = trained.load();
  const Bigram bigram(model);
  const std::vector<std::string> texts = {"the cat sat on a mat.", "t", "", babble(20), "mat"};
  const auto scores = train::Predictor(model, 1).score(texts);
  ASSERT_EQ(scores.size(), texts.size());
  for (std::size_t k = 0; k < texts.size(); ++k) {
    const auto tokens = model.transform.text().tokenizer->encode(texts[k]);
    double expected = 0;
    for (std::size_t i = 0; i + 1 < tokens.size(); ++i)
      expected -= bigram.loss(tokens[i], tokens[i + 1]);
    EXPECT_EQ(scores[k].predicted, std::max<std::int64_t>(0, std::ssize(tokens) - 1));
    EXPECT_NEAR(scores[k].log_likelihood, expected, 1e-11) << texts[k];
  }
  try {
    train::Predictor(model, 1).score({"cat", "dog"});
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), testing::AllOf(HasSubstr("text 2"), HasSubstr("\"d\"")));
  }
}

TEST(LanguageModel, ResumesBitForBitInsideAnEpoch) {
  Folder folder;
  const auto path = folder / "text.txt";
  write_file_atomic(path, babble(400));
  Recorder whole;
  run(config_of(path), {folder / "whole"}, whole);
  for (const std::int64_t stop : {1, 5, 12}) {
    const std::string dir = folder / ("stopped-" + std::to_string(stop));
    Recorder first, second;
    first.on_record = [&](const track::Record& r) {
      if (r.step == stop) train::request_stop(SIGINT);
    };
    EXPECT_EQ(run(config_of(path), {dir}, first).exit_code, 130);
    EXPECT_EQ(run(config_of(path), {dir, true}, second).exit_code, 0);
    expect_same_end(folder / "whole", dir);
  }
}

// As many tokens, so that the model would fit.
TEST(LanguageModel, DoesNotResumeWithAnotherVocabulary) {
  Folder folder;
  const auto path = folder / "text.txt";
  const std::string dir = folder / "run";
  write_file_atomic(path, babble(400));
  const auto stop_at = [&](std::int64_t step) {
    Recorder recorder;
    recorder.on_record = [&, step](const track::Record& r) {
      if (r.step == step) train::request_stop(SIGINT);
    };
    const bool again = train::has_checkpoint(dir);
    EXPECT_EQ(run(config_of(path), {dir, again}, recorder).exit_code, 130);
  };
  stop_at(3);
  const auto before = read_file(newest_state(dir));
  auto other = babble(400);
  std::ranges::replace(other, 'c', 'z');
  write_file_atomic(path, other);
  Recorder recorder;
  try {
    run(config_of(path), {dir, true}, recorder);
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::data);
    for (const char* part : {"1 token only in the checkpoint: \"c\"",
                             "1 token only in the data: \"z\"", "tokenizer.json", "--overwrite"}) {
      EXPECT_THAT(e.what(), HasSubstr(part));
    }
  }
  EXPECT_EQ(read_file(newest_state(dir)), before);
  // Longer, but of the same characters: the same tokens.
  write_file_atomic(path, babble(402));
  stop_at(6);
  // Without the file, as runs of before have none, nothing is said.
  write_file_atomic(path, other);
  std::filesystem::remove(dir + "/checkpoints/tokenizer.json");
  stop_at(9);
}

TEST(LanguageModel, WhatDoesNotFitIsSaid) {
  Folder folder;
  const auto path = folder / "text.txt";
  write_file_atomic(path, babble(400));
  const auto refuse = [&](const std::vector<std::string>& more, const std::string& fragment) {
    Recorder recorder;
    try {
      train::prepare(config_of(path, more), recorder);
      ADD_FAILURE() << "no error for " << more[0];
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::usage);
      EXPECT_THAT(e.what(), HasSubstr(fragment));
    }
  };
  refuse({"loss.name=mse"}, "the target is the next token of a text");
  refuse({"loss.name=hinge"}, "use \"cross_entropy\"");
  refuse({"model.name=mlp"}, "begins with an embedding");
  refuse({"data.augment=mixup"}, "the rows are tokens");
}

// ---- drawing ----

TEST(Draw, GreedyTakesTheFirstOfTheLargest) {
  const std::vector<double> logits = {1, 3, 2, 3};
  for (const double u : {0.0, 0.5, 0.999}) EXPECT_EQ(train::draw(logits, {.temperature = 0}, u), 1);
}

// The share of u in [0, 1) that gives each index.
std::vector<double> shares(const std::vector<double>& logits, const train::Sampling& sampling) {
  std::vector<double> p(logits.size());
  constexpr int n = 1000;
  for (int i = 0; i < n; ++i) {
    const auto k = train::draw(logits, sampling, (i + 0.5) / n);
    p[static_cast<std::size_t>(k)] += 1.0 / n;
  }
  return p;
}

void expect_shares(const train::Sampling& sampling, const std::vector<double>& expected) {
  std::vector<double> logits;  // probabilities 0.1, 0.4, 0.2, 0.3
  for (const double p : {0.1, 0.4, 0.2, 0.3}) logits.push_back(std::log(p) + 5);
  const auto got = shares(logits, sampling);
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], 2e-3) << i;
}

TEST(Draw, FollowsTheDistribution) {
  expect_shares({}, {0.1, 0.4, 0.2, 0.3});
  // p^2, normalised by 0.3.
  expect_shares({.temperature = 0.5}, {0.01 / 0.3, 0.16 / 0.3, 0.04 / 0.3, 0.09 / 0.3});
  expect_shares({.top_k = 1}, {0, 1, 0, 0});
  expect_shares({.top_k = 2}, {0, 4.0 / 7, 0, 3.0 / 7});
  expect_shares({.top_k = 9}, {0.1, 0.4, 0.2, 0.3});
  expect_shares({.top_p = 0.39}, {0, 1, 0, 0});
  expect_shares({.top_p = 0.6}, {0, 4.0 / 7, 0, 3.0 / 7});
  expect_shares({.top_p = 0.85}, {0, 4.0 / 9, 2.0 / 9, 3.0 / 9});
  // Of the two of top-k the first alone has 4/7 = 0.57.
  expect_shares({.top_k = 2, .top_p = 0.5}, {0, 1, 0, 0});
}

TEST(Draw, RefusesNumbersWithoutMeaning) {
  for (const train::Sampling s : {train::Sampling{.temperature = -1},
                                  {.temperature = NAN},
                                  {.top_k = -1},
                                  {.top_p = 0},
                                  {.top_p = 1.5}}) {
    EXPECT_THROW(train::check(s), Error);
  }
}

// ---- generating ----

std::vector<data::Token> generated(const train::SavedModel& model, const std::string& prompt,
                                   std::int64_t count, const train::Sampling& sampling,
                                   std::uint64_t seed, bool cache = true) {
  auto tokens = model.transform.text().tokenizer->encode(prompt);
  train::Generator(model, cache).generate(tokens, count, sampling, seed, [](data::Token) {
    return true;
  });
  return tokens;
}

TEST(Generate, IsAFunctionOfSeedAndPrompt) {
  const Trained trained;
  const auto model = trained.load();
  const auto a = generated(model, "the ", 60, {}, 1);
  EXPECT_EQ(a.size(), 64u);
  EXPECT_EQ(generated(model, "the ", 60, {}, 1), a);
  EXPECT_NE(generated(model, "the ", 60, {}, 2), a);
  // The first tokens do not depend on how many follow.
  auto shorter = generated(model, "the ", 10, {}, 1);
  EXPECT_TRUE(std::equal(shorter.begin(), shorter.end(), a.begin()));
  const auto greedy = generated(model, "the ", 40, {.temperature = 0}, 1);
  EXPECT_EQ(generated(model, "the ", 40, {.temperature = 0}, 9), greedy);
  const Bigram bigram(model);
  for (std::size_t i = 3; i + 1 < greedy.size(); ++i) {
    const auto y = bigram.logits(greedy[i]);
    EXPECT_EQ(greedy[i + 1], std::ranges::max_element(y) - y.begin());
  }
}

TEST(Generate, TheCacheChangesNothing) {
  const Trained trained;  // context 16: the window slides from the 17th token on
  const auto model = trained.load();
  EXPECT_TRUE(train::Generator(model).cached());
  EXPECT_FALSE(train::Generator(model, false).cached());
  for (const auto& sampling : {train::Sampling{}, train::Sampling{.temperature = 0}}) {
    EXPECT_EQ(generated(model, "the cat", 40, sampling, 3, true),
              generated(model, "the cat", 40, sampling, 3, false));
  }
  train::Generator generator(model), again(model);
  const auto& tokenizer = *model.transform.text().tokenizer;
  const auto a = tokenizer.encode("the cat"), b = tokenizer.encode("a mat");
  const auto first = generator.next(a);
  const std::vector<double> kept(first.begin(), first.end());
  generator.next(b);  // another text, then the first again
  EXPECT_THAT(generator.next(a), testing::Pointwise(testing::DoubleEq(), kept));
  EXPECT_THROW(generator.next({}), Error);
  const std::vector<data::Token> beyond = {99};
  EXPECT_THROW(generator.next(beyond), Error);
}

// float64: a draw could fall between the two only where they differ in the last digits.
TEST(Generate, PresetsGoOnFromWhatTheyKept) {
  const std::vector<std::vector<std::string>> presets = {
      {"model.name=gpt", "model.layers=2", "model.width=16", "model.heads=2"},
      {"model.name=gpt", "model.layers=1", "model.width=8", "model.heads=2",
       "model.positions=rotary"},
      {"model.name=char_rnn", "model.units=12", "model.embedding=6"},
      {"model.name=char_rnn", "model.cell=gru", "model.layers=1", "model.units=12"}};
  for (auto options : presets) {
    SCOPED_TRACE(testing::PrintToString(options));
    options.insert(options.end(), {"train.precision=float64", "train.epochs=1"});
    const Trained trained(options);
    const auto model = trained.load();
    EXPECT_TRUE(train::Generator(model).cached());
    const auto tokens = generated(model, "the cat", 40, {}, 3, true);
    EXPECT_EQ(tokens, generated(model, "the cat", 40, {}, 3, false));
    // A prompt is taken at once.
    for (const std::size_t n : {2, 7, 16}) {
      const auto prompt = std::span(tokens).first(n);
      EXPECT_THAT(train::Generator(model).next(prompt),
                  testing::Pointwise(testing::DoubleNear(1e-12),
                                     train::Generator(model, false).next(prompt)));
    }
    // The window's logits are those of training: of the last position of a whole forward pass.
    train::Generator cached(model), window(model, false);
    for (const std::size_t n : {1, 5, 16, 17}) {
      const auto prompt = std::span(tokens).first(n);
      EXPECT_THAT(cached.next(prompt),
                  testing::Pointwise(testing::DoubleNear(1e-12), window.next(prompt)));
    }
  }
}

TEST(Generate, StopsWhenTold) {
  const Trained trained;
  const auto model = trained.load();
  auto tokens = model.transform.text().tokenizer->encode("a");
  int told = 0;
  train::Generator(model).generate(tokens, 50, {}, 1, [&](data::Token) { return ++told < 5; });
  EXPECT_EQ(tokens.size(), 6u);
}

TEST(Generate, WantsALanguageModel) {
  Folder folder;
  Recorder recorder;
  test::run({"data.path=synthetic:moons", "data.rows=60", "train.epochs=1"}, {folder / "run"},
            recorder);
  const auto model = train::SavedModel::load(folder / "run");
  try {
    const train::Generator generator(model);
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("trained for classification"));
  }
}

}  // namespace
}  // namespace descent::test
