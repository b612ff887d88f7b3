// Frank and Wolfe's method (conditional gradient) on a simplex, a box or a ball.
//
//   s = argmin over the set of g's,  x <- x + t (s - x);  gap = g'(x - s) >= f(x) - f* (convex f)
//   line_search: t from the parabola through f, its slope and the end's value, halved until Armijo
//   open_loop:   t = 2 / (k + 2)
//
// Frank & Wolfe 1956; Jaggi 2013, "Revisiting Frank-Wolfe". No projections, and x is a mixture of
// few vertices; the gap falls as 1 / k only. The tolerance is held against the gap.
#include "descent/optim/constraint.h"
#include "descent/optim/line_search.h"
#include "descent/optim/rule.h"

namespace descent::optim {
namespace {

void frank_wolfe(Run& run, const Constraint& set, bool open_loop) {
  set.enter(run);
  run.stationarity = [&set, &run](const Vector& x, const Vector& g) {
    return std::max(0.0, g.dot(x - set.least(run, g)));
  };
  Vector d(run.x.size());
  Line line(run, d);
  while (run.goes_on()) {
    d = set.least(run, run.gradient) - run.x;
    if (open_loop) {
      run.move_to(run.x + 2.0 / static_cast<double>(run.iteration() + 2) * d);
    } else if (!line.go(strong_wolfe, 1, {.curvature = 0.1, .longest = 1})) {
      run.stuck("no further decrease");
    }
  }
}

}  // namespace

void register_frank_wolfe(MinimizerRegistry& registry) {
  auto options = Constraint::options("simplex", {"simplex", "box", "ball", "l1_ball"});
  options.push_back(
      choice_option("step", "line_search", "how long steps are", {"line_search", "open_loop"}));
  add_minimizer(registry,
                {.name = "frank_wolfe",
                 .help = "Frank and Wolfe's method on a simplex, a box or a ball (Jaggi 2013)",
                 .options = std::move(options),
                 .method = [](const Options& o) -> Method {
                   return [set = Constraint::from(o), open_loop = o.text("step") == "open_loop"](
                              Run& run) { frank_wolfe(run, set, open_loop); };
                 },
                 .bounds = Bounds::kept});
}

}  // namespace descent::optim
