#!/usr/bin/env python3
"""Writes optim/trajectories_lbfgs.json: L-BFGS in float64 on the problem of optim_golden.py.

    python optim_lbfgs_golden.py        (PyTorch 2.13; any machine)

Without a line search: PyTorch's LBFGS with one iteration a step, its tolerances off. With one, and
with pairs of one batch: numpy, with the two loops of Nocedal & Wright 2006, algorithm 7.4, and the
search as loops of its own (algorithms 3.5 and 3.6), of which each evaluation is a step.
"""
import math
import pathlib
import sys

import numpy as np
import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from optim_golden import FED, START, STEPS, loss, write  # noqa: E402

NAMES = ("w", "bias", "u")
EPS = np.finfo(np.float64).eps


def decays(name, o):
    return name != "bias" or o.get("decay_all", False)


def penalty(t, o):
    rate = o.get("weight_decay", 0) + o.get("l2", 0)
    return 0.5 * rate * sum((t[k] ** 2).sum() for k in NAMES if decays(k, o))


def parted(x):
    out, at = {}, 0
    for k in NAMES:
        n = START[k].numel()
        out[k], at = x[at:at + n].reshape(START[k].shape), at + n
    return out


def joined(p):
    return np.concatenate([np.asarray(p[k]).flatten() for k in NAMES])


def evaluate(x, o):
    """Loss with the penalty, and its gradient."""
    t = {k: v.clone().detach().requires_grad_() for k, v in
         ((k, torch.tensor(v)) for k, v in parted(x).items())}
    value = loss(t) + penalty(t, o)
    value.backward()
    return value.item(), joined({k: t[k].grad for k in NAMES})


class Torch:
    """fed: gradients of the data in the place of the loss's."""

    def __init__(self, o, rate, fed):
        self.o, self.rate, self.fed = o, rate, fed

    def points(self):
        o = self.o
        t = {k: START[k].clone().requires_grad_() for k in NAMES}
        optimizer = torch.optim.LBFGS(list(t.values()), lr=1.0, max_iter=1,
                                      history_size=o.get("history", 10), tolerance_grad=0,
                                      tolerance_change=0, line_search_fn=None)
        for step in range(STEPS):
            optimizer.param_groups[0]["lr"] = self.rate(step)

            def closure():
                optimizer.zero_grad()
                value = penalty(t, o) + (0 if self.fed else loss(t))
                if torch.is_tensor(value) and value.requires_grad:
                    value.backward()
                if self.fed:
                    for k, g in zip(NAMES, FED[step]):
                        t[k].grad = g.clone() if t[k].grad is None else t[k].grad + g
                return value
            optimizer.step(closure)
            yield joined({k: t[k].detach() for k in NAMES}), None


class Memory:
    def __init__(self, size, mean=False):
        self.size, self.mean, self.pairs = size, mean, []

    def add(self, s, y):
        self.pairs = (self.pairs + [(s, y)])[-self.size:]

    def direction(self, g):
        q, alphas = g.copy(), []
        for s, y in reversed(self.pairs):
            alphas.append(s @ q / (s @ y))
            q -= alphas[-1] * y
        if self.pairs:
            ratios = [s @ y / (y @ y) for s, y in self.pairs]
            q *= np.mean(ratios) if self.mean else ratios[-1]
        for (s, y), alpha in zip(self.pairs, reversed(alphas)):
            q += s * (alpha - y @ q / (s @ y))
        return -q


def first(lr, g):
    return lr * min(1.0, 1.0 / np.abs(g).sum())


class SameBatch:
    def __init__(self, o, rate, fed):
        self.o, self.rate = o, rate

    def points(self):
        o = self.o
        memory, x = Memory(o.get("history", 10), mean=True), joined(START)
        for step in range(STEPS):
            g = evaluate(x, o)[1]
            t = self.rate(step) if memory.pairs else first(self.rate(step), g)
            s = t * memory.direction(g)
            y = evaluate(x + s, o)[1] - g + o.get("damping", 0) * s
            if s @ y > 1e-8 * (s @ s):
                memory.add(s, y)
            x = x + s
            yield x, None


class Stop(Exception):
    pass


def cubic(a, b):
    """Nocedal & Wright (3.59), kept within tenths; the slopes' zero where values are rounding."""
    (ta, fa, ga), (tb, fb, gb) = a, b
    w = tb - ta
    if not math.isfinite(fb):
        return ta + 0.1 * w
    if 3 * EPS * (abs(fa) + abs(fb)) > 0.1 * math.sqrt(EPS) * abs(w) * max(abs(ga), abs(gb)) \
            and ga * gb < 0:
        return ta + min(max(ga / (ga - gb), 0.01), 0.99) * w
    d1 = ga + gb - 3 * (fa - fb) / (ta - tb)
    if d1 * d1 >= ga * gb:
        d2 = math.copysign(math.sqrt(d1 * d1 - ga * gb), w)
        part = 1 - (gb + d2 - d1) / (gb - ga + 2 * d2)
        return ta + min(max(part, 0.1), 0.9) * w
    return ta + 0.5 * w


def wolfe(start, trial, o):
    """A generator: gives steps, is sent (value, slope). Returns the step taken, or None."""
    f0, g0 = start
    c1, c2, most = o.get("c1", 1e-4), o.get("c2", 0.9), o.get("max_evaluations", 25)
    used = 0

    def level(a, b):
        return abs(a - b) <= 8 * EPS * abs(b)

    def lower(t, f, g):
        return f <= f0 + c1 * t * g0 or (level(f, f0) and g <= (2 * c1 - 1) * g0)

    def settle(lo):
        if lo[0] == 0:
            return None
        f, g = yield lo[0]
        return lo[0] if lower(lo[0], f, g) else None

    lo, t = (0.0, f0, g0), trial
    while True:  # bracket
        f, g = yield t
        used += 1
        p = (t, f, g)
        good = lower(t, f, g) and not (lo[0] > 0 and f >= lo[1] and not level(f, lo[1]))
        if not good:
            hi = p
            break
        if abs(g) <= -c2 * g0:
            return t
        if g >= 0:
            lo, hi = p, lo
            break
        if used >= most:
            return t
        bend = (g - lo[2]) / (t - lo[0])
        reach = min(max(t - g / bend, 1.1 * t), 10 * t) if bend > 0 else 10 * t
        lo, t = p, reach
    before = None
    while True:  # zoom
        width = abs(hi[0] - lo[0])
        if used >= most or width <= 4 * EPS * max(lo[0], hi[0]):
            if lo is p:
                return lo[0]
            return (yield from settle(lo))
        slow = before is not None and width > 0.66 * before
        t = 0.5 * (lo[0] + hi[0]) if slow else cubic(lo, hi)
        before = width
        f, g = yield t
        used += 1
        p = (t, f, g)
        if not lower(t, f, g) or (f >= lo[1] and not level(f, lo[1])):
            hi = p
            continue
        if abs(g) <= -c2 * g0:
            return t
        if g * (hi[0] - lo[0]) >= 0:
            hi = lo
        lo = p


class Search:
    def __init__(self, o, rate, fed):
        self.o, self.rate, self.base = o, rate, joined(START)

    def points(self):
        try:
            yield from self.run()
        except Stop:
            pass

    def run(self):
        o, steps = self.o, 0
        base = self.base
        value, g = evaluate(base, o)
        memory, d = Memory(o.get("history", 10)), -g
        while True:
            slope = g @ d
            lr = self.rate(steps)
            trial = lr if memory.pairs else first(lr, g)
            search = wolfe((value, slope), trial, o)
            t, taken = next(search), None
            while True:
                x = base + t * d
                steps += 1
                yield x, base
                if steps == STEPS:
                    raise Stop
                f, grad = evaluate(x, o)
                try:
                    t = search.send((f, grad @ d))
                except StopIteration as end:
                    taken = end.value
                    break
            assert taken is not None, "no row is meant to search in vain"
            s, y = x - base, grad - g
            if s @ y > EPS * (y @ y) > 0:
                memory.add(s, y)
            base, value, g = x, f, grad
            d = memory.direction(g)
            if not g @ d < 0:
                memory.pairs, d = [], -g


HALF = ({"name": "cosine", "decay_steps": STEPS},
        lambda t: 0.5 * (1 + math.cos(math.pi * t / STEPS)))
WOLFE = {"line_search": "strong_wolfe"}
SAME = {"pairs": "same_batch"}
# A step divides by y's: on most paths over this loss, which is not convex, 1e-14 at the start is 1
# after 100 steps. A penalty or a small rate makes these rows paths where it grows 500 times at most.
ALL = {"weight_decay": 0.05, "decay_all": True}
ROWS = [
    ("lbfgs_default", Torch, ALL, None),
    ("lbfgs_slow", Torch, {"lr": 0.05, "weight_decay": 0.05}, None),
    ("lbfgs_short", Torch, {**ALL, "lr": 0.5, "history": 3}, None),
    ("lbfgs_penalty", Torch, {"lr": 0.05, "weight_decay": 0.03, "l2": 0.07, "history": 3}, None),
    ("lbfgs_wolfe", Search, {**ALL, **WOLFE}, None),
    ("lbfgs_wolfe_options", Search,
     {**ALL, **WOLFE, "lr": 0.7, "history": 4, "c1": 1e-3, "c2": 0.2}, None),
    # Searches that end for want of evaluations, and that find no lower point.
    ("lbfgs_wolfe_few", Search,
     {**WOLFE, "lr": 20.0, "c2": 0.01, "max_evaluations": 3, "weight_decay": 0.1,
      "decay_all": True}, None),
    ("lbfgs_same_batch", SameBatch, {**ALL, **SAME, "lr": 0.5}, None),
    ("lbfgs_damped", SameBatch,
     {**SAME, "lr": 0.5, "history": 4, "damping": 0.1, "l2": 0.02}, HALF),
]
# Rows that can be fed: the others turn fed gradients, which are of no function, into far ways.
FED_ROWS = ("lbfgs_slow", "lbfgs_short")
# Rows that float32 cannot follow: PyTorch's own run in float32 is 7e-4 and 2e-4 from its run in
# float64 after 100 steps of the first two, and a search that ends early takes what comes.
FLOAT64_ONLY = ("lbfgs_penalty", "lbfgs_slow", "lbfgs_wolfe_few")


def run(row, fed, keep):
    _, rule, o, schedule = row
    rate = lambda t: o.get("lr", 1.0) * (schedule[1](t) if schedule else 1)  # noqa: E731
    kept, averages = {}, {}
    for t, (x, average) in enumerate(rule(o, rate, fed).points()):
        assert np.isfinite(x).all(), row[0]
        if t + 1 not in keep:
            continue
        kept[str(t + 1)] = [parted(x)[k].flatten().tolist() for k in NAMES]
        if average is not None:
            averages[str(t + 1)] = [parted(average)[k].flatten().tolist() for k in NAMES]
    return kept, averages


def main():
    out = {}
    for row in ROWS:
        kept, averages = run(row, False, (1, 2, 5, 20, STEPS))
        out[row[0]] = {"optimizer": "lbfgs", "options": row[2],
                       "schedule": row[3][0] if row[3] else None, "loss": kept}
        if averages:
            out[row[0]]["averaged"] = averages
        if row[0] in FLOAT64_ONLY:
            out[row[0]]["float64_only"] = True
        if row[0] in FED_ROWS:
            out[row[0]]["fed"] = run(row, True, (1, 2, STEPS))[0]
    write(pathlib.Path(__file__).resolve().parent / "optim" / "trajectories_lbfgs.json", out)


if __name__ == "__main__":
    main()
