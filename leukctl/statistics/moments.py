"""Every metric that is made of sums over images, for many weightings of the images at once.

The definitions are those of :mod:`leukctl.metrics`; tests hold the two and scikit-learn together.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leukctl.predictions import Predictions
from leukctl.statistics.losses import ECE_BINS, calibration, losses
from leukctl.statistics.units import Units

Floats = NDArray[np.float64]


@dataclass(slots=True)
class Resampled:
    """Metrics of R resamples; NaN where a resample does not define one.

    Attributes:
        overall: metric → float64 (R,).
        per_class: metric → float64 (R, K).
    """

    overall: dict[str, Floats]
    per_class: dict[str, Floats]


@dataclass(slots=True)
class Moments:
    """What each unit adds to the sums that all metrics but the areas are made of.

    Attributes:
        sums: scipy's sparse (columns, units); sparse, since most of it is zero, and since a library
            of matrix products waits for its own threads where others use the processors.
        classes: K.
    """

    sums: Any
    classes: int

    @classmethod
    def of(cls, predictions: Predictions, units: Units) -> "Moments":
        """Return the sums of labelled predictions by unit."""
        from scipy import sparse  # late: who only draws or bins needs no scipy

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
        return cls(sparse.csr_array(sums.T), K)

    def metrics(self, weights: Floats, areas: dict[str, Floats]) -> Resampled:
        """Return the metrics under ``weights`` of the units.

        Args:
            weights: (units, R), each row's numbers beside each other in memory.
            areas: ``auroc`` and ``average_precision``, (R, K) each.
        """
        K = self.classes
        sums = (self.sums @ weights).T
        truth, answers, right = sums[:, :K], sums[:, K : 2 * K], sums[:, 2 * K : 3 * K]
        total = truth.sum(axis=1)
        overall, per_class = of_counts(truth, answers, right, areas)
        with np.errstate(divide="ignore", invalid="ignore"):
            overall |= {
                "log_loss": sums[:, 3 * K] / total,
                "brier": sums[:, 3 * K + 1] / total,
                "ece": np.abs(sums[:, 3 * K + 2 :]).sum(axis=1) / total,
            }
        return Resampled(overall, per_class)


def of_counts(
    truth: Floats, answers: Floats, right: Floats, areas: dict[str, Floats] | None = None
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Return the metrics of R times answered images that counts tell, NaN where undefined.

    Args:
        truth: images of each class, float64 (R, K).
        answers: answers of each class, so that abstentions are what is missing.
        right: right answers of each class.
        areas: further metrics of each class, (R, K), to be averaged with the others.

    Returns: metric → (R,), and metric → (R, K) for those of a class.
    """
    total, answered, found = truth.sum(axis=1), answers.sum(axis=1), right.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        per_class = _per_class(truth, answers, right) | (areas or {})
        overall = _means(truth, per_class) | {
            "accuracy": found / total,
            "mcc": _mcc(truth, answers, right, total - answered),
            "kappa": _kappa(truth, answers, right),
            "coverage": answered / total,
            "selective_accuracy": found / answered,
        }
    return overall, per_class


def _means(truth: Floats, per_class: dict[str, Floats]) -> dict[str, Floats]:
    """Return the means over the classes that occur, plain and weighted by the classes' sizes.

    A class's precision counts as 0 where the class is never predicted; other values that are not
    defined are left out.

    Args:
        truth: images a class, (R, K).
        per_class: metric → (R, K).
    """
    found = {}
    for name, values in per_class.items():
        counted = np.nan_to_num(values) if name == "precision" else values
        found[f"{name}_macro"] = _mean(counted, (truth > 0).astype(float))
        found[f"{name}_weighted"] = _mean(counted, truth)
    return {"balanced_accuracy": found["sensitivity_macro"], **found}


def _per_class(truth: Floats, answers: Floats, right: Floats) -> dict[str, Floats]:
    total = truth.sum(axis=1, keepdims=True)
    false = answers - right
    return {
        "precision": right / answers,
        "sensitivity": right / truth,
        "specificity": 1 - false / (total - truth),
        "f1": np.where(truth > 0, 2 * right / (truth + answers), np.nan),
        "ovr_accuracy": 1 - (truth - right + false) / total,
    }


def _mean(values: Floats, weights: Floats) -> Floats:
    counted = np.where(np.isnan(values), 0, weights)
    return np.where(counted > 0, values * counted, 0).sum(axis=1) / counted.sum(axis=1)


def _mcc(truth: Floats, answers: Floats, right: Floats, abstained: Floats) -> Floats:
    """Return the correlation of Gorodkin (2004), abstention being an answer of its own."""
    total = truth.sum(axis=1)
    covariance = right.sum(axis=1) * total - (truth * answers).sum(axis=1)
    of_truth = total**2 - np.square(truth).sum(axis=1)
    of_answers = total**2 - np.square(answers).sum(axis=1) - abstained**2
    return covariance / np.sqrt(of_truth * of_answers)


def _kappa(truth: Floats, answers: Floats, right: Floats) -> Floats:
    """Return Cohen's kappa (1960), abstention being an answer that is never the truth."""
    total = truth.sum(axis=1)
    chance = (truth * answers).sum(axis=1)
    return (right.sum(axis=1) * total - chance) / (total**2 - chance)
