// W8: the optimizer's step alone: 50,000,000 parameters in 100 tensors, the same gradients at each
// of 10 steps. "adam": lr 1e-3, 28 bytes a parameter (reads p g m v, writes p m v);
// "sgd-momentum": lr 0.01, momentum 0.9, 20 bytes. Then every other optimizer whose update goes
// element by element, with its defaults: 12 bytes and 8 for each number of state. Quality: mean
// |p|.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "bench/workload.h"
#include "descent/compile/plan.h"
#include "descent/optim/optimizers.h"
#include "descent/optim/registry.h"

using namespace descent;

namespace {

constexpr std::int64_t kTensors = 100, kSize = 500'000;

void fill(Array& a, double value) {
  if (a.dtype() == DType::float32) {
    std::ranges::fill(a.as<float>(), static_cast<float>(value));
  } else {
    for (std::int64_t i = 0; i < a.size(); ++i) a.set_item(i, value);
  }
}

class Update {
 public:
  Update(optim::Optimizer optimizer, std::int64_t size, const bench::Arguments& arguments)
      : size_(size), optimizer_(std::move(optimizer)) {
    const Type type{DType::float32, {size}};
    for (int k = 0; k < kTensors; ++k) info_.push_back({fmt::format("p{}", k), type});
    for (const auto& p : info_) inputs_.push_back({type, p.name, Array(type.dtype, type.shape)});
    state_ = optimizer_->state(info_);
    for (const auto& s : state_)
      inputs_.push_back({s.type, s.name, Array(s.type.dtype, s.type.shape)});
    state_end_ = inputs_.size();
    for (std::uint64_t k = 0; k < kTensors; ++k) {
      inputs_.push_back({type, "gradient", bench::prepare([&] {
                           return bench::uniform(3000 + k, type.shape, 0.01f);
                         })});
    }
    scalars_ = optimizer_->scalars(DType::float32);
    for (const auto& s : scalars_)
      inputs_.push_back({{DType::float32, {}}, s.name, Array(DType::float32, {})});
    CompileOptions options;
    options.pool = std::make_shared<ThreadPool>(arguments.threads);
    for (int i = 0; i < static_cast<int>(state_end_); ++i) options.donate[i] = i;
    plan_ = compile([this](ValueSpan in) { return trace(in); }, inputs_, options);
  }

  void reset() {
    for (std::size_t i = 0; i < state_end_; ++i) {
      Array& a = inputs_[i].storage;
      if (i < kTensors) {
        const Array start = bench::uniform(2000 + i, a.shape(), 1.0f);
        std::memcpy(a.raw(), start.raw(), a.bytes());
      } else {
        fill(a, state_[i - kTensors].initial);
      }
    }
    step_ = 0;
  }
  void run(int steps) {
    for (const auto end = step_ + steps; step_ < end; ++step_) {
      for (std::size_t i = 0; i < scalars_.size(); ++i)
        inputs_[state_end_ + kTensors + i].storage.set_item(0, scalars_[i].at(step_));
      plan_.run();
    }
  }
  double mean_magnitude() const {
    double sum = 0;
    for (std::size_t k = 0; k < kTensors; ++k) {
      double part = 0;
      for (const float x : inputs_[k].storage.as<float>()) part += std::abs(static_cast<double>(x));
      sum += part;
    }
    return sum / static_cast<double>(kTensors * size_);
  }

 private:
  Values trace(ValueSpan in) const {
    const auto next = optim::apply_optimizer(
        optimizer_, info_, in.first(kTensors), in.subspan(state_end_, kTensors),
        in.subspan(kTensors, state_end_ - kTensors), in.subspan(state_end_ + kTensors));
    Values out = next.parameters;
    out.insert(out.end(), next.state.begin(), next.state.end());
    return out;
  }

  std::int64_t size_, step_ = 0;
  optim::Optimizer optimizer_;
  std::vector<optim::Parameter> info_;
  std::vector<optim::HostScalar> scalars_;
  std::vector<optim::StateTensor> state_;
  std::vector<PlanInput> inputs_;  // parameters, optimizer state, gradients, host scalars
  std::size_t state_end_ = 0;
  Plan plan_;
};

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = bench::parse(argc, argv);
  const auto update = [&](const std::string& name, const optim::Optimizer& optimizer) {
    if (!arguments.wanted(name)) return;
    Update work(optimizer, arguments.quick ? kSize / 10 : kSize, arguments);
    bench::measure("W8", name, arguments, 10,
                   {.reset = [&] { work.reset(); },
                    .run = [&](int steps) { work.run(steps); },
                    .result = [&] { return work.mean_magnitude(); }});
  };
  update("adam", optim::adam({.lr = 1e-3}));
  update("sgd-momentum", optim::sgd({.lr = 0.01, .momentum = 0.9}));
  for (const char* name : {"adabelief",
                           "adadelta",
                           "adagrad",
                           "adamax",
                           "adamw",
                           "adan",
                           "asgd",
                           "ftrl",
                           "lion",
                           "nadam",
                           "nesterov",
                           "radam",
                           "rmsprop",
                           "rprop",
                           "schedule_free_adamw",
                           "schedule_free_sgd",
                           "sgd",
                           "signsgd",
                           "signum",
                           "yogi"}) {
    if (!arguments.wanted(name)) continue;
    const auto& entry = optim::optimizers().at(name);
    const Options options = resolve(entry.options, {}, name);
    const double lr = options.number("lr");
    update(name, entry.make(options, [lr](std::int64_t) { return lr; }));
  }
}
