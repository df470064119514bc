"""Confidence intervals of metrics, by a seeded bootstrap over subjects.

Every metric is computed for many resamples at once from the weights that the resamples give to the
images: counts and means by one matrix product, areas under ROC curves from weighted ranks. The
definitions are those of :mod:`leukctl.metrics`; tests hold the two and scikit-learn together.

Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), the percentile interval;
Field and Welsh, JRSS B 69 (2007), resampling clusters instead of observations.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leukctl.predictions import Predictions

RESAMPLES = 1000
LEVEL = 0.95
ECE_BINS = 15

# Numbers held at once by one matrix of weights: small enough to stay in the processor's cache.
_CHUNK = 1_000_000

Floats = NDArray[np.float64]


@dataclass(slots=True)
class Units:
    """What is resampled.

    Attributes:
        kind: ``subjects`` or ``images``.
        index: the unit of every image, int64 (N,).
        count: how many units there are.
        subjects: how many subjects are known.
    """

    kind: str
    index: NDArray[np.int64]
    count: int
    subjects: int


@dataclass(slots=True)
class Resampled:
    """Metrics of R resamples; NaN where a resample does not define one.

    Attributes:
        overall: metric → float64 (R,).
        per_class: metric → float64 (R, K).
    """

    overall: dict[str, Floats]
    per_class: dict[str, Floats]


def units_of(predictions: Predictions) -> Units:
    """Return the subjects of ``predictions``, or its images where no subject is known.

    A subject is told by its name and its source together, since two laboratories number their
    patients alike. An image without a subject, among others that have one, is a unit of its own.
    Units are in the order of their names, so that the order of rows does not matter and two models
    on the same images meet the same resamples.
    """
    keys = [
        (1, source, subject) if subject else (0, "", path)
        for source, subject, path in zip(
            *(predictions.identity[name] for name in ("source", "subject", "path")), strict=True
        )
    ]
    place = {key: index for index, key in enumerate(sorted(set(keys)))}
    index = np.array([place[key] for key in keys], np.int64)
    subjects = sum(known for known, _, _ in place)
    return Units("subjects" if subjects else "images", index, len(place), subjects)


def draws(count: int, resamples: int, seed: int, rows: int) -> Iterator[Floats]:
    """Yield how often each of ``count`` units stands in each resample, float64 (R', count).

    The resamples do not depend on ``rows`` (images), which only bounds how many come at once.
    """
    generator = np.random.default_rng(seed)
    step = max(1, _CHUNK // max(count, rows, 1))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = generator.integers(0, count, (size, count))
        drawn += np.arange(size)[:, None] * count
        yield np.bincount(drawn.ravel(), minlength=size * count).reshape(size, count).astype(float)


def bootstrap(predictions: Predictions, seed: int, resamples: int = RESAMPLES) -> Resampled:
    """Return the metrics of ``resamples`` resamples of labelled ``predictions`` (N >= 1)."""
    units = units_of(predictions)
    moments = _Moments.of(predictions, units)
    ranks = [_Ranks.of(predictions, c) for c in range(len(predictions.classes))]
    parts = []
    for weights in draws(units.count, resamples, seed, len(predictions)):
        auroc = np.stack([r.auroc(weights.T, units.index) for r in ranks], axis=1)
        parts.append(moments.metrics(weights, auroc))
    return Resampled(
        {name: np.concatenate([p.overall[name] for p in parts]) for name in parts[0].overall},
        {name: np.concatenate([p.per_class[name] for p in parts]) for name in parts[0].per_class},
    )


def interval(values: Floats, level: float = LEVEL) -> list[float] | None:
    """Return the percentile interval [lo, hi] of resampled ``values`` (R,).

    Resamples that do not define the metric are left out; None when fewer than half define it.
    """
    defined = values[~np.isnan(values)]
    if 2 * len(defined) < len(values) or not len(defined):
        return None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return [float(low), float(high)]


def losses(predictions: Predictions) -> tuple[Floats, Floats]:
    """Return log loss (nats) and Brier score of every labelled image, float64 (N,) each.

    Probabilities are kept at the machine epsilon from 0, as scikit-learn does.
    """
    chosen = predictions.probabilities[np.arange(len(predictions)), predictions.labels]
    one_hot = np.eye(len(predictions.classes))[predictions.labels]
    brier = np.square(predictions.probabilities - one_hot).sum(axis=1)
    return -np.log(np.maximum(chosen, np.finfo(np.float64).eps)), brier


def calibration(predictions: Predictions) -> tuple[NDArray[np.int64], Floats]:
    """Return the confidence bin of every labelled image, and how much it was right beyond that.

    The bins are equal and closed on the right; the gap is (likeliest class is right) - confidence.
    The expected calibration error is the sum over the bins of \\|sum of gaps\\| / N.
    Source: Guo et al., ICML 2017.
    """
    confidence = predictions.probabilities.max(axis=1)
    right = predictions.probabilities.argmax(axis=1) == predictions.labels
    bins = np.clip(np.ceil(confidence * ECE_BINS).astype(np.int64) - 1, 0, ECE_BINS - 1)
    return bins, right - confidence


def calibration_error(predictions: Predictions) -> float:
    """Return the expected calibration error of labelled predictions (N >= 1), in [0, 1].

    Defined at :func:`calibration`.
    """
    bins, gaps = calibration(predictions)
    return float(np.abs(np.bincount(bins, weights=gaps)).sum() / len(predictions))


@dataclass(slots=True)
class _Moments:
    """What each unit adds to the sums that all metrics but AUROC are made of, (units, columns)."""

    sums: Floats
    classes: int

    @classmethod
    def of(cls, predictions: Predictions, units: Units) -> "_Moments":
        labels, predicted = predictions.labels, predictions.predicted
        K, N = len(predictions.classes), len(predictions)
        rows = np.arange(N)
        bins, gaps = calibration(predictions)
        columns = np.zeros((N, 3 * K + 2 + ECE_BINS))
        columns[rows, labels] = 1
        answered = predicted >= 0
        columns[rows[answered], K + predicted[answered]] = 1
        right = predicted == labels
        columns[rows[right], 2 * K + labels[right]] = 1
        columns[:, 3 * K], columns[:, 3 * K + 1] = losses(predictions)
        columns[rows, 3 * K + 2 + bins] = gaps
        sums = np.zeros((units.count, columns.shape[1]))
        np.add.at(sums, units.index, columns)
        return cls(sums, K)

    def metrics(self, weights: Floats, auroc: Floats) -> Resampled:
        """Return the metrics under ``weights`` (R, units), given their ``auroc`` (R, K)."""
        K = self.classes
        sums = weights @ self.sums
        truth, answers, right = sums[:, :K], sums[:, K : 2 * K], sums[:, 2 * K : 3 * K]
        overall, per_class = of_counts(truth, answers, right, auroc)
        total = truth.sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            overall |= {
                "log_loss": sums[:, 3 * K] / total,
                "brier": sums[:, 3 * K + 1] / total,
                "ece": np.abs(sums[:, 3 * K + 2 :]).sum(axis=1) / total,
            }
        return Resampled(overall, per_class)


def of_counts(
    truth: Floats, answers: Floats, right: Floats, auroc: Floats | None = None
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Return the metrics of R times answered images that counts tell, NaN where undefined.

    Args:
        truth: images of each class, float64 (R, K).
        answers: answers of each class, so that abstentions are what is missing.
        right: right answers of each class.
        auroc: of each class, to be averaged; None for none.

    Returns: metric → (R,), and metric → (R, K) for those of a class.
    """
    total, answered, found = truth.sum(axis=1), answers.sum(axis=1), right.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        per_class = _per_class(truth, answers, right)
        if auroc is not None:
            per_class |= {"auroc": auroc}
        overall = _overall(truth, per_class) | {
            "accuracy": found / total,
            "mcc": _mcc(truth, answers, right, total - answered),
            "coverage": answered / total,
            "selective_accuracy": found / answered,
        }
    return overall, per_class


def _per_class(truth: Floats, answers: Floats, right: Floats) -> dict[str, Floats]:
    negatives = truth.sum(axis=1, keepdims=True) - truth
    return {
        "precision": right / answers,
        "sensitivity": right / truth,
        "specificity": 1 - (answers - right) / negatives,
        "f1": np.where(truth > 0, 2 * right / (truth + answers), np.nan),
    }


def _overall(truth: Floats, per_class: dict[str, Floats]) -> dict[str, Floats]:
    present = truth > 0
    precision = np.nan_to_num(per_class["precision"])
    sensitivity = _mean(per_class["sensitivity"], present)
    f1 = np.where(present, per_class["f1"], 0)
    ranked = {"auroc_macro": _mean(per_class["auroc"], present)} if "auroc" in per_class else {}
    return ranked | {
        "balanced_accuracy": sensitivity,
        "sensitivity_macro": sensitivity,
        "precision_macro": _mean(precision, present),
        "specificity_macro": _mean(per_class["specificity"], present),
        "f1_macro": _mean(f1, present),
        "f1_weighted": (f1 * truth).sum(axis=1) / truth.sum(axis=1),
    }


def _mean(values: Floats, present: NDArray[np.bool_]) -> Floats:
    counted = present & ~np.isnan(values)
    return np.where(counted, values, 0).sum(axis=1) / counted.sum(axis=1)


def _mcc(truth: Floats, answers: Floats, right: Floats, abstained: Floats) -> Floats:
    """Return the correlation of Gorodkin (2004), abstention being an answer of its own."""
    total = truth.sum(axis=1)
    covariance = right.sum(axis=1) * total - (truth * answers).sum(axis=1)
    of_truth = total**2 - np.square(truth).sum(axis=1)
    of_answers = total**2 - np.square(answers).sum(axis=1) - abstained**2
    return covariance / np.sqrt(of_truth * of_answers)


@dataclass(slots=True)
class _Ranks:
    """Where the scores of one class's images stand among those of the others.

    Attributes:
        positives: rows of the class, int64 (P,).
        negatives: the other rows in the order of their scores, int64 (Q,).
        below, upto: how many negatives have a smaller, or no larger, score than each positive.
    """

    positives: NDArray[np.int64]
    negatives: NDArray[np.int64]
    below: NDArray[np.int64]
    upto: NDArray[np.int64]

    @classmethod
    def of(cls, predictions: Predictions, place: int) -> "_Ranks":
        scores, mine = predictions.probabilities[:, place], predictions.labels == place
        positives, others = np.flatnonzero(mine), np.flatnonzero(~mine)
        negatives = others[np.argsort(scores[others], kind="stable")]
        ordered = scores[negatives]
        return cls(
            positives,
            negatives,
            np.searchsorted(ordered, scores[positives], "left"),
            np.searchsorted(ordered, scores[positives], "right"),
        )

    def auroc(self, weights: Floats, units: NDArray[np.int64]) -> Floats:
        """Return the area under the weighted ROC curve, (R,); NaN without positives or negatives.

        Args:
            weights: of the units, (units, R).
            units: of the images.
        """
        lost = np.zeros((len(self.negatives) + 1, weights.shape[1]))
        np.cumsum(weights[units[self.negatives]], axis=0, out=lost[1:])
        mine = weights[units[self.positives]]
        won = np.einsum("pr,pr->r", mine, lost[self.below] + lost[self.upto]) / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            return won / (mine.sum(axis=0) * lost[-1])
