// PyTorch's optimizer state goes on here (tests/golden/optim_load_golden.py).
#include <gmock/gmock.h>

#include <cmath>
#include <csignal>

#include "descent/io/safetensors.h"
#include "tests/train/support.h"

namespace descent::test {
namespace {

using testing::HasSubstr;

const std::string kFolder = DESCENT_GOLDEN_DIR "/optim_load/";

const nlohmann::json& results() {
  static const auto json = nlohmann::json::parse(std::ifstream(kFolder + "results.json"));
  return json;
}

std::vector<std::string> assignments(const std::string& row,
                                     const std::vector<std::string>& more = {}) {
  std::vector<std::string> all = {"data.path=" + kFolder + "data.csv",
                                  "data.target=y",
                                  "data.task=regression",
                                  "data.split=[1,0]",
                                  "data.shuffle=false",
                                  "data.normalize=none",
                                  "data.normalize_target=false",
                                  "model.hidden=[4]",
                                  "model.activation=tanh",
                                  "model.init_from=" + kFolder + row + ".weights.safetensors",
                                  "train.batch_size=full",
                                  "train.steps=50",
                                  "train.precision=float64"};
  // What a section names comes before its options.
  for (const bool names : {true, false}) {
    for (const auto& [key, value] : results().at(row).at("options").items()) {
      if (key.ends_with(".name") != names) continue;
      all.push_back(key + "=" + (value.is_string() ? value.get<std::string>() : value.dump()));
    }
  }
  all.push_back("optimizer.load=" + kFolder + row + ".optimizer.safetensors");
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

// The largest relative distance of a weight from PyTorch's after 100 steps.
double distance(const std::string& directory, const std::string& row) {
  double largest = 0;
  for (const auto& [name, array] : io::load_safetensors(newest_state(directory)).tensors) {
    if (!name.starts_with("parameters/")) continue;
    const auto want = results()
                          .at(row)
                          .at("weights")
                          .at(name.substr(std::string("parameters/").size()))
                          .get<std::vector<double>>();
    const auto got = array.to_vector();
    for (std::size_t i = 0; i < want.size(); ++i)
      largest = std::max(largest, std::abs(got[i] - want[i]) / (1e-3 + std::abs(want[i])));
  }
  return largest;
}

// 1e-10, float64: fifty steps of a loss that is not convex, each rounded in another order.
TEST(OptimizerLoad, GoesOnWithPyTorchsTrajectory) {
  for (const auto& [row, unused] : results().items()) {
    Folder folder;
    Recorder recorder;
    const auto outcome = run(assignments(row), {folder / "run"}, recorder);
    EXPECT_EQ(outcome.summary.at("steps"), 100) << row;
    EXPECT_LT(distance(folder / "run", row), 1e-10) << row;
    EXPECT_TRUE(recorder.said("50 updates made before")) << row;
  }
}

// What each part of the state is good for: without it the end is another.
TEST(OptimizerLoad, AllOfItCounts) {
  for (const auto& [row, unused] : results().items()) {
    Folder folder;
    Recorder recorder;
    run(assignments(row, {"optimizer.load_step=40"}), {folder / "run"}, recorder);
    EXPECT_GT(distance(folder / "run", row), 1e-6) << row;
    auto without = assignments(row);
    std::erase_if(without, [](const auto& a) { return a.starts_with("optimizer.load="); });
    run(without, {folder / "without"}, recorder);
    EXPECT_GT(distance(folder / "without", row), 1e-6) << row;
  }
}

TEST(OptimizerLoad, ResumesInTheMiddle) {
  Folder folder;
  Recorder first, second;
  first.on_record = [](const track::Record& r) {
    if (r.step == 70) train::request_stop(SIGINT);
  };
  const auto all = assignments("adamw", {"train.log_every=1"});
  EXPECT_EQ(run(all, {folder / "run"}, first).exit_code, 130);
  const auto outcome = run(all, {folder / "run", true}, second);
  EXPECT_EQ(outcome.summary.at("steps"), 100);
  EXPECT_LT(distance(folder / "run", "adamw"), 1e-10);
}

std::string error_of(const std::vector<std::string>& assigned) {
  Recorder recorder;
  try {
    run(assigned, {}, recorder);
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

TEST(OptimizerLoad, ErrorsNameWhatDiffers) {
  EXPECT_THAT(error_of(assignments("adam", {"optimizer.amsgrad=true"})),
              HasSubstr("not in the file: 0.weight.max_exp_avg_sq (state.0.max_exp_avg_sq)"));
  EXPECT_THAT(error_of(assignments("adamw", {"optimizer.amsgrad=false"})),
              HasSubstr("not in the optimizer: 0.bias.max_exp_avg_sq"));
  EXPECT_THAT(error_of(assignments("adam", {"optimizer.ema_decay=0.9"})),
              HasSubstr("it loads adam, adamw and sgd with momentum"));
  auto wider = assignments("adam", {"model.hidden=[5]"});
  std::erase_if(wider, [](const auto& a) { return a.starts_with("model.init_from"); });
  EXPECT_THAT(error_of(wider), HasSubstr("state.0.exp_avg is [4, 3], 0.weight is [5, 3]"));
  auto sgd = assignments("sgd");
  std::erase_if(sgd, [](const auto& a) { return a.starts_with("optimizer.load_step"); });
  EXPECT_THAT(error_of(sgd), HasSubstr("say how many updates were made: optimizer.load_step"));
  EXPECT_THAT(error_of(assignments("adam", {"optimizer.load=x.pt"})), HasSubstr(".safetensors"));
}

}  // namespace
}  // namespace descent::test
