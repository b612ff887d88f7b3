// L-BFGS within bounds, by two-metric projection.
//
//   active:  x_i at a bound (within the projected gradient's norm, at most 1e-6) and g_i pushes
//            outwards
//   d = -H g in the subspace of the others, H from the memory cut to it
//   x <- P(x + t d), P the nearest point inside; the largest t of 1, 1/2, ... (cubic interpolation)
//        with f(x') <= f(x) + 1e-4 g'(x' - x)
//
// Bertsekas 1982, "Projected Newton methods for optimization problems with simple constraints";
// the same problem as L-BFGS-B (Byrd, Lu, Nocedal & Zhu 1995), which walks along the whole
// projected path first.
#include <algorithm>

#include "descent/optim/lbfgs_memory.h"
#include "descent/optim/line_search.h"

namespace descent::optim {
namespace {

void mark_free(const Run& run, Vector& free) {
  const double near = std::min(1e-6, run.gradient_norm());
  for (Eigen::Index i = 0; i < free.size(); ++i) {
    const double g = run.gradient[i];
    const bool held =
        (g > 0 && run.x[i] <= run.lower(i) + near) || (g < 0 && run.x[i] >= run.upper(i) - near);
    free[i] = held ? 0 : 1;
  }
}

// Moves along the projected path, the pair to memory; false where no step brings a decrease.
bool search(Run& run, const Vector& d, double first, LbfgsMemory& memory) {
  Vector g(run.x.size());
  double t = first;
  for (int i = 0; i < 60; ++i) {
    const Vector to = run.inside(run.x + t * d);
    const Vector s = to - run.x;
    if (s.isZero(0)) return false;
    const double slope = run.gradient.dot(s);
    const double v = run.f.value_and_gradient(to, g);
    const bool ok = run.finite(v, g);
    const double noise = 8 * std::numeric_limits<double>::epsilon() * std::abs(run.value);
    if (ok && slope < 0 &&
        (v <= run.value + 1e-4 * slope ||
         (v <= run.value + noise && g.dot(s) <= -0.9998 * slope))) {
      memory.add(s, g - run.gradient);
      run.accept(to, v, g);
      return true;
    }
    // The path bends: the cubic is that of the chord.
    const double part = ok ? interpolate({0, run.value, slope}, {1, v, g.dot(s)}) : 0.1;
    t *= std::clamp(part, 0.1, 0.5);
  }
  return false;
}

}  // namespace

void projected_lbfgs(Run& run, std::int64_t history) {
  Vector d(run.x.size()), free(run.x.size());
  LbfgsMemory memory(run.x.size(), history);
  while (run.goes_on()) {
    mark_free(run, free);
    memory.direction(run.gradient, free, d);
    const double first = memory.empty() ? std::min(1.0, 1 / run.gradient_norm()) : 1.0;
    if (d.dot(run.gradient) < 0 && search(run, d, first, memory)) continue;
    if (memory.empty()) {
      run.stuck("no further decrease");
    } else {
      memory.clear();
    }
  }
}

void register_lbfgsb(MinimizerRegistry& registry) {
  add_minimizer(
      registry,
      {.name = "lbfgsb",
       .help = "L-BFGS within bounds, by projection (Bertsekas 1982)",
       .options = {integer_option("history", 10, "pairs of steps and gradient changes kept")},
       .method = [](const Options& o) -> Method {
         return [history = o.integer("history")](Run& run) { projected_lbfgs(run, history); };
       },
       .bounds = Bounds::kept});
}

}  // namespace descent::optim
