"""W10 with scipy.optimize: L-BFGS-B on the same functions; see bench/w10_minimise.cpp.

Eager: gradients by torch.autograd. --analytic: gradients written out in NumPy."""
import numpy as np
import scipy.optimize
import torch

from workload import measure, parse, wanted

args = parse(__doc__, "analytic")
OPTIONS = dict(maxcor=10, ftol=0.0, gtol=1e-6, maxiter=20_000, maxfun=100_000, maxls=50)


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1]**2)**2 + (1 - x[:-1])**2).sum()


def rosenbrock_gradient(x):
    r, g = x[1:] - x[:-1]**2, np.zeros_like(x)
    g[:-1] = -400 * x[:-1] * r - 2 * (1 - x[:-1])
    g[1:] += 200 * r
    return g


def beale(x):
    a, b = x[0], x[1]
    return (1.5 - a + a * b)**2 + (2.25 - a + a * b**2)**2 + (2.625 - a + a * b**3)**2


def beale_gradient(x):
    a, b = x
    r = 1.5 - a + a * b, 2.25 - a + a * b**2, 2.625 - a + a * b**3
    return np.array([2 * (r[0] * (b - 1) + r[1] * (b**2 - 1) + r[2] * (b**3 - 1)), 2 * a * (r[0] + 2 * b * r[1] + 3 * b**2 * r[2])])


def booth(x):
    return (x[0] + 2 * x[1] - 7)**2 + (2 * x[0] + x[1] - 5)**2


def booth_gradient(x):
    r, s = x[0] + 2 * x[1] - 7, 2 * x[0] + x[1] - 5
    return np.array([2 * r + 4 * s, 4 * r + 2 * s])


def matyas(x):
    return 0.26 * (x[0]**2 + x[1]**2) - 0.48 * x[0] * x[1]


def matyas_gradient(x):
    return np.array([0.52 * x[0] - 0.48 * x[1], 0.52 * x[1] - 0.48 * x[0]])


def himmelblau(x):
    return (x[0]**2 + x[1] - 11)**2 + (x[0] + x[1]**2 - 7)**2


def himmelblau_gradient(x):
    r, s = x[0]**2 + x[1] - 11, x[0] + x[1]**2 - 7
    return np.array([4 * x[0] * r + 2 * s, 2 * r + 4 * x[1] * s])


def camel(x):
    return 2 * x[0]**2 - 1.05 * x[0]**4 + x[0]**6 / 6 + x[0] * x[1] + x[1]**2


def camel_gradient(x):
    return np.array([4 * x[0] - 4.2 * x[0]**3 + x[0]**5 + x[1], x[0] + 2 * x[1]])


def goldstein(x):
    a, b = x[0], x[1]
    return (1 + (a + b + 1)**2 * (19 - 14 * a + 3 * a**2 - 14 * b + 6 * a * b + 3 * b**2)) * \
        (30 + (2 * a - 3 * b)**2 * (18 - 32 * a + 12 * a**2 + 48 * b - 36 * a * b + 27 * b**2))


def goldstein_gradient(x):
    a, b = x
    s, t = a + b + 1, 2 * a - 3 * b
    p = 19 - 14 * a + 3 * a**2 - 14 * b + 6 * a * b + 3 * b**2
    q = 18 - 32 * a + 12 * a**2 + 48 * b - 36 * a * b + 27 * b**2
    u, v = 1 + s**2 * p, 30 + t**2 * q
    dp = -14 + 6 * a + 6 * b
    du = 2 * s * p + s**2 * dp
    dva = 4 * t * q + t**2 * (-32 + 24 * a - 36 * b)
    dvb = -6 * t * q + t**2 * (48 - 36 * a + 54 * b)
    return np.array([du * v + u * dva, du * v + u * dvb])


COUNT = {n: np.arange(1.0, n + 1) for n in (10, 250)}
COUNT_TORCH = {n: torch.from_numpy(c) for n, c in COUNT.items()}
SCALE = 10**(4 * (COUNT[250] - 1) / 249)
SCALE_TORCH = torch.from_numpy(SCALE)


def count(x):
    return (COUNT_TORCH if torch.is_tensor(x) else COUNT)[len(x)]


def dixon(x):
    return (x[0] - 1)**2 + (count(x)[1:] * (2 * x[1:]**2 - x[:-1])**2).sum()


def dixon_gradient(x):
    r, g = COUNT[10][1:] * (2 * x[1:]**2 - x[:-1]), np.zeros_like(x)
    g[0] = 2 * (x[0] - 1)
    g[1:] = 8 * x[1:] * r
    g[:-1] -= 2 * r
    return g


def zakharov(x):
    s = (0.5 * count(x) * x).sum()
    return (x**2).sum() + s**2 + s**4


def zakharov_gradient(x):
    s = 0.5 * COUNT[10] @ x
    return 2 * x + (s + 2 * s**3) * COUNT[10]


def styblinski(x):
    return (x**4 - 16 * x**2 + 5 * x).sum() / 2


def styblinski_gradient(x):
    return 2 * x**3 - 16 * x + 2.5


def powell(x):
    a, b, c, d = x[0::4], x[1::4], x[2::4], x[3::4]
    return ((a + 10 * b)**2 + 5 * (c - d)**2 + (b - 2 * c)**4 + 10 * (a - d)**4).sum()


def powell_gradient(x):
    a, b, c, d = x[0::4], x[1::4], x[2::4], x[3::4]
    r, s, t, u, g = a + 10 * b, c - d, (b - 2 * c)**3, (a - d)**3, np.empty_like(x)
    g[0::4], g[1::4] = 2 * r + 40 * u, 20 * r + 4 * t
    g[2::4], g[3::4] = 10 * s - 8 * t, -10 * s - 40 * u
    return g


def quadratic(x):
    return 0.5 * ((SCALE_TORCH if torch.is_tensor(x) else SCALE) * x**2).sum()


def quadratic_gradient(x):
    return SCALE * x


CLASSICAL = [  # function, gradient, start, minimum
    (rosenbrock, rosenbrock_gradient, [-1.2, 1.0], 0), (beale, beale_gradient, [1.0, 1.0], 0),
    (booth, booth_gradient, [0.0, 0.0], 0), (matyas, matyas_gradient, [5.0, -3.0], 0),
    (himmelblau, himmelblau_gradient, [0.0, 0.0], 0), (camel, camel_gradient, [0.5, 0.5], 0),
    (goldstein, goldstein_gradient, [0.5, -0.5], 3), (dixon, dixon_gradient, [1.0] * 10, 0),
    (zakharov, zakharov_gradient, [0.5] * 10, 0), (styblinski, styblinski_gradient, [-2.0] * 10, -39.16616570377142 * 10),
    (powell, powell_gradient, [3.0, -1.0, 0.0, 1.0] * 3, 0), (quadratic, quadratic_gradient, [1.0] * 250, 0)]


class Minimise:
    def __init__(self, functions):
        self.functions = [(self.both(f, g), np.array(start), best) for f, g, start, best in functions]

    def both(self, f, g):
        def analytic(v):
            return f(v), g(v)

        def differentiated(v):
            x = torch.from_numpy(v).requires_grad_()
            y = f(x)
            y.backward()
            return float(y.detach()), x.grad.numpy()
        return analytic if args.analytic else differentiated

    def reset(self):
        pass

    def step(self, i):
        self.quality = 0
        for f, start, best in self.functions:
            found = scipy.optimize.minimize(f, start, jac=True, method="L-BFGS-B", options=OPTIONS)
            self.quality += 1 + found.fun - best

    def result(self):
        return float(self.quality)


if wanted(args, "rosenbrock-1000"):
    measure("W10", "rosenbrock-1000", args, 2, Minimise([(rosenbrock, rosenbrock_gradient, [-1.2, 1.0] * 500, 0)]), "float64")
for case in ("classical", "compile"):
    if wanted(args, case):
        measure("W10", case, args, 5, Minimise(CLASSICAL), "float64")
