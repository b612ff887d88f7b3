// Short runs on built-in data, in temporary folders.
#pragma once
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "descent/base/error.h"
#include "descent/base/file.h"
#include "descent/io/safetensors.h"
#include "descent/train/checkpoint.h"
#include "descent/train/config.h"
#include "descent/train/job.h"
#include "descent/train/saved_model.h"
#include "descent/train/trainer.h"

namespace descent::test {
namespace fs = std::filesystem;

// A folder that goes with the test.
class Folder {
 public:
  Folder() {
    static int count = 0;
    path_ = fs::temp_directory_path() /
            ("descent-test-" + std::to_string(::getpid()) + "-" + std::to_string(count++));
    fs::remove_all(path_);
    fs::create_directories(path_);
  }
  ~Folder() { fs::remove_all(path_); }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  std::string string() const { return path_.string(); }

 private:
  fs::path path_;
};

// What a run told.
struct Recorder : track::Sink {
  std::vector<track::Record> records;
  std::vector<std::string> messages;
  std::function<void(const track::Record&)> on_record;
  void record(const track::Record& r) override {
    records.push_back(r);
    if (on_record) on_record(r);
  }
  void message(track::Level, const std::string& label, const std::string& text) override {
    messages.push_back(label + ": " + text);
  }
  double last(const std::string& split, const std::string& name) const {
    double value = std::numeric_limits<double>::quiet_NaN();
    for (const auto& r : records) {
      for (const auto& [key, v] : r.values) {
        if (r.split == split && key == name) value = v;
      }
    }
    return value;
  }
  bool said(const std::string& part) const {
    for (const auto& m : messages) {
      if (m.find(part) != std::string::npos) return true;
    }
    return false;
  }
};

inline train::Config config_of(const std::vector<std::string>& assignments) {
  train::RawConfig raw;
  for (const auto& a : assignments) raw.set(a, "test");
  return train::resolve(raw);
}

inline train::Outcome run(const std::vector<std::string>& assignments,
                          const train::RunOptions& options, Recorder& recorder) {
  train::Job job = train::prepare(config_of(assignments), recorder);
  return train::run(job, options, recorder);
}

// The newest checkpoint's bytes, but for the time it took.
inline std::string newest_state(const std::string& directory) {
  fs::path newest;
  for (const auto& entry : fs::directory_iterator(fs::path(directory) / "checkpoints")) {
    if (entry.path().filename().string().starts_with("step-") && entry.path() > newest)
      newest = entry.path();
  }
  return newest.string();
}

// Two runs ended alike: the newest state and the model, bit for bit.
inline void expect_same_end(const std::string& one, const std::string& other) {
  const auto a = io::load_safetensors(newest_state(one)),
             b = io::load_safetensors(newest_state(other));
  ASSERT_EQ(a.tensors.size(), b.tensors.size()) << other;
  for (std::size_t i = 0; i < a.tensors.size(); ++i) {
    EXPECT_TRUE(identical(a.tensors[i].second, b.tensors[i].second))
        << a.tensors[i].first << ", " << other;
  }
  EXPECT_EQ(read_file(one + "/model.safetensors"), read_file(other + "/model.safetensors"))
      << other;
}

}  // namespace descent::test
