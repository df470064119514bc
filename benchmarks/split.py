"""A split of a million rows and 50,000 subjects: the whole command against scikit-learn alone.

    python benchmarks/split.py [ROWS SUBJECTS]

Ours: ``leukctl split rows.csv --folds 5 --no-audit -o folds.csv`` from the start of the process to
its end, with the CSV read, checked and written; once with four columns, once with the nine that
prep writes. Theirs: ``StratifiedGroupKFold(5)`` on arrays of the same rows that lie in memory
already. Subjects are of one class each, classes and subjects are of very unequal size.
"""

import csv
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pairs import compare, say

Ints = NDArray[np.int64]

FOLDS = 5
CLASSES = ("Benign", "Early", "Pre", "Pro", "hem")
NARROW = ("path", "label", "subject", "source")
WIDE = (*NARROW, "mask", "sha256", "prep", "prep_note", "original")


def draw(rows: int, subjects: int) -> tuple[Ints, Ints]:
    """Return the class and the subject of each row."""
    rng = np.random.default_rng(0)
    klass = np.minimum(rng.exponential(1.0, subjects).astype(int), len(CLASSES) - 1)
    size = rng.exponential(1.0, subjects)
    subject = np.concatenate(
        [np.arange(subjects), rng.choice(subjects, rows - subjects, p=size / size.sum())]
    )
    rng.shuffle(subject)
    return klass[subject], subject


def write(path: Path, columns: tuple[str, ...], klass: Ints, subject: Ints) -> None:
    """Write a manifest."""
    with open(path, "w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        for row, (code, own) in enumerate(zip(klass.tolist(), subject.tolist(), strict=True)):
            lab = f"lab{own % 7}"
            name = f"{lab}/{row:07d}"
            cells = [f"images/{name}.png", CLASSES[code], f"S{own}", lab]
            if columns == WIDE:
                digest = hashlib.sha256(name.encode()).hexdigest()
                cells += [f"images/{name}_mask.png", digest, "denoise:median,roi,resize:224", ""]
                cells += [f"/data/raw/{name}.bmp"]
            writer.writerow(cells)


def away(fold: Ints, klass: Ints) -> tuple[float, float]:
    """Return how uneven folds are: the largest distance of a class's share, and chi-squared."""
    counts = np.zeros((len(CLASSES), FOLDS))
    np.add.at(counts, (klass, fold), 1)
    wished = counts.sum(axis=1, keepdims=True) / FOLDS
    share = np.abs(counts - wished) / counts.sum(axis=1, keepdims=True)
    return float(share.max()), float(((counts - wished) ** 2 / wished).sum())


def measure(folder: Path, columns: tuple[str, ...], klass: Ints, subject: Ints) -> None:
    """Print the medians of paired runs, the peak memory of the command, and both's evenness."""
    from sklearn.model_selection import StratifiedGroupKFold

    manifest, made = folder / "rows.csv", folder / "folds.csv"
    write(manifest, columns, klass, subject)
    command = [sys.executable, "-m", "leukctl", "split", str(manifest), "-q", "--no-audit"]
    command += ["--folds", str(FOLDS), "-o", str(made)]
    theirs = np.zeros(len(klass), np.int64)
    peaks = []

    def split() -> None:
        process = subprocess.Popen(command)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"leukctl ended with status {os.waitstatus_to_exitcode(status)}")
        peaks.append(usage.ru_maxrss)

    def cross() -> None:
        folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
        for fold, (_, test) in enumerate(folds.split(klass, klass, subject)):
            theirs[test] = fold

    say(f"{len(klass)} rows, {len(columns)} columns", compare(split, cross, 3))
    print(f"  peak memory of the command {max(peaks) / 1024:.0f} MiB")
    with open(made, newline="") as stream:
        ours = np.array([int(row["fold"]) for row in csv.DictReader(stream)])
    for name, fold in (("ours", ours), ("scikit-learn's", theirs)):
        share, chi = away(fold, klass)
        print(f"  {name:15s} a class is {100 * share:.4f} points off at most, chi2 {chi:.6f}")


def main(rows: int, subjects: int) -> None:
    """Measure manifests of four and of nine columns."""
    klass, subject = draw(rows, subjects)
    with tempfile.TemporaryDirectory() as folder:
        for columns in (NARROW, WIDE):
            measure(Path(folder), columns, klass, subject)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3])) if len(sys.argv) == 3 else main(1_000_000, 50_000)
