#!/usr/bin/env python3
"""Writes nist/NAME.csv and nist/nist.json: the 27 nonlinear regression sets of NIST's StRD.

    python nist_convert.py FOLDER      (the folder that holds the 27 NAME.dat files)

The Statistical Reference Datasets (https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml) are in
the public domain. Each .dat file has its model, two starts, the certified values (11 digits) and
the data at fixed places; the numbers are copied as they are written, so that nothing is rounded,
and the models are put into the form of `descent fit`. (Take care where the files come from: a copy
in circulation has the certified b1 of Roszman1 damaged, "1.20196866396E-0" for 2.0196866396E-01.)
"""
import json
import pathlib
import re
import sys


def model_of(lines):
    """The lines between the number of parameters and the starts, as "y ~ expression"."""
    begin = next(i for i, line in enumerate(lines) if re.search(r"\d Parameters", line)) + 1
    end = next(i for i, line in enumerate(lines) if line.strip().lower().startswith("starting v")
               and i > begin)
    text = " ".join(line.strip() for line in lines[begin:end]
                    if not line.strip().startswith("pi ="))
    left, right = text.split("=", 1)
    right = re.sub(r"\+\s*e\s*$", "", right.strip())
    for old, new in (("[", "("), ("]", ")"), ("**", "^"), ("arctan", "atan")):
        left, right = left.replace(old, new), right.replace(old, new)
    right = re.sub(r"\b(exp|log|atan|cos|sin)\s*\(\s*", r"\1(", right)
    return re.sub(r"\s+", " ", f"{left.strip()} ~ {right.strip()}")


def number_after(lines, label):
    return float(next(line for line in lines if line.startswith(label)).split(":")[1])


def convert(path):
    lines = path.read_text().splitlines()
    row = {"level": next(re.search(r"(\w+) Level", line)[1].lower() for line in lines
                         if "Level of Difficulty" in line),
           "model": model_of(lines), "names": [], "starts": [[], []], "certified": [],
           "standard_deviations": []}
    for line in lines:
        found = re.match(r"\s+(b\d) =\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s*$", line)
        if not found:
            continue
        row["names"].append(found[1])
        row["starts"][0].append(float(found[2]))
        row["starts"][1].append(float(found[3]))
        row["certified"].append(float(found[4]))
        row["standard_deviations"].append(float(found[5]))
    row["residual_sum_of_squares"] = number_after(lines, "Residual Sum of Squares")
    row["residual_standard_deviation"] = number_after(lines, "Residual Standard Deviation")
    row["observations"] = int(number_after(lines, "Number of Observations"))
    row["degrees_of_freedom"] = row["observations"] - len(row["names"])
    # Rat43.dat says 9 where its 15 rows and 4 parameters leave 11, as its own deviation has it.
    variance = row["residual_sum_of_squares"] / row["degrees_of_freedom"]
    assert abs(variance ** 0.5 / row["residual_standard_deviation"] - 1) < 1e-9, path
    head = max(i for i, line in enumerate(lines) if line.startswith("Data:"))
    columns = lines[head].split(":")[1].split()
    cells = [line.split() for line in lines[head + 1:] if line.strip()]
    assert len(cells) == row["observations"] and all(len(c) == len(columns) for c in cells), path
    return row, "\n".join(",".join(c) for c in [columns, *cells]) + "\n"


def main():
    folder = pathlib.Path(sys.argv[1])
    out = pathlib.Path(__file__).parent / "nist"
    out.mkdir(exist_ok=True)
    table = {}
    for path in sorted(folder.glob("*.dat"), key=lambda p: p.name.lower()):
        table[path.stem], csv = convert(path)
        (out / f"{path.stem}.csv").write_text(csv)
    assert len(table) == 27, len(table)
    text = ",\n".join(f" {json.dumps(name)}: {json.dumps(row)}" for name, row in table.items())
    (out / "nist.json").write_text("{\n" + text + "\n}\n")


if __name__ == "__main__":
    main()
