// Proximal steps: penalties and constraints that act after each step, so that zeros are zeros and
// bounds hold.
//
//   prox(x, t) = the u that makes  t h(u) + |u - x|^2 / 2  least
//
// For the indicator of a convex set that is the projection onto it, whatever t is. A step
// x <- prox(x - lr gradient, lr) is proximal gradient descent on f + h; behind an adaptive
// optimizer the same is done in the plain metric, as is usual. Parikh & Boyd 2014, "Proximal
// algorithms".
//
//   auto sparse = proximal(adam({.lr = 1e-3}), prox_l1(0.01), 1e-3);
//   [optimizer] prox = "l1:0.01"        the shared option of every optimizer of a configuration
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "descent/optim/optimizers.h"

namespace descent::optim {

struct Prox {
  std::string name;
  std::function<Value(const Value& x, const Value& t)> apply;  // t: scalar
};

// h = rate |x|_1: each element shrinks by t rate, to 0 where it is smaller.
Prox prox_l1(double rate);
// h = rate times the sum of the Euclidean norms of the slices along `axis` (0: the rows of a weight
// matrix [out, in], so whole neurons; 1: whole inputs): each shrinks by t rate, to 0 where it is
// smaller. A tensor of rank <= axis is one group. Yuan & Lin 2006.
Prox prox_group_lasso(double rate, int axis = 0);
// Each element into [low, high].
Prox prox_box(double low, double high);
// Each row of the last axis onto {u >= 0, sum u = 1}; a scalar becomes 1. Held & Wolfe 1974.
Prox prox_simplex();
// The tensor into the Euclidean ball of this radius about 0.
Prox prox_ball(double radius);

// "l1:0.01", "group:0.01", "box:-1,1", "simplex", "ball:1"; a usage error for anything else.
Prox prox_from(const std::string& text);

// The last link of a chain: an update becomes what leads to prox(parameter + update, rate of the
// step). Bounds hold up to the rounding of that sum; zeros are exact.
Optimizer proximal_step(const Prox& prox, const Rate& rate, Decayed decayed = except_bias_and_norm);
// `optimizer`, then the proximal step. `rate` is the optimizer's own, which penalties are measured
// with; constraints do not depend on it.
Optimizer proximal(const Optimizer& optimizer, const Prox& prox, const Rate& rate,
                   Decayed decayed = except_bias_and_norm);

}  // namespace descent::optim
