#!/usr/bin/env python3
"""Writes optim_load/: PyTorch trains 50 steps, saves its weights and its optimizer's state, and
trains 50 more, whose result optimizer.load must meet. float64.

    python optim_load_golden.py        (PyTorch 2.13; any machine, the figures agree to rounding)

data.csv has figures that float32 holds exactly, since descent reads tables in it. A row NAME has
NAME.weights.safetensors and NAME.optimizer.safetensors after 50 steps, and in results.json the
options and the weights after 100.
"""
import json
import pathlib
import struct

import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)

ROWS, INPUTS, HIDDEN = 14, 3, 4
X = torch.tensor([[((13 * i + 7 * j) % 23 - 11) / 8 for j in range(INPUTS)] for i in range(ROWS)])
Y = torch.tensor([[((9 * i + 4) % 19 - 9) / 8] for i in range(ROWS)])


def save(path, tensors):
    """Safetensors, by its definition."""
    kinds = {torch.float64: "F64", torch.float32: "F32"}
    header, body = {}, b""
    for name, t in tensors.items():
        raw = bytes(t.detach().contiguous().reshape(-1).view(torch.uint8).tolist()) if t.dim() else \
            struct.pack("<d" if t.dtype == torch.float64 else "<f", t.item())
        header[name] = {"dtype": kinds[t.dtype], "shape": list(t.shape),
                        "data_offsets": [len(body), len(body) + len(raw)]}
        body += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def model_of(seed):
    model = nn.Sequential(nn.Linear(INPUTS, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 1))
    for k, p in enumerate(model.parameters()):
        i = torch.arange(p.numel())
        p.data = (((11 * i + 5 * k + seed) % 17 - 8).double() / 12).reshape(p.shape)
    return model


def grouped(kind, model, decay, **options):
    """descent's default: biases are not decayed."""
    named = list(model.named_parameters())
    return kind([{"params": [p for n, p in named if "bias" not in n], "weight_decay": decay},
                 {"params": [p for n, p in named if "bias" in n], "weight_decay": 0.0}], **options)


# name, descent's options, optimizer, schedule over 100 steps, tensors by parameter name
CASES = [
    ("adam", {"optimizer.name": "adam", "optimizer.lr": 0.02, "optimizer.beta2": 0.95},
     lambda m: torch.optim.Adam(m.parameters(), lr=0.02, betas=(0.9, 0.95)), False, False),
    ("adamw", {"optimizer.name": "adamw", "optimizer.lr": 0.02, "optimizer.weight_decay": 0.1,
               "optimizer.amsgrad": True, "schedule.name": "cosine"},
     lambda m: grouped(torch.optim.AdamW, m, 0.1, lr=0.02, amsgrad=True), True, True),
    ("sgd", {"optimizer.name": "sgd", "optimizer.lr": 0.05, "optimizer.momentum": 0.9,
             "optimizer.nesterov": True, "optimizer.weight_decay": 0.01, "optimizer.decay_all": True,
             "schedule.name": "cosine", "optimizer.load_step": 50},
     lambda m: torch.optim.SGD(m.parameters(), lr=0.05, momentum=0.9, nesterov=True,
                               weight_decay=0.01), True, False),
]


def state_of(model, optimizer, by_name):
    if by_name:
        return {f"{name}.{slot}": value for name, p in model.named_parameters()
                for slot, value in optimizer.state[p].items() if value is not None}
    return {f"state.{i}.{slot}": torch.as_tensor(value)
            for i, slots in optimizer.state_dict()["state"].items()
            for slot, value in slots.items() if value is not None}


def main():
    folder = pathlib.Path(__file__).resolve().parent / "optim_load"
    folder.mkdir(exist_ok=True)
    lines = [",".join([f"x{j}" for j in range(INPUTS)] + ["y"])]
    lines += [",".join(repr(v) for v in x.tolist() + y.tolist()) for x, y in zip(X, Y)]
    (folder / "data.csv").write_text("\n".join(lines) + "\n")
    results = {}
    for seed, (name, options, make, cosine, by_name) in enumerate(CASES):
        model = model_of(seed)
        optimizer = make(model)
        scheduler = CosineAnnealingLR(optimizer, 100) if cosine else None
        for step in range(100):
            if step == 50:
                save(folder / f"{name}.weights.safetensors", model.state_dict())
                save(folder / f"{name}.optimizer.safetensors", state_of(model, optimizer, by_name))
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(X), Y)
            loss.backward()
            optimizer.step()
            if scheduler:
                scheduler.step()
        results[name] = {"options": options,
                         "weights": {n: p.flatten().tolist() for n, p in model.named_parameters()}}
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
