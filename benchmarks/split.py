"""A split of a million rows and 50,000 subjects: the whole command against scikit-learn alone.

    python benchmarks/split.py [ROWS SUBJECTS]

Ours: ``leukctl split rows.csv --folds 5 --no-audit -o folds.csv`` from the start of the process to
its end, with the CSV read, checked and written. Theirs: ``StratifiedGroupKFold(5)`` on arrays of
the same rows that lie in memory already. Subjects are of one class each, classes and subjects are
of very unequal size.
"""

import csv
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pairs import compare, say

FOLDS = 5
CLASSES = ("Benign", "Early", "Pre", "Pro", "hem")


def draw(path: Path, rows: int, subjects: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Write a manifest; return the class and the subject of each row."""
    rng = np.random.default_rng(0)
    klass = np.minimum(rng.exponential(1.0, subjects).astype(int), len(CLASSES) - 1)
    size = rng.exponential(1.0, subjects)
    subject = np.concatenate(
        [np.arange(subjects), rng.choice(subjects, rows - subjects, p=size / size.sum())]
    )
    rng.shuffle(subject)
    with open(path, "w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("path", "label", "subject", "source"))
        for row, own in enumerate(subject.tolist()):
            lab = f"lab{own % 7}"
            writer.writerow((f"images/{lab}/{row:07d}.png", CLASSES[klass[own]], f"S{own}", lab))
    return klass[subject], subject


def away(fold: NDArray[np.int64], klass: NDArray[np.int64]) -> tuple[float, float]:
    """Return how uneven folds are: the largest distance of a class's share, and chi-squared."""
    counts = np.zeros((len(CLASSES), FOLDS))
    np.add.at(counts, (klass, fold), 1)
    wished = counts.sum(axis=1, keepdims=True) / FOLDS
    share = np.abs(counts - wished) / counts.sum(axis=1, keepdims=True)
    return float(share.max()), float(((counts - wished) ** 2 / wished).sum())


def main(rows: int, subjects: int) -> None:
    """Print the medians of paired runs, the peak memory of the command, and both's evenness."""
    from sklearn.model_selection import StratifiedGroupKFold

    with tempfile.TemporaryDirectory() as folder:
        manifest, made = Path(folder, "rows.csv"), Path(folder, "folds.csv")
        klass, subject = draw(manifest, rows, subjects)
        theirs = np.zeros(rows, np.int64)
        command = [sys.executable, "-m", "leukctl", "split", str(manifest), "-q", "--no-audit"]
        command += ["--folds", str(FOLDS), "-o", str(made)]
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

        say(f"{rows} rows, {subjects} subjects", compare(split, cross, 3))
        print(f"peak memory of the command {max(peaks) / 1024:.0f} MiB")
        with open(made, newline="") as stream:
            ours = np.array([int(row["fold"]) for row in csv.DictReader(stream)])
        for name, fold in (("ours", ours), ("scikit-learn's", theirs)):
            share, chi = away(fold, klass)
            print(f"{name:15s} a class is {100 * share:.4f} points off at most, chi2 {chi:.4f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3])) if len(sys.argv) == 3 else main(1_000_000, 50_000)
