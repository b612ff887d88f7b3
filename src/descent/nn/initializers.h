// Initial values of parameters: a function of (shape, fans, key), so that a parameter's start
// depends on the seed and its name alone.
#pragma once
#include <cstdint>
#include <functional>
#include <string>

#include "descent/base/array.h"
#include "descent/base/options.h"

namespace descent::nn {

using Initializer = std::function<Array(DType dtype, const Shape& shape, std::uint64_t key)>;

// fan_in and fan_out as PyTorch counts them: shape [out, in, receptive field...]; an error for
// fewer than two extents.
std::pair<double, double> fans(const Shape& shape);

Initializer zeros();
Initializer ones();
Initializer constant(double value);
Initializer uniform(double bound);  // U(-bound, bound)
Initializer normal(double stddev, double mean = 0);
Initializer truncated_normal(double stddev);  // cut at two standard deviations, as Keras and JAX
Initializer xavier_uniform(double gain = 1);  // Glorot & Bengio 2010
Initializer xavier_normal(double gain = 1);
Initializer he_uniform(double negative_slope = 0);  // He et al. 2015, fan-in
Initializer he_normal(double negative_slope = 0);
Initializer orthogonal(double gain = 1);  // Saxe et al. 2013
Initializer torch_default();  // U(-1/sqrt(fan_in), 1/sqrt(fan_in)): torch.nn.Linear and Conv

// By the text used in a configuration: "xavier_uniform", "he_normal", "default", ... ("glorot_*"
// and "kaiming_*" are the same under their other names), where wanted with a number:
// "constant(0.1)", "uniform(0.05)" (bound), "normal(0.02)", "truncated_normal(0.02)" (standard
// deviation), "xavier_*(2)", "orthogonal(1.4)" (gain), "he_*(0.01)" (negative slope). `where`
// places an error.
Initializer initializer(const std::string& text, const std::string& where = {});
std::vector<std::string> initializer_names();

}  // namespace descent::nn
