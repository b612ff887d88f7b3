// Gradient descent.
//
//   x <- x - lr grad f(x)
//
// Cauchy 1847. With a line search, lr is the first step tried, afterwards the length before,
// doubled. Within bounds: the step's end is moved to the nearest point inside (projected gradient).
#include "descent/optim/line_search.h"
#include "descent/optim/rule.h"

namespace descent::optim {
namespace {

void fixed_step(Run& run, double lr) {
  while (run.goes_on()) run.move_to(run.inside(run.x - lr * run.gradient));
}

void searched(Run& run, double lr, const LineSearch& search) {
  if (run.has_bounds()) {
    throw Error(ErrorKind::usage, "a line search does not know the bounds", "gd",
                "leave line_search = \"none\", or use projected_gradient");
  }
  Vector direction(run.x.size());
  Line line(run, direction);
  double step = lr;
  while (run.goes_on()) {
    direction = -run.gradient;
    if (!line.go(search, step)) {
      run.stuck("no further decrease");
      break;
    }
    step = 2 * line.step();
  }
}

}  // namespace

void register_gd(MinimizerRegistry& registry) {
  auto choices = line_search_names();
  choices.insert(choices.begin(), "none");
  add_minimizer(registry,
                {.name = "gd",
                 .help = "gradient descent: x -= lr * gradient (Cauchy 1847)",
                 .options = {number_option("lr", 1e-3, "length of the step, in gradients"),
                             choice_option("line_search", "none",
                                           "how the length of each step is found", choices)},
                 .method = [](const Options& o) -> Method {
                   const double lr = o.number("lr");
                   if (o.text("line_search") == "none")
                     return [lr](Run& run) { fixed_step(run, lr); };
                   return [lr, search = line_search(o.text("line_search"))](Run& run) {
                     searched(run, lr, search);
                   };
                 },
                 .bounds = Bounds::kept});
}

}  // namespace descent::optim
