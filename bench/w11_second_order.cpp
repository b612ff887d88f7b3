// W11: derivatives of derivatives.
// "hvp": product of the Hessian of an MLP's loss (784-512-512-10, tanh, batch 128, cross-entropy)
// with the vector uniform(11 + k) for parameter k, forward over reverse; 20 products. Quality: its
// norm.
// "maml": MAML (Finn et al. 2017) on sinusoids, MLP 1-40-40-1, tanh: 25 tasks a step with 10
// support and 10 query points each, one inner SGD step of 0.01 differentiated through, Adam 1e-3 on
// the mean query error; 50 steps. Quality: mean query error of the last 10 steps. Each task is a
// shard with adapted weights of its own.
#include <cmath>
#include <cstring>
#include <numeric>

#include "bench/workload.h"
#include "descent/autodiff/autodiff.h"
#include "descent/compile/plan.h"
#include "descent/nn/loss.h"
#include "descent/ops/ops.h"
#include "descent/optim/optimizers.h"

using namespace descent;

namespace {

constexpr std::int64_t kTasks = 25, kShots = 10;

// Weights and biases of linear layers with their initial values.
std::vector<Array> parameters(const std::vector<std::int64_t>& sizes) {
  std::vector<Array> all;
  for (std::size_t k = 0; k + 1 < sizes.size(); ++k) {
    const float bound = 1 / std::sqrt(static_cast<float>(sizes[k]));
    all.push_back(bench::uniform(1000 + 2 * k, {sizes[k + 1], sizes[k]}, bound));
    all.push_back(Array(DType::float32, {sizes[k + 1]}));
  }
  return all;
}

// Linear layers with tanh between.
Value network(ValueSpan p, Value h) {
  for (std::size_t k = 0; k < p.size(); k += 2) {
    h = matmul(h, p[k], false, true) + p[k + 1];
    if (k + 2 < p.size()) h = tanh(h);
  }
  return h;
}

void hessian_vector_product(const bench::Arguments& arguments) {
  constexpr std::int64_t kBatch = 128;
  const auto data = bench::prepare([] {
    return bench::labelled(bench::uniform(31, {10, 784}, 1.0f), kBatch);
  });
  const std::vector<Array> weights = parameters({784, 512, 512, 10});
  const std::size_t n = weights.size();
  std::vector<PlanInput> inputs;
  for (const auto& a : weights) inputs.push_back({{DType::float32, a.shape()}, "parameter", a});
  for (std::size_t k = 0; k < n; ++k) {
    const Shape& shape = weights[k].shape();
    inputs.push_back({{DType::float32, shape}, "vector", bench::uniform(11 + k, shape, 1.0f)});
  }
  CompileOptions options;
  options.shards = arguments.threads;  // more would read the weights more often
  options.pool = std::make_shared<ThreadPool>(arguments.threads);
  options.profile = arguments.profile;
  inputs.push_back({{DType::float32, {kBatch / options.shards, 784}, true}, "x", data.x});
  inputs.push_back({{DType::int64, {kBatch / options.shards}, true}, "y", data.y});
  Plan plan = compile(
      [n](ValueSpan in) {
        const auto loss = [&](ValueSpan p) {
          return nn::cross_entropy()(network(p, in[2 * n]), in[2 * n + 1]);
        };
        return hvp(loss, in.first(n), in.subspan(n, n));
      },
      inputs, options);
  const auto norm = [&] {
    double sum = 0;
    for (int k = 0; k < plan.outputs(); ++k) {
      for (const float x : plan.output(k).as<float>()) sum += static_cast<double>(x) * x;
    }
    return std::sqrt(sum);
  };
  const auto run = [&](int steps) {
    for (int i = 0; i < steps; ++i) plan.run();
  };
  bench::measure("W11", "hvp", arguments, 20,
                 {.reset = [] {}, .run = run, .result = norm, .plan = [&] { return &plan; }});
}

// Mean over the tasks, a shard each, of the query error after one inner step on the support points.
// x, y: [2 kShots, 1], support first.
Value adapted_loss(ValueSpan p, const Value& x, const Value& y) {
  const auto part = [](const Value& v, std::int64_t at) { return slice(v, 0, at, at + kShots); };
  Values own;  // the task's parameters
  for (const auto& v : p) own.push_back(to_shards(v));
  const auto error = [&](ValueSpan q, std::int64_t at) {
    return mean(square(network(q, part(x, at)) - part(y, at)));
  };
  // The gradient of a sum over tasks is each task's own gradient.
  const Values g = grad([&](ValueSpan q) { return batch_sum(error(q, 0)); })(own);
  Values fast;
  for (std::size_t k = 0; k < own.size(); ++k) fast.push_back(own[k] - 0.01 * g[k]);
  return batch_mean(error(fast, kShots));
}

struct Tasks {
  Array x{DType::float32, {kTasks, 2 * kShots, 1}}, y{DType::float32, {kTasks, 2 * kShots, 1}};
};
// y = a sin(x + f), a in 0.1 .. 4.9, f in 0 .. 3.14.
Tasks tasks_of(std::uint64_t step) {
  Tasks tasks;
  tasks.x = bench::uniform(100 + step, tasks.x.shape(), 5.0f);
  const Array a = bench::uniform(200 + step, {kTasks}, 2.4f),
              f = bench::uniform(300 + step, {kTasks}, 1.57f);
  for (std::size_t i = 0; i < tasks.y.as<float>().size(); ++i) {
    const std::size_t task = i / (2 * kShots);
    tasks.y.as<float>()[i] = (2.5f + a.as<float>()[task]) *
                             std::sin(tasks.x.as<float>()[i] + (f.as<float>()[task] + 1.57f));
  }
  return tasks;
}

void maml(const bench::Arguments& arguments) {
  constexpr int kSteps = 50;
  const auto data = bench::prepare([] {
    std::vector<Tasks> all;
    for (std::uint64_t i = 0; i < kSteps; ++i) all.push_back(tasks_of(i));
    return all;
  });
  const std::vector<Array> start = parameters({1, 40, 40, 1});
  const std::size_t n = start.size();
  const auto adam = optim::adam({.lr = 1e-3});
  std::vector<optim::Parameter> info;
  std::vector<PlanInput> inputs;
  for (const auto& a : start) {
    const Type type{DType::float32, a.shape()};
    info.push_back({fmt::format("p{}", info.size()), type});
    inputs.push_back({type, "parameter", a.clone()});
  }
  for (const auto& s : adam->state(info))
    inputs.push_back({s.type, s.name, Array(s.type.dtype, s.type.shape)});
  const std::size_t state = inputs.size();
  const auto scalars = adam->scalars(DType::float32);
  for (const auto& s : scalars)
    inputs.push_back({{DType::float32, {}}, s.name, Array(DType::float32, {})});
  const Type points{DType::float32, {2 * kShots, 1}, true};
  inputs.push_back({points, "x", {}});
  inputs.push_back({points, "y", {}});
  CompileOptions options;
  options.shards = kTasks;
  options.pool = std::make_shared<ThreadPool>(arguments.threads);
  options.profile = arguments.profile;
  for (int i = 0; i < static_cast<int>(state); ++i) options.donate[i] = i;
  Plan plan = compile(
      [&](ValueSpan in) {
        const Values g = value_and_grad([&](ValueSpan p) {
          return adapted_loss(p, in[in.size() - 2], in[in.size() - 1]);
        })(in.first(n));
        const auto next =
            optim::apply_optimizer(adam, info, in.first(n), ValueSpan(g).subspan(1),
                                   in.subspan(n, state - n), in.subspan(state, scalars.size()));
        Values out = next.parameters;
        out.insert(out.end(), next.state.begin(), next.state.end());
        out.push_back(g[0]);
        return out;
      },
      inputs, options);
  std::vector<double> losses;
  std::int64_t step = 0;
  const auto reset = [&] {
    for (std::size_t i = 0; i < state; ++i) {
      const Array& a = inputs[i].storage;
      std::memset(a.raw(), 0, a.bytes());
      if (i < n) std::memcpy(a.raw(), start[i].raw(), a.bytes());
    }
    losses.clear();
    step = 0;
  };
  const auto run = [&](int steps) {
    for (const auto end = step + steps; step < end; ++step) {
      const Tasks& tasks = data[static_cast<std::size_t>(step)];
      std::memcpy(plan.input(plan.inputs() - 2).raw(), tasks.x.raw(), tasks.x.bytes());
      std::memcpy(plan.input(plan.inputs() - 1).raw(), tasks.y.raw(), tasks.y.bytes());
      for (std::size_t i = 0; i < scalars.size(); ++i)
        inputs[state + i].storage.set_item(0, scalars[i].at(step));
      plan.run();
      losses.push_back(plan.output(plan.outputs() - 1).item());
    }
  };
  const auto last = [&] {
    const auto tail = std::min<std::ptrdiff_t>(10, std::ssize(losses));
    return std::accumulate(losses.end() - tail, losses.end(), 0.0) / static_cast<double>(tail);
  };
  bench::measure("W11", "maml", arguments, kSteps,
                 {.reset = reset, .run = run, .result = last, .plan = [&] { return &plan; }});
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = bench::parse(argc, argv);
  if (arguments.wanted("hvp")) hessian_vector_product(arguments);
  if (arguments.wanted("maml")) maml(arguments);
}
