"""Models to make ensembles of."""

from dataclasses import replace

import numpy as np
from fakes import many

from leukctl import ensembling
from leukctl.ensembling import Plan
from leukctl.predictions import IDENTITY, Predictions


def model(name: str, rows: list[list[float]], answers: list[int] | None = None) -> Predictions:
    """Return predictions over classes a, b … for images 0, 1, …"""
    values = np.array(rows, float)
    identity = {column: [""] * len(rows) for column in IDENTITY}
    identity["path"] = [f"{index}.png" for index in range(len(rows))]
    predicted = values.argmax(1) if answers is None else np.array(answers, np.int64)
    return Predictions(name, list("abcdef"[: values.shape[1]]), identity, values, predicted)


def three(
    n: int = 300, splits: tuple[str, ...] = ("train", "val", "test"), **more: float
) -> list[Predictions]:
    """Return three unlike models on the same images."""
    first = many(n, seed=1, splits=splits)
    labels, models = first.labels, []
    for seed, skill in enumerate((1.0, 1.3, 1.6)):
        generator = np.random.default_rng(seed)
        logits = generator.normal(size=(n, 3))
        logits[np.arange(n), labels] += skill
        rows = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        rows = np.round(rows, 3)
        rows /= rows.sum(axis=1, keepdims=True)
        models.append(replace(first, name=f"m{seed}", probabilities=rows, predicted=rows.argmax(1)))
    return models


def relabelled(models: list[Predictions], split: str, seed: int = 5) -> list[Predictions]:
    """Return the models with the labels of one split permuted among its images."""
    labels = np.array(models[0].identity["label"])
    rows = np.flatnonzero(np.array(models[0].identity["split"]) == split)
    labels[rows] = labels[np.random.default_rng(seed).permutation(rows)]
    identity = {**models[0].identity, "label": labels.tolist()}
    return [replace(one, identity=identity) for one in models]


def made(models: list[Predictions], *given: object, **more: object) -> Predictions:
    return ensembling.make(models, Plan(*given, **more)).predictions  # type: ignore[arg-type]
