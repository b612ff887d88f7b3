#include "descent/optim/line_search.h"

#include <algorithm>
#include <cmath>

#include "descent/base/error.h"
#include "descent/kernels/blas1.h"

namespace descent::optim {
namespace {

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();

// The approximate condition, only where the values differ by rounding.
bool approximately(const LinePoint& p, const LinePoint& start, const LineSearchOptions& o) {
  return std::abs(p.value - start.value) <= 8 * kEpsilon * std::abs(start.value) &&
         p.slope <= (2 * o.decrease - 1) * start.slope;
}

bool decreases(const LinePoint& p, const LinePoint& start, const LineSearchOptions& o) {
  return p.finite() &&
         (p.value <= start.value + o.decrease * p.step * start.slope || approximately(p, start, o));
}

// What a search that ran out of evaluations or of resolution hands back.
LineSearchResult settle(const LinePoint& p, const LinePoint& start, const LineSearchOptions& o) {
  return {p, p.step > 0 && decreases(p, start, o)};
}

// Algorithm 3.6: lo satisfies Armijo and has the lowest value so far, the slope at lo points to hi.
LineSearchResult zoom(const Phi& phi, const LinePoint& start, LinePoint lo, LinePoint hi, int left,
                      const LineSearchOptions& o) {
  double before = std::abs(hi.step - lo.step);
  for (int i = 0; i < left; ++i) {
    const double width = std::abs(hi.step - lo.step);
    if (width <= 1e-15 * std::max(lo.step, hi.step)) break;
    // Every other step halves the bracket at least.
    const bool slow = i % 2 == 1 && width > 0.5 * before;
    if (i % 2 == 1) before = width;
    const auto p = phi(slow && hi.finite() ? 0.5 * (lo.step + hi.step) : interpolate(lo, hi));
    // Where rounding decides between the values: go by slopes.
    const bool level = std::abs(p.value - lo.value) <= 8 * kEpsilon * std::abs(lo.value);
    if (!decreases(p, start, o) || (!level && p.value >= lo.value)) {
      hi = p;
      continue;
    }
    if (std::abs(p.slope) <= -o.curvature * start.slope) return {p, true};
    if (p.slope * (hi.step - lo.step) >= 0) hi = lo;
    lo = p;
  }
  return settle(lo, start, o);
}

}  // namespace

double interpolate(const LinePoint& a, const LinePoint& b) {
  const double width = b.step - a.step;
  if (!b.finite()) return a.step + 0.1 * width;
  if (!a.finite()) return b.step - 0.1 * width;
  // Where rounding of the values would show in the cubic: the secant of the slopes.
  if (3 * kEpsilon * (std::abs(a.value) + std::abs(b.value)) >
          1e-9 * std::abs(width) * std::max(std::abs(a.slope), std::abs(b.slope)) &&
      a.slope * b.slope < 0) {
    const double part = a.slope / (a.slope - b.slope);
    return a.step + std::clamp(part, 0.01, 0.99) * width;
  }
  // Nocedal & Wright (3.59)
  const double d1 = a.slope + b.slope - 3 * (a.value - b.value) / (a.step - b.step);
  const double under = d1 * d1 - a.slope * b.slope;
  if (under >= 0) {
    const double d2 = std::copysign(std::sqrt(under), width);
    const double at = b.step - width * (b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2);
    const double part = (at - a.step) / width;
    if (part >= 0.1 && part <= 0.9) return at;
    if (part > 0 && part < 0.1) return a.step + 0.1 * width;
    if (part > 0.9 && part < 1) return a.step + 0.9 * width;
  }
  return a.step + 0.5 * width;
}

LineSearchResult armijo(const Phi& phi, const LinePoint& start, double first,
                        const LineSearchOptions& o) {
  double step = std::min(first, o.longest);
  for (int i = 0; i < o.most; ++i) {
    const auto p = phi(step);
    if (decreases(p, start, o)) return {p, true};
    if (step * std::abs(start.slope) <= 1e-300) break;
    step = p.finite() ? std::clamp(interpolate(start, p), 0.1 * step, 0.5 * step) : 0.1 * step;
  }
  return {start, false};
}

LineSearchResult strong_wolfe(const Phi& phi, const LinePoint& start, double first,
                              const LineSearchOptions& o) {
  LinePoint before = start;
  double longest = o.longest;
  double step = std::min(first, longest);
  for (int i = 0; i < o.most; ++i) {
    const auto p = phi(step);
    const int left = o.most - i - 1;
    if (!p.finite()) {  // the bracket ends short of it
      longest = step;
      step = before.step + 0.1 * (step - before.step);
      if (step <= before.step) break;
      continue;
    }
    const bool level = approximately(p, start, o);
    if (!decreases(p, start, o) || (i > 0 && !level && p.value >= before.value))
      return zoom(phi, start, before, p, left, o);
    if (std::abs(p.slope) <= -o.curvature * start.slope) return {p, true};
    if (p.slope >= 0) return zoom(phi, start, p, before, left, o);
    if (step >= o.longest) return {p, true};
    // Where the cubic has its minimum further on, or else far ahead; halfway to what is known bad.
    double next = 10 * step;
    if (before.step < step) {
      const double slope = (p.slope - before.slope) / (p.step - before.step);
      if (slope > 0) next = std::clamp(p.step - p.slope / slope, 1.1 * step, 10 * step);
    }
    if (next >= longest) next = longest < o.longest ? 0.5 * (step + longest) : longest;
    before = p;
    step = next;
  }
  return settle(before, start, o);
}

namespace {

// The bracket of Hager & Zhang: slope < 0 and a value near the start's at a, slope >= 0 at b.
class HagerZhang {
 public:
  HagerZhang(const Phi& phi, const LinePoint& start, const LineSearchOptions& o)
      : phi_(phi), start_(start), o_(o), allowed_(start.value + 1e-6 * std::abs(start.value)) {}

  LineSearchResult run(double first) {
    if (!bracket(std::min(first, o_.longest))) return settle(a_, start_, o_);
    while (!done_ && left_ > 0) {
      const double width = b_.step - a_.step;
      if (width <= 1e-15 * b_.step) break;
      double_secant();
      if (done_) break;
      if (b_.step - a_.step > 0.66 * width) update(at(0.5 * (a_.step + b_.step)));
    }
    return done_ ? LineSearchResult{accepted_, true} : settle(a_, start_, o_);
  }

 private:
  LinePoint at(double step) {
    --left_;
    const auto p = phi_(step);
    if (!done_ && holds(p)) {
      done_ = true;
      accepted_ = p;
    }
    return p;
  }
  bool holds(const LinePoint& p) const {
    if (!p.finite() || p.slope < o_.curvature * start_.slope) return false;
    return p.value <= start_.value + o_.decrease * p.step * start_.slope ||
           (p.value <= allowed_ && p.slope <= (2 * o_.decrease - 1) * start_.slope);
  }
  bool high(const LinePoint& p) const { return !p.finite() || p.value > allowed_; }

  // L0: goes further while it goes down.
  bool bracket(double step) {
    a_ = start_;
    double longest = o_.longest;
    while (left_ > 0) {
      const auto p = at(step);
      if (done_) return true;
      if (!p.finite()) {
        longest = step;
        step = a_.step + 0.1 * (step - a_.step);
        if (step <= a_.step) return false;
        continue;
      }
      if (p.slope >= 0) {
        b_ = p;
        return true;
      }
      if (high(p)) {
        narrow(a_, p);
        return true;
      }
      a_ = p;
      if (step >= longest) return false;
      step = 5 * step < longest     ? 5 * step
             : longest < o_.longest ? 0.5 * (step + longest)
                                    : longest;
    }
    return false;
  }
  // U3: bisects between a low point and a high one until a slope turns.
  void narrow(LinePoint low, LinePoint high_point) {
    while (left_ > 0 && !done_) {
      const auto p = at(0.5 * (low.step + high_point.step));
      if (p.finite() && p.slope >= 0) {
        b_ = p;
        a_ = low;
        return;
      }
      (high(p) ? high_point : low) = p;
    }
    a_ = low;
    b_ = high_point;
  }
  // U0 to U3
  void update(const LinePoint& c) {
    if (done_ || !(c.step > a_.step && c.step < b_.step)) return;
    if (c.finite() && c.slope >= 0) {
      b_ = c;
    } else if (high(c)) {
      narrow(a_, c);
    } else {
      a_ = c;
    }
  }
  static double secant(const LinePoint& a, const LinePoint& b) {
    return (a.step * b.slope - b.step * a.slope) / (b.slope - a.slope);
  }
  // S1 to S4
  void double_secant() {
    const auto a = a_, b = b_;
    const double c = secant(a, b);
    if (!(c > a.step && c < b.step)) return;
    update(at(c));
    if (done_) return;
    double further = NAN;
    if (c == b_.step) further = secant(b, b_);
    if (c == a_.step) further = secant(a, a_);
    if (further > a_.step && further < b_.step) update(at(further));
  }

  const Phi& phi_;
  const LinePoint start_;
  const LineSearchOptions o_;
  const double allowed_;
  LinePoint a_, b_, accepted_;
  int left_ = o_.most;
  bool done_ = false;
};

}  // namespace

LineSearchResult hager_zhang(const Phi& phi, const LinePoint& start, double first,
                             const LineSearchOptions& options) {
  return HagerZhang(phi, start, options).run(first);
}

std::vector<std::string> line_search_names() { return {"armijo", "wolfe", "hager_zhang"}; }

LineSearch line_search(const std::string& name) {
  if (name == "armijo") return armijo;
  if (name == "wolfe") return strong_wolfe;
  if (name == "hager_zhang") return hager_zhang;
  throw Error(ErrorKind::usage, "no line search is called \"" + name + "\"", "",
              did_you_mean(name, line_search_names()));
}

Line::Line(Run& run, const Vector& direction) : run_(run), direction_(direction) {}

LinePoint Line::at(double step) {
  if (last_.at.step >= 0 && last_.at.finite() &&
      (best_.at.step < 0 || last_.at.value < best_.at.value))
    std::swap(last_, best_);
  last_.x.resize(run_.x.size());
  last_.gradient.resize(run_.x.size());
  kernels::add_scaled(step, direction_.data(), run_.x.data(), last_.x.data(), run_.x.size());
  const double value = run_.f.value_and_gradient(last_.x, last_.gradient);
  last_.at = {step, value, dot(last_.gradient, direction_)};
  // A component that is not finite need not show in the slope, where the direction's is 0.
  if (!all_finite(last_.gradient)) last_.at.slope = NAN;
  return last_.at;
}

bool Line::go(const LineSearch& search, double first, const LineSearchOptions& options) {
  last_.at.step = best_.at.step = -1;
  const auto from = start();
  if (!(from.slope < 0) || !std::isfinite(first)) return false;
  const auto result = search([this](double step) { return at(step); }, from, first, options);
  if (!result.found) return false;
  if (result.point.step == best_.at.step) std::swap(last_, best_);
  if (result.point.step != last_.at.step) at(result.point.step);
  const auto n = run_.x.size();
  s_.resize(n);
  y_.resize(n);
  const double moved = kernels::subtract_dot(last_.x.data(), run_.x.data(), s_.data(), n);
  kernels::subtract_dot(last_.gradient.data(), run_.gradient.data(), y_.data(), n);
  step_ = result.point.step;
  if (moved == 0 && s_.isZero(0)) return false;  // too short to tell in float64
  run_.accept(last_.x, last_.at.value, last_.gradient);
  return true;
}

}  // namespace descent::optim
