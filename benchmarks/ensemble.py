"""Choosing weights and a threshold: the search, and the whole command, against a notebook's loop.

    python benchmarks/ensemble.py [ROWS MODELS CLASSES]

Ours: the search of ``leukctl ensemble --search grid:0.1 --threshold none,0.5,…,0.9`` on rows that
lie in memory. Theirs: for every weight set ``np.average`` over the models, for every threshold
scikit-learn's ``f1_score`` and the coverage, which is what a notebook has. Both must choose the
same. Then the command as a whole, by the clock and the seconds of processor, and its peak memory:
these models, and 20 files of 100,000 rows with 66 weight sets, in another order of rows each.
"""

import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from pairs import compare, say
from sklearn.metrics import f1_score

from leukctl.ensembling import MIXES, searching, weight_sets
from leukctl.predictions import IDENTITY, Predictions

THRESHOLDS = (None, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)
VAL = 0.2  # of the rows of the large files


def draw(rows: int, models: int, classes: int) -> list[Predictions]:
    """Return models that are right more often than not, on val rows."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, rows)
    names = [f"class{c}" for c in range(classes)]
    identity = {column: [""] * rows for column in IDENTITY}
    identity["path"] = [f"images/lab{row % 7}/{row:07d}.png" for row in range(rows)]
    identity["label"] = [names[label] for label in labels]
    identity["split"] = ["val"] * rows
    made = []
    for number in range(models):
        logits = rng.normal(size=(rows, classes))
        logits[np.arange(rows), labels] += 1 + number / models
        p = np.exp(logits)
        p /= p.sum(axis=1, keepdims=True)
        made.append(Predictions(f"m{number:02}", names, identity, p, p.argmax(axis=1)))
    return made


def search(models: list[Predictions], sets: list[tuple[float, ...]]) -> object:
    """Return what ours chooses."""
    found = searching.search(models, sets, THRESHOLDS, "f1_macro", mix=MIXES["weighted"], below=-1)
    return found.chosen


def loop(models: list[Predictions], sets: list[tuple[float, ...]]) -> object:
    """Return what a notebook chooses, by the same rule for ties."""
    stack = np.stack([model.probabilities for model in models])
    labels, classes = models[0].labels, len(models[0].classes)
    tried = []
    for weights in sets:
        mixed = np.average(stack, axis=0, weights=weights)
        for threshold in THRESHOLDS:
            predicted = mixed.argmax(axis=1)
            if threshold is not None:
                predicted[mixed.max(axis=1) < threshold] = -1
            f1 = f1_score(labels, predicted, labels=range(classes), average="macro")
            uneven = round(sum(weight**2 for weight in weights), 12)
            key = (-round(f1, 12), -np.mean(predicted >= 0), uneven, threshold or 0)
            tried.append((key, searching.Setting(weights, threshold)))
    return min(tried, key=lambda one: one[0])[1]


def write(models: list[Predictions], folder: Path, val: float) -> list[str]:
    """Write the models, the rows of each in an order of its own."""
    rng = np.random.default_rng(1)
    paths = []
    split = np.where(rng.random(len(models[0])) < val, "val", "test").tolist()
    for model in models:
        path = folder / f"{model.name}.csv"
        with open(path, "w", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            classes = [f"p:{name}" for name in model.classes]
            writer.writerow([*IDENTITY, "predicted", "confidence", *classes])
            for row in rng.permutation(len(model)).tolist():
                p = model.probabilities[row].tolist()
                best = model.classes[int(model.predicted[row])]
                identity = [model.identity["path"][row], model.identity["label"][row]]
                identity += [f"S{row % 5000}", "lab", split[row], ""]
                writer.writerow([*identity, best, repr(max(p)), *map(repr, p)])
        paths.append(str(path))
    return paths


def command(name: str, models: list[str], sets: str, folder: Path) -> None:
    """Print what the whole command takes."""
    given = [sys.executable, "-m", "leukctl", "ensemble", *models, "--search", sets, "-q"]
    given += ["--threshold", ",".join("none" if t is None else f"{t:g}" for t in THRESHOLDS)]
    started = time.perf_counter()
    process = subprocess.Popen([*given, "-o", str(folder / "out.csv")])
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{name}: failed")
    seconds = time.perf_counter() - started
    print(
        f"{name:32s} {seconds:8.3f} s by the clock, {used.ru_utime + used.ru_stime:.3f} s of "
        f"processor, peak {used.ru_maxrss / 1024:.0f} MiB"
    )


def main() -> None:
    """Run both."""
    rows, count, classes = [int(text) for text in sys.argv[1:]] or (10_000, 5, 5)
    models = draw(rows, count, classes)
    sets = weight_sets.grid(count, 0.1)
    print(f"{rows} rows, {count} models, {len(sets)} weight sets x {len(THRESHOLDS)} thresholds")
    started = time.perf_counter()
    search(models, sets)
    print(f"all of them, ours: {time.perf_counter() - started:.3f} s")
    some = sets[:: max(1, len(sets) // 50)]
    if search(models, some) != loop(models, some):
        raise SystemExit("the two choose differently")
    say(
        f"{len(some)} of the weight sets",
        compare(lambda: search(models, some), lambda: loop(models, some), 3),
    )
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        command(f"{count} files of {rows} rows", write(models, folder, 1), "grid:0.1", folder)
        many = write(draw(100_000, 20, 5), folder, VAL)
        drawn = np.random.default_rng(0).dirichlet(np.ones(20), 66).tolist()
        with open(folder / "sets.csv", "w", newline="") as stream:
            csv.writer(stream).writerows([[f"w:{Path(path).stem}" for path in many], *drawn])
        command("20 files of 100000 rows", many, str(folder / "sets.csv"), folder)


if __name__ == "__main__":
    main()
