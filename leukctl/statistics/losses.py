"""What every image loses, and how far confidence and truth lie apart."""

import numpy as np
from numpy.typing import NDArray

from leukctl.predictions import Predictions

ECE_BINS = 15

Floats = NDArray[np.float64]


def losses(predictions: Predictions) -> tuple[Floats, Floats]:
    """Return log loss (nats) and Brier score of every labelled image, float64 (N,) each.

    Probabilities are kept at the machine epsilon from 0, as scikit-learn does.
    """
    labels = predictions.labels
    chosen = predictions.probabilities[np.arange(len(predictions)), labels]
    one_hot = np.eye(len(predictions.classes))[labels]
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


def reliability(predictions: Predictions) -> list[dict[str, float | int | None]]:
    """Return what a reliability diagram shows of labelled images, a bin each.

    ``n`` images of a confidence above ``lo`` and up to ``hi``; ``confidence`` is their mean and
    ``accuracy`` how often their likeliest class is right, both None in an empty bin.
    """
    bins, gaps = calibration(predictions)
    counts = np.bincount(bins, minlength=ECE_BINS)
    sure = np.bincount(bins, weights=predictions.probabilities.max(axis=1), minlength=ECE_BINS)
    gap = np.bincount(bins, weights=gaps, minlength=ECE_BINS)
    return [
        {
            "lo": place / ECE_BINS,
            "hi": (place + 1) / ECE_BINS,
            "n": int(n),
            "confidence": float(sure[place] / n) if n else None,
            "accuracy": float((sure[place] + gap[place]) / n) if n else None,
        }
        for place, n in enumerate(counts)
    ]
