// W9: what a step costs besides its arithmetic: MLP 2-16-1, tanh, squared error, SGD 0.05, batches
// of 1, 8 and 32, 3000 steps. One compiled plan, its state donated. Quality: error over all 4096
// rows.
#include <cmath>
#include <cstring>

#include "bench/workload.h"
#include "descent/autodiff/autodiff.h"
#include "descent/compile/plan.h"
#include "descent/ops/ops.h"

using namespace descent;

namespace {

constexpr std::int64_t kRows = 4096;

Value forward(ValueSpan p, const Value& x) {
  return matmul(tanh(matmul(x, p[0], false, true) + p[1]), p[2], false, true) + p[3];
}

Values training_step(ValueSpan in) {
  const Values g = value_and_grad(
      [&](ValueSpan p) { return mean(square(forward(p, in[4]) - in[5])); })(in.first(4));
  return {in[0] - 0.05 * g[1], in[1] - 0.05 * g[2], in[2] - 0.05 * g[3], in[3] - 0.05 * g[4], g[0]};
}

}  // namespace

int main(int argc, char** argv) {
  auto arguments = bench::parse(argc, argv);
  if (!arguments.quick) arguments.runs = std::max(arguments.runs, 9);  // a run is a millisecond
  const Array x = bench::uniform(9, {kRows, 2}, 1.0f);
  Array y(DType::float32, {kRows, 1});
  for (std::int64_t i = 0; i < kRows; ++i) {
    y.as<float>()[static_cast<std::size_t>(i)] =
        static_cast<float>(std::sin(3.0 * x.item(2 * i)) * x.item(2 * i + 1));
  }
  for (const std::int64_t batch : {1, 8, 32}) {
    const auto name = fmt::format("batch {}", batch);
    if (!arguments.wanted(name)) continue;
    const std::vector<Array> state = {Array(DType::float32, {16, 2}), Array(DType::float32, {16}),
                                      Array(DType::float32, {1, 16}), Array(DType::float32, {1})};
    std::vector<PlanInput> inputs;
    for (const auto& a : state) inputs.push_back({{DType::float32, a.shape()}, "state", a});
    inputs.push_back({{DType::float32, {batch, 2}}, "x", {}});
    inputs.push_back({{DType::float32, {batch, 1}}, "y", {}});
    Plan plan = compile(training_step, inputs,
                        {.donate = {{0, 0}, {1, 1}, {2, 2}, {3, 3}}, .profile = arguments.profile});
    auto* to_x = plan.input(4).raw();
    auto* to_y = plan.input(5).raw();
    const auto reset = [&] {
      for (const auto& a : state) std::memset(a.raw(), 0, a.bytes());
      const Array w = bench::uniform(1000, {16, 2}, static_cast<float>(std::sqrt(0.5))),
                  v = bench::uniform(1002, {1, 16}, 0.25f);
      std::memcpy(state[0].raw(), w.raw(), w.bytes());
      std::memcpy(state[2].raw(), v.raw(), v.bytes());
    };
    const auto run = [&](int steps) {
      for (std::int64_t i = 0; i < steps; ++i) {
        const std::int64_t at = i * batch % kRows;
        std::memcpy(to_x, x.as<float>().data() + 2 * at, static_cast<std::size_t>(batch) * 8);
        std::memcpy(to_y, y.as<float>().data() + at, static_cast<std::size_t>(batch) * 4);
        plan.run();
      }
    };
    const auto error = [&] {
      return evaluate([](ValueSpan in) { return Values{mean(square(forward(in, in[4]) - in[5]))}; },
                      {state[0], state[1], state[2], state[3], x, y})[0]
          .item();
    };
    bench::measure("W9", name, arguments, 3000,
                   {.reset = reset, .run = run, .result = error, .plan = [&] { return &plan; }});
  }
}
