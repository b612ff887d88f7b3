#!/usr/bin/env python3
"""Writes optim/trajectories.json and optim/schedules.json: what PyTorch computes, in float64.

    python optim_golden.py        (PyTorch 2.13; any machine, the figures agree to rounding)

OPTIMIZERS and SCHEDULES are the test tables: a row for each option that changes the arithmetic. An
optimizer or schedule that is registered in C++ and has no row here fails the tests. `options` are
descent's; the rest of the row says how PyTorch does the same.
"""
import json
import math
import pathlib

import torch
from torch.optim.lr_scheduler import (ConstantLR, CosineAnnealingLR, ExponentialLR, LambdaLR,
                                      LinearLR, MultiStepLR, OneCycleLR, PolynomialLR, SequentialLR,
                                      StepLR)

STEPS = 100
torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)


# ---- the problem: a small network, whose loss is not convex; parameters w [3, 4], bias [4],
# u [4, 2]; and a sequence of gradients that obeys nothing, with zeros and changing signs ----

def grid(shape, a, b, modulus, scale):
    """(a i + b) mod modulus, centred and scaled: figures with few digits, the same everywhere."""
    i = torch.arange(math.prod(shape))
    return (((a * i + b) % modulus - modulus // 2).double() / scale).reshape(shape)


SHAPES = {"w": (3, 4), "bias": (4,), "u": (4, 2)}
START = {"w": grid((3, 4), 7, 3, 17, 16), "bias": grid((4,), 5, 2, 9, 16),
         "u": grid((4, 2), 11, 6, 13, 8)}
X, Y = grid((6, 3), 13, 1, 23, 8), grid((6, 2), 9, 4, 19, 8)
FED = [[grid(shape, 37, 61 * t + 17 * k, 101, 25) * (1 + t % 3) for k, shape in
        enumerate(SHAPES.values())] for t in range(STEPS)]


def loss(p):
    error = torch.tanh(X @ p["w"] + p["bias"]) @ p["u"] - Y
    return (error ** 2).mean() + 0.1 * torch.sin(3 * p["u"]).mean()


# ---- optimizers ----

def torch_kwargs(options, *names):
    """descent's names of rule options to PyTorch's."""
    out = {n: options[n] for n in names if n in options}
    if "initial_accumulator" in options:
        out["initial_accumulator_value"] = options["initial_accumulator"]
    if "beta1" in options or "beta2" in options:
        out["betas"] = (options.get("beta1", 0.9), options.get("beta2", 0.999))
    return out


# An optimizer that PyTorch lacks stands here as a torch.optim.Optimizer written from its paper.
TORCH = {
    "sgd": (torch.optim.SGD, ("lr", "momentum", "dampening", "nesterov")),
    "adagrad": (torch.optim.Adagrad, ("lr", "lr_decay", "eps")),
    "rmsprop": (torch.optim.RMSprop, ("lr", "alpha", "eps", "centered", "momentum")),
    "adam": (torch.optim.Adam, ("lr", "eps", "amsgrad")),
    "adamw": (torch.optim.AdamW, ("lr", "eps", "amsgrad")),
}

# name of the row, optimizer, descent's options, PyTorch's scheduler as (descent's name and
# options, constructor), where the rate is to change
COSINE = ({"name": "cosine", "decay_steps": STEPS},
          lambda o: CosineAnnealingLR(o, STEPS))
STEP = ({"name": "step", "step_size": 20, "gamma": 0.5}, lambda o: StepLR(o, 20, 0.5))
OPTIMIZERS = [
    ("sgd_default", "sgd", {}, None),
    ("sgd", "sgd", {"lr": 0.1}, None),
    ("sgd_momentum", "sgd", {"lr": 0.02, "momentum": 0.9}, None),
    ("sgd_momentum_step", "sgd", {"lr": 0.02, "momentum": 0.9}, STEP),
    ("sgd_dampening", "sgd", {"lr": 0.05, "momentum": 0.8, "dampening": 0.5}, None),
    ("sgd_nesterov", "sgd", {"lr": 0.02, "momentum": 0.9, "nesterov": True}, None),
    ("sgd_weight_decay", "sgd", {"lr": 0.05, "momentum": 0.5, "weight_decay": 0.1}, None),
    ("sgd_decay_all", "sgd", {"lr": 0.05, "weight_decay": 0.1, "decay_all": True}, None),
    ("sgd_l1", "sgd", {"lr": 0.05, "l1": 0.003}, None),
    ("sgd_clip_norm", "sgd", {"lr": 0.1, "clip_norm": 0.2}, None),
    ("sgd_clip_value", "sgd", {"lr": 0.1, "clip_value": 0.05}, None),
    ("sgd_order", "sgd", {"lr": 0.05, "momentum": 0.5, "clip_norm": 0.5, "clip_value": 0.1,
                          "l1": 0.002, "l2": 0.05, "weight_decay": 0.02}, COSINE),
    ("adagrad_default", "adagrad", {}, None),
    ("adagrad", "adagrad", {"lr": 0.1, "lr_decay": 0.05, "initial_accumulator": 0.1}, None),
    ("adagrad_eps", "adagrad", {"lr": 0.1, "eps": 0.1, "weight_decay": 0.1}, None),
    # At the default rate of 0.01 this problem is chaotic: PyTorch started 1e-15 apart ends 1e-4 apart.
    ("rmsprop", "rmsprop", {"lr": 0.005}, None),
    ("rmsprop_alpha_eps", "rmsprop", {"lr": 0.01, "alpha": 0.9, "eps": 0.1}, None),
    ("rmsprop_centered", "rmsprop", {"lr": 0.005, "centered": True, "eps": 0.01}, None),
    ("rmsprop_momentum", "rmsprop", {"lr": 0.002, "momentum": 0.8, "weight_decay": 0.05}, None),
    ("rmsprop_all", "rmsprop", {"lr": 0.002, "momentum": 0.5, "centered": True, "clip_norm": 1.0},
     COSINE),
    ("adam_default", "adam", {}, None),
    ("adam", "adam", {"lr": 0.02, "beta1": 0.8, "beta2": 0.95, "eps": 0.1}, None),
    ("adam_amsgrad", "adam", {"lr": 0.02, "beta2": 0.9, "amsgrad": True}, None),
    ("adam_weight_decay", "adam", {"lr": 0.01, "weight_decay": 0.1}, None),
    ("adam_clip", "adam", {"lr": 0.01, "clip_norm": 0.3, "eps": 0.01}, COSINE),
    ("adamw_default", "adamw", {}, None),
    ("adamw", "adamw", {"lr": 0.02, "weight_decay": 0.2}, COSINE),
    ("adamw_decay_all", "adamw", {"lr": 0.02, "weight_decay": 0.2, "decay_all": True}, None),
    ("adamw_options", "adamw", {"lr": 0.01, "beta1": 0.8, "beta2": 0.9, "eps": 0.01,
                                "amsgrad": True, "l2": 0.1, "weight_decay": 0.1}, None),
]


def defaults_of(name):
    """PyTorch's defaults by descent's names of the options."""
    defaults = dict(TORCH[name][0]([torch.zeros(1)]).defaults)
    if "betas" in defaults:
        defaults["beta1"], defaults["beta2"] = defaults["betas"]
    if "initial_accumulator_value" in defaults:
        defaults["initial_accumulator"] = defaults["initial_accumulator_value"]
    return {k: v for k, v in defaults.items() if isinstance(v, (bool, int, float))}


def optimizer_of(name, options, p):
    kind, names = TORCH[name]
    rate = options.get("weight_decay", defaults_of(name)["weight_decay"])
    decayed = [v for k, v in p.items() if k != "bias" or options.get("decay_all")]
    rest = [v for k, v in p.items() if k == "bias" and not options.get("decay_all")]
    groups = [{"params": decayed, "weight_decay": rate}]
    if rest:
        groups.append({"params": rest, "weight_decay": 0.0})
    return kind(groups, **torch_kwargs(options, *names))


def run(row, fed, keep):
    _, name, options, schedule = row
    p = {k: v.clone().requires_grad_() for k, v in START.items()}
    optimizer = optimizer_of(name, options, p)
    scheduler = schedule[1](optimizer) if schedule else None
    kept = {}
    for t in range(STEPS):
        optimizer.zero_grad()
        if fed:
            for v, g in zip(p.values(), FED[t]):
                v.grad = g.clone()
        else:
            loss(p).backward()
        if "clip_norm" in options:
            torch.nn.utils.clip_grad_norm_(p.values(), options["clip_norm"])
        if "clip_value" in options:
            torch.nn.utils.clip_grad_value_(p.values(), options["clip_value"])
        for k, v in p.items():
            if k == "bias" and not options.get("decay_all"):
                continue
            v.grad += options.get("l1", 0) * v.detach().sign() + options.get("l2", 0) * v.detach()
        optimizer.step()
        if scheduler:
            scheduler.step()
        if t + 1 in keep:
            kept[str(t + 1)] = [v.detach().flatten().tolist() for v in p.values()]
    return kept


# ---- schedules: row, schedule, descent's options, base rate, PyTorch's scheduler ----

def warm(steps, start, after):
    return lambda o: SequentialLR(o, [LinearLR(o, start, total_iters=steps), after(o)], [steps])


def one_cycle(**kwargs):
    return lambda o: OneCycleLR(o, 0.1, STEPS, cycle_momentum=False, **kwargs)


SCHEDULES = [
    ("constant", "constant", {}, 0.1, lambda o: ConstantLR(o, 1.0)),
    ("constant_warmup", "constant", {"warmup_steps": 10, "warmup_start_factor": 0.25}, 0.1,
     lambda o: LinearLR(o, 0.25, total_iters=10)),
    ("step", "step", {"step_size": 30}, 0.1, lambda o: StepLR(o, 30)),
    ("step_gamma", "step", {"step_size": 7, "gamma": 0.8}, 0.1, lambda o: StepLR(o, 7, 0.8)),
    ("step_epoch", "step", {"step_size": 2, "gamma": 0.5, "unit": "epoch"}, 0.1,
     lambda o: StepLR(o, 20, 0.5)),  # an epoch of the run has ten steps
    ("multistep", "multistep", {"milestones": [10, 50, 60]}, 0.1,
     lambda o: MultiStepLR(o, [10, 50, 60])),
    ("multistep_warmup", "multistep",
     {"milestones": [30, 60], "gamma": 0.3, "warmup_steps": 5, "warmup_start_factor": 0.1}, 0.1,
     warm(5, 0.1, lambda o: MultiStepLR(o, [30, 60], 0.3))),
    ("exponential", "exponential", {"gamma": 0.97}, 0.1, lambda o: ExponentialLR(o, 0.97)),
    ("exponential_final", "exponential", {"final_ratio": 0.05}, 0.1,
     lambda o: ExponentialLR(o, 0.05 ** (1 / STEPS))),
    ("exponential_epoch", "exponential", {"gamma": 0.6, "unit": "epoch"}, 0.1,
     lambda o: StepLR(o, 10, 0.6)),
    ("cosine", "cosine", {}, 0.1, lambda o: CosineAnnealingLR(o, STEPS)),
    ("cosine_min", "cosine", {"min_lr": 0.002}, 0.1, lambda o: CosineAnnealingLR(o, STEPS, 0.002)),
    ("cosine_warmup", "cosine",
     {"min_lr": 0.001, "warmup_steps": 20, "warmup_start_factor": 0.05}, 0.1,
     warm(20, 0.05, lambda o: CosineAnnealingLR(o, STEPS - 20, 0.001))),
    ("linear", "linear", {}, 0.1, lambda o: LinearLR(o, 1.0, 0.0, STEPS)),
    ("linear_factors", "linear", {"start_factor": 0.3, "end_factor": 0.9, "decay_steps": 60}, 0.1,
     lambda o: LinearLR(o, 0.3, 0.9, 60)),
    ("polynomial", "polynomial", {}, 0.1, lambda o: PolynomialLR(o, STEPS)),
    ("polynomial_power", "polynomial", {"power": 2.5, "decay_steps": 80}, 0.1,
     lambda o: PolynomialLR(o, 80, 2.5)),
    ("polynomial_min", "polynomial", {"power": 2.0, "min_lr": 0.02}, 0.1,
     lambda o: LambdaLR(o, lambda t: 0.2 + 0.8 * (1 - t / STEPS) ** 2)),
    ("one_cycle", "one_cycle", {}, 0.1, one_cycle()),
    ("one_cycle_options", "one_cycle",
     {"pct_start": 0.45, "div_factor": 10, "final_div_factor": 100}, 0.1,
     one_cycle(pct_start=0.45, div_factor=10, final_div_factor=100)),
    ("one_cycle_linear", "one_cycle", {"anneal": "linear"}, 0.1, one_cycle(anneal_strategy="linear")),
    ("one_cycle_three", "one_cycle", {"three_phase": True}, 0.1, one_cycle(three_phase=True)),
]


def rates(lr, scheduler_of):
    """Rates of 100 steps: from the closed form where PyTorch has one (its recursion rounds anew at
    each step), else from stepping."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler = scheduler_of(optimizer)
    out = []
    for _ in range(STEPS):
        closed = getattr(scheduler, "_get_closed_form_lr", None)
        out.append(float(closed()[0] if closed else optimizer.param_groups[0]["lr"]))
        optimizer.step()
        if len(out) < STEPS:
            scheduler.step()
    return out


def write(path, content):
    # One row a line.
    lines = [f"{json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in content.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def main():
    folder = pathlib.Path(__file__).resolve().parent / "optim"
    folder.mkdir(exist_ok=True)
    problem = {"start": {k: v.flatten().tolist() for k, v in START.items()}, "shapes": SHAPES,
               "x": X.tolist(), "y": Y.tolist(),
               "fed": [[g.flatten().tolist() for g in step] for step in FED]}
    trajectories = {"torch": torch.__version__.split("+")[0], "problem": problem,
                    "defaults": {name: defaults_of(name) for name in TORCH}}
    for row in OPTIMIZERS:
        trajectories[row[0]] = {"optimizer": row[1], "options": row[2],
                                "schedule": row[3][0] if row[3] else None,
                                "loss": run(row, False, (1, 2, 5, 20, STEPS)),
                                "fed": run(row, True, (1, 2, STEPS))}
    write(folder / "trajectories.json", trajectories)
    write(folder / "schedules.json", {
        name: {"schedule": schedule, "options": options, "lr": lr, "steps": STEPS,
               "steps_per_epoch": 10, "rates": rates(lr, scheduler)}
        for name, schedule, options, lr, scheduler in SCHEDULES})


if __name__ == "__main__":
    main()
