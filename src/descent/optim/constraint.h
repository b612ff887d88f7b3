// Sets that some methods keep x in: what is nearest in it to a point, and where a linear function
// is least in it.
//
//   box:      the objective's bounds
//   simplex:  x >= 0, sum x = radius
//   ball:     |x|_2 <= radius
//   l1_ball:  |x|_1 <= radius
#pragma once
#include <string>

#include "descent/optim/run.h"

namespace descent::optim {

class Constraint {
 public:
  enum class Set { box, simplex, ball, l1_ball };
  Constraint(Set set, double radius) : set_(set), radius_(radius) {}
  static std::vector<Option> options(const std::string& fallback, std::vector<std::string> choices);
  static Constraint from(const Options& options);

  Set set() const { return set_; }
  double radius() const { return radius_; }
  // The nearest point. Simplex: Duchi et al. 2008, by sorting.
  Vector project(const Run& run, Vector x) const;
  // A vertex where g'x is least; a usage error where a bound is missing.
  Vector least(const Run& run, const Vector& g) const;
  // Whether x lies on the edge (a bound, a zero of the simplex, the sphere).
  bool boundary(const Run& run, const Vector& x) const;
  // Moves the run's start into the set, evaluated there.
  void enter(Run& run) const;

 private:
  Set set_;
  double radius_;
};

}  // namespace descent::optim
