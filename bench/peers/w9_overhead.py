"""W9 in PyTorch: MLP 2-16-1, batches of 1, 8 and 32, SGD; see bench/w9_overhead.cpp."""
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from workload import Training, initialise, measure, parse, uniform, wanted

ROWS = 4096
args = parse(__doc__, "compile", "fused")
x = uniform(9, (ROWS, 2), 1.0)
y = torch.from_numpy((np.sin(3 * x[:, :1].astype(np.float64)) * x[:, 1:]).astype(np.float32))
x = torch.from_numpy(x)


class Small(Training):
    def result(self):
        with torch.no_grad():
            return float(F.mse_loss(self.model(x), y))


for batch in (1, 8, 32):
    if wanted(args, f"batch {batch}"):
        work = Small(args, lambda: initialise(nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))),
                     lambda m: torch.optim.SGD(m.parameters(), lr=0.05, fused=args.fused),
                     lambda i: (x[i * batch % ROWS:i * batch % ROWS + batch], y[i * batch % ROWS:i * batch % ROWS + batch]),
                     lambda m, a, b: F.mse_loss(m(a), b))
        measure("W9", f"batch {batch}", args, 3000, work)
