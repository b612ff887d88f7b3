// Transfer learning through the trainer: initial values, frozen parameters, groups.
#include <gmock/gmock.h>

#include <csignal>

#include "descent/io/safetensors.h"
#include "descent/train/step.h"
#include "tests/support/real_data.h"
#include "tests/train/support.h"

namespace descent::test {
namespace {

using Assignments = std::vector<std::string>;

Assignments operator+(Assignments a, const Assignments& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// The rows of five digits, `first` and up.
std::string five_digits(const std::string& digits, char first, const std::string& to) {
  std::istringstream in(read_unpacked(digits));
  std::ofstream out(to);
  for (std::string line; std::getline(in, line);) {
    const char digit = line.at(line.find_last_of(',') + 1);
    if (digit >= first && digit < first + 5) out << line << "\n";
  }
  return to;
}

nn::Tree weights(const std::string& run) {
  return io::load_safetensors(run + "/model.safetensors").tensors;
}

bool same(const nn::Tree& a, const nn::Tree& b, const std::string& name) {
  const auto find = [&](const nn::Tree& t) -> const Array& {
    for (const auto& [key, array] : t)
      if (key == name) return array;
    throw std::runtime_error(name);
  };
  return identical(find(a), find(b));
}

train::TrainState state_of(const train::Job& job) {
  train::TrainState state;
  const auto values = nn::initialize(job.variables, 1);
  for (std::size_t i = 0; i < values.size(); ++i)
    (job.variables[i].trained ? state.parameters : state.buffers).push_back(values[i]);
  state.optimizer = train::TrainStep::initial_state(job.optimizer, job.variables, DType::float32);
  return state;
}

double flops_of_a_step(const Assignments& assignments) {
  Recorder r;
  const auto job = train::prepare(config_of(assignments), r);
  auto state = state_of(job);
  data::Loader loader(job.data.train, {.batch_size = 32}, 1);
  const train::TrainStep step(job.model, job.loss, job.optimizer, job.variables, state, {});
  return step.flops(loader.next());
}

TEST(Transfer, DigitsZeroToFourTeachFiveToNine) {
  DESCENT_NEED_DATA(digits, "digits/digits.csv.gz");
  Folder folder;
  const Assignments common = {
      "data.target=-1",  "data.normalize=minmax", "model.name=mlp",    "model.hidden=[64,32]",
      "train.epochs=20", "train.batch_size=32",   "optimizer.lr=0.01", "train.shards=1"};
  Recorder r;
  const std::string first = folder / "first", second = folder / "second";
  run(common + Assignments{"data.path=" + five_digits(digits, '0', folder / "low.csv")}, {first},
      r);
  const auto transferred =
      common + Assignments{"data.path=" + five_digits(digits, '5', folder / "high.csv"),
                           "model.init_from=" + first, "model.init_skip=[4.*]"};
  const Assignments frozen = {"train.freeze=[0.*,2.*]"};
  run(transferred + frozen, {second}, r);

  const auto before = weights(first), after = weights(second);
  for (const char* name : {"0.weight", "0.bias", "2.weight", "2.bias"})
    EXPECT_TRUE(same(before, after, name)) << name;
  for (const char* name : {"4.weight", "4.bias"}) EXPECT_FALSE(same(before, after, name)) << name;
  EXPECT_TRUE(r.said("4 of 6 tensors from"));
  EXPECT_TRUE(r.said("(6,240 frozen)"));
  // Chance is 0.2; 32 features of other digits carry far (0.72 measured).
  EXPECT_GT(r.last("test", "accuracy"), 0.6);

  // A step computes no gradient and no update of the trunk: that is most of its work.
  EXPECT_LT(flops_of_a_step(transferred + frozen), 0.5 * flops_of_a_step(transferred));

  // Unfrozen, everything moves.
  run(transferred, {folder / "third"}, r);
  const auto third = weights(folder / "third");
  for (const auto& [name, array] : third) EXPECT_FALSE(same(before, third, name)) << name;
}

train::Config with_group(const Assignments& assignments, const std::string& match, double lr) {
  train::RawConfig raw;
  for (const auto& a : assignments) raw.set(a, "test");
  raw.groups.push_back(
      {{{"match", {std::vector<std::string>{match}, "g"}}, {"lr", {lr, "g"}}}, "g"});
  return train::resolve(raw);
}

Assignments moons(const Assignments& more = {}) {
  return Assignments{"data.path=synthetic:moons", "data.rows=200",    "model.hidden=[8]",
                     "optimizer.name=adam",       "train.epochs=3",   "train.shards=1",
                     "schedule.name=cosine",      "optimizer.lr=0.01"} +
         more;
}

TEST(Groups, OfRateZeroEqualFrozenOnes) {
  Folder folder;
  Recorder r;
  auto job = train::prepare(with_group(moons(), "0.*", 0), r);
  train::run(job, {folder / "still"}, r);
  run(moons({"train.freeze=[0.*]"}), {folder / "frozen"}, r);
  run(moons(), {folder / "plain"}, r);
  const auto still = weights(folder / "still"), frozen = weights(folder / "frozen"),
             plain = weights(folder / "plain");
  for (const auto& [name, array] : still) EXPECT_TRUE(same(still, frozen, name)) << name;
  for (const auto& [name, array] : still) EXPECT_FALSE(same(still, plain, name)) << name;
}

TEST(Groups, OfTheSameRateChangeNothing) {
  Folder folder;
  Recorder r;
  auto job = train::prepare(with_group(moons(), "*.bias", 0.01), r);
  train::run(job, {folder / "grouped"}, r);
  run(moons(), {folder / "plain"}, r);
  EXPECT_EQ(read_file(folder / "grouped/model.safetensors"),
            read_file(folder / "plain/model.safetensors"));
}

TEST(Groups, AreErrorsWhereTheyMatchNothing) {
  Recorder r;
  EXPECT_THROW(train::prepare(with_group(moons(), "9.*", 0.1), r), Error);
  EXPECT_THROW(run(moons({"train.freeze=[9.*]"}), {}, r), Error);
  EXPECT_THROW(run(moons({"model.init_from=nowhere"}), {}, r), Error);
}

// The checkpoint has all: the file that the run began with may be gone.
TEST(Transfer, ResumesBitForBitWithoutTheFile) {
  Folder folder;
  Recorder r;
  run(moons(), {folder / "first"}, r);
  auto config = with_group(moons({"model.init_from=" + (folder / "first"), "model.batch_norm=false",
                                  "train.freeze=[0.bias]"}),
                           "2.*", 0.1);
  auto job = train::prepare(config, r);
  train::run(job, {folder / "whole"}, r);
  Recorder stopping;
  stopping.on_record = [](const track::Record& record) {
    if (record.split == "valid" && record.epoch == 2) train::request_stop(SIGINT);
  };
  auto part = train::prepare(config, stopping);
  EXPECT_EQ(train::run(part, {folder / "part"}, stopping).exit_code, 130);
  fs::remove_all(folder / "first");
  EXPECT_THROW(train::prepare(config, r), Error);
  auto rest = train::prepare(config, r, /*fresh=*/false);
  train::run(rest, {folder / "part", true}, r);
  EXPECT_EQ(read_file(folder / "whole/model.safetensors"),
            read_file(folder / "part/model.safetensors"));
}

}  // namespace
}  // namespace descent::test
