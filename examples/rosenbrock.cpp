// The minimum of Rosenbrock's valley, f(x, y) = 100 (y - x^2)^2 + (1 - x)^2, which is f(1, 1) = 0,
// by plain gradient descent: differentiated, compiled once into a step, replayed 50,000 times.
//
//   script/examples rosenbrock
#include <descent/descent.h>

#include <iostream>

int main() {
  using namespace descent;
  const ScalarFn rosenbrock = [](ValueSpan in) {
    const Value x = in[0][0], y = in[0][1];
    return 100 * square(y - square(x)) + square(1 - x);
  };
  const Fn step = [&](ValueSpan in) {
    const Values g = value_and_grad(rosenbrock)(in);  // {f, gradient}
    return Values{in[0] - 1e-3 * g[1], g[0]};
  };
  const Array point = Array::from<double>({-1.2, 1.0}, {2});
  // Output 0, the new point, is written into the memory of input 0.
  Plan plan = compile(step, {{{DType::float64, {2}}, "point", point}}, {.donate = {{0, 0}}});
  for (int i = 0; i < 50000; ++i) plan.run();
  std::cout << "x = " << point.item(0) << ", y = " << point.item(1)
            << ", f = " << plan.output(1).item() << "\n";
}
