// Sums and updates of float64 vectors, for methods that spend their time between evaluations on
// them. Each sum is of 32 partial sums (element i belongs to number i mod 32), added in one order:
// the same bits on every processor.
#pragma once
#include <cstdint>

namespace descent::kernels {

// a . b
double dot(const double* a, const double* b, std::int64_t n);
// y += alpha x; gives (the new y) . z: what a two-loop recursion does in turn, in one pass.
double add_scaled_dot(double alpha, const double* x, double* y, const double* z, std::int64_t n);
// y += alpha x
void add_scaled(double alpha, const double* x, double* y, std::int64_t n);
// z = y + alpha x
void add_scaled(double alpha, const double* x, const double* y, double* z, std::int64_t n);
// z = x - y; gives z . z
double subtract_dot(const double* x, const double* y, double* z, std::int64_t n);

}  // namespace descent::kernels
