"""W5 in PyTorch: LSTM character language model, batch 32 of 64 symbols, Adam; see bench/w5_lstm.cpp."""
import torch
import torch.nn.functional as F
from torch import nn

from text import SYMBOLS, symbols, windows
from workload import Training, initialise, measure, parse, prepare

STEPS = 50


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(SYMBOLS, 128)
        self.lstm = nn.LSTM(128, 256, 2, batch_first=True)
        self.head = nn.Linear(256, SYMBOLS)

    def forward(self, x):
        return self.head(self.lstm(self.embedding(x))[0])


args = parse(__doc__, "fused", "compile", "bf16")
batches = prepare(lambda: [windows(text, i, 32, 64) for text in [symbols()] for i in range(STEPS)])
work = Training(args, lambda: initialise(Model()), lambda m: torch.optim.Adam(m.parameters(), lr=2e-3, fused=args.fused),
                lambda i: batches[i], lambda m, x, y: F.cross_entropy(m(x).view(-1, SYMBOLS), y.view(-1)))
measure("W5", "lstm", args, STEPS, work)
