#!/usr/bin/env python3
"""Coefficients in eltwise_coefficients.h: weighted least squares on Chebyshev nodes in 60 digits,
iteratively reweighted towards the minimax fit (Lawson). Prints C++ lists, lowest power first."""
from mpmath import mp, mpf, cos, pi, matrix, qr_solve, expm1, exp, findroot, log, erf, erfc, polyval, sqrt, nstr

mp.dps = 60


def fit(f, lo, hi, degree, weight, rounds=15):
    """Minimises max |weight(x) (p(x) - f(x))| on [lo, hi]; returns (coefficients, that maximum)."""
    lo, hi = mpf(lo), mpf(hi)
    count = 4 * (degree + 1) + 9
    x = [(lo + hi) / 2 + (hi - lo) / 2 * cos(pi * (2 * i + 1) / (2 * count)) for i in range(count)]
    w, y, lawson = [weight(v) for v in x], [f(v) for v in x], [mpf(1)] * count
    for _ in range(rounds):
        a, b = matrix(count, degree + 1), matrix(count, 1)
        for i in range(count):
            scale = w[i] * sqrt(lawson[i])
            b[i] = y[i] * scale
            for k in range(degree + 1):
                a[i, k] = x[i] ** k * scale
        c = qr_solve(a, b)[0]
        error = [abs(w[i] * (sum(c[k] * x[i] ** k for k in range(degree + 1)) - y[i])) for i in range(count)]
        lawson = [l * e for l, e in zip(lawson, error)]
        total = sum(lawson) / count
        lawson = [l / total for l in lawson]
    return [c[k] for k in range(degree + 1)], max(error)


def fit_ratio(f, end, degree, degree_below, rounds=25):
    """Minimises the relative error of p(a) / q(a), q(0) = 1, on [0, end]: least squares of p - f q
    with the weights of the round before, on Chebyshev nodes in (a - 2) / (a + 2)."""
    end, count = mpf(end), 4 * (degree + degree_below + 2)
    top = (end - 2) / (end + 2)
    s = [(top - 1) / 2 + (top + 1) / 2 * cos(pi * (2 * i + 1) / (2 * count)) for i in range(count)]
    x = [2 * (1 + v) / (1 - v) for v in s]
    y, lawson, below = [f(v) for v in x], [mpf(1)] * count, [(1 + v / 2) ** degree_below for v in x]
    best = None
    for _ in range(rounds):
        a, b = matrix(count, degree + 1 + degree_below), matrix(count, 1)
        for i in range(count):
            scale = sqrt(lawson[i]) / (y[i] * below[i])
            b[i] = y[i] * scale
            for k in range(degree + 1):
                a[i, k] = x[i] ** k * scale
            for k in range(1, degree_below + 1):
                a[i, degree + k] = -y[i] * x[i] ** k * scale
        c = qr_solve(a, b)[0]
        p, q = list(c[: degree + 1]), [mpf(1)] + list(c[degree + 1 :])
        below = [polyval(q[::-1], v) for v in x]
        error = [abs(polyval(p[::-1], v) / w / u - 1) for v, w, u in zip(x, below, y)]
        if best is None or max(error) < best[2]:
            best = (p, q, max(error))
        lawson = [l * (e / max(error) + mpf("1e-6")) for l, e in zip(lawson, error)]
        total = sum(lawson) / count
        lawson = [l / total for l in lawson]
    return best


def show(name, result):
    coefficients, error = result
    print(f"// {name}: error {nstr(error, 3)}")
    print(", ".join(nstr(c, 18) for c in coefficients) + "\n")


# exp(r) = 1 + r + r^2 q(r) on |r| <= ln2 / 2, error relative to expm1(r).
q = lambda r: (expm1(r) - r) / r**2
half_ln2 = log(mpf(2)) / 2 * mpf("1.001")
for bits, degree in ((32, 4), (64, 9)):
    show(f"exp {bits}", fit(q, -half_ln2, half_ln2, degree, lambda r: r**2 / expm1(r)))

# log(1 + f) = f - f^2/2 + s (f^2/2 + z L(z)), s = f / (2 + f), z = s^2, |s| <= 3 - 2 sqrt 2.
def tail(z):
    s = sqrt(z)
    return (log((1 + s) / (1 - s)) / s - 2) / z
s_max = (sqrt(mpf(2)) - 1) / (sqrt(mpf(2)) + 1) * mpf("1.001")
for bits, degree in ((32, 3), (64, 6)):
    show(f"log {bits}", fit(tail, mpf("1e-12"), s_max**2, degree, lambda z: z))

# erf(x) = x + x p(x^2) on |x| <= 1; erf(t) = 1 - exp(-t p(t)) beyond, error absolute in erf.
for bits, degree, edge, end in ((32, 6, 1, 4), (64, 12, 1, 6)):
    show(f"erf near {bits}", fit(lambda z: erf(sqrt(z)) / sqrt(z) - 1, mpf("1e-12"), edge * edge, degree, lambda z: mpf(1)))
for bits, degree, end in ((32, 7, 4), (64, 19, 6)):
    show(f"erf far {bits}", fit(lambda t: -log(erfc(t)) / t, 1, end, degree, lambda t: t * erfc(t)))

# 1 - Phi(a) = exp(-a^2 / 2) T(a) of the normal distribution function Phi, a >= 0.
T = lambda a: exp(a * a / 2) * erfc(a / sqrt(mpf(2))) / 2
# Phi(-a) - a Phi'(a) = exp(-a^2 / 2) (root - a) S(a).
density = 1 / sqrt(2 * pi)
root = findroot(lambda a: T(a) - density * a, mpf("0.75"))
S = lambda a: (T(a) - density * a) / (root - a)
print("// root", nstr(root, 30), "\n")
for bits, end, degree in ((32, "14.5", 4), (64, "38.7", 9)):
    for name, f, below in (("tail", T, degree + 1), ("slope", S, degree)):
        p, q, error = fit_ratio(f, end, degree, below)
        show(f"{name} above {bits}", (p, error))
        show(f"{name} below {bits}", (q, error))
