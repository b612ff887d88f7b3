// The elementwise operations, one row each: name, the kernel as a Highway expression, and the
// derivative as an expression on Values. Forward and reverse mode, the eager run and the tile
// programs all come from the row. Included several times with different meanings of the macros:
//
//   ELTWISE1(name, kernel of (d, x), dy/dx in x and y)
//   ELTWISE2(name, kernel of (d, a, b), dy/da, dy/db in a, b and y)
//   NUMERIC1, NUMERIC2: the same, but also for integers (a kernel of +, -, *, Max, Min, compare)
//
// `zero` as a derivative: piecewise constant, no gradient. Comparisons give 1 and 0 in the
// operands' type; the public less(), equal(), ... cast that to bool.
// In kernels: hn = hwy::HWY_NAMESPACE, K(c) = the constant c in the vector's type.
// hn::Ne is left alone: Highway 1.0.3 has it false for NaN on AVX-512.
// No include guard: each inclusion undefines the macros.
// (clang-format takes the products for pointers.)
// clang-format off

NUMERIC1(neg, hn::Neg(x), -g)
NUMERIC1(abs, hn::Abs(x), g * sign(x))
NUMERIC1(sign, SignOf(d, x), zero)
NUMERIC1(square, hn::Mul(x, x), g * (2.0 * x))
ELTWISE1(reciprocal, hn::Div(K(1), x), -(g * square(y)))
ELTWISE1(sqrt, hn::Sqrt(x), g * (0.5 / y))
ELTWISE1(rsqrt, hn::Div(K(1), hn::Sqrt(x)), g * (-0.5 * (y / x)))
ELTWISE1(exp, ExpOf(d, x), g * y)
ELTWISE1(expm1, Expm1Of(d, x), g * (y + 1.0))
ELTWISE1(log, LogOf(d, x), g / x)
ELTWISE1(log1p, Log1pOf(d, x), g / (1.0 + x))
ELTWISE1(sin, SinOf(d, x), g * cos(x))
ELTWISE1(cos, CosOf(d, x), -(g * sin(x)))
ELTWISE1(tanh, TanhOf(d, x), g * (1.0 - square(y)))
ELTWISE1(sinh, SinhOf(d, x), g * cosh(x))
ELTWISE1(cosh, CoshOf(d, x), g * sinh(x))
ELTWISE1(atan, AtanOf(d, x), g / (1.0 + square(x)))
ELTWISE1(asin, AsinOf(d, x), g * rsqrt(1.0 - square(x)))
ELTWISE1(acos, AcosOf(d, x), -(g * rsqrt(1.0 - square(x))))
ELTWISE1(sigmoid, SigmoidOf(d, x), g * (y * (1.0 - y)))
ELTWISE1(softplus, SoftplusOf(d, x), g * sigmoid(x))
ELTWISE1(erf, ErfOf(d, x), g * (1.1283791670955125739 * exp(-square(x))))
// x Phi(x) with the normal distribution function Phi, and its derivative Phi(x) + x Phi'(x).
ELTWISE1(gelu_exact, GeluOf(d, x), g * gelu_slope(x))
ELTWISE1(gelu_slope, GeluSlopeOf(d, x), g * (0.39894228040143267794 * ((2.0 - square(x)) * exp(-0.5 * square(x)))))
ELTWISE1(floor, hn::Floor(x), zero)
ELTWISE1(ceil, hn::Ceil(x), zero)
ELTWISE1(round, hn::Round(x), zero)
ELTWISE1(is_finite, IsFiniteOf(d, x), zero)
NUMERIC1(relu, ReluOf(d, x), g * step(x))
NUMERIC1(step, hn::IfThenElseZero(hn::Gt(x, hn::Zero(d)), K(1)), zero)

NUMERIC2(add, hn::Add(a, b), g, g)
NUMERIC2(sub, hn::Sub(a, b), g, -g)
NUMERIC2(mul, hn::Mul(a, b), g * b, g * a)
ELTWISE2(div, hn::Div(a, b), g / b, -(g * (y / b)))
ELTWISE2(pow, PowOf(d, a, b), g * (b * pow(a, b - 1.0)), g * (y * log_or_zero(a)))
ELTWISE2(atan2, Atan2Of(d, a, b), g * (b / (square(a) + square(b))), -(g * (a / (square(a) + square(b)))))
NUMERIC2(maximum, MaxOf(d, a, b), g * greater_equal_mask(a, b), g * less_mask(a, b))
NUMERIC2(minimum, MinOf(d, a, b), g * less_equal_mask(a, b), g * greater_mask(a, b))
NUMERIC2(less_mask, hn::IfThenElseZero(hn::Lt(a, b), K(1)), zero, zero)
NUMERIC2(less_equal_mask, hn::IfThenElseZero(hn::Le(a, b), K(1)), zero, zero)
NUMERIC2(greater_mask, hn::IfThenElseZero(hn::Gt(a, b), K(1)), zero, zero)
NUMERIC2(greater_equal_mask, hn::IfThenElseZero(hn::Ge(a, b), K(1)), zero, zero)
NUMERIC2(equal_mask, hn::IfThenElseZero(hn::Eq(a, b), K(1)), zero, zero)
NUMERIC2(not_equal_mask, hn::IfThenZeroElse(hn::Eq(a, b), K(1)), zero, zero)

// select(m, a, b): a where the mask is not 0, else b (both kept from NaN of the other side).
NUMERIC3(select, hn::IfThenElse(hn::Eq(m, hn::Zero(d)), b, a), zero, select(m, g, zeros_like(g)), select(m, zeros_like(g), g))

#undef ELTWISE1
#undef ELTWISE2
#undef NUMERIC1
#undef NUMERIC2
#undef NUMERIC3
