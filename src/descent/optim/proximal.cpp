#include "descent/optim/proximal.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "descent/base/error.h"
#include "descent/ops/ops.h"
#include "descent/optim/rule.h"

namespace descent::optim {
namespace {

constexpr double kTiny = 1e-30;  // a norm of 0 is divided by this instead: 0 stays 0

// max(0, 1 - size / norm) x, norms over `axes` (empty: all).
Value shrink(const Value& x, const Value& size, const std::vector<int>& axes) {
  const auto length = sqrt(sum(square(x), axes, true));
  return x * relu(1.0 - size / maximum(length, kTiny));
}

// The projection onto the simplex is max(x - tau, 0) with tau such that the sum is 1. The sum is
// convex and falls in tau, with kinks: bisection to 2^-24 of the largest element's interval of 1,
// then Newton's steps from the left, which are exact once no kink lies between.
Value to_simplex(const Value& x) {
  if (x.rank() == 0) return ones_like(x);
  const double count = static_cast<double>(x.shape()[-1]);
  auto low = max(x, {-1}, true) - 1.0;  // there the sum is at least 1
  double width = 1.0;                   // at low + 1 it is 0
  for (int k = 0; k < 24; ++k) {
    width /= 2;
    const auto total = sum(relu(x - (low + width)), {-1}, true);
    low = low + width * greater_equal_mask(total, 1.0);
  }
  for (int k = 0; k < 4; ++k) {
    const auto active = greater_mask(x, low);
    const auto total = sum(relu(x - low), {-1}, true);
    low = low + (total - 1.0) / clamp(sum(active, {-1}, true), 1.0, count);
  }
  return relu(x - low);
}

std::vector<double> numbers_in(const std::string& text, std::size_t from) {
  std::vector<double> all;
  const char* at = text.data() + std::min(from, text.size());
  const char* const end = text.data() + text.size();
  while (at < end) {
    double x = 0;
    const auto [next, error] = std::from_chars(at, end, x);
    if (error != std::errc{} || (next != end && *next != ',')) return {};
    all.push_back(x);
    at = next == end ? end : next + 1;
  }
  return all;
}

}  // namespace

Prox prox_l1(double rate) {
  require_not_negative("prox_l1", "rate", rate);
  return {"l1",
          [rate](const Value& x, const Value& t) { return sign(x) * relu(abs(x) - t * rate); }};
}

Prox prox_group_lasso(double rate, int axis) {
  require_not_negative("prox_group_lasso", "rate", rate);
  require_not_negative("prox_group_lasso", "axis", axis);
  return {"group", [rate, axis](const Value& x, const Value& t) {
            std::vector<int> others;
            for (int k = 0; k < x.rank() && axis < x.rank(); ++k) {
              if (k != axis) others.push_back(k);
            }
            if (axis < x.rank() && others.empty()) {  // rank 1: every element is a group
              return sign(x) * relu(abs(x) - t * rate);
            }
            return shrink(x, t * rate, others);
          }};
}

Prox prox_box(double low, double high) {
  if (!(low <= high)) {
    throw Error(ErrorKind::usage, fmt::format("no number is in [{:g}, {:g}]", low, high),
                "prox_box", "give the lower bound first");
  }
  return {"box", [=](const Value& x, const Value&) { return clamp(x, low, high); }};
}

Prox prox_simplex() {
  return {"simplex", [](const Value& x, const Value&) { return to_simplex(x); }};
}

Prox prox_ball(double radius) {
  require_positive("prox_ball", "radius", radius);
  return {"ball", [radius](const Value& x, const Value&) {
            return x * minimum(radius / maximum(norm(x), kTiny), 1.0);
          }};
}

Prox prox_from(const std::string& text) {
  const auto colon = text.find(':');
  const auto name = text.substr(0, colon);
  const auto numbers =
      colon == std::string::npos ? std::vector<double>{} : numbers_in(text, colon + 1);
  if (name == "l1" && numbers.size() == 1) return prox_l1(numbers[0]);
  if (name == "group" && numbers.size() == 1) return prox_group_lasso(numbers[0]);
  if (name == "box" && numbers.size() == 2) return prox_box(numbers[0], numbers[1]);
  if (name == "ball" && numbers.size() == 1) return prox_ball(numbers[0]);
  if (text == "simplex") return prox_simplex();
  throw Error(ErrorKind::usage, fmt::format("\"{}\" is no proximal step", text), "prox",
              "write l1:RATE, group:RATE, box:LOW,HIGH, simplex or ball:RADIUS");
}

Optimizer proximal_step(const Prox& prox, const Rate& rate, Decayed decayed) {
  Rule rule{.name = "prox_" + prox.name};
  rule.scalars = {{"rate", rate.schedule()}};
  rule.update = [prox, decayed](const Item& i) {
    if (!i.info.decay && decayed == except_bias_and_norm) return i.gradient;
    return prox.apply(i.parameter + i.gradient, i.scalars[0]) - i.parameter;
  };
  return per_parameter(std::move(rule));
}

Optimizer proximal(const Optimizer& optimizer, const Prox& prox, const Rate& rate,
                   Decayed decayed) {
  return chain({optimizer, proximal_step(prox, rate, decayed)});
}

}  // namespace descent::optim
