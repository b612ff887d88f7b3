"""bench/lstm.cpp in PyTorch: two LSTM layers (or --cell gru, rnn), forward and backward.

python torch_lstm.py --threads N --runs N [--precision bf16] [--cell lstm]
"""
import argparse

import torch
from torch import nn

from workload import measure, uniform

parser = argparse.ArgumentParser()
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--runs", type=int, default=5)
parser.add_argument("--precision", default="float32")
parser.add_argument("--cell", default="lstm")
args = parser.parse_args()
torch.set_num_threads(args.threads)
model = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[args.cell](128, 256, 2)
with torch.no_grad():
    for k, p in enumerate(model.parameters()):
        p.copy_(torch.from_numpy(uniform(1000 + k, tuple(p.shape), 1 / 16)))
x = torch.from_numpy(uniform(7, (64, 32, 128), 1.0)).requires_grad_()


def run(repeats=10):
    for _ in range(repeats):
        model.zero_grad(set_to_none=True)
        x.grad = None
        with torch.autocast("cpu", torch.bfloat16, enabled=args.precision == "bf16"):
            y = model(x)[0]
        loss = y.float().square().mean()
        loss.backward()
    return float(loss.detach())


run(2)
name = f"torch {torch.__version__}" + (" bf16" if args.precision == "bf16" else "")
measure("LSTM", f"{args.cell} 128-256-256, 64 steps, batch 32", name, args.threads, args.runs, 10, run)
