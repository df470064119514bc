"""Fused features and their classifiers, against plain libraries.

    python benchmarks/fuse.py extract IMAGES_FOLDER BACKBONE WEIGHTS_FOLDER
    python benchmarks/fuse.py classify FEATURES_FOLDER [--folds N] [--only svm]
    python benchmarks/fuse.py second MANIFEST BACKBONE WEIGHTS_FOLDER

``extract``: PNG files to features on disk, with their digests, against the loop that a user would
write (timm, a DataLoader with Pillow and torchvision) and against the bare network, folded and
channels_last, on batches that lie in memory. Each run is a process of its own.

``classify``: the features that ``leukctl fuse --features-only`` wrote. XGBoost as ``fuse`` has it
against XGBoost's own defaults, and the svm of ``fuse`` against scikit-learn's on the same rows.

``second``: ``leukctl fuse`` with a first classifier and an empty folder for features, then with
another one; the whole command from start to end.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SIDES = ("ours", "loop", "bare")


def extract(side: str, given: argparse.Namespace) -> float:
    """Return the images a second of one side."""
    paths = sorted(given.images.rglob("*.png"))
    if side == "loop":
        import predict

        given.features = True
        seconds, _ = predict.theirs(given)
        return len(paths) / seconds[0]
    from leukctl import inference, runs, runtime, tensors
    from leukctl.fusion import features, sources

    compute = runtime.compute("cpu", "fp32")
    found = sources.from_backbones([given.backbone], [given.weights], False, 0)
    read = inference.reader(runs.Run("fusion", [], [], {}, None, {}, "", 0))
    if side == "ours":
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            features.collect(found, paths, read, compute, folder=Path(folder), batch_size=16)
            return len(paths) / (time.perf_counter() - started)
    network = found[0].extractor(compute).backbone
    pixels = tensors.batch([read(path) for path in paths], found[0].spec.input_size)
    inputs = tensors.normalize(pixels, found[0].spec, compute.device)
    started = time.perf_counter()
    with runtime.torch.inference_mode():
        for batch in inputs.split(32):
            network(batch)
    return len(paths) / (time.perf_counter() - started)


def compare_extraction(arguments: list[str], pairs: int) -> None:
    """Print the medians of all sides, taken in turn."""
    rates: dict[str, list[float]] = {side: [] for side in SIDES}
    for _ in range(pairs):
        for side in SIDES:
            command = [sys.executable, __file__, *arguments, "--side", side]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            rates[side].append(float(done.stdout.split()[-1]))
    for side in SIDES:
        print(f"{side:5s} {statistics.median(rates[side]):7.1f} images/s")
    for side in SIDES[1:]:
        ratios = [a / b for a, b in zip(rates["ours"], rates[side], strict=True)]
        print(f"ours / {side}: {statistics.median(ratios):.2f} of {np.round(ratios, 2)}")


def classify(given: argparse.Namespace) -> None:
    """Print seconds and balanced accuracy of each way over the same folds."""
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC
    from xgboost import XGBClassifier

    from leukctl import tables
    from leukctl.fusion import choices, model

    values = np.load(given.folder / "features.npy", allow_pickle=False)
    labels = tables.read_path(given.folder / "features.csv").column("label")
    names, y = np.unique(labels, return_inverse=True)

    def ours(name: str, *, pca: str | None = None) -> Callable[..., Any]:
        def fit(x: Any, y: Any) -> Any:
            (plan,) = choices.read(name, [], pca=pca)
            widths = [values.shape[1]]
            made = model.fit(
                plan, x, y, None, widths=widths, names=["all"], classes=len(names), seed=0
            )
            return made.probabilities

        return fit

    def theirs(build: Callable[[], Any]) -> Callable[..., Any]:
        return lambda x, y: build().fit(x, y).predict_proba

    def vectors() -> Any:
        folds = StratifiedKFold(5, shuffle=True, random_state=0)
        calibrated = CalibratedClassifierCV(SVC(), cv=folds, ensemble=False)
        return make_pipeline(StandardScaler(), calibrated)

    ways = {
        "xgboost, fuse": ours("xgboost"),
        "xgboost, its defaults": theirs(lambda: XGBClassifier(n_estimators=100)),
        "xgboost, fuse --pca 256": ours("xgboost", pca="256"),
        "svm, fuse": ours("svm"),
        "svm, scikit-learn": theirs(vectors),
    }
    ways = {way: fit for way, fit in ways.items() if way.startswith(given.only)}
    splits = StratifiedKFold(10, shuffle=True, random_state=0).split(values, y)
    times: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    scores: dict[str, list[float]] = {way: [] for way in ways}
    for train, test in list(splits)[: given.folds]:
        for way, fit in ways.items():
            started = time.perf_counter(), time.process_time()
            answer = fit(values[train], y[train])(values[test]).argmax(axis=1)
            times[way].append((time.perf_counter() - started[0], time.process_time() - started[1]))
            scores[way].append(balanced_accuracy_score(y[test], answer))
    print(f"{values.shape[0]} x {values.shape[1]}, {given.folds} of 10 folds")
    for way in ways:
        clock, processor = np.median(times[way], axis=0)
        print(
            f"{way:26s} {clock:8.2f} s a fold, {processor:8.2f} s of processors, "
            f"balanced accuracy {np.mean(scores[way]):.4f}"
        )


def second(given: argparse.Namespace) -> None:
    """Print the seconds of a first and of a second classifier."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("logreg", "random-forest"):
            command = [sys.executable, "-m", "leukctl", "fuse", str(given.manifest), "-q"]
            command += ["--backbones", given.backbone, "--weights", str(given.weights)]
            command += ["--classifier", name, "--features", f"{folder}/f"]
            started = time.perf_counter(), _processors()
            subprocess.run([*command, "-o", f"{folder}/{name}"], check=True)
            clock, used = time.perf_counter() - started[0], _processors() - started[1]
            print(f"{name:14s} {clock:7.1f} s, {used:7.1f} s of processors", flush=True)


def _processors() -> float:
    """Return the seconds that the processes started so far have had of processors."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    kinds = parser.add_subparsers(dest="kind", required=True)
    extraction = kinds.add_parser("extract")
    extraction.add_argument("images", type=Path)
    extraction.add_argument("backbone")
    extraction.add_argument("weights", type=Path)
    extraction.add_argument("--pairs", type=int, default=3)
    extraction.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    classification = kinds.add_parser("classify")
    classification.add_argument("folder", type=Path)
    classification.add_argument("--folds", type=int, default=10)
    classification.add_argument("--only", default="", help="the ways whose names start so")
    again = kinds.add_parser("second")
    again.add_argument("manifest", type=Path)
    again.add_argument("backbone")
    again.add_argument("weights", type=Path)
    given = parser.parse_args()
    if given.kind == "classify":
        classify(given)
    elif given.kind == "second":
        second(given)
    elif given.side:
        print(extract(given.side, given))
    else:
        compare_extraction(sys.argv[1:], given.pairs)
