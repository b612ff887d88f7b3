"""W3 in PyTorch: MLP 784-512-512-10, batch 128, Adam; see bench/w3_mlp.cpp."""
import torch
from torch import nn

from workload import Training, initialise, labelled, measure, parse, prepare, uniform

args = parse(__doc__, "fused", "compile", "bf16")
ROWS, BATCH = 60000, 128
x, y = prepare(lambda: labelled(uniform(31, (10, 784), 1.0), ROWS))
work = Training(
    args,
    lambda: initialise(nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))),
    lambda m: torch.optim.Adam(m.parameters(), lr=1e-3, fused=args.fused),
    lambda i: (x[i * BATCH:(i + 1) * BATCH], y[i * BATCH:(i + 1) * BATCH]), tail=50)
measure("W3", "mlp", args, ROWS // BATCH, work)
