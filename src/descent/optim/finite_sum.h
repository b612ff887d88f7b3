// Stochastic gradients of a finite sum with their variance reduced: linear convergence on strongly
// convex sums, at the price of one gradient of one term a step.
//
//   least  f(x) + h(x),  f(x) = (f_1(x) + ... + f_n(x)) / n
//
// on plain functions, without a graph. f_i convex with L-Lipschitz gradients; h is given by its
// proximal step. Samples are drawn with a counter-based generator: a seed gives the same run
// everywhere.
//
//   const FiniteSum sum{.terms = n, .add_gradient = [&](auto i, auto x, double w, auto out) {...}};
//   const auto x = saga(sum, std::vector<double>(d), {.step = 1 / (3 * L), .epochs = 50});
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace descent::optim {

struct FiniteSum {
  std::int64_t terms = 0;
  // Adds weight times the gradient of f_i at x to `out`.
  std::function<void(std::int64_t i, std::span<const double> x, double weight,
                     std::span<double> out)>
      add_gradient;
  // The proximal step of h: x becomes the u that makes t h(u) + |u - x|^2 / 2 least. Null: h = 0.
  std::function<void(std::span<double> x, double t)> prox = {};
};

struct FiniteSumOptions {
  double step = 0;  // of one stochastic step; must be set
  std::int64_t epochs =
      50;  // an epoch: n stochastic steps (svrg, katyusha: 2 n and a full gradient)
  std::uint64_t seed = 0;
  // Called after each epoch (from 1); false ends the run.
  std::function<bool(std::int64_t epoch, std::span<const double> x)> on_epoch = {};
};

// Johnson & Zhang 2013, "Accelerating stochastic gradient descent using predictive variance
// reduction"; the last point of an epoch is the next snapshot. step <= 1 / (4 L), say 1 / (10 L).
std::vector<double> svrg(const FiniteSum& sum, std::vector<double> start,
                         const FiniteSumOptions& options);
// Schmidt, Le Roux & Bach 2017, "Minimizing finite sums with the stochastic average gradient":
// steps along the mean of the last gradient of each term (of those seen so far). step 1 / (16 L) in
// theory, 1 / L in practice. No prox. Keeps n gradients.
std::vector<double> sag(const FiniteSum& sum, std::vector<double> start,
                        const FiniteSumOptions& options);
// Defazio, Bach & Lacoste-Julien 2014, "SAGA: A fast incremental gradient method": unbiased, and
// with prox. step 1 / (3 L), which needs no strong convexity. Keeps n gradients.
std::vector<double> saga(const FiniteSum& sum, std::vector<double> start,
                         const FiniteSumOptions& options);

struct KatyushaOptions {
  double smoothness = 0;        // L of every f_i; must be set
  double strong_convexity = 0;  // of f + h; must be set
  std::int64_t epochs = 50;
  std::uint64_t seed = 0;
  std::function<bool(std::int64_t epoch, std::span<const double> x)> on_epoch = {};
};
// Allen-Zhu 2017, "Katyusha: The first direct acceleration of stochastic gradient methods",
// algorithm 1 with option I: accelerated, so that about n + sqrt(n L / strong_convexity) steps gain
// a digit, where the others need n + L / strong_convexity.
std::vector<double> katyusha(const FiniteSum& sum, std::vector<double> start,
                             const KatyushaOptions& options);

}  // namespace descent::optim
