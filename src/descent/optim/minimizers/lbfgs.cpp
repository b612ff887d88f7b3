// Limited-memory BFGS.
//
//   d = -H g, with H from the last m pairs s = x' - x, y = g' - g by the two-loop recursion, begun
//   with the multiple s'y / y'y of the identity; x <- x + t d, t by the line search
//
// Nocedal 1980; Liu & Nocedal 1989; Nocedal & Wright 2006, algorithm 7.4. A pair is kept only where
// s'y > eps y'y (positive curvature); where no step helps, the memory is dropped once and the
// search begins anew along the gradient. Defaults: history 10, strong Wolfe with c1 = 1e-4, c2 =
// 0.9; the first step has length min(1, 1 / |g|).
#include "descent/optim/line_search.h"
#include "descent/optim/rule.h"

namespace descent::optim {
namespace {

// The last pairs, oldest overwritten.
class Memory {
 public:
  Memory(Eigen::Index size, std::int64_t history)
      : s_(size, history), y_(size, history), rho_(history), alpha_(history) {}

  void clear() { count_ = 0; }
  bool empty() const { return count_ == 0; }
  void add(const Vector& s, const Vector& y) {
    const double sy = s.dot(y), yy = y.squaredNorm();
    if (!(sy > std::numeric_limits<double>::epsilon() * yy)) return;
    s_.col(next_) = s;
    y_.col(next_) = y;
    rho_[next_] = 1 / sy;
    gamma_ = sy / yy;
    next_ = (next_ + 1) % rho_.size();
    count_ = std::min(count_ + 1, rho_.size());
  }
  // d = -H g
  void direction(const Vector& g, Vector& d) {
    d = -g;
    for (Eigen::Index i = 1; i <= count_; ++i) {
      const auto k = (next_ - i + rho_.size()) % rho_.size();
      alpha_[k] = rho_[k] * s_.col(k).dot(d);
      d -= alpha_[k] * y_.col(k);
    }
    if (count_ > 0) d *= gamma_;
    for (Eigen::Index i = count_; i >= 1; --i) {
      const auto k = (next_ - i + rho_.size()) % rho_.size();
      d += (alpha_[k] - rho_[k] * y_.col(k).dot(d)) * s_.col(k);
    }
  }

 private:
  Matrix s_, y_;
  Vector rho_, alpha_;
  double gamma_ = 1;
  Eigen::Index count_ = 0, next_ = 0;
};

struct Settings {
  std::int64_t history = 10;
  LineSearch search;
  LineSearchOptions line;
};

void lbfgs(Run& run, const Settings& o) {
  Vector d(run.x.size());
  Memory memory(run.x.size(), o.history);
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
       .help = "limited-memory BFGS with a line search (Liu & Nocedal 1989)",
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
       }});
}

}  // namespace descent::optim
