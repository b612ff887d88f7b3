"""bench/lstm.cpp in PyTorch: two layers of LSTM (or --case gru, rnn) alone, forward and backward."""
import torch
from torch import nn

from workload import measure, parse, uniform

args = parse(__doc__, "bf16")


class Layers:
    def __init__(self, kind):
        self.model = kind(128, 256, 2)
        with torch.no_grad():
            for k, p in enumerate(self.model.parameters()):
                p.copy_(torch.from_numpy(uniform(1000 + k, tuple(p.shape), 1 / 16)))
        self.x = torch.from_numpy(uniform(7, (64, 32, 128), 1.0)).requires_grad_()

    def reset(self):
        pass

    def step(self, i):
        self.model.zero_grad(set_to_none=True)
        self.x.grad = None
        with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
            y = self.model(self.x)[0]
        self.loss = y.float().square().mean()
        self.loss.backward()

    def result(self):
        return float(self.loss.detach())


cell = args.case or "lstm"
measure("LSTM", cell, args, 10, Layers({"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[cell]))
