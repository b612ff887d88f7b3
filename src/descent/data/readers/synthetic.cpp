// Small problems drawn from the seed: "synthetic:spirals", moons, blobs, sine. Every row has its
// own stream of numbers, so that row i does not depend on how many rows there are.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "descent/base/random.h"
#include "descent/data/registry.h"

namespace descent::data {
namespace {

constexpr std::string_view kPrefix = "synthetic:";
constexpr double kPi = std::numbers::pi;

struct Request {
  std::int64_t rows, classes;
  double noise;
};

struct Point {
  double x = 0, y = 0;
};

// Row i of a problem: two coordinates and a label; class k = i % classes, so that all are equal.
using Draw = Point (*)(std::int64_t k, const Request&, RandomStream&);

// Arms of an Archimedean spiral with one and a half turns.
Point spirals(std::int64_t k, const Request& request, RandomStream& random) {
  const double t = std::sqrt(random.uniform());  // equal density along the arm
  const double angle =
      3 * kPi * t + 2 * kPi * static_cast<double>(k) / static_cast<double>(request.classes);
  return {t * std::cos(angle), t * std::sin(angle)};
}

// Two half circles that reach into each other.
Point moons(std::int64_t k, const Request&, RandomStream& random) {
  const double angle = kPi * random.uniform();
  if (k % 2 == 0) return {std::cos(angle), std::sin(angle)};
  return {1 - std::cos(angle), 0.5 - std::sin(angle)};
}

// Normal clouds around centres on a circle of radius 4; the deviation is 1.
Point blobs(std::int64_t k, const Request& request, RandomStream& random) {
  const double angle = 2 * kPi * static_cast<double>(k) / static_cast<double>(request.classes);
  const double x = 4 * std::cos(angle) + random.normal();
  return {x, 4 * std::sin(angle) + random.normal()};
}

struct Problem {
  const char* name;
  Draw draw;                   // nullptr: sine
  std::int64_t classes, most;  // the default, and the largest number
  double noise;                // the default
};
constexpr Problem kProblems[] = {{"spirals", spirals, 2, 100, 0.02},
                                 {"moons", moons, 2, 2, 0.1},
                                 {"blobs", blobs, 3, 100, 0.0},
                                 {"sine", nullptr, 0, 0, 0.1}};

const Problem& find_problem(const std::string& path) {
  const std::string name = path.substr(std::min(kPrefix.size(), path.size()));
  std::vector<std::string> names;
  for (const auto& problem : kProblems) {
    if (name == problem.name) return problem;
    names.emplace_back(problem.name);
  }
  throw Error(ErrorKind::usage, fmt::format("no synthetic data are called \"{}\"", name),
              "data.path", did_you_mean(name, names));
}

Table classes(const Problem& problem, const Request& request, std::uint64_t key) {
  Table table;
  Column x{.name = "x"}, y{.name = "y"}, label{.name = "label"};
  for (std::int64_t i = 0; i < request.rows; ++i) {
    RandomStream random(fold_in(key, static_cast<std::uint64_t>(i)));
    const std::int64_t k = i % request.classes;
    const Point p = problem.draw(k, request, random);
    const double dx = request.noise * random.normal();
    x.numbers.push_back(p.x + dx);
    y.numbers.push_back(p.y + request.noise * random.normal());
    label.numbers.push_back(static_cast<double>(k));
  }
  table.columns = {std::move(x), std::move(y), std::move(label)};
  return table;
}

// y = sin(x) + noise, x uniform on [-pi, pi).
Table sine(const Request& request, std::uint64_t key) {
  Table table;
  Column x{.name = "x"}, y{.name = "y"};
  for (std::int64_t i = 0; i < request.rows; ++i) {
    RandomStream random(fold_in(key, static_cast<std::uint64_t>(i)));
    const double at = kPi * (2 * random.uniform() - 1);
    x.numbers.push_back(at);
    y.numbers.push_back(std::sin(at) + request.noise * random.normal());
  }
  table.columns = {std::move(x), std::move(y)};
  return table;
}

int recognise(const Origin& origin) { return origin.path.starts_with(kPrefix) ? 100 : 0; }

Tables read(const Origin& origin, const Options& options, std::uint64_t seed) {
  const Problem& problem = find_problem(origin.path);
  Request request{.rows = 1000, .classes = problem.classes, .noise = problem.noise};
  if (options.has("rows")) request.rows = options.integer("rows");
  if (options.has("noise")) request.noise = options.number("noise");
  if (options.has("classes") && problem.most > 0) {
    request.classes = options.integer("classes");
    if (request.classes > problem.most) {
      throw Error(ErrorKind::usage,
                  fmt::format("{} has at most {} classes", origin.path, problem.most),
                  "option \"data.classes\"");
    }
  }
  const std::uint64_t key = fold_in(fold_in(seed, hash_text("synthetic")), hash_text(problem.name));
  Table table = problem.draw == nullptr ? sine(request, key) : classes(problem, request, key);
  table.where = origin.path;
  table.rows = request.rows;
  return {.train = std::move(table)};
}

}  // namespace

void register_synthetic(ReaderRegistry& registry) {
  registry.add({.name = "synthetic",
                .help = "points drawn from the seed: synthetic:spirals, moons, blobs (classes) or "
                        "sine (regression)",
                .options =
                    {
                        {.key = "rows",
                         .type = OptionType::integer,
                         .fallback = std::int64_t{1000},
                         .help = "synthetic: number of rows",
                         .min = 1.0,
                         .max = 1e8},
                        {.key = "classes",
                         .type = OptionType::integer,
                         .help = "synthetic: number of classes; default: spirals and moons 2, "
                                 "blobs 3",
                         .min = 2.0,
                         .max = 100.0},
                        {.key = "noise",
                         .type = OptionType::number,
                         .help = "synthetic: deviation of the normal noise added to the points; "
                                 "default: spirals 0.02, moons and sine 0.1, blobs 0",
                         .min = 0.0},
                    },
                .make = [] { return Reader{.recognise = recognise, .read = read}; }});
}

}  // namespace descent::data
