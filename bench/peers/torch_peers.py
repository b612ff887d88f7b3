"""W3 and W9 in PyTorch: eager, and torch.compile where it works. See bench/*.cpp for the definitions.

python torch_peers.py --workload W3|W9 --threads N --runs N [--compile]
"""
import argparse

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from workload import measure, uniform


def initialise(module):
    with torch.no_grad():
        for k, p in enumerate(module.parameters()):
            if p.dim() >= 2:
                p.copy_(torch.from_numpy(uniform(1000 + k, tuple(p.shape), p.shape[1] ** -0.5)))
            else:
                p.zero_()
    return module


def stepper(model, optimizer, loss_of, compiled):
    if compiled:
        loss_of = torch.compile(loss_of)

    def step(x, y):
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(x, y)
        loss.backward()
        optimizer.step()
        return loss.detach()
    return step


def w3(args):
    rows, batch = 60000, 128
    i = np.arange(rows)
    c = (i * 7 + i // 10) % 10
    x = torch.from_numpy(np.float32(0.25) * uniform(31, (10, 784), 1.0)[c] + np.float32(0.75) * uniform(32, (rows, 784), 1.0))
    y = torch.from_numpy(np.where(i % 10 == 9, (c + 3) % 10, c))
    model = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
    steps = rows // batch

    def prepare():
        initialise(model)
        fused = {"fused": True} if args.fused else {}
        return stepper(model, torch.optim.Adam(model.parameters(), lr=1e-3, **fused), lambda a, b: F.cross_entropy(model(a), b), args.compile)

    def run(n=steps):
        step = prepare()
        losses = [step(x[k * batch:(k + 1) * batch], y[k * batch:(k + 1) * batch]) for k in range(n)]
        return float(sum(float(v) for v in losses[-50:]) / 50)
    run(50)
    measure("W3", "mlp 784-512-512-10, batch 128", args.name, args.threads, args.runs, steps, run)


def w9(args):
    rows, steps = 4096, 3000
    x = uniform(9, (rows, 2), 1.0)
    y = torch.from_numpy((np.sin(3 * x[:, :1].astype(np.float64)) * x[:, 1:]).astype(np.float32))
    x = torch.from_numpy(x)
    for batch in (1, 8, 32):
        model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))

        def run():
            initialise(model)
            step = stepper(model, torch.optim.SGD(model.parameters(), lr=0.05), lambda a, b: F.mse_loss(model(a), b), args.compile)
            for k in range(steps):
                at = k * batch % rows
                step(x[at:at + batch], y[at:at + batch])
            with torch.no_grad():
                return float(F.mse_loss(model(x), y))
        run()
        measure("W9", f"mlp 2-16-1, batch {batch}", args.name, args.threads, args.runs, steps, run)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workload", choices=["W3", "W9"], required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--fused", action="store_true", help="the optimizer's fused update (W3)")
    args = parser.parse_args()
    args.name = "torch " + torch.__version__.split("+")[0] + (" compiled" if args.compile else " eager") + (" fused" if args.fused else "")
    torch.set_num_threads(args.threads)
    {"W3": w3, "W9": w9}[args.workload](args)
