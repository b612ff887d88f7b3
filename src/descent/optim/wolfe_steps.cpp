#include "descent/optim/wolfe_steps.h"

#include <cmath>
#include <limits>

#include "descent/ops/ops.h"

namespace descent::optim {
namespace {

// lo: the lowest point so far, the slope there points to hi. width: of the bracket before this one.
// longest: the shortest step that was not finite, 0 where there is none.
enum Slot {
  kValue,
  kSlope,
  kTrial,
  kStage,
  kEvaluations,
  kLoStep,
  kLoValue,
  kLoSlope,
  kHiStep,
  kHiValue,
  kHiSlope,
  kHiFinite,
  kLongest
};
constexpr const char* kNames[] = {"value",    "slope",     "trial",    "stage",   "evaluations",
                                  "lo_step",  "lo_value",  "lo_slope", "hi_step", "hi_value",
                                  "hi_slope", "hi_finite", "longest"};

struct Point {
  Value step, value, slope, finite;
};

Value both(const Value& a, const Value& b) { return a * b; }
Value either(const Value& a, const Value& b) { return maximum(a, b); }
Value no(const Value& a) { return 1.0 - a; }
Point select_point(const Value& mask, const Point& a, const Point& b) {
  return {select(mask, a.step, b.step), select(mask, a.value, b.value),
          select(mask, a.slope, b.slope), select(mask, a.finite, b.finite)};
}
// In place of a divisor that may be 0 where the quotient does not count.
Value nonzero(const Value& x) { return x + equal_mask(x, 0.0); }

double epsilon(const Value& like) {
  return like.dtype() == DType::float64 ? std::numeric_limits<double>::epsilon()
                                        : std::numeric_limits<float>::epsilon();
}

// Equal but for rounding.
Value level(const Value& a, const Value& b) {
  return less_equal_mask(abs(a - b), 8 * epsilon(a) * abs(b));
}

// The minimum of the cubic through both points, Nocedal & Wright (3.59), or of the parabola through
// the slopes where rounding of the values would show; within tenths of the bracket, else its
// middle.
Value interpolate(const Point& a, const Point& b) {
  const Value width = b.step - a.step, some = nonzero(width);
  const Value d1 = a.slope + b.slope - 3.0 * ((a.value - b.value) / -some);
  const Value under = square(d1) - a.slope * b.slope;
  const Value d2 = sign(width) * sqrt(maximum(under, 0.0));
  const Value cubic = 1.0 - (b.slope + d2 - d1) / nonzero(b.slope - a.slope + 2.0 * d2);
  const Value noise = 3 * epsilon(a.value) * (abs(a.value) + abs(b.value));
  const Value seen = abs(width) * maximum(abs(a.slope), abs(b.slope));
  const Value turns = less_mask(a.slope * b.slope, 0.0);
  const Value by_slopes = both(greater_mask(noise, 0.1 * std::sqrt(epsilon(noise)) * seen), turns);
  const Value secant = clamp(a.slope / nonzero(a.slope - b.slope), 0.01, 0.99);
  const Value cut = both(greater_equal_mask(under, 0.0), is_finite(cubic));
  Value part = select(cut, clamp(cubic, 0.1, 0.9), full(width.type(), 0.5));
  part = select(by_slopes, secant, part);
  part = select(b.finite, part, full(width.type(), 0.1));
  return a.step + part * width;
}

// On from p, which is lower than lo with the slope still down: where the slopes' line has its zero.
Value further(const Point& lo, const Point& p, const Value& longest) {
  const Value bend = (p.slope - lo.slope) / nonzero(p.step - lo.step);
  const Value far = 10.0 * p.step;
  const Value zero = p.step - p.slope / nonzero(bend);
  const Value next =
      select(greater_mask(bend, 0.0), minimum(maximum(zero, 1.1 * p.step), far), far);
  const Value over = both(greater_mask(longest, 0.0), greater_equal_mask(next, longest));
  return select(over, 0.5 * (p.step + longest), next);
}

}  // namespace

std::vector<StateTensor> WolfeSteps::state(const std::string& name, DType dtype) {
  std::vector<StateTensor> all;
  for (const char* slot : kNames) all.push_back({name + "." + slot, {dtype, {}, false}});
  return all;
}

const Value& WolfeSteps::trial() const { return at(kTrial); }
const Value& WolfeSteps::value() const { return at(kValue); }
const Value& WolfeSteps::slope() const { return at(kSlope); }

WolfeSteps::Verdict WolfeSteps::take(const Value& value, const Value& slope, const Value& finite) {
  const auto& o = options_;
  const Value one = ones_like(value);
  const Point p{at(kTrial), value, slope, finite}, lo{at(kLoStep), at(kLoValue), at(kLoSlope), one},
      hi{at(kHiStep), at(kHiValue), at(kHiSlope), at(kHiFinite)};
  const Value &value0 = at(kValue), &slope0 = at(kSlope);
  const Value looking = equal_mask(at(kStage), 0.0), settling = equal_mask(at(kStage), 2.0);
  const Value evaluations = at(kEvaluations) + 1.0;

  // What the point is.
  const Value nearly = both(level(value, value0), less_equal_mask(slope, (2 * o.c1 - 1) * slope0));
  const Value decreases =
      finite * either(less_equal_mask(value, value0 + o.c1 * (p.step * slope0)), nearly);
  const Value flat = less_equal_mask(abs(slope), -o.c2 * slope0);
  // The first point has none before it to be compared with.
  const Value compared = either(no(looking), greater_mask(lo.step, 0.0));
  const Value no_lower =
      compared * greater_equal_mask(value, lo.value) * no(level(value, lo.value));
  const Value good = both(decreases, no(no_lower));
  const Value wolfe = both(good, flat);

  // The bracket after it.
  const Value uphill = good * greater_equal_mask(slope, 0.0);
  const Value shorter = looking * no(finite);  // still without a bracket
  const Value lost = looking * no(shorter) * no(good);
  const Value turned = looking * uphill;
  const Value crossed = no(looking) * good * greater_equal_mask(slope * (hi.step - lo.step), 0.0);
  const Value missed = no(looking) * no(good);
  const Point next_lo = select_point(good, p, lo);
  const Point next_hi =
      select_point(either(lost, missed), p, select_point(either(turned, crossed), lo, hi));
  const Value next_looking = looking * no(either(lost, turned));
  const Value longest = select(shorter, p.step, at(kLongest));

  // The next trial.
  const Value width = abs(next_hi.step - next_lo.step), before = abs(hi.step - lo.step);
  const Value slow = no(looking) * next_hi.finite * greater_mask(width, 0.66 * before);
  const Value middle = 0.5 * (next_lo.step + next_hi.step);
  const Value zoomed = select(slow, middle, interpolate(next_lo, next_hi));
  const Value looked = select(shorter, lo.step + 0.1 * (p.step - lo.step), further(lo, p, longest));
  const Value next = select(next_looking, looked, zoomed);

  // The end of it.
  const Value narrow =
      no(next_looking) *
      less_equal_mask(width, 4 * epsilon(width) * maximum(next_lo.step, next_hi.step));
  const Value out =
      either(greater_equal_mask(evaluations, static_cast<double>(o.max_evaluations)), narrow);
  const Value here = out * good;  // it is the lowest
  const Value accepted = either(settling * decreases, no(settling) * either(wolfe, here));
  const Value settles = no(settling) * no(accepted) * out * greater_mask(next_lo.step, 0.0);
  const Value failed = no(accepted) * either(settling, out * no(settles));

  at(kTrial) = select(settles, next_lo.step, next);
  at(kStage) = select(settles, full(value.type(), 2.0), no(next_looking));
  at(kEvaluations) = evaluations;
  at(kLoStep) = next_lo.step, at(kLoValue) = next_lo.value, at(kLoSlope) = next_lo.slope;
  at(kHiStep) = next_hi.step, at(kHiValue) = next_hi.value, at(kHiSlope) = next_hi.slope;
  at(kHiFinite) = next_hi.finite;
  at(kLongest) = longest;
  return {accepted, failed};
}

void WolfeSteps::begin(const Value& mask, const Value& value, const Value& slope,
                       const Value& trial) {
  const Value zero = zeros_like(value);
  const auto set = [&](Slot slot, const Value& to) { at(slot) = select(mask, to, at(slot)); };
  set(kValue, value);
  set(kSlope, slope);
  set(kTrial, trial);
  set(kLoValue, value);
  set(kLoSlope, slope);
  for (const auto slot :
       {kStage, kEvaluations, kLoStep, kHiStep, kHiValue, kHiSlope, kHiFinite, kLongest})
    set(slot, zero);
}

}  // namespace descent::optim
