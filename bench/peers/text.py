"""The text of W5 and W6: see bench/text.h."""
import numpy as np
import torch

from workload import mix

LENGTH, SYMBOLS = 200_000, 65


def symbols():
    """An order-1 Markov chain: the rank of each symbol's successor is small more often than large."""
    z = mix(5, 0, LENGTH)
    product = (z >> np.uint64(32)) * (z & np.uint64(0xFFFFFFFF)) >> np.uint64(32)
    ranks = (product * np.uint64(SYMBOLS) >> np.uint64(32)).tolist()
    out, c = np.empty(LENGTH, np.int64), 0
    for i, rank in enumerate(ranks):
        c = (17 * c + 29 * rank + 5) % SYMBOLS
        out[i] = c
    return out


def windows(text, step, batch, length):
    """The batch of a step: symbols of windows at mix(1000 + step), and the symbols after them."""
    starts = (mix(1000 + step, 0, batch) % np.uint64(LENGTH - length - 1)).astype(np.int64)
    block = torch.from_numpy(text[starts[:, None] + np.arange(length + 1)])
    return block[:, :-1].contiguous(), block[:, 1:].contiguous()
