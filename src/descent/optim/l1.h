// The penalty weight * |x|_1, for the methods that know it: F(x) = f(x) + weight |x|_1.
#pragma once
#include "descent/optim/rule.h"
#include "descent/optim/run.h"

namespace descent::optim {

// The subgradient of F of least norm: 0 exactly at the minimum. Its negative is the direction of
// steepest descent (Andrew & Gao 2007).
Vector pseudo_gradient(const Vector& x, const Vector& gradient, double weight);
// The nearest to z of |.|_1's proximal step: sign(z) max(|z| - by, 0).
inline double shrink(double z, double by) { return z > by ? z - by : z < -by ? z + by : 0.0; }
// Makes the run's value and tolerance those of F.
void penalise(Run& run, double weight);
Option l1_option();

}  // namespace descent::optim
