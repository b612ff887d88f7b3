#!/usr/bin/env python3
"""Writes layers.json, losses.json, presets.json and recurrent.json of tests/golden/nn: what PyTorch
computes, in float64.

    python3 tests/golden/nn_golden.py            (made with PyTorch 2.13, CPU)

Inputs are not stored: numbers() below and in tests/nn/harness.h give the same ones, exact in
float32 as well. A layer's case holds its output and the gradients of sum(cotangent * output) for
input and parameters, and buffers after a training step; a loss's case its value and the gradient
for the prediction. Names are those of the rows in tests/nn/layer_rows.h and loss_rows.h. A preset's
case holds its output and, for each parameter in order, the slope of sum(cotangent * output) along
one direction: rows of golden_presets() in tests/nn/preset_test.cpp.
"""
import json
import math
import pathlib

import torch
from torch import nn
from torch.nn import functional as F

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)


def numbers(shape, seed):
    """Multiples of 2^-18 in [-2, 2) from a linear congruential generator (Numerical Recipes)."""
    count = 1
    for extent in shape:
        count *= extent
    state, out = seed, []
    for _ in range(count):
        state = (1664525 * state + 1013904223) % 2**32
        out.append((state >> 12) / 2**18 - 2)
    return torch.tensor(out).reshape(tuple(shape))


def labels(count, classes, seed):
    state, out = seed, []
    for _ in range(count):
        state = (1664525 * state + 1013904223) % 2**32
        out.append((state >> 12) % classes)
    return torch.tensor(out)


def seed_of(name):
    return sum(map(ord, name))


def stored(tensor):
    return {"shape": list(tensor.shape), "values": tensor.detach().reshape(-1).tolist()}


class Same(nn.Module):
    """Convolution with ceil(size / stride) outputs, the odd zero at the end (TensorFlow's rule)."""

    def __init__(self, inputs, filters, kernel, stride):
        super().__init__()
        inner = nn.Conv2d(inputs, filters, kernel, stride)
        self.weight, self.bias = inner.weight, inner.bias
        self.kernel, self.stride = kernel, stride

    def forward(self, x):
        padding = []
        for axis in (3, 2):  # F.pad begins with the last axis
            size, kernel = x.shape[axis], self.kernel[axis - 2]
            total = max((-(-size // self.stride) - 1) * self.stride + kernel - size, 0)
            padding += [total // 2, total - total // 2]
        return F.conv2d(F.pad(x, padding), self.weight, self.bias, self.stride)


class Global(nn.Module):
    """An adaptive pooling to one value, without the axes of length one."""

    def __init__(self, pool):
        super().__init__()
        self.pool = pool

    def forward(self, x):
        return self.pool(x).flatten(1)


class Subsample(nn.Module):
    """Every stride-th pixel, channels of zeros on both sides: option A of He et al. 2016."""

    def __init__(self, stride=(2, 2), more=0):
        super().__init__()
        self.stride, self.more = stride, more

    def forward(self, x):
        x = x[:, :, ::self.stride[0], ::self.stride[1]]
        return F.pad(x, (0, 0, 0, 0, self.more // 2, self.more - self.more // 2))


class Residual(nn.Module):
    def __init__(self, body, shortcut=None, activation=None):
        super().__init__()
        self.body = nn.Sequential(*body)
        self.shortcut, self.activation = shortcut or nn.Identity(), activation or nn.Identity()

    def forward(self, x):
        return self.activation(self.body(x) + self.shortcut(x))


class PaddedEmbedding(nn.Embedding):
    """Whatever its row holds, the padding token gives zeros, as it does in a model from PyTorch."""

    def forward(self, tokens):
        return super().forward(tokens) * (tokens != self.padding_idx).unsqueeze(-1)


class Positions(nn.Module):
    def __init__(self, context, width):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(context, width))

    def forward(self, x):
        return x + self.weight[:x.shape[1]]


class Sinusoidal(nn.Module):
    """As in PyTorch's tutorial on transformers."""

    def forward(self, x):
        time, width = x.shape[1:]
        angle = torch.arange(time).unsqueeze(1) * torch.exp(
            torch.arange(0, width, 2) * (-math.log(10000.0) / width))
        table = torch.zeros(time, width)
        table[:, 0::2], table[:, 1::2] = torch.sin(angle), torch.cos(angle)
        return x + table


class Renamed(nn.Module):
    """A module of PyTorch's whose parameters go by our names."""

    def __init__(self, module, names, call=lambda module, x: module(x)):
        super().__init__()
        self.module, self.names, self.call = module, names, call

    def named_parameters(self):
        for name, parameter in self.module.named_parameters():
            yield self.names[name], parameter

    def forward(self, x):
        return self.call(self.module, x)


ATTENTION = {"in_proj_weight": "c_attn.weight", "in_proj_bias": "c_attn.bias",
             "out_proj.weight": "c_proj.weight", "out_proj.bias": "c_proj.bias"}
BLOCK = {f"self_attn.{ours}": f"attn.{name}" for ours, name in ATTENTION.items()}
for theirs, ours in (("linear1", "mlp.c_fc"), ("linear2", "mlp.c_proj"), ("norm1", "ln_1"),
                     ("norm2", "ln_2")):
    for part in ("weight", "bias"):
        BLOCK[f"{theirs}.{part}"] = f"{ours}.{part}"


def attention(width, heads, bias=True, causal=False):
    def call(module, x):
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1]) if causal else None
        return module(x, x, x, attn_mask=mask, need_weights=False)[0]

    module = nn.MultiheadAttention(width, heads, bias=bias, batch_first=True)
    return Renamed(module, ATTENTION, call)


def encoder_layer(norm_first):
    return Renamed(nn.TransformerEncoderLayer(4, 2, 8, 0.0, F.gelu, batch_first=True,
                                              norm_first=norm_first), BLOCK)


class RotaryAttention(nn.Module):
    """Causal; q and k turned as in LLaMA (rotate_half)."""

    def __init__(self, width, heads, bias=True):
        super().__init__()
        self.heads = heads
        self.c_attn = nn.Linear(width, 3 * width, bias)
        self.c_proj = nn.Linear(width, width, bias)

    @staticmethod
    def turned(x):
        time, dim = x.shape[-2:]
        frequency = 10000.0 ** (-torch.arange(0, dim, 2) / dim)
        angle = torch.outer(torch.arange(time).to(x.dtype), frequency).repeat(1, 2)
        a, b = x.chunk(2, -1)
        return x * angle.cos() + torch.cat((-b, a), -1) * angle.sin()

    def forward(self, x):
        n, time, width = x.shape
        q, k, v = (z.view(n, time, self.heads, -1).transpose(1, 2)
                   for z in self.c_attn(x).split(width, 2))
        y = F.scaled_dot_product_attention(self.turned(q), self.turned(k), v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).reshape(n, time, width))


class SwigluBlock(nn.Module):
    """LLaMA's block, without biases."""

    def __init__(self, width, heads, units):
        super().__init__()
        self.ln_1, self.ln_2 = nn.RMSNorm(width), nn.RMSNorm(width)
        self.attn, self.mlp = RotaryAttention(width, heads, False), nn.Module()
        self.mlp.c_fc = nn.Linear(width, units, bias=False)
        self.mlp.c_gate = nn.Linear(width, units, bias=False)
        self.mlp.c_proj = nn.Linear(units, width, bias=False)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        h = self.ln_2(x)
        return x + self.mlp.c_proj(F.silu(self.mlp.c_gate(h)) * self.mlp.c_fc(h))


def recurrent(kind, *sizes, last=False, **options):
    """nn.LSTM and its kin that give their outputs, or their last state, alone."""

    class Outputs(kind):
        def forward(self, x):
            y, state = super().forward(x)
            h = state[0] if kind is nn.LSTM else state
            if not last:
                return y
            return torch.cat([h[-2], h[-1]], 1) if self.bidirectional else h[-1]

    return Outputs(*sizes, batch_first=True, **options)


# name: (module, input shape, training), of tokens their number (0: numbers), and what numbers are
# multiplied by
LAYERS = {
    "linear": (nn.Linear(5, 3), [4, 5], True),
    "linear_no_bias": (nn.Linear(5, 3, bias=False), [4, 5], True),
    "linear_sequence": (nn.Linear(3, 2), [4, 2, 3], True),
    "conv2d": (nn.Conv2d(2, 3, 3), [4, 2, 5, 4], True),
    "conv2d_all_options": (
        nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 0), (2, 3), groups=2), [4, 4, 4, 5], True),
    "conv2d_same": (
        nn.Conv2d(2, 3, (4, 3), padding="same", dilation=(1, 2), bias=False), [4, 2, 4, 3], True),
    "conv2d_same_strided": (Same(2, 3, (4, 2), 2), [4, 2, 5, 4], True),
    "max_pool2d": (nn.MaxPool2d(2), [4, 2, 4, 4], True),
    "max_pool2d_overlapping": (nn.MaxPool2d((3, 2), (2, 1), (1, 1)), [4, 2, 4, 3], True),
    "avg_pool2d": (nn.AvgPool2d(2), [4, 2, 4, 4], True),
    "avg_pool2d_overlapping": (nn.AvgPool2d((3, 2), (2, 1), (1, 1)), [4, 2, 4, 3], True),
    "conv2d_reflect": (
        nn.Conv2d(2, 3, 3, padding=(2, 1), padding_mode="reflect"), [4, 2, 4, 3], True),
    "conv2d_replicate": (
        nn.Conv2d(2, 3, 3, padding=(2, 1), padding_mode="replicate"), [4, 2, 4, 3], True),
    "conv2d_circular": (
        nn.Conv2d(2, 3, 3, padding=(2, 1), padding_mode="circular"), [4, 2, 4, 3], True),
    "conv2d_same_reflect": (
        nn.Conv2d(2, 3, 3, padding="same", padding_mode="reflect"), [4, 2, 5, 4], True),
    "conv1d": (nn.Conv1d(2, 3, 3), [4, 2, 7], True),
    "conv1d_all_options": (
        nn.Conv1d(4, 6, 3, 2, 1, 2, groups=2, padding_mode="circular"), [4, 4, 9], True),
    "depthwise_conv2d": (nn.Conv2d(3, 3, 3, groups=3), [4, 3, 4, 5], True),
    "depthwise_conv2d_multiplier": (
        nn.Conv2d(3, 6, 3, 2, 1, groups=3, bias=False), [4, 3, 4, 5], True),
    "conv_transpose2d": (nn.ConvTranspose2d(2, 3, 3), [4, 2, 2, 3], True),
    "conv_transpose2d_all_options": (
        nn.ConvTranspose2d(4, 4, (3, 2), (3, 2), (1, 0), (2, 1), groups=2, dilation=(1, 2)),
        [4, 4, 2, 2], True),
    "conv_transpose2d_dilated": (
        nn.ConvTranspose2d(2, 3, 2, output_padding=(2, 1), dilation=(3, 2)), [4, 2, 2, 2], True),
    "conv_transpose1d": (nn.ConvTranspose1d(2, 3, 4, 2, 1), [4, 2, 5], True),
    "max_pool1d": (nn.MaxPool1d(2), [4, 2, 6], True),
    "max_pool1d_overlapping": (nn.MaxPool1d(3, 2, 1), [4, 2, 6], True),
    "avg_pool1d": (nn.AvgPool1d(3, padding=1), [4, 2, 7], True),
    "global_avg_pool1d": (Global(nn.AdaptiveAvgPool1d(1)), [4, 3, 5], True),
    "global_max_pool1d": (Global(nn.AdaptiveMaxPool1d(1)), [4, 3, 5], True),
    "global_max_pool2d": (Global(nn.AdaptiveMaxPool2d(1)), [4, 3, 3, 2], True),
    "global_avg_pool2d": (Global(nn.AdaptiveAvgPool2d(1)), [4, 3, 3, 2], True),
    "batch_norm": (nn.BatchNorm1d(3), [8, 3], True),
    "batch_norm_images": (nn.BatchNorm2d(2, eps=1e-3, momentum=0.3), [4, 2, 3, 3], True),
    "batch_norm_not_affine": (nn.BatchNorm1d(3, affine=False), [8, 3], True),
    "batch_norm_evaluation": (nn.BatchNorm2d(2), [4, 2, 3, 3], False),
    "layer_norm": (nn.LayerNorm(6), [4, 6], True),
    "layer_norm_images": (nn.LayerNorm([2, 3, 2]), [4, 2, 3, 2], True),
    "layer_norm_no_bias": (nn.LayerNorm(6, bias=False), [4, 6], True),
    "rms_norm": (nn.RMSNorm(6), [4, 6], True),
    "rms_norm_images": (nn.RMSNorm([2, 3, 2], 1e-3), [4, 2, 3, 2], True),
    "rms_norm_not_affine": (nn.RMSNorm(5, elementwise_affine=False), [4, 2, 5], True),
    "group_norm": (nn.GroupNorm(2, 4), [4, 4, 3, 2], True),
    "group_norm_rows": (nn.GroupNorm(2, 6, 1e-2), [4, 6], True),
    "group_norm_not_affine": (nn.GroupNorm(1, 2, affine=False), [4, 2, 3], True),
    "instance_norm": (nn.InstanceNorm2d(2), [4, 2, 3, 3], True),
    "instance_norm_affine": (nn.InstanceNorm1d(3, affine=True), [4, 3, 5], True),
    "layer_norm_not_affine": (nn.LayerNorm(6, 1e-2, elementwise_affine=False), [4, 6], True),
    "subsample": (Subsample(), [4, 2, 5, 4], True),
    "subsample_channels": (Subsample((1, 3), 3), [4, 2, 2, 5], True),
    "residual": (
        Residual([nn.Conv2d(2, 2, 3, padding=1, bias=False), nn.BatchNorm2d(2), nn.Tanh()], None,
                 nn.ReLU()),
        [4, 2, 3, 3], True),
    "residual_shortcut": (
        Residual([nn.Conv2d(2, 5, 3, 2, 1)], Subsample(more=3)), [4, 2, 3, 3], True),
    "embedding": (nn.Embedding(5, 3), [4, 6], True, 5),
    "embedding_padding": (PaddedEmbedding(5, 3, 2), [4, 6], True, 5),
    "position_embedding": (Positions(7, 3), [4, 5, 3], True),
    "sinusoidal_positions": (Sinusoidal(), [4, 5, 6], True),
    "multi_head_attention": (attention(4, 2), [4, 5, 4], True, 0, 0.25),
    "multi_head_attention_causal": (attention(6, 1, False, True), [4, 5, 6], True, 0, 0.25),
    "multi_head_attention_rotary": (RotaryAttention(8, 2), [4, 5, 8], True, 0, 0.25),
    "transformer_block": (encoder_layer(True), [4, 3, 4], True, 0, 0.25),
    "transformer_block_post": (encoder_layer(False), [4, 3, 4], True, 0, 0.25),
    "transformer_block_swiglu": (SwigluBlock(4, 2, 6), [4, 3, 4], True, 0, 0.25),
    "dropout_evaluation": (nn.Dropout(0.4), [4, 6], False),
    "flatten": (nn.Flatten(), [4, 2, 3], True),
    "relu": (nn.ReLU(), [4, 7], True),
    "leaky_relu": (nn.LeakyReLU(), [4, 7], True),
    "leaky_relu_steep": (nn.LeakyReLU(0.3), [4, 7], True),
    "gelu": (nn.GELU(), [4, 7], True),
    "gelu_tanh": (nn.GELU("tanh"), [4, 7], True),
    "tanh": (nn.Tanh(), [4, 7], True),
    "sigmoid": (nn.Sigmoid(), [4, 7], True),
    "softmax": (nn.Softmax(-1), [4, 7], True),
    "softmax_channels": (nn.Softmax(1), [4, 3, 2], True),
    "silu": (nn.SiLU(), [4, 7], True),
    # The threshold above which PyTorch returns x itself is out of reach here.
    "softplus": (nn.Softplus(), [4, 7], True),
    "softplus_sharp": (nn.Softplus(3.0), [4, 7], True),
    "identity": (nn.Identity(), [4, 7], True),
    "rnn": (recurrent(nn.RNN, 2, 3), [4, 3, 2], True),
    "rnn_relu": (recurrent(nn.RNN, 2, 3, nonlinearity="relu", bias=False), [4, 3, 2], True),
    "rnn_bidirectional": (recurrent(nn.RNN, 2, 3, bidirectional=True), [4, 3, 2], True),
    "lstm": (recurrent(nn.LSTM, 2, 3), [4, 3, 2], True),
    "lstm_stacked": (
        recurrent(nn.LSTM, 2, 3, num_layers=2, bidirectional=True), [4, 3, 2], True),
    "lstm_last": (recurrent(nn.LSTM, 2, 3, bias=False, last=True), [4, 3, 2], True),
    "gru": (recurrent(nn.GRU, 2, 3), [4, 3, 2], True),
    "gru_stacked_last": (
        recurrent(nn.GRU, 2, 3, num_layers=2, bidirectional=True, last=True), [4, 3, 2], True),
}


def layer_case(module, shape, training, vocabulary=0, factor=1):
    module.train(training)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(factor * numbers(parameter.shape, seed_of(name)))
        for name, buffer in module.named_buffers():
            if not training and buffer.is_floating_point():
                value = numbers(buffer.shape, seed_of(name))
                buffer.copy_(value.abs() + 0.5 if name.endswith("running_var") else value)
    if vocabulary:
        x = labels(math.prod(shape), vocabulary, seed_of("input")).reshape(shape)
    else:
        x = (factor * numbers(shape, seed_of("input"))).requires_grad_()
    y = module(x)
    (numbers(y.shape, seed_of("cotangent")) * y).sum().backward()
    case = {"output": stored(y), "gradients": {}, "buffers": {}}
    if not vocabulary:
        case["gradients"]["input"] = stored(x.grad)
    for name, parameter in module.named_parameters():
        case["gradients"][name] = stored(parameter.grad)
    for name, buffer in module.named_buffers():
        if training and buffer.is_floating_point():
            case["buffers"][name] = stored(buffer)
    return case


def normalised(convolution):
    return [convolution, nn.BatchNorm2d(convolution.out_channels), nn.ReLU()]


def resnet(depth, width, outputs):
    def convolution(before, channels, stride):
        return nn.Conv2d(before, channels, 3, stride, 1, bias=False)

    layers, before = normalised(convolution(3, width, 1)), width
    for stage in range(3):
        for i in range(depth // 6):
            channels, stride = width << stage, 2 if stage > 0 and i == 0 else 1
            body = normalised(convolution(before, channels, stride))
            body += normalised(convolution(channels, channels, 1))[:2]
            shortcut = None if stride == 1 else Subsample(more=channels - before)
            layers.append(Residual(body, shortcut, nn.ReLU()))
            before = channels
    return nn.Sequential(*layers, Global(nn.AdaptiveAvgPool2d(1)), nn.Linear(before, outputs))


def mobilenet(width, outputs):
    layers, before = normalised(nn.Conv2d(3, width, 3, 1, 1, bias=False)), width
    for widths, stride in ((2, 1), (4, 2), (4, 1), (8, 2), (8, 1), (16, 2), (16, 1)):
        layers += normalised(nn.Conv2d(before, before, 3, stride, 1, groups=before, bias=False))
        layers += normalised(nn.Conv2d(before, widths * width, 1, bias=False))
        before = widths * width
    return nn.Sequential(*layers, Global(nn.AdaptiveAvgPool2d(1)), nn.Linear(before, outputs))


def lenet(outputs):
    return nn.Sequential(
        nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84),
        nn.ReLU(), nn.Linear(84, outputs))


# name: (model, input shape)
PRESETS = {
    "resnet": (resnet(8, 2, 3), [4, 3, 8, 8]),
    "mobilenet": (mobilenet(2, 3), [4, 3, 16, 16]),
    "lenet": (lenet(3), [4, 3, 32, 32]),
}


def preset_case(model, shape):
    """A parameter is numbers() of "parameter I", its direction those of "direction I"."""
    parameters = list(model.parameters())
    with torch.no_grad():
        for i, parameter in enumerate(parameters):
            parameter.copy_(numbers(parameter.shape, seed_of(f"parameter {i}")))
    y = model(numbers(shape, seed_of("input")))
    (numbers(y.shape, seed_of("cotangent")) * y).sum().backward()
    slopes = [(p.grad * numbers(p.shape, seed_of(f"direction {i}"))).sum().item()
              for i, p in enumerate(parameters)]
    return {"output": stored(y), "slopes": slopes}


def weighted(rows, weight):
    return rows.mean() if weight is None else (weight * rows).sum() / weight.sum()


def per_row(function, **options):
    """Mean over the outputs of each row, then over the rows by weight."""

    def loss(p, t, weight):
        return weighted(function(p, t, reduction="none", **options).flatten(1).mean(1), weight)

    return loss


def cross_entropy(**options):
    return lambda p, t, weight: weighted(F.cross_entropy(p, t, reduction="none", **options), weight)


def class_weighted(**options):
    """PyTorch's own mean, which divides by the sum of the class weights of the rows."""
    weights = torch.tensor([0.5, 2.0, 1.25, 0.25])
    return lambda p, t, _: F.cross_entropy(p, t, weights, **options)


def positions(**options):
    """[rows, positions, classes]: the mean over the positions of each row, then over the rows."""

    def loss(p, t, weight):
        rows = F.cross_entropy(p.transpose(1, 2), t, reduction="none", **options).mean(1)
        return weighted(rows, weight)

    return loss


def positions_class_weighted(**options):
    weights = torch.tensor([0.5, 2.0, 1.25, 0.25])
    return lambda p, t, _: F.cross_entropy(p.transpose(1, 2), t, weights, **options)


def one_logit(p, t, weight):
    rows = F.binary_cross_entropy_with_logits(p[:, 0], t.to(p.dtype), reduction="none")
    return weighted(rows, weight)


def against_the_rest(p, t, weight):
    hot = F.one_hot(t, p.shape[1]).to(p.dtype)
    return weighted(F.binary_cross_entropy_with_logits(p, hot, reduction="none").mean(1), weight)


def hinge(p, t, weight):
    rows = [torch.clamp(1 - (1 if t[i] > 0 else -1) * p[i, 0], min=0) for i in range(len(t))]
    return weighted(torch.stack(rows), weight)


def crammer_singer(p, t, weight):
    rows = []
    for i in range(len(t)):
        rival = max(p[i, j] for j in range(p.shape[1]) if j != t[i])
        rows.append(torch.clamp(1 + rival - p[i, t[i]], min=0))
    return weighted(torch.stack(rows), weight)


# name: (loss, prediction shape, classes of the labels, weighted); instead of a number of classes 0:
# numbers as targets, -1: numbers in [0, 1]
LOSSES = {
    "mse": (per_row(F.mse_loss), [8, 3], 0, False),
    "mse_weighted": (per_row(F.mse_loss), [8, 1], 0, True),
    "mae": (per_row(F.l1_loss), [8, 3], 0, False),
    "huber": (per_row(F.huber_loss), [8, 3], 0, False),
    "huber_delta": (per_row(F.huber_loss, delta=0.6), [8, 3], 0, True),
    "cross_entropy": (cross_entropy(), [8, 4], 4, False),
    "cross_entropy_weighted": (cross_entropy(), [8, 4], 4, True),
    "cross_entropy_smoothed": (cross_entropy(label_smoothing=0.2), [8, 4], 4, False),
    "cross_entropy_class_weights": (class_weighted(), [8, 4], 4, False),
    "cross_entropy_both": (class_weighted(label_smoothing=0.2), [8, 4], 4, False),
    "cross_entropy_probabilities": (cross_entropy(), [8, 4], -1, False),
    "cross_entropy_probabilities_weighted": (cross_entropy(), [8, 4], -1, True),
    "cross_entropy_probabilities_both": (class_weighted(label_smoothing=0.2), [8, 4], -1, False),
    "cross_entropy_positions": (positions(), [8, 3, 4], 4, False),
    "cross_entropy_positions_weighted": (positions(), [8, 3, 4], 4, True),
    "cross_entropy_positions_both": (
        positions_class_weighted(label_smoothing=0.2), [8, 3, 4], 4, False),
    "binary_cross_entropy": (one_logit, [8, 1], 2, False),
    "binary_cross_entropy_weighted": (one_logit, [8, 1], 2, True),
    "binary_cross_entropy_rest": (against_the_rest, [8, 3], 3, False),
    "binary_cross_entropy_numbers": (
        per_row(F.binary_cross_entropy_with_logits), [8, 3], -1, False),
    "hinge": (hinge, [8, 1], 2, False),
    "hinge_classes": (crammer_singer, [8, 4], 4, True),
}


def loss_case(function, shape, classes, has_weight):
    p = numbers(shape, seed_of("prediction")).requires_grad_()
    if classes > 0:
        leading = shape[:max(1, len(shape) - 1)]
        t = labels(math.prod(leading), classes, seed_of("target")).reshape(leading)
    else:
        t = numbers(shape, seed_of("target"))
        t = (t + 2) / 4 if classes < 0 else t
    weight = numbers(shape[:1], seed_of("weight")).abs() if has_weight else None
    value = function(p, t, weight)
    value.backward()
    return {"output": stored(value), "gradients": {"prediction": stored(p.grad)}}


def write(name, cases):
    folder = pathlib.Path(__file__).parent / "nn"
    folder.mkdir(exist_ok=True)
    lines = [f"{json.dumps(case)}: {json.dumps(result)}" for case, result in cases.items()]
    (folder / name).write_text("{\n" + ",\n".join(lines) + "\n}\n")


def packed_case(kind, lengths):
    """Rows of several lengths through two layers in both directions, as packed sequences."""
    module = kind(2, 3, num_layers=2, batch_first=True, bidirectional=True)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(numbers(parameter.shape, seed_of(name)))
    x = numbers([len(lengths), max(lengths), 2], seed_of("input")).requires_grad_()
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    y, state = module(packed)
    y = nn.utils.rnn.pad_packed_sequence(y, batch_first=True)[0]
    h = state[0] if kind is nn.LSTM else state
    last = torch.cat([h[-2], h[-1]], 1)
    loss = (numbers(y.shape, seed_of("cotangent")) * y).sum()
    (loss + (numbers(last.shape, seed_of("last")) * last).sum()).backward()
    gradients = {name: stored(parameter.grad) for name, parameter in module.named_parameters()}
    gradients["input"] = stored(x.grad)
    return {"output": stored(y), "last": stored(last), "gradients": gradients}


def state_case(kind):
    """One layer from an initial state on: outputs, last state, and gradients of both."""
    module = kind(2, 3)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(numbers(parameter.shape, seed_of(name)))
    x = numbers([5, 4, 2], seed_of("input")).requires_grad_()
    names = ["h", "c"] if kind is nn.LSTM else ["h"]
    state = [numbers([1, 4, 3], seed_of(name)).requires_grad_() for name in names]
    y, last = module(x, tuple(state) if kind is nn.LSTM else state[0])
    last = list(last) if kind is nn.LSTM else [last]
    loss = (numbers(y.shape, seed_of("cotangent")) * y).sum()
    for name, value in zip(names, last):
        loss = loss + (numbers([4, 3], seed_of("last " + name)) * value[0]).sum()
    loss.backward()
    case = {"output": stored(y), "gradients": {"input": stored(x.grad)}}
    for name, before, value in zip(names, state, last):
        case["last " + name] = stored(value[0])
        case["gradients"][name] = stored(before.grad[0])
    for name, parameter in module.named_parameters():
        case["gradients"][name] = stored(parameter.grad)
    return case


RECURRENT = {
    "rnn_packed": packed_case(nn.RNN, [3, 4, 1, 2]),
    "lstm_packed": packed_case(nn.LSTM, [3, 4, 1, 2]),
    "gru_packed": packed_case(nn.GRU, [3, 4, 1, 2]),
    "rnn_state": state_case(nn.RNN),
    "lstm_state": state_case(nn.LSTM),
    "gru_state": state_case(nn.GRU),
}
write("recurrent.json", RECURRENT)
write("layers.json", {name: layer_case(*case) for name, case in LAYERS.items()})
write("presets.json", {name: preset_case(*case) for name, case in PRESETS.items()})
write("losses.json", {name: loss_case(*case) for name, case in LOSSES.items()})
