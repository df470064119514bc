"""Features of several backbones side by side → boosted trees, after khan2024."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leukctl import (
    backbones,
    files,
    inference,
    manifest,
    predictions,
    processes,
    results,
    runs,
    tensors,
)
from leukctl.backbones.weights import write_safetensors
from leukctl.balancing import weights as row_weights
from leukctl.errors import ImageError, InputError, UsageError
from leukctl.inference import FeatureExtractor, NetworkPredictor
from leukctl.runs import BackboneSpec, Run
from leukctl.runtime import Compute, torch
from leukctl.tables import Table

Progress = Callable[[int], None]
Source = tuple[torch.nn.Module, BackboneSpec]


@dataclass(slots=True)
class Trees:
    """XGBoost's parameters that khan2024 names, and its depth.

    Attributes:
        trees: boosting rounds.
        learning_rate: shrinkage of each round (eta).
        reg_lambda: L2 penalty on the leaves.
        depth: of a tree, at most.
    """

    trees: int = 200
    learning_rate: float = 0.1
    reg_lambda: float = 1.0
    depth: int = 4


def from_backbones(
    names: list[str], weights: list[Path], pretrained: bool, seed: int
) -> list[Source]:
    """Build backbones by name.

    Args:
        weights: one a name, or none at all.
        pretrained: fetch weights from the hub.

    Raises :class:`UsageError` for a number of weights that is not that of the names.
    """
    if weights and len(weights) != len(names):
        raise UsageError(f"{len(weights)} weights for {len(names)} backbones")
    torch.manual_seed(seed)
    paths = [*weights] if weights else [None] * len(names)
    return [
        backbones.create(name, backbones.origin_of(name, path, pretrained))
        for name, path in zip(names, paths, strict=True)
    ]


def from_runs(folders: list[Path], compute: Compute, chain: str | None) -> list[Source]:
    """Take the trained backbones of runs.

    Raises :class:`InputError` for a run that is no network's, or whose images were prepared by
    another chain than ``chain``.
    """
    found = []
    for folder in folders:
        run = runs.read(folder)
        model = inference.load(run, compute)
        if not isinstance(model, NetworkPredictor):
            raise InputError("a fusion itself; --runs takes runs of train", file=folder)
        if run.prep != chain:
            raise InputError(
                f"its images were prepared by {run.prep!r}, the manifest's by {chain!r}",
                file=folder,
            )
        found.append((model.network.backbone, model.spec))
    return found


def fuse(
    table: Table,
    sources: list[Source],
    trees: Trees,
    folder: Path,
    compute: Compute,
    *,
    options: dict[str, Any],
    seed: int,
    root: Path | None,
    batch_size: int,
    manifest_sha256: str,
    on_progress: Progress = lambda step: None,
) -> dict[str, Any]:
    """Fit the classifier on the train rows, and write the run into ``folder``.

    Returns the content of metrics.json. Raises :class:`InputError` for a manifest that cannot be
    learned from (:func:`leukctl.manifest.learnable`, :func:`leukctl.balancing.weights.learned`) or
    an image that cannot be read.
    """
    started = time.monotonic()
    run = Run(
        kind="fusion",
        classes=manifest.learnable(table, ("train",), root),
        backbones=[spec for _, spec in sources],
        head={"classifier": "xgboost", **asdict(trees)},
        prep=manifest.prep_chain(table),
        options={**options, "weighted": row_weights.COLUMN in table},
        manifest_sha256=manifest_sha256,
        seed=seed,
        folder=folder,
    )
    extractors = [FeatureExtractor(network, spec, compute) for network, spec in sources]
    chosen = manifest.with_split(table)
    paths = manifest.image_paths(chosen, root)
    features = extract(extractors, paths, inference.reader(run), batch_size, on_progress)
    extracted = time.monotonic()
    booster = fit(features, chosen, table, run.classes, trees, seed)
    fitted = time.monotonic()
    answers = predictions.make(
        run.name, run.classes, chosen, inference.tree_probabilities(booster, features)
    )
    environment = runs.environment(
        started,
        time.monotonic(),
        device=str(compute.device),
        features_s=round(extracted - started, 3),
        fit_s=round(fitted - extracted, 3),
    )
    with runs.fresh(folder) as new:
        write_safetensors(_state(sources), new / runs.WEIGHTS)
        files.write_bytes(new / runs.TREES, bytes(booster.save_raw("ubj")))
        document = results.write(answers, new, None, seed)
        files.write_json(new / runs.ENVIRONMENT, environment)
        runs.write(run, new)
    return document


def _state(sources: list[Source]) -> dict[str, torch.Tensor]:
    """Return the tensors of all backbones, each name led by the backbone's number."""
    return {
        f"{place}.{name}": tensor
        for place, (network, _) in enumerate(sources)
        for name, tensor in network.state_dict().items()
    }


def extract(
    extractors: list[FeatureExtractor],
    paths: list[Path],
    read: tensors.Reader,
    batch_size: int,
    on_progress: Progress,
) -> NDArray[np.float32]:
    """Return the fused features of images, float32 (N, D1 + D2 + …)."""
    parts = []
    images = tensors.read_many(paths, read, extractors[0].compute.workers)
    for chunk in processes.chunks(images, batch_size):
        rgbs = []
        for path, image in chunk:
            if isinstance(image, ImageError):
                raise InputError(str(image), file=path)
            rgbs.append(image)
        parts.append(inference.fused(extractors, rgbs))
        on_progress(len(chunk))
    return np.concatenate(parts)


def fit(
    features: NDArray[np.float32],
    chosen: Table,
    table: Table,
    classes: list[str],
    trees: Trees,
    seed: int,
) -> Any:
    """Return an XGBoost booster fitted on the train rows of ``table``, repetitions included.

    A column ``weight`` weighs the rows.

    Args:
        features: (N, D) of the rows of ``chosen``, each image once.
    """
    import xgboost

    place = {path: index for index, path in enumerate(chosen.column("path"))}
    learned, weights = row_weights.learned(table)
    train = table.select(learned)
    rows = [place[path] for path in train.column("path")]
    labels = [classes.index(label) for label in train.column("label")]
    parameters = {
        "objective": "multi:softprob",
        "num_class": len(classes),
        "eta": trees.learning_rate,
        "lambda": trees.reg_lambda,
        "max_depth": trees.depth,
        "max_bin": 64,  # deep features need no finer cuts, and trees grow three times as fast
        "tree_method": "hist",
        "seed": seed,
    }
    matrix = xgboost.DMatrix(features[rows], labels, weight=weights)
    return xgboost.train(parameters, matrix, trees.trees)
