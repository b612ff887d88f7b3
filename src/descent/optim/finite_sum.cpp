#include "descent/optim/finite_sum.h"

#include <algorithm>
#include <cmath>

#include "descent/base/error.h"
#include "descent/base/random.h"

namespace descent::optim {
namespace {

using Vector = std::vector<double>;

void check(const char* who, const FiniteSum& sum, double step) {
  if (sum.terms < 1) throw Error(ErrorKind::usage, "the sum has no terms", who);
  if (!sum.add_gradient) throw Error(ErrorKind::usage, "the sum has no gradient", who);
  if (!(step > 0)) throw Error(ErrorKind::usage, "the step must be greater than 0", who);
}

// x += a y
void add(Vector& x, double a, const Vector& y) {
  for (std::size_t k = 0; k < x.size(); ++k) x[k] += a * y[k];
}

void prox(const FiniteSum& sum, Vector& x, double t) {
  if (sum.prox) sum.prox(x, t);
}

Vector full_gradient(const FiniteSum& sum, const Vector& x) {
  Vector g(x.size());
  const double weight = 1 / static_cast<double>(sum.terms);
  for (std::int64_t i = 0; i < sum.terms; ++i) sum.add_gradient(i, x, weight, g);
  return g;
}

bool goes_on(const std::function<bool(std::int64_t, std::span<const double>)>& on_epoch,
             std::int64_t epoch, const Vector& x) {
  return !on_epoch || on_epoch(epoch, x);
}

std::int64_t draw(RandomStream& random, const FiniteSum& sum) {
  return static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(sum.terms)));
}

// Gradient of term i at x less that at the snapshot, plus the full one there: unbiased, and without
// variance where both are the minimum.
void reduced_gradient(const FiniteSum& sum, std::int64_t i, const Vector& x, const Vector& snapshot,
                      const Vector& full, Vector& g) {
  g = full;
  sum.add_gradient(i, x, 1, g);
  sum.add_gradient(i, snapshot, -1, g);
}

// The last gradient of each term, and their sum.
struct Table {
  std::vector<Vector> last;
  Vector total;

  Table(std::int64_t terms, std::size_t size)
      : last(static_cast<std::size_t>(terms), Vector(size)), total(size) {}
  Vector& at(std::int64_t i) { return last[static_cast<std::size_t>(i)]; }
};

}  // namespace

std::vector<double> svrg(const FiniteSum& sum, std::vector<double> start,
                         const FiniteSumOptions& options) {
  check("svrg", sum, options.step);
  RandomStream random(options.seed);
  Vector x = std::move(start), g;
  for (std::int64_t epoch = 1; epoch <= options.epochs; ++epoch) {
    const Vector snapshot = x, full = full_gradient(sum, snapshot);
    for (std::int64_t k = 0; k < 2 * sum.terms; ++k) {
      reduced_gradient(sum, draw(random, sum), x, snapshot, full, g);
      add(x, -options.step, g);
      prox(sum, x, options.step);
    }
    if (!goes_on(options.on_epoch, epoch, x)) break;
  }
  return x;
}

std::vector<double> sag(const FiniteSum& sum, std::vector<double> start,
                        const FiniteSumOptions& options) {
  check("sag", sum, options.step);
  if (sum.prox) {
    throw Error(ErrorKind::usage, "sag has no proximal steps", "sag", "use saga, svrg or katyusha");
  }
  RandomStream random(options.seed);
  Vector x = std::move(start), g;
  Table table(sum.terms, x.size());
  std::vector<char> seen(static_cast<std::size_t>(sum.terms));
  std::int64_t count = 0;
  for (std::int64_t epoch = 1; epoch <= options.epochs; ++epoch) {
    for (std::int64_t k = 0; k < sum.terms; ++k) {
      const auto i = draw(random, sum);
      auto& new_term = seen[static_cast<std::size_t>(i)];
      if (new_term == 0) ++count;
      new_term = 1;
      g.assign(x.size(), 0);
      sum.add_gradient(i, x, 1, g);
      add(table.total, 1, g);
      add(table.total, -1, table.at(i));
      table.at(i) = g;
      add(x, -options.step / static_cast<double>(count), table.total);
    }
    if (!goes_on(options.on_epoch, epoch, x)) break;
  }
  return x;
}

std::vector<double> saga(const FiniteSum& sum, std::vector<double> start,
                         const FiniteSumOptions& options) {
  check("saga", sum, options.step);
  RandomStream random(options.seed);
  Vector x = std::move(start), g;
  Table table(sum.terms, x.size());
  for (std::int64_t i = 0; i < sum.terms; ++i) {
    sum.add_gradient(i, x, 1, table.at(i));
    add(table.total, 1, table.at(i));
  }
  for (std::int64_t epoch = 1; epoch <= options.epochs; ++epoch) {
    for (std::int64_t k = 0; k < sum.terms; ++k) {
      const auto i = draw(random, sum);
      g.assign(x.size(), 0);
      sum.add_gradient(i, x, 1, g);
      add(x, -options.step, g);
      add(x, options.step, table.at(i));
      add(x, -options.step / static_cast<double>(sum.terms), table.total);
      add(table.total, 1, g);
      add(table.total, -1, table.at(i));
      table.at(i) = g;
      prox(sum, x, options.step);
    }
    if (!goes_on(options.on_epoch, epoch, x)) break;
  }
  return x;
}

std::vector<double> katyusha(const FiniteSum& sum, std::vector<double> start,
                             const KatyushaOptions& options) {
  const double smooth = options.smoothness, convex = options.strong_convexity;
  check("katyusha", sum, smooth);
  if (!(convex > 0)) {
    throw Error(ErrorKind::usage, "strong_convexity must be greater than 0", "katyusha",
                "add a small ridge to the sum, or use saga");
  }
  const std::int64_t steps = 2 * sum.terms;
  const double tau2 = 0.5;
  const double tau1 = std::min(std::sqrt(static_cast<double>(steps) * convex / (3 * smooth)), 0.5);
  const double alpha = 1 / (3 * tau1 * smooth), short_step = 1 / (3 * smooth);
  RandomStream random(options.seed);
  Vector snapshot = std::move(start), y = snapshot, z = snapshot, x(y.size()), g;
  for (std::int64_t epoch = 1; epoch <= options.epochs; ++epoch) {
    const Vector full = full_gradient(sum, snapshot);
    Vector mean(x.size());
    double total = 0;
    for (std::int64_t j = 0; j < steps; ++j) {
      for (std::size_t k = 0; k < x.size(); ++k) {
        x[k] = tau1 * z[k] + tau2 * snapshot[k] + (1 - tau1 - tau2) * y[k];
      }
      reduced_gradient(sum, draw(random, sum), x, snapshot, full, g);
      add(z, -alpha, g);
      prox(sum, z, alpha);
      y = x;
      add(y, -short_step, g);
      prox(sum, y, short_step);
      // The weights grow as (1 + alpha convex)^j; the running mean never overflows.
      total = total / (1 + alpha * convex) + 1;
      for (std::size_t k = 0; k < mean.size(); ++k) mean[k] += 1 / total * (y[k] - mean[k]);
    }
    snapshot = std::move(mean);
    if (!goes_on(options.on_epoch, epoch, snapshot)) break;
  }
  return snapshot;
}

}  // namespace descent::optim
