#!/usr/bin/env python3
"""Writes optim/schedules_more.json and optim/plateau.json: more of PyTorch's schedulers, in float64.

    python schedule_golden.py        (PyTorch 2.13; any machine, the figures agree to rounding)

A row of SCHEDULES is as in optim_golden.py. A row of PLATEAU is a run of ReduceLROnPlateau: the
metric of each validation, and the rate after it.
"""
import math
import pathlib
import sys

import torch
from torch.optim.lr_scheduler import (ChainedScheduler, ConstantLR, CosineAnnealingLR,
                                      CosineAnnealingWarmRestarts, CyclicLR, ExponentialLR,
                                      LambdaLR, LinearLR, MultiplicativeLR, ReduceLROnPlateau,
                                      SequentialLR, StepLR)

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from optim_golden import STEPS, rates, write  # noqa: E402


def cyclic(base, up, **kwargs):
    return lambda o: CyclicLR(o, base, 0.1, step_size_up=up, cycle_momentum=False, **kwargs)


def decay(stable, steps, shape, low=0.0):
    """Of wsd, by the formula of Haegele et al. 2024; torch has none."""
    def factor(t):
        p = min(max(t - stable, 0) / steps, 1)
        left = {"linear": 1 - p, "cosine": (1 + math.cos(math.pi * p)) / 2,
                "sqrt": 1 - math.sqrt(p)}[shape]
        return low / 0.1 + (1 - low / 0.1) * left
    return lambda o: LambdaLR(o, factor)


def changes(at):
    return lambda o: MultiplicativeLR(o, lambda t: at.get(t, 1.0))


SCHEDULES = [
    ("constant_factor", "constant_factor", {}, 0.1, lambda o: ConstantLR(o)),
    ("constant_factor_options", "constant_factor", {"factor": 0.25, "steps": 30}, 0.1,
     lambda o: ConstantLR(o, 0.25, 30)),
    ("multiplicative", "multiplicative",
     {"milestones": [10, 40, 41, 70], "factors": [0.5, 0.1, 4.0, 0.8]}, 0.1,
     changes({10: 0.5, 40: 0.1, 41: 4.0, 70: 0.8})),
    ("cyclic", "cyclic", {"min_lr": 0.01, "step_size_up": 12}, 0.1, cyclic(0.01, 12)),
    ("cyclic_triangular2", "cyclic",
     {"min_lr": 0.01, "step_size_up": 8, "step_size_down": 13, "mode": "triangular2"}, 0.1,
     cyclic(0.01, 8, step_size_down=13, mode="triangular2")),
    ("cyclic_exp_range", "cyclic",
     {"min_lr": 0.002, "step_size_up": 9, "mode": "exp_range", "gamma": 0.98}, 0.1,
     cyclic(0.002, 9, mode="exp_range", gamma=0.98)),
    ("cosine_restarts", "cosine_restarts", {"period": 16}, 0.1,
     lambda o: CosineAnnealingWarmRestarts(o, 16)),
    ("cosine_restarts_longer", "cosine_restarts",
     {"period": 7, "period_factor": 2, "min_lr": 0.003}, 0.1,
     lambda o: CosineAnnealingWarmRestarts(o, 7, 2, 0.003)),
    # Vaswani et al. 2017, scaled to the peak 0.1; Raffel et al. 2020.
    ("inverse_sqrt_transformer", "inverse_sqrt", {"warmup_steps": 20}, 0.1,
     lambda o: LambdaLR(o, lambda t: min(t / 20, math.sqrt(20 / t)) if t else 0.0)),
    ("inverse_sqrt_t5", "inverse_sqrt", {"timescale": 25, "hold": True}, 0.1,
     lambda o: LambdaLR(o, lambda t: math.sqrt(25 / max(t, 25)))),
    ("inverse_sqrt_default", "inverse_sqrt", {}, 0.1,
     lambda o: LambdaLR(o, lambda t: math.sqrt(10_000 / (10_000 + t)))),
    ("wsd", "wsd", {}, 0.1, decay(90, 10, "linear")),
    ("wsd_cosine", "wsd", {"shape": "cosine", "decay_fraction": 0.3, "min_lr": 0.01}, 0.1,
     decay(70, 30, "cosine", 0.01)),
    ("wsd_sqrt", "wsd", {"shape": "sqrt", "decay_steps": 40, "stable_steps": 20}, 0.1,
     decay(20, 40, "sqrt")),
    ("wsd_warmup", "wsd", {"warmup_steps": 20, "decay_fraction": 0.25}, 0.1,
     lambda o: LambdaLR(o, lambda t: t / 20 if t < 20 else 1 - max(t - 80, 0) / 20)),
    ("sequential", "sequential",
     {"parts": ["linear:30 start_factor=0.2 end_factor=1", "cosine:40 min_lr=0.01",
                "exponential gamma=0.9"]}, 0.1,
     lambda o: SequentialLR(o, [LinearLR(o, 0.2, 1.0, 30), CosineAnnealingLR(o, 40, 0.01),
                                ExponentialLR(o, 0.9)], [30, 70])),
    ("chained", "chained",
     {"parts": ["linear:25 start_factor=0.5 end_factor=1", "exponential gamma=0.97",
                "step step_size=40 gamma=0.5"]}, 0.1,
     lambda o: ChainedScheduler([LinearLR(o, 0.5, 1.0, 25), ExponentialLR(o, 0.97),
                                 StepLR(o, 40, 0.5)], o)),
    # What no metric has reduced; PLATEAU has the rest.
    ("plateau", "plateau",
     {"factor": 0.5, "patience": 3, "threshold": 0.01, "threshold_mode": "abs", "cooldown": 2,
      "min_lr": 0.001, "eps": 1e-6, "metric": "loss"}, 0.1, lambda o: ConstantLR(o, 1.0)),
]

# Better for a while, flat, noisy, better again, worse: 120 figures that obey nothing.
METRICS = [round(1 / (1 + 0.2 * min(t, 25)) + 0.02 * ((37 * t) % 17 - 8) / 8
                 - (0.05 if 60 <= t < 70 else 0) + 0.001 * max(0, t - 90), 6) for t in range(120)]
PLATEAU = [
    ("default", {}, "loss"),
    ("patience", {"factor": 0.5, "patience": 2}, "loss"),
    ("cooldown", {"factor": 0.5, "patience": 1, "cooldown": 4, "threshold": 0.01}, "loss"),
    ("absolute", {"factor": 0.3, "patience": 3, "threshold": 0.02, "threshold_mode": "abs"}, "loss"),
    ("larger", {"factor": 0.5, "patience": 4}, "accuracy"),
    ("larger_absolute", {"factor": 0.5, "patience": 4, "threshold": 0.01, "threshold_mode": "abs"},
     "accuracy"),
    ("floor", {"factor": 0.5, "patience": 0, "min_lr": 0.004}, "loss"),
    ("eps", {"factor": 0.5, "patience": 0, "eps": 0.002}, "loss"),
    ("stop", {"factor": 0.0, "patience": 5, "eps": 0.0}, "loss"),
]


def plateau(options, metric):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    scheduler = ReduceLROnPlateau(optimizer, mode="max" if metric == "accuracy" else "min",
                                  **options)
    out = []
    for value in METRICS:
        scheduler.step(1 - value if metric == "accuracy" else value)
        out.append(optimizer.param_groups[0]["lr"])
    return out


def main():
    folder = pathlib.Path(__file__).resolve().parent / "optim"
    write(folder / "schedules_more.json", {
        name: {"schedule": schedule, "options": options, "lr": lr, "steps": STEPS,
               "steps_per_epoch": 10, "rates": rates(lr, scheduler)}
        for name, schedule, options, lr, scheduler in SCHEDULES})
    write(folder / "plateau.json", {
        name: {"options": options, "metric": metric,
               "values": [1 - v if metric == "accuracy" else v for v in METRICS], "lr": 0.1,
               "rates": plateau(options, metric)}
        for name, options, metric in PLATEAU})


if __name__ == "__main__":
    main()
