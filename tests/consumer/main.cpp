#include <descent/base/shape.h>

#include <iostream>

int main() {
  const auto common = descent::broadcast({128, 1}, {10});
  std::cout << descent::to_string(common.value()) << "\n";
}
