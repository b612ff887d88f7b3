// Scales of variables from the curvature, and the methods that use them: units do not matter.
#include "descent/optim/scaling.h"

#include <gtest/gtest.h>

#include "descent/autodiff/autodiff.h"
#include "descent/ops/ops.h"
#include "descent/optim/minimize.h"
#include "descent/optim/test_functions.h"

namespace descent::optim::test {
namespace {

Matrix matrix(std::initializer_list<std::initializer_list<double>> rows) { return Matrix(rows); }

TEST(CurvatureScales, AreTheRootsOfTheDiagonalOfADefiniteMatrix) {
  const Matrix h = matrix({{4e12, 1, 2e5}, {1, 9e-12, -1e-7}, {2e5, -1e-7, 1}});
  const Vector s = curvature_scales(h);
  // Square roots, rounded once.
  for (Eigen::Index i = 0; i < 3; ++i) EXPECT_DOUBLE_EQ(s[i], std::sqrt(h(i, i)));
  // Of semidefinite ones, too.
  const Vector a{{3e5, 1e-4}};
  const Vector flat = curvature_scales(a * a.transpose());
  EXPECT_DOUBLE_EQ(flat[0], 3e5);
  EXPECT_DOUBLE_EQ(flat[1], 1e-4);
}

TEST(CurvatureScales, MakeRowsOfASaddleAlike) {
  for (const Matrix& h :
       {matrix({{0, 1e8}, {1e8, 0}}), matrix({{1e-200, 1e150}, {1e150, -1e-3}}),
        matrix({{-1e12, 1, 0}, {1, 0, 1e-20}, {0, 1e-20, 1e-30}}), matrix({{-4}})}) {
    const Matrix rest = scaled(h, curvature_scales(h)).cwiseAbs();
    for (Eigen::Index i = 0; i < h.rows(); ++i) {
      EXPECT_GT(rest.row(i).maxCoeff(), 0.8) << h;
      EXPECT_LT(rest.row(i).maxCoeff(), 1.25) << h;
    }
  }
  EXPECT_EQ(curvature_scales(Matrix::Zero(2, 2)), Vector::Ones(2));
  EXPECT_EQ(curvature_scales(matrix({{9, 0}, {0, 0}})), (Vector{{3, 1}}));
}

// A convex function of x = U y: the same points, but for the rounding of the scales' mean.
TEST(Scaling, MakesUnitsNotMatter) {
  const double u = 1 << 20;
  const auto convex = [](const Value& x, const Value& y) {
    return exp(x + 3.0 * y - 0.1) + exp(x - 3.0 * y - 0.1) + exp(-x - 0.1);
  };
  for (const char* name : {"newton", "trust_region"}) {
    for (const std::int64_t steps : {1, 3, 6}) {
      const MinimizeOptions options{.steps = steps};
      const auto plain = minimize([&](const Value& x) { return convex(x[0], x[1]); }, {1, -2},
                                  minimizer(name), options);
      const auto other = minimize([&](const Value& y) { return convex(y[0] * u, y[1] / u); },
                                  {1 / u, -2 * u}, minimizer(name), options);
      EXPECT_NEAR(other.x[0] * u, plain.x[0], 1e-9) << name << " after " << steps;
      EXPECT_NEAR(other.x[1] / u, plain.x[1], 1e-9) << name << " after " << steps;
    }
  }
}

// The valleys of Powell, Brown and Meyer, 1e6 to 1e9 times as long as wide, need it.
TEST(Scaling, IsWhatSolvesBadlyScaledProblems) {
  const auto solves = [](int problem, const std::string& name, const OptionValue& scaling) {
    const auto t = mgh_problem(problem);
    Options o;
    o.set("scaling", scaling);
    const auto found = minimize(t.objective, t.start, minimizer(name, o));
    return std::abs(found.value - t.minimum) <= 1e-5 * t.minimum + 1e-8;
  };
  for (const int problem : {3, 4, 10}) {
    EXPECT_TRUE(solves(problem, "newton", true)) << problem;
    EXPECT_FALSE(solves(problem, "newton", false)) << problem;
  }
  EXPECT_TRUE(solves(10, "trust_region", "on"));
  EXPECT_TRUE(solves(10, "trust_region", "auto"));
  EXPECT_FALSE(solves(10, "trust_region", "off"));
}

}  // namespace
}  // namespace descent::optim::test
