"""W6 in PyTorch: GPT character language model, AdamW, gradient norm clipped to 1; see bench/w6_gpt.cpp."""
import torch
import torch.nn.functional as F
from torch import nn

from text import SYMBOLS, symbols, windows
from workload import Training, initialise, measure, parse, prepare, wanted

STEPS = 50
CASES = {"small": (4, 4, 128, 64, 12), "medium": (6, 6, 384, 256, 8)}  # layers, heads, width, context, batch


class Block(nn.Module):
    def __init__(self, heads, width):
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width, bias=False)
        self.qkv, self.proj = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.norm2 = nn.LayerNorm(width, bias=False)
        self.up, self.down = nn.Linear(width, 4 * width, bias=False), nn.Linear(4 * width, width, bias=False)

    def attend(self, x):
        rows, length, width = x.shape
        q, k, v = (z.view(rows, length, self.heads, -1).transpose(1, 2) for z in self.qkv(x).split(width, 2))
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.proj(out.transpose(1, 2).reshape(rows, length, width))

    def forward(self, x):
        x = x + self.attend(self.norm1(x))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Gpt(nn.Module):
    def __init__(self, layers, heads, width, context):
        super().__init__()
        self.token, self.position = nn.Embedding(SYMBOLS, width), nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Block(heads, width) for _ in range(layers))
        self.norm = nn.LayerNorm(width, bias=False)

    def forward(self, x):
        h = self.token(x) + self.position.weight
        for block in self.blocks:
            h = block(h)
        return F.linear(self.norm(h), self.token.weight)


class ClippedAdamW(torch.optim.AdamW):
    def step(self):
        torch.nn.utils.clip_grad_norm_([p for group in self.param_groups for p in group["params"]], 1.0, foreach=True)
        super().step()


args = parse(__doc__, "fused", "compile", "bf16")


def optimizer(model):
    matrices, vectors = ([p for p in model.parameters() if (p.dim() > 1) == matrix] for matrix in (True, False))
    return ClippedAdamW([{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}], lr=1e-3,
                        betas=(0.9, 0.99), fused=args.fused)


for case, (layers, heads, width, context, rows) in CASES.items():
    if wanted(args, case):
        batches = prepare(lambda: [windows(text, i, rows, context) for text in [symbols()] for i in range(STEPS)])
        work = Training(args, lambda: initialise(Gpt(layers, heads, width, context), lambda fan_in: 0.02 * 3**0.5), optimizer,
                        lambda i: batches[i], lambda m, x, y: F.cross_entropy(m(x).view(-1, SYMBOLS), y.view(-1)))
        measure("W6", case, args, STEPS, work)
