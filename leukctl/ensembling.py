"""Probabilities of several models → probabilities of their ensemble."""

from collections.abc import Sequence

import numpy as np

from leukctl.errors import UsageError
from leukctl.predictions import Predictions


def ensemble(
    models: Sequence[Predictions],
    weights: Sequence[float] | None = None,
    threshold: float | None = None,
    name: str = "ensemble",
) -> Predictions:
    """Return the weighted mean of the models' probabilities, after patel2025.

    The answer is ``argmax_c sum_i w_i p_i(c)``; where its probability is below ``threshold``
    there is none (no confident prediction).

    Args:
        models: at least two, aligned (:func:`leukctl.predictions.align`).
        weights: one a model, not negative, not all zero; scaled to sum to 1. None: equal.
        threshold: in (0, 1], or None.

    Raises :class:`UsageError` for weights or a threshold that are none.
    """
    if len(models) < 2:
        raise UsageError("an ensemble needs at least two models")
    shares = _shares(weights, len(models))
    if threshold is not None and not 0 < threshold <= 1:
        raise UsageError(f"threshold {threshold:g} is outside (0, 1]")
    first = models[0]
    mixed = np.tensordot(shares, np.stack([model.probabilities for model in models]), axes=1)
    predicted = mixed.argmax(axis=1)
    if threshold is not None:
        predicted[mixed.max(axis=1) < threshold] = -1
    return Predictions(name, first.classes, first.identity, mixed, predicted)


def _shares(weights: Sequence[float] | None, count: int) -> np.ndarray:
    if weights is None:
        return np.full(count, 1 / count)
    if len(weights) != count:
        raise UsageError(f"{len(weights)} weights for {count} models")
    shares = np.asarray(weights, np.float64)
    if not np.isfinite(shares).all() or (shares < 0).any() or shares.sum() == 0:
        raise UsageError("weights must be finite, not negative and not all zero")
    return shares / shares.sum()
