#!/usr/bin/env python3
"""Writes optim/trajectories_wrappers.json: Muon, the optimizers that find their rate, and what is
put around an optimizer, in float64 on the problems of optim_golden.py.

    python optim_wrappers_golden.py        (PyTorch 2.13, optax 0.2; any machine)

Each row is computed by somebody else's code where there is some (torch.optim, optax), else by a
few lines of numpy from the paper. A rule is a class: step(p, g, lr) changes the arrays of p in
place, where lr is the rate of the schedule and self.value_and_grad(p) the problem's loss and
gradients; rows whose rule asks for that have no run with fed gradients.
"""
import math
import pathlib
import sys

import numpy as np
import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from optim_golden import FED, START, STEPS, loss, write  # noqa: E402

NAMES = ("w", "bias", "u")


def value_and_grad(p):
    t = {k: torch.tensor(p[k], requires_grad=True) for k in NAMES}
    value = loss(t)
    value.backward()
    return value.item(), {k: t[k].grad.numpy() for k in NAMES}


def decays(name, o):
    return name != "bias" or o.get("decay_all", False)


# ---- Muon: PyTorch's class with the iteration in float64 instead of bfloat16, AdamW beside it ----

def newton_schulz(grad, coefficients, steps, eps):
    a, b, c = coefficients
    x = grad.T if grad.size(0) > grad.size(1) else grad
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if grad.size(0) > grad.size(1) else x


class Muon:
    def __init__(self, o):
        self.o = o

    def start(self, p):
        o = self.o
        torch.optim._muon._zeropower_via_newtonschulz = newton_schulz
        self.t = {k: torch.tensor(p[k], requires_grad=True) for k in NAMES}
        matrices = [k for k in ("w", "u") if k not in o.get("adam_match", ())]
        rest = [k for k in NAMES if k not in matrices]
        decay = o.get("weight_decay", 0.1)
        own = {k: o[k] for k in ("momentum", "nesterov", "ns_coefficients", "eps", "ns_steps",
                                 "adjust_lr_fn") if k in o}
        self.muon = torch.optim.Muon([self.t[k] for k in matrices], lr=1.0, weight_decay=decay,
                                     **own)
        groups = [{"params": [self.t[k]], "weight_decay": decay if decays(k, o) else 0.0}
                  for k in rest]
        self.adam = torch.optim.AdamW(groups, lr=1.0, eps=o.get("adam_eps", 1e-8),
                                      betas=(o.get("adam_beta1", 0.9), o.get("adam_beta2", 0.999)))

    def step(self, p, g, lr):
        o = self.o
        for k in NAMES:
            self.t[k].grad = torch.tensor(g[k])
        ratio = o["adam_lr"] / o.get("lr", 1e-3) if "adam_lr" in o else 1.0
        for optimizer, rate in ((self.muon, lr), (self.adam, lr * ratio)):
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
        for k in NAMES:
            p[k][...] = self.t[k].detach().numpy()


# ---- rows: name, optimizer, rule, options, schedule ----

COSINE = ({"name": "cosine", "decay_steps": STEPS},
          lambda t: 0.5 * (1 + math.cos(math.pi * t / STEPS)))
ROWS = [
    ("muon_default", "muon", Muon, {}, None),
    ("muon", "muon", Muon, {"lr": 0.02, "weight_decay": 0.02, "momentum": 0.8, "adam_lr": 0.01,
                            "adam_beta1": 0.8, "adam_beta2": 0.95, "adam_eps": 1e-4}, COSINE),
    ("muon_match", "muon", Muon, {"lr": 0.02, "adam_match": ["u"], "nesterov": False,
                                  "adjust_lr_fn": "match_rms_adamw", "decay_all": True}, COSINE),
    ("muon_iteration", "muon", Muon, {"lr": 0.01, "ns_steps": 3, "eps": 1e-3,
                                      "ns_coefficients": [2.0, -1.5, 0.5],
                                      "convolutions": True}, None),
]
DEFAULT_LR = {"muon": 1e-3}


def run(row, fed, keep):
    _, name, rule, o, schedule = row
    p = {k: START[k].numpy().copy() for k in NAMES}
    rule = rule(o)
    rule.value_and_grad = value_and_grad
    rule.start(p)
    kept = {}
    for t in range(STEPS):
        lr = o.get("lr", DEFAULT_LR[name]) * (schedule[1](t) if schedule else 1)
        g = dict(zip(NAMES, (x.numpy() for x in FED[t]))) if fed else value_and_grad(p)[1]
        rule.step(p, {k: v.copy() for k, v in g.items()}, lr)
        if t + 1 in keep:
            kept[str(t + 1)] = [p[k].flatten().tolist() for k in NAMES]
    return kept


def defaults():
    """Those of PyTorch's classes, by descent's names."""
    muon = torch.optim.Muon([torch.zeros(1, 1)]).defaults
    return {"muon": {k: v for k, v in muon.items() if isinstance(v, (bool, int, float))}}


def main():
    out = {"defaults": defaults()}
    for row in ROWS:
        out[row[0]] = {"optimizer": row[1], "options": row[3],
                       "schedule": row[4][0] if row[4] else None,
                       "loss": run(row, False, (1, 2, 5, 20, STEPS))}
        if not getattr(row[2], "needs_loss", False):
            out[row[0]]["fed"] = run(row, True, (1, 2, STEPS))
    write(pathlib.Path(__file__).resolve().parent / "optim" / "trajectories_wrappers.json", out)


if __name__ == "__main__":
    main()
