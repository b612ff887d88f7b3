#include <descent/descent.h>

#include <iostream>

int main() {
  using namespace descent;
  const auto x = Array(DType::float32, {128, 784}), w = Array(DType::float32, {784, 10});
  const auto y = evaluate([](ValueSpan in) { return Values{relu(matmul(in[0], in[1]))}; }, {x, w});
  std::cout << to_string(y[0].shape()) << "\n";
}
