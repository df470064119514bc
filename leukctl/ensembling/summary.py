"""What an ensemble is made of and what it is worth, as figures."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from leukctl import catalog
from leukctl.ensembling import corrections, diversity, scoring, searching, stacking
from leukctl.ensembling.corrections import KINDS, Changes
from leukctl.ensembling.making import Made, Plan
from leukctl.errors import UsageError
from leukctl.predictions import Predictions

SCHEMA = 1
KIND = "ensemble"  # what the JSON calls itself
_PREFERRED = ("test", "val", "", "train")


@dataclass(slots=True)
class Figures:
    """Figures of the labeled images of one split; of none where no image has a label.

    Attributes:
        split: "" for images without one, None where there are no figures.
        models, mixed: of these images.
        scores, pairs, points: of :mod:`scoring` and :mod:`diversity`.
        changes: the corrections, for each class that is asked for.
    """

    split: str | None
    models: list[Predictions] = field(default_factory=list)
    mixed: Predictions | None = None
    scores: list[dict[str, Any]] = field(default_factory=list)
    pairs: list[dict[str, Any]] = field(default_factory=list)
    points: list[dict[str, Any]] = field(default_factory=list)
    changes: list[Changes] = field(default_factory=list)


def figures(
    models: Sequence[Predictions],
    made: Made,
    split: str | None,
    positive: str | None,
    thresholds: Sequence[float],
) -> Figures:
    """Return the figures of the labeled images of ``split``.

    Args:
        split: None for test, else val, else the images without one, else train.
        positive: the class of the corrections, None for each class against the rest.
        thresholds: of the coverage-risk points.

    Raises :class:`UsageError` for a split without labeled images, or an unknown class.
    """
    classes = made.predictions.classes
    if positive is not None and positive not in classes:
        raise UsageError(f"--positive {positive!r}: one of {', '.join(map(repr, classes))}")
    wanted = _split(made.predictions, split)
    if wanted is None:
        return Figures(None)
    splits = np.array(made.predictions.identity["split"])
    rows = np.flatnonzero((splits == wanted) & (made.predictions.labels >= 0))
    own = [model.select(rows) for model in models]
    mixed = made.predictions.select(rows)
    return Figures(
        wanted,
        own,
        mixed,
        scoring.compare(own, mixed),
        diversity.pairs(own),
        diversity.coverage_risk(made.mixture.select(rows), mixed.labels, thresholds),
        corrections.find(own, mixed, classes if positive is None else [positive]),
    )


def _split(answers: Predictions, wanted: str | None) -> str | None:
    there = answers.splits()
    if wanted is None:
        return next((split for split in _PREFERRED if split in there), None)
    name = "" if wanted == catalog.UNSPLIT else wanted
    if name not in there:
        raise UsageError(f"--split {wanted}: no labeled image of it")
    return name


def to_document(
    models: Sequence[Predictions], plan: Plan, made: Made, found: Figures
) -> dict[str, Any]:
    """Return what was chosen and fitted, on which rows, and the figures, for JSON."""
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "kind": KIND,
        "models": [model.name for model in models],
        "classes": made.predictions.classes,
        "method": plan.method,
        "weights": None if made.weights is None else list(made.weights),
        "threshold": made.threshold,
        "below": plan.below,
        "images": len(made.predictions),
        "answered": int((made.predictions.predicted >= 0).sum()),
    }
    if made.search is not None:
        document["search"] = _search(made.search, plan)
    if made.stack is not None:
        document["stack"] = stacking.to_document(made.stack)
    if found.split is not None:
        document["figures"] = {
            "split": found.split or catalog.UNSPLIT,
            "scores": found.scores,
            "diversity": found.pairs,
            "coverage_risk": found.points,
            "corrections": [_counts(change, found.models) for change in found.changes],
        }
    return document


def _search(search: searching.Search, plan: Plan) -> dict[str, Any]:
    best = search.order[0]
    names = dict.fromkeys((*scoring.SHOWN, search.metric))
    values = {name: float(search.scores[name][best]) for name in names}
    return {
        "split": "val",
        "n": search.n,
        "settings": len(search.settings),
        "metric": search.metric,
        "min_coverage": plan.min_coverage,
        "ties": searching.TIES,
        "scores": {name: None if np.isnan(value) else value for name, value in values.items()},
    }


def _counts(change: Changes, models: Sequence[Predictions]) -> dict[str, Any]:
    counts = change.counts()
    return {
        "positive": change.positive,
        "models": {
            model.name: dict(zip(KINDS, row.tolist(), strict=True))
            for model, row in zip(models, counts, strict=True)
        },
    }
