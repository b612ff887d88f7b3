"""bench/RESULTS.md from the lines that the programs print."""
import collections
import os
import platform
import statistics

from workloads import CASES

# How far the results of equal work may lie apart: rounding, amplified by training. Convolutional nets and GPTs amplify most:
# PyTorch's own modes and numbers of threads differ by 1 %. bf16 rounds to 8 bits.
AGREE = {"W3": 2e-3, "W4": 2e-2, "W5": 2e-3, "W6": 2e-2, "W8": 1e-4, "W9": 1e-3, "W10": 1e-6, "W11": 1e-3}
AGREE_BF16 = 2e-2


class Machine:
    def __init__(self, lines):
        self.lines = [line for line in lines if "best" in line]
        self.versions = next((line for line in lines if "version" in line), {"version": "?", "compiler": "?"})

    def best(self, prefixes, threads):
        return max((line["best"] for line in self.lines if line["threads"] == threads and line["machine"].startswith(prefixes)),
                   default=None)

    def bandwidth(self, threads):
        return self.best(("copy", "update", "sgd", "adam"), threads)

    def floor(self, case, precision, threads):
        """Seconds of a step at least; None where there is none or the machine was not measured. A step with bf16 may use either product."""
        products = ("product float32", "product bfloat16") if precision == "bf16" else ("product float32", )
        rate, bandwidth = self.best(products, threads), self.bandwidth(threads)
        return max(case.flops / rate, case.bytes / bandwidth) * 1e-9 or None if rate and bandwidth else None


class Side:
    """All turns of one program in one mode."""

    def __init__(self, lines):
        first = lines[0]
        self.peer, self.mode, self.precision = first["peer"], first["mode"], first["precision"]
        self.seconds = [s for line in lines for s in line["seconds"]]
        self.time = statistics.median(self.seconds)
        self.loss = first["loss"]
        self.memory = max(line["peak_mb"] for line in lines)
        self.start = statistics.median(line["first_step_s"] for line in lines)

    @property
    def ours(self):
        return self.peer == "descent"


def duration(s):
    unit, scale = ("us", 1e6) if s < 1e-3 else ("ms", 1e3)
    return f"{s * scale:.3g} {unit}" if s * scale < 100 else f"{s * scale:.0f} {unit}"


def row(*cells):
    return "| " + " | ".join(str(c) for c in cells) + " |"


def table(heads, rows):
    return "\n".join([row(*heads), "|" + "---|" * len(heads), *rows])


def groups(results):
    """(case, threads) and the sides that ran it, ours first."""
    lines = collections.defaultdict(lambda: collections.defaultdict(list))
    for r in results:
        lines[r["workload"], r["case"], r["threads"]][r["peer"], r["mode"]].append(r)
    for case in CASES:
        for threads in case.threads:
            sides = [Side(x) for x in lines.get((case.workload, case.name, threads), {}).values()]
            if sides:
                yield case, threads, sides


def fastest(sides, precisions):
    return min((s for s in sides if not s.ours and s.precision in precisions), key=lambda s: s.time, default=None)


def summary(found, machine):
    rows = []
    for case, threads, sides in found:
        for s in (x for x in sides if x.ours):
            same = fastest(sides, (s.precision, ))
            any_mode = fastest(sides, ("float32", s.precision))
            floor = machine.floor(case, s.precision, threads)
            rows.append(row(
                f"{case.workload} {case.name}", threads, s.precision, duration(s.time), duration(same.time) if same else "",
                same.mode if same else "", f"{same.time / s.time:.2f}" if same else "", f"{any_mode.time / s.time:.2f}" if any_mode else "",
                f"{s.time / floor:.2f}" if floor else "", f"{s.loss:.5g} / {same.loss:.5g}" if same else f"{s.loss:.5g}",
                f"{s.memory:.0f} / {same.memory:.0f}" if same else f"{s.memory:.0f}",
                f"{s.start:.2f} / {same.start:.2f}" if same else f"{s.start:.2f}"))
    return table(["workload", "threads", "precision", "descent", "PyTorch", "its mode", "ratio", "ratio, any precision", "times the floor",
                  "result, both", "peak MB, both", "first step after s, both"], rows)


def bandwidths(found, machine):
    rows = []
    for case, threads, sides in found:
        peak = machine.bandwidth(threads)
        for s in sides if case.traffic and peak else []:
            rate = case.traffic / s.time * 1e-9
            rows.append(row(f"{case.workload} {case.name}", threads, f"{s.peer} {s.mode}", f"{rate:.1f} GB/s", f"{100 * rate / peak:.0f} %"))
    return table(["workload", "threads", "who", "traffic", "of the best bandwidth"], rows) if rows else ""


def details(found):
    rows = []
    for case, threads, sides in found:
        for s in sorted(sides, key=lambda s: s.time):
            rows.append(row(f"{case.workload} {case.name}", threads, f"{s.peer} {s.mode}", duration(s.time),
                            f"{duration(min(s.seconds))} .. {duration(max(s.seconds))}", f"{s.loss:.6g}", f"{s.memory:.0f}", f"{s.start:.2f}"))
    return table(["workload", "threads", "who", "a step, median", "all runs", "result", "peak MB", "first step after s"], rows)


def limits(machine):
    threads = sorted({line["threads"] for line in machine.lines})
    rows = []
    for name in dict.fromkeys(line["machine"] for line in machine.lines):
        found = {line["threads"]: f"{line['best']:.1f} {line['unit']}" for line in machine.lines if line["machine"] == name}
        rows.append(row(name, *(found.get(t, "") for t in threads)))
    return table(["best of", *(f"{t} thread" + "s" * (t > 1) for t in threads)], rows)


def disagreements(found):
    out = []
    for case, threads, sides in found:
        reference = next((s for s in sides if not s.ours and s.precision != "bf16"), None)
        for s in sides if reference else []:
            allowed = max(AGREE[case.workload], AGREE_BF16 if s.precision == "bf16" else 0)
            if not abs(s.loss - reference.loss) <= allowed * abs(reference.loss):
                out.append(f"{case.workload} {case.name}, {threads} threads: {s.peer} {s.mode} gives {s.loss:.6g}, "
                           f"{reference.peer} {reference.mode} {reference.loss:.6g}")
    return out


def processor():
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def system():
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.system()


def write(machine_lines, results, date, rounds, runs):
    """The text, and the sides whose results do not agree."""
    machine, found = Machine(machine_lines), list(groups(results))
    peers = sorted({s.peer for _, _, sides in found for s in sides if not s.ours})
    disagreeing = disagreements(found)
    titles = "\n".join(f"- {title}" for title in dict.fromkeys(f"{c.workload} {c.name}: {c.title}" for c, _, _ in found))
    agreement = "\n".join(["These results do not agree, so their times cannot be compared:", *("- " + d for d in disagreeing)]) \
        if disagreeing else "All results agree within rounding."
    text = f"""# Results

{date}, {processor()}, {os.cpu_count()} processors, {system()}. GCC {machine.versions['compiler']}, oneDNN {machine.versions['version']}{''.join(', ' + p for p in peers)}.
Made by `script/bench`: the programs of a workload took turns in one session, {rounds} {'round' if rounds == 1 else 'rounds'} of {runs} runs; times are medians of all runs.

- **ratio**: time of the fastest mode of PyTorch with the same precision over descent's; above 1, descent is faster.
  **any precision**: the fastest of its float32 and bf16 modes.
- **times the floor**: the floor is the least arithmetic at the machine's best product rate, or the least memory traffic at its
  best bandwidth, whichever takes longer (`bench/workloads.py`).
- **result**: the final loss, or another number that shows equal work (heads of `bench/w*.cpp`). {agreement}
- **peak MB**: highest resident memory of the process. **first step after**: from the start of the program, without making data.

{titles}

## Summary

{summary(found, machine)}

{bandwidths(found, machine)}

## Every mode

{details(found)}

## What the machine can do

{limits(machine)}
"""
    return text, disagreeing
