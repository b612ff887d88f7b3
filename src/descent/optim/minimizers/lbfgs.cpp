// Limited-memory BFGS.
//
//   d = -H g, with H from the last m pairs s = x' - x, y = g' - g by the two-loop recursion, begun
//   with the multiple s'y / y'y of the identity; x <- x + t d, t by the line search
//
// Nocedal 1980; Liu & Nocedal 1989; Nocedal & Wright 2006, algorithm 7.4. A pair is kept only where
// s'y > eps y'y (positive curvature); where no step helps, the memory is dropped once and the
// search begins anew along the gradient. Defaults: history 10, strong Wolfe with c1 = 1e-4, c2 =
// 0.9; the first step has length min(1, 1 / |g|).
// Within bounds: lbfgsb.cpp.
#include "descent/optim/lbfgs_memory.h"
#include "descent/optim/line_search.h"
#include "descent/optim/rule.h"

namespace descent::optim {
namespace {

struct Settings {
  std::int64_t history = 10;
  LineSearch search;
  LineSearchOptions line;
};

void lbfgs(Run& run, const Settings& o) {
  if (run.has_bounds()) return projected_lbfgs(run, o.history);
  Vector d(run.x.size());
  LbfgsMemory memory(run.x.size(), o.history);
  Line line(run, d);
  while (run.goes_on()) {
    memory.direction(run.gradient, d);
    const double first = memory.empty() ? std::min(1.0, 1 / run.gradient.norm()) : 1.0;
    if (line.go(o.search, first, o.line)) {
      memory.add(line.s(), line.y());
    } else if (!memory.empty()) {
      memory.clear();
    } else {
      run.stuck("no further decrease");
    }
  }
}

}  // namespace

void register_lbfgs(MinimizerRegistry& registry) {
  add_minimizer(
      registry,
      {.name = "lbfgs",
       .help =
           "limited-memory BFGS with a line search (Liu & Nocedal 1989); within bounds as lbfgsb",
       .options = {integer_option("history", 10, "pairs of steps and gradient changes kept"),
                   choice_option("line_search", "wolfe", "how the length of each step is found",
                                 line_search_names()),
                   number_option("c1", 1e-4, "decrease that a step must bring (Armijo)", 0, 0.5),
                   number_option("c2", 0.9, "part of the slope that may be left (Wolfe)", 0, 1)},
       .method = [](const Options& o) -> Method {
         const Settings settings{.history = o.integer("history"),
                                 .search = line_search(o.text("line_search")),
                                 .line = {.decrease = o.number("c1"), .curvature = o.number("c2")}};
         return [settings](Run& run) { lbfgs(run, settings); };
       },
       .bounds = Bounds::kept});
}

}  // namespace descent::optim
