#!/usr/bin/env python3
"""Writes optim/trajectories_matrix.json: Shampoo, SOAP, K-FAC and clipping, in float64.

    python optim_matrix_golden.py        (PyTorch 2.13, scipy; any machine, the figures agree to rounding)

The problem is that of optim_golden.py; a second one, "tensor", feeds gradients to tensors of more
axes. Roots of matrices are scipy's (Schur and Pade), not those of an eigendecomposition. SOAP is
written from the authors' soap.py with all in float64 (theirs decomposes in float32), with weight
decay at the parameters before the step, in the first step too.

Where the second moments of an axis have not full rank, SOAP's first basis is not unique and neither
is its trajectory: the rows leave such axes out by max_dim.
"""
import math
import pathlib

import numpy
import scipy.linalg
import torch

from optim_golden import FED, START, STEPS, loss, write

NAMES = list(START)


# ---- tensors along an axis ----

def gram(g, axis):
    m = numpy.moveaxis(g, axis, 0).reshape(g.shape[axis], -1)
    return m @ m.T


def apply(m, g, axis):
    """m times the fibres of g along the axis."""
    return numpy.moveaxis(numpy.tensordot(m, g, (1, axis)), 0, axis)


# ---- optimizers: one parameter; called with (gradient, step from 1), give the direction ----

class Shampoo:
    def __init__(self, shape, o):
        self.o = {"beta2": 1, "eps": 1e-6, "momentum": 0, "refresh": 10, "max_dim": 512,
                  "graft": "none", **o}
        self.axes = [i for i, d in enumerate(shape) if d > 1] if len(shape) > 1 else []
        if len(self.axes) < 2:
            self.axes = []
        self.moment, self.root = {}, {}
        self.squares = self.b = 0

    def average(self, key, now, t):
        beta = self.o["beta2"]
        if beta == 1:
            self.moment[key] = self.moment.get(key, 0) + now
            return self.moment[key]
        self.moment[key] = beta * self.moment.get(key, 0) + (1 - beta) * now
        return self.moment[key] / (1 - beta ** t)

    def __call__(self, g, t):
        o, x = self.o, g
        power = -1 / (2 * max(len(self.axes), 1))
        for axis in self.axes:
            d = g.shape[axis]
            if d <= o["max_dim"]:
                now = self.average(axis, gram(g, axis), t)
                if (t - 1) % o["refresh"] == 0 or (t - 1 < o["refresh"] and t - 1 in (1, 2, 4, 8)):
                    self.root[axis] = scipy.linalg.fractional_matrix_power(
                        now + o["eps"] * numpy.eye(d), power).real
                x = apply(self.root[axis], x, axis)
            else:
                now = self.average(axis, numpy.diag(gram(g, axis)), t)
                x = apply(numpy.diag((now + o["eps"]) ** power), x, axis)
        if not self.axes:
            x = x * (self.average("all", g * g, t) + o["eps"]) ** power
        if o["graft"] != "none":
            other = g
            if o["graft"] == "adagrad":
                self.squares = self.squares + g * g
                other = g / (numpy.sqrt(self.squares) + 1e-10)
            x = x * (numpy.linalg.norm(other) / (numpy.linalg.norm(x) + 1e-30))
        if o["momentum"] == 0:
            return x
        self.b = o["momentum"] * self.b + x
        return self.b


class Soap:
    def __init__(self, shape, o):
        self.o = {"beta1": 0.95, "beta2": 0.95, "eps": 1e-8, "refresh": 10, "max_dim": 1024, **o}
        self.axes = [i for i, d in enumerate(shape) if d <= self.o["max_dim"]]
        if len(shape) < 2:
            self.axes = []
        self.gg = {i: numpy.zeros((shape[i], shape[i])) for i in self.axes}
        self.q = {}
        self.m, self.v = numpy.zeros(shape), numpy.zeros(shape)
        self.step = 0

    def project(self, x, back=False):
        for i in self.axes:
            x = apply(self.q[i] if back else self.q[i].T, x, i)
        return x

    def accumulate(self, g):
        for i in self.axes:
            self.gg[i] += (1 - self.o["beta2"]) * (gram(g, i) - self.gg[i])

    def __call__(self, g, t):
        o = self.o
        if t == 1:
            self.accumulate(g)
            self.q = {i: numpy.linalg.eigh(self.gg[i])[1][:, ::-1] for i in self.axes}
            return numpy.zeros_like(g)
        self.step += 1
        turned = self.project(g)
        self.m = o["beta1"] * self.m + (1 - o["beta1"]) * turned
        self.v = o["beta2"] * self.v + (1 - o["beta2"]) * turned ** 2
        scale = math.sqrt(1 - o["beta2"] ** self.step) / (1 - o["beta1"] ** self.step)
        direction = scale * self.project(self.m / (numpy.sqrt(self.v) + o["eps"]), back=True)
        m = self.project(self.m, back=True)
        self.accumulate(g)
        if self.step % o["refresh"] == 0:
            for i in self.axes:
                gg, q = self.gg[i], self.q[i]
                order = numpy.argsort(-numpy.diag(q.T @ gg @ q), kind="stable")
                self.v = numpy.take(self.v, order, i)
                self.q[i] = numpy.linalg.qr(gg @ q[:, order])[0]
        self.m = self.project(m)
        return direction


class Sgd:
    def __init__(self, shape, o):
        pass

    def __call__(self, g, t):
        return g


class Momentum:
    def __init__(self, shape, o):
        self.momentum, self.b = o.get("momentum", 0.9), 0

    def __call__(self, g, t):
        self.b = self.momentum * self.b + g
        return self.b


RULES = {"shampoo": (Shampoo, 0.02, 0.0, False), "soap": (Soap, 3e-3, 0.01, True),
         "sgd": (Sgd, 1e-3, 0.0, False), "kfac": (Momentum, 0.1, 0.0, False)}


# ---- clipping ----

class Clip:
    def __init__(self, o):
        self.o, self.norms = o, []

    def __call__(self, p, g):
        o = self.o
        total = math.sqrt(sum((x * x).sum() for x in g))
        if "clip_percentile" in o:
            self.norms = (self.norms + [total])[-o.get("clip_window", 1000):]
            limit = numpy.percentile(self.norms, o["clip_percentile"])
            g = [x * min(1, limit / (total + 1e-6)) for x in g]
        if "clip_each" in o:
            c = o["clip_each"]
            g = [x * c / max(numpy.linalg.norm(x), c) for x in g]
        if "clip_adaptive" in o:
            g = [self.adaptive(w, x) for w, x in zip(p, g)]
        return g

    def adaptive(self, w, g):
        def norm(x):
            axes = tuple(range(1, x.ndim)) if x.ndim > 1 else None
            return numpy.sqrt((x * x).sum(axis=axes, keepdims=True))
        most = self.o["clip_adaptive"] * numpy.maximum(norm(w), 1e-3)
        return numpy.where(norm(g) > most, g * most / numpy.maximum(norm(g), 1e-6), g)


ROWS = [
    # No parameter of the problem is a layer "x.weight" with rows of outputs: momentum alone.
    ("kfac_momentum", "kfac", {"lr": 0.02, "momentum": 0.8, "weight_decay": 0.1, "damping": 0.1,
                               "decay": 0.9, "kl_clip": 0.1, "refresh": 5, "observe": 2,
                               "max_dim": 64, "fisher": "empirical"}),
    ("shampoo", "shampoo", {"lr": 0.05, "eps": 1e-3, "refresh": 1}),
    ("shampoo_average", "shampoo", {"lr": 0.01, "beta2": 0.9, "eps": 1e-3, "refresh": 4,
                                    "momentum": 0.8}),
    ("shampoo_diagonal", "shampoo", {"lr": 0.05, "eps": 1e-3, "max_dim": 3, "refresh": 3,
                                     "weight_decay": 0.1}),
    ("shampoo_sgd", "shampoo", {"lr": 0.1, "eps": 1e-3, "graft": "sgd", "refresh": 7}),
    ("shampoo_adagrad", "shampoo", {"lr": 0.02, "eps": 1e-3, "graft": "adagrad", "momentum": 0.5,
                                    "max_dim": 0}),
    ("soap", "soap", {"lr": 0.01, "max_dim": 3}),
    ("soap_options", "soap", {"lr": 0.01, "max_dim": 3, "beta1": 0.8, "beta2": 0.9, "eps": 0.01,
                              "refresh": 3, "weight_decay": 0.2}),
    ("soap_plain", "soap", {"max_dim": 0, "weight_decay": 0.0}),
    ("clip_each", "sgd", {"lr": 0.1, "clip_each": 0.05}),
    ("clip_adaptive", "sgd", {"lr": 0.1, "clip_adaptive": 0.02}),
    ("clip_percentile", "sgd", {"lr": 0.1, "clip_percentile": 30.0}),
    ("clip_window", "sgd", {"lr": 0.1, "clip_percentile": 25.0, "clip_window": 7,
                            "clip_each": 0.1, "clip_adaptive": 0.1}),
]


class Run:
    def __init__(self, name, options, start):
        kind, lr, decay, self.decoupled = RULES[name]
        self.lr, self.decay = options.get("lr", lr), options.get("weight_decay", decay)
        self.clip = Clip(options)
        self.rules = [kind(x.shape, options) for x in start]
        self.p = [x.copy() for x in start]

    def step(self, gradients, t, decayed):
        gradients = self.clip(self.p, gradients)
        for i, (rule, g) in enumerate(zip(self.rules, gradients)):
            decay = self.decay * self.p[i] if decayed[i] else 0
            d = rule(g if self.decoupled else g + decay, t)
            self.p[i] = self.p[i] - self.lr * (d + decay if self.decoupled else d)


def trajectory(row, fed, keep):
    run, kept = Run(row[1], row[2], [v.numpy() for v in START.values()]), {}
    for t in range(STEPS):
        if fed:
            g = [x.numpy() for x in FED[t]]
        else:
            p = {k: torch.tensor(v, requires_grad=True) for k, v in zip(NAMES, run.p)}
            loss(p).backward()
            g = [v.grad.numpy() for v in p.values()]
        run.step(g, t + 1, [k != "bias" for k in NAMES])
        if t + 1 in keep:
            kept[str(t + 1)] = [v.flatten().tolist() for v in run.p]
    return kept


# ---- tensors of more axes: gradients of full rank in every axis ----

SHAPES = [(2, 3, 4), (4, 4), (3, 1, 2, 2)]
TENSOR_STEPS = 25
TENSOR_ROWS = [("shampoo", {"lr": 0.05, "eps": 1e-3, "refresh": 4}),
               ("shampoo", {"lr": 0.05, "eps": 1e-3, "max_dim": 3, "beta2": 0.9, "graft": "sgd"}),
               ("soap", {"lr": 0.01, "refresh": 4}),
               ("soap", {"lr": 0.01, "max_dim": 3, "refresh": 1})]


def tensor_problem():
    random = numpy.random.default_rng(5)
    start = [random.standard_normal(s).round(3) for s in SHAPES]
    fed = [[(random.standard_normal(s) * numpy.arange(1, s[-1] + 1)).round(3) for s in SHAPES]
           for _ in range(TENSOR_STEPS)]
    rows = []
    for name, options in TENSOR_ROWS:
        run = Run(name, options, start)
        for t, g in enumerate(fed):
            run.step(g, t + 1, [True] * len(SHAPES))
        rows.append({"name": name, "options": options, "end": [v.flatten().tolist() for v in run.p]})
    return {"shapes": SHAPES, "start": [v.flatten().tolist() for v in start],
            "fed": [[g.flatten().tolist() for g in step] for step in fed], "rows": rows}


# ---- K-FAC with the empirical Fisher matrix, on a convolution and a linear layer ----

CONV = {"stride": 2, "padding": 1}
KFAC_ROWS = [{"lr": 0.2, "damping": 0.01, "momentum": 0.0, "kl_clip": 0.0, "refresh": 1},
             {"lr": 0.3, "damping": 0.05, "decay": 0.7, "momentum": 0.5, "kl_clip": 0.01,
              "refresh": 4, "observe": 2, "weight_decay": 0.1}]
KFAC_STEPS = 12


def kfac_run(x, y, start, o):
    o = {"decay": 0.95, "observe": 1, "weight_decay": 0.0, **o}
    p = [torch.tensor(v, requires_grad=True) for v in start]
    a, g = [0, 0], [0, 0]
    inverse_a, inverse_g = [0, 0], [0, 0]
    b = [0] * 4
    n = len(x)
    for step in range(KFAC_STEPS):
        s1 = torch.nn.functional.conv2d(x, p[0], **CONV)
        hidden = torch.tanh(s1 + p[1].reshape(-1, 1, 1)).flatten(1)
        s2 = hidden @ p[2].T
        for s in (s1, s2):
            s.retain_grad()
        ((s2 + p[3] - y) ** 2).mean().backward()
        patches = torch.nn.functional.unfold(x, 3, **CONV)  # [n, inputs, places]
        places = patches.shape[2]
        rows = [patches.transpose(1, 2).reshape(n * places, -1).numpy(), hidden.detach().numpy()]
        # Of each sample's own loss: times n.
        out = [n * s1.grad.flatten(2).transpose(1, 2).reshape(n * places, -1).numpy(),
               n * s2.grad.numpy()]
        gradients = [v.grad.numpy() + o["weight_decay"] * v.detach().numpy() * (i % 2 == 0)
                     for i, v in enumerate(p)]
        if step % o["observe"] == 0:
            keep = min(1 - 1 / (step // o["observe"] + 1), o["decay"])
            for i in range(2):
                ones = numpy.hstack([rows[i], numpy.ones((len(rows[i]), 1))])
                a[i] = keep * a[i] + (1 - keep) * ones.T @ ones / n
                g[i] = keep * g[i] + (1 - keep) * out[i].T @ out[i] / len(out[i])
        if step < 3 or step % o["refresh"] == 0:
            for i in range(2):
                pi = math.sqrt(numpy.trace(a[i]) / len(a[i]) / (numpy.trace(g[i]) / len(g[i])))
                root = math.sqrt(o["damping"])
                inverse_a[i] = numpy.linalg.inv(a[i] + pi * root * numpy.eye(len(a[i])))
                inverse_g[i] = numpy.linalg.inv(g[i] + root / pi * numpy.eye(len(g[i])))
        change, steps = 0, []
        for i in range(2):
            w, c = gradients[2 * i], gradients[2 * i + 1]
            before = numpy.hstack([w.reshape(len(w), -1), c[:, None]])
            after = inverse_g[i] @ before @ inverse_a[i]
            change += (before * after).sum()
            steps += [after[:, :-1].reshape(w.shape), after[:, -1]]
        factor = 1
        if o["kl_clip"]:
            factor = min(1, math.sqrt(o["kl_clip"] / (o["lr"] ** 2 * change)))
        for i, v in enumerate(p):
            b[i] = o["momentum"] * b[i] + factor * steps[i]
            v.data -= o["lr"] * torch.tensor(b[i])
            v.grad = None
    return [v.detach().flatten().tolist() for v in p]


def kfac_problem():
    random = numpy.random.default_rng(7)
    shapes = [(3, 2, 3, 3), (3,), (2, 27), (2,)]
    x = torch.tensor(random.standard_normal((5, 2, 6, 6)).round(3))
    y = torch.tensor(random.standard_normal((5, 2)).round(3))
    start = [(0.4 * random.standard_normal(s)).round(3) for s in shapes]
    return {"shapes": shapes, "start": [v.flatten().tolist() for v in start],
            "x": x.flatten().tolist(), "y": y.flatten().tolist(), "steps": KFAC_STEPS,
            "rows": [{"options": {**o, "fisher": "empirical"}, "end": kfac_run(x, y, start, o)}
                     for o in KFAC_ROWS]}


def main():
    content = {"tensor": tensor_problem(), "kfac": kfac_problem()}
    for row in ROWS:
        content[row[0]] = {"optimizer": row[1], "options": row[2], "schedule": None,
                           "loss": trajectory(row, False, (1, 2, 5, 20, STEPS)),
                           "fed": trajectory(row, True, (1, 2, STEPS))}
    write(pathlib.Path(__file__).resolve().parent / "optim" / "trajectories_matrix.json", content)


if __name__ == "__main__":
    main()
