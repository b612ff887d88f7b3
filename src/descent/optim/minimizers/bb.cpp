// Barzilai and Borwein's gradient method.
//
//   x <- x - a g,  with s = x' - x, y = g' - g:  long: a = s's / s'y,  short: a = s'y / y'y
//
// The step of a secant method in one number. Barzilai & Borwein 1988; globally convergent with a
// line search that allows the value to rise above the last but not above the largest of the last
// `memory` (Raydan 1997): f(x - t a g) <= max - 1e-4 t a |g|^2. Where s'y <= 0 the longest step
// allowed is taken, 1 / |g|. Steps lie in [1e-30, 1e30]. The first is lr, 0: min(1, 1 / |g|).
#include "descent/optim/line_search.h"
#include "descent/optim/nonmonotone.h"
#include "descent/optim/rule.h"

namespace descent::optim {
namespace {

struct Settings {
  double lr = 0;
  bool long_steps = true;
  std::int64_t memory = 10;
};

void bb(Run& run, const Settings& o) {
  Reference reference(o.memory);
  reference.add(run.value);
  Vector g(run.x.size());
  double a = o.lr > 0 ? o.lr : std::min(1.0, 1 / run.gradient.norm());
  while (run.goes_on()) {
    const double slope = -run.gradient.squaredNorm();
    const double most = reference.value();
    double t = a;
    bool moved = false;
    for (int i = 0; i < 60 && !moved; ++i) {
      const Vector to = run.x - t * run.gradient;
      const double v = run.f.value_and_gradient(to, g);
      const double noise = 8 * std::numeric_limits<double>::epsilon() * std::abs(most);
      if (run.finite(v, g) && v <= most + 1e-4 * t * slope + noise) {
        const Vector s = to - run.x, y = g - run.gradient;
        const double sy = s.dot(y);
        a = sy <= 0 ? 1 / g.norm() : o.long_steps ? s.squaredNorm() / sy : sy / y.squaredNorm();
        a = std::clamp(a, 1e-30, 1e30);
        moved = true;
        run.accept(to, v, g);
        reference.add(run.value);
      } else {
        t *= run.finite(v, g)
                 ? std::clamp(interpolate({0, run.value, slope}, {t, v, -g.dot(run.gradient)}) / t,
                              0.1, 0.5)
                 : 0.1;
      }
    }
    if (!moved) run.stuck("no further decrease");
  }
}

}  // namespace

void register_bb(MinimizerRegistry& registry) {
  add_minimizer(
      registry,
      {.name = "bb",
       .help = "gradient descent with Barzilai and Borwein's steps and a non-monotone line search "
               "(Raydan 1997)",
       .options = {number_option("lr", 0, "the first step; 0: of length 1 at most"),
                   choice_option("form", "long", "which of the two steps", {"long", "short"}),
                   integer_option("memory", 10, "values of which the largest may be reached")},
       .method = [](const Options& o) -> Method {
         const Settings settings{.lr = o.number("lr"),
                                 .long_steps = o.text("form") == "long",
                                 .memory = o.integer("memory")};
         return [settings](Run& run) { bb(run, settings); };
       }});
}

}  // namespace descent::optim
