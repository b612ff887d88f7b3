"""The data, initial values and measuring loop of bench/workload.h, for Python peers."""
import json
import statistics
import time

import numpy as np


def uniform(seed, shape, bound):
    n = int(np.prod(shape))
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    values = (z >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-23) - np.float32(1)
    return (values * np.float32(bound)).reshape(shape)


def measure(workload, case, peer, threads, runs, steps, run):
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        loss = run()
        seconds.append((time.perf_counter() - start) / steps)
    print(json.dumps({"workload": workload, "case": case, "peer": peer, "threads": threads,
                      "step_s": statistics.median(seconds), "best_s": min(seconds), "loss": loss}), flush=True)
