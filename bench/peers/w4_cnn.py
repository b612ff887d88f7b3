"""W4 in PyTorch: LeNet and ResNet-20 on images of 3x32x32, batch 128, SGD with momentum; see bench/w4_cnn.cpp."""
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from workload import Training, initialise, labelled, measure, parse, prepare, uniform, wanted

ROWS, BATCH = 12800, 128


def lenet():
    return nn.Sequential(nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))


class Block(nn.Module):
    """3x3 convolutions with batch norm; the shortcut drops every other pixel and pads channels with zeros."""

    def __init__(self, channels, filters, stride):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(channels, filters, 3, stride, 1, bias=False), nn.BatchNorm2d(filters)
        self.conv2, self.norm2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False), nn.BatchNorm2d(filters)
        self.grow = filters - channels

    def forward(self, x):
        h = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        if self.grow:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.grow // 2, self.grow // 2))
        return F.relu(h + x)


def resnet20():
    shapes = [(16, 16, 1)] * 3 + [(16, 32, 2)] + [(32, 32, 1)] * 2 + [(32, 64, 2)] + [(64, 64, 1)] * 2
    return nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), *(Block(*s) for s in shapes),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def images():
    prototypes = np.kron(uniform(41, (10, 3, 4, 4), 1.0), np.ones((8, 8), np.float32))
    return labelled(prototypes, ROWS)


args = parse(__doc__, "channels_last", "fused", "compile", "bf16")
order = torch.channels_last if args.channels_last else torch.contiguous_format
x, y = prepare(images)
if args.channels_last:
    x = x.to(memory_format=order)
for case, make, lr in (("resnet20", resnet20, 0.05), ("lenet", lenet, 0.005)):
    if wanted(args, case):
        work = Training(
            args, lambda: initialise(make(), lambda fan_in: (6 / fan_in)**0.5).to(memory_format=order),
            lambda m: torch.optim.SGD(m.parameters(), lr=lr, momentum=0.9, weight_decay=5e-4, fused=args.fused),
            lambda i: (x[i * BATCH:(i + 1) * BATCH], y[i * BATCH:(i + 1) * BATCH]))
        measure("W4", case, args, ROWS // BATCH, work)
