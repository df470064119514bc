"""Weights and a threshold chosen on the labeled val rows, and on nothing else."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leukctl import catalog, statistics
from leukctl.ensembling.mixing import Mix, Mixture
from leukctl.ensembling.scoring import SHOWN, Tally
from leukctl.ensembling.weight_sets import PREFIX, Weights
from leukctl.errors import InputError, UsageError
from leukctl.predictions import Predictions
from leukctl.tables import Table

TIES = (
    "ties: the higher coverage, then the weights nearest to equal, then the lower threshold, "
    "then the first"
)
METRICS = (*catalog.METRICS, "selective_accuracy")

_DIGITS = 12  # sums in another order are no other score

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Setting:
    """What is tried: weights, and a threshold or None."""

    weights: Weights
    threshold: float | None


@dataclass(slots=True)
class Search:
    """What a search found.

    Attributes:
        names: of the models.
        metric: chosen by.
        n: labeled val images.
        settings: in the order tried.
        scores: metric → float64 (settings,), NaN where undefined.
        order: the places of the settings, the best first; those that cover too little last.
    """

    names: list[str]
    metric: str
    n: int
    settings: list[Setting]
    scores: dict[str, NDArray[np.float64]]
    order: list[int]

    @property
    def chosen(self) -> Setting:
        """The best setting."""
        return self.settings[self.order[0]]


def val_rows(models: Sequence[Predictions], why: str) -> NDArray[np.int64]:
    """Return the places of the labeled val rows.

    Raises :class:`InputError` where there are none.
    """
    splits = np.array(models[0].identity["split"])
    rows = np.flatnonzero((splits == "val") & (models[0].labels >= 0))
    if not len(rows):
        raise InputError(f"no labeled row of split val, on which alone {why}", file=models[0].name)
    return rows


def search(
    models: Sequence[Predictions],
    sets: Sequence[Weights],
    thresholds: Sequence[float | None],
    metric: str,
    *,
    mix: Mix,
    below: int,
    min_coverage: float = 0.0,
    on_progress: Progress = lambda done: None,
) -> Search:
    """Score every weight set with every threshold on the labeled val rows.

    Only those rows are read. The best is the one with the best ``metric``; :data:`TIES` says what
    else counts.

    Args:
        models: at least two, on the same images.
        metric: of :data:`METRICS`.
        below: as in :meth:`Mixture.answers`.
        min_coverage: settings that answer a smaller share of the images are not chosen.

    Raises :class:`InputError` for no val row, :class:`UsageError` where no setting can be chosen.
    """
    rows = val_rows(models, "--search chooses; --weights needs none")
    val = [model.select(rows) for model in models]
    settings = [Setting(weights, threshold) for weights in sets for threshold in thresholds]
    tally = Tally(val[0].labels, len(val[0].classes))
    for weights in sets:
        mixture = mix(weights, val)
        for threshold in thresholds:
            tally.add(mixture.answers(threshold, below))
        on_progress(1)
    scores = tally.scores()
    if metric not in scores:  # one of the probabilities, which no threshold changes
        values = [_of_probabilities(metric, mix(weights, val), val[0]) for weights in sets]
        scores[metric] = np.repeat(values, len(thresholds))
    names = [model.name for model in models]
    order = _order(settings, scores, metric, min_coverage)
    return Search(names, metric, len(rows), settings, scores, order)


def to_table(found: Search) -> Table:
    """Return a row a setting in the order tried: weights, threshold, scores on val, rank."""
    shown = dict.fromkeys((*SHOWN, found.metric))
    rank = {place: str(number + 1) for number, place in enumerate(found.order)}
    columns: dict[str, list[str]] = {
        f"{PREFIX}{name}": [repr(setting.weights[i]) for setting in found.settings]
        for i, name in enumerate(found.names)
    }
    columns["threshold"] = [
        "" if setting.threshold is None else repr(setting.threshold) for setting in found.settings
    ]
    columns["n"] = [str(found.n)] * len(found.settings)
    for name in shown:
        values = found.scores[name].tolist()
        columns[name] = ["" if np.isnan(value) else repr(value) for value in values]
    columns["rank"] = [rank[place] for place in range(len(found.settings))]
    return Table.of_columns("the search", columns)


def _order(
    settings: Sequence[Setting],
    scores: dict[str, NDArray[np.float64]],
    metric: str,
    min_coverage: float,
) -> list[int]:
    sign = 1 if metric in catalog.METRICS_DOWN else -1
    values = np.round(sign * scores[metric], _DIGITS)
    coverage = np.round(scores["coverage"], _DIGITS)
    covers = coverage >= round(min_coverage, _DIGITS)
    if not covers.any():
        raise UsageError(
            f"--min-coverage {min_coverage:g}: no setting covers more than {coverage.max():.4f} "
            "of val; try lower thresholds"
        )
    if np.isnan(values[covers]).all():
        raise UsageError(f"--metric {metric} is not defined on val; choose by another")
    keys = [
        (
            not covers[place] or bool(np.isnan(values[place])),
            0.0 if np.isnan(values[place]) else float(values[place]),
            -float(coverage[place]),
            _unevenness(setting.weights),
            setting.threshold or 0.0,
            place,
        )
        for place, setting in enumerate(settings)
    ]
    return sorted(range(len(settings)), key=keys.__getitem__)


def _unevenness(weights: Weights) -> float:
    total = sum(weights)
    return round(sum((weight / total) ** 2 for weight in weights), _DIGITS)


def _of_probabilities(metric: str, mixture: Mixture, val: Predictions) -> float:
    mixed = Predictions("", val.classes, val.identity, mixture.probabilities, mixture.best)
    if metric in _QUICK:
        value = _QUICK[metric](mixed)
    else:
        from leukctl import metrics  # and with it scikit-learn, which takes half a second

        value = (
            metrics.auroc_macro(mixed) if metric == "auroc_macro" else metrics.score(mixed)[metric]
        )
    return float("nan") if value is None else value


# Where all scores need not be computed for the sake of one.
_QUICK: dict[str, Callable[[Predictions], float | None]] = {
    "brier": lambda mixed: float(statistics.losses(mixed)[1].mean()),
    "ece": statistics.calibration_error,
    "log_loss": lambda mixed: float(statistics.losses(mixed)[0].mean()),
}
