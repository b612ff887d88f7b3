"""What the PyTorch peers share: the data, initial values and measuring loop of bench/workload.h and
bench/training.h.

Each file w*.py of this folder is one workload:  python w3_mlp.py --threads 2 [--fused] [--compile] [--bf16] ...
Its definition stands at the head of bench/w*.cpp.
"""
import argparse
import json
import os
import time

import numpy as np
import torch
import torch.nn.functional as F


# ---- data ----

def mix(seed, start, n):
    """Outputs start .. start + n - 1 of splitmix64."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(start + 1, start + n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def uniform(seed, shape, bound):
    """Made in pieces, so that no large temporary counts in the peak memory."""
    out = np.empty(shape, np.float32)
    flat, piece = out.reshape(-1), 1 << 16
    for at in range(0, flat.size, piece):
        z = mix(seed, at, min(piece, flat.size - at)) >> np.uint64(40)
        flat[at:at + piece] = (z.astype(np.float32) * np.float32(2.0**-23) - np.float32(1)) * np.float32(bound)
    return out


def labelled(prototypes, rows):
    """Rows of ten classes: 0.25 * the class's prototype + 0.75 * noise; every tenth label is another's."""
    x = uniform(32, (rows, *prototypes.shape[1:]), 1.0)
    i = np.arange(rows)
    c = (i * 7 + i // 10) % 10
    for k in range(rows):
        x[k] = np.float32(0.25) * prototypes[c[k]] + np.float32(0.75) * x[k]
    return torch.from_numpy(x), torch.from_numpy(np.where(i % 10 == 9, (c + 3) % 10, c))


# ---- training ----

def initialise(module, bound=lambda fan_in: fan_in**-0.5):
    """Parameter number k, in the model's order: a matrix is uniform(1000 + k) within bound(fan in), the weight
    of a normalisation 1, any other vector 0."""
    with torch.no_grad():
        for k, (name, p) in enumerate(module.named_parameters()):
            if p.dim() >= 2:
                fan_in = p.numel() / p.shape[0]
                p.copy_(torch.from_numpy(uniform(1000 + k, tuple(p.shape), bound(fan_in))))
            else:
                owner, _, leaf = name.rpartition(".")
                p.fill_(1.0 if leaf == "weight" and "Norm" in type(module.get_submodule(owner)).__name__ else 0.0)
    return module


class Training:
    """The usual loop: zero_grad, forward and loss (compiled with --compile, autocast with --bf16), backward,
    optimizer step. make(): a fresh module; optimizer(module); batch(i): the inputs of loss(module, *batch)."""

    def __init__(self, args, make, optimizer, batch, loss=lambda m, x, y: F.cross_entropy(m(x), y), tail=10):
        self.make, self.optimizer, self.batch, self.tail, self.amp = make, optimizer, batch, tail, args.bf16
        self.model = make()  # compiled code belongs to its module: reset, never made again
        self.loss = lambda *b: loss(self.model, *b)
        if args.compile:
            self.loss = torch.compile(self.loss)

    def reset(self):
        self.model.load_state_dict(self.make().state_dict())
        self.update, self.losses = self.optimizer(self.model), []

    def step(self, i):
        batch = self.batch(i)
        self.update.zero_grad(set_to_none=True)
        if self.amp:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = self.loss(*batch)
        else:
            loss = self.loss(*batch)
        loss.backward()
        self.update.step()
        self.losses.append(loss.detach())

    def result(self):
        last = [float(x) for x in self.losses[-self.tail:]]
        return sum(last) / len(last)


# ---- measuring ----

MODES = ("analytic", "bf16", "channels_last", "compile", "foreach", "func", "fused")
preparing = 0.0  # seconds spent making data: no part of the start


def parse(doc, *modes):
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--case", help="only this one")
    parser.add_argument("--quick", action="store_true", help="a tenth of the steps, once: measures nothing")
    for mode in modes:
        parser.add_argument("--" + mode.replace("_", "-"), action="store_true")
    args = parser.parse_args()
    for mode in MODES:
        setattr(args, mode, getattr(args, mode, False))
    if args.quick:
        args.runs = 1
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)  # as descent does
    return args


def wanted(args, case):
    return args.case in (None, case)


def prepare(make):
    global preparing
    start = time.monotonic()
    made = make()
    preparing += time.monotonic() - start
    return made


def peak_mb():
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) / 1024 for line in f if line.startswith("VmHWM:"))


def measure(workload, case, args, steps, work, precision=None):
    """One step (the time from the start of the program to its end is told), a few to warm up, then `runs` times
    all steps from the beginning: work.reset(), not timed, work.step(i), and work.result(), not timed."""
    steps = max(1, steps // 10) if args.quick else steps
    prepare(work.reset)
    work.step(0)
    start = os.environ.get("DESCENT_BENCH_START")
    first = -1 if start is None else time.monotonic() - float(start) - preparing
    for i in range(1, max(2, steps // 10)):
        work.step(i)
    seconds = []
    for _ in range(args.runs):
        work.reset()
        start = time.perf_counter()
        for i in range(steps):
            work.step(i)
        seconds.append((time.perf_counter() - start) / steps)
    mode = " ".join(m.replace("_", "-") for m in MODES if getattr(args, m)) or "eager"
    print(json.dumps({"workload": workload, "case": case, "peer": "torch " + torch.__version__.split("+")[0], "mode": mode,
                      "precision": precision or ("bf16" if args.bf16 else "float32"), "threads": args.threads, "steps": steps,
                      "seconds": seconds, "loss": work.result(), "first_step_s": round(first, 3),
                      "peak_mb": round(peak_mb(), 1)}), flush=True)
