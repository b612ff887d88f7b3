// Gradient-free methods of NLopt (Johnson, https://nlopt.readthedocs.io), for comparison only.
//
// Optional: without libnlopt-dev at build time the names are there and say so when used. An
// iteration is one evaluation; what is told is the best point so far. Stops where the simplex or
// region has shrunk to 1e-10 of x.
#include "descent/base/error.h"
#include "descent/optim/rule.h"
#include "descent/optim/run.h"

#ifdef DESCENT_NLOPT
#include <nlopt.h>
#endif

namespace descent::optim {
namespace {

struct Algorithm {
  const char* name;
  const char* nlopt;
  const char* help;
};
constexpr Algorithm kAlgorithms[] = {
    {"nelder_mead", "LN_NELDERMEAD", "the simplex method of Nelder & Mead 1965, by NLopt"},
    {"subplex", "LN_SBPLX", "Nelder-Mead on subspaces (Rowan 1990), by NLopt"},
    {"cobyla", "LN_COBYLA", "linear approximations (Powell 1994), by NLopt"},
    {"bobyqa", "LN_BOBYQA", "quadratic approximations within bounds (Powell 2009), by NLopt"},
    {"newuoa", "LN_NEWUOA", "quadratic approximations (Powell 2006), by NLopt"},
    {"praxis", "LN_PRAXIS", "principal axes (Brent 1972), by NLopt"},
};

#ifdef DESCENT_NLOPT

struct Session {
  Run& run;
  nlopt_opt opt;
  std::exception_ptr failure;
};

double evaluate(unsigned n, const double* x, double* /*gradient*/, void* data) {
  auto& session = *static_cast<Session*>(data);
  if (!session.run.goes_on()) return 1e300;  // some ask once more after being told to stop
  try {
    const Vector at = Vector::Map(x, n);
    const double v = session.run.f.value(at);
    const bool better = std::isfinite(v) && v <= session.run.value;
    session.run.accept_value(better ? at : session.run.x, better ? v : session.run.value);
    if (!session.run.goes_on()) nlopt_force_stop(session.opt);
    return std::isfinite(v) ? v : 1e300;
  } catch (...) {  // must not pass through C
    session.failure = std::current_exception();
    nlopt_force_stop(session.opt);
    return 1e300;
  }
}

void run_nlopt(Run& run, const char* name) {
  if (!run.goes_on()) return;
  const auto n = static_cast<unsigned>(run.x.size());
  const std::unique_ptr<std::remove_pointer_t<nlopt_opt>, decltype(&nlopt_destroy)> opt(
      nlopt_create(nlopt_algorithm_from_string(name), n), &nlopt_destroy);
  if (!opt) throw Error(ErrorKind::internal, "NLopt has no algorithm of this name", name);
  std::vector<double> low(n), high(n), x(run.x.begin(), run.x.end());
  for (unsigned i = 0; i < n; ++i) {
    low[i] = run.lower(i);
    high[i] = run.upper(i);
  }
  nlopt_set_lower_bounds(opt.get(), low.data());
  nlopt_set_upper_bounds(opt.get(), high.data());
  Session session{run, opt.get(), nullptr};
  nlopt_set_min_objective(opt.get(), evaluate, &session);
  if (run.options().steps == 0) nlopt_set_xtol_rel(opt.get(), 1e-10);
  double value = 0;
  nlopt_srand(1);  // praxis draws random numbers
  const auto result = nlopt_optimize(opt.get(), x.data(), &value);
  if (session.failure) std::rethrow_exception(session.failure);
  if (result == NLOPT_FORCED_STOP) return;  // the run had ended
  const bool shrunk = result == NLOPT_XTOL_REACHED;
  run.stuck(shrunk ? "steps shorter than 1e-10 of x" : "no further decrease",
            result > 0 || result == NLOPT_ROUNDOFF_LIMITED);
}

#else

void run_nlopt(Run& /*run*/, const char* name) {
  throw Error(ErrorKind::usage, "this build has no NLopt, which the method needs", name,
              "install libnlopt-dev and build again");
}

#endif

}  // namespace

void register_nlopt(MinimizerRegistry& registry) {
  for (const auto& algorithm : kAlgorithms) {
    add_minimizer(registry, {.name = algorithm.name,
                             .help = algorithm.help,
                             .options = {},
                             .method = [name = algorithm.nlopt](const Options&) -> Method {
                               return [name](Run& run) { run_nlopt(run, name); };
                             },
                             .iterations = 20'000,
                             .bounds = Bounds::kept});
  }
}

}  // namespace descent::optim
