"""How far models err on different images, and what a threshold costs.

Source: Kuncheva and Whitaker, Machine Learning 51 (2003): of two models, N11 counts the images
that both get right, N00 those that both get wrong, N10 and N01 the others.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from leukctl.ensembling.mixing import ROUNDING, Mixture
from leukctl.predictions import Predictions

DEFAULT_THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


def pairs(models: Sequence[Predictions]) -> list[dict[str, Any]]:
    """Return the figures of every pair of models on labeled rows (N >= 1); None where undefined.

    ``disagreement`` is the share of images that one gets right and the other wrong, in [0, 1];
    ``q`` is (N11 N00 - N01 N10) / (N11 N00 + N01 N10), in [-1, 1], 1 where they err alike;
    ``kappa`` is Cohen's, of being right; ``both_wrong`` is the share that neither gets right, which
    no weights of the two can mend. An abstention is a wrong answer.
    """
    labels = models[0].labels
    right = np.stack([model.predicted == labels for model in models]).astype(float)
    counts = right @ right.T  # N11 of every pair
    n, own = len(labels), right.sum(axis=1)
    found = []
    for a, b in itertools.combinations(range(len(models)), 2):
        n11 = counts[a, b]
        n10, n01 = own[a] - n11, own[b] - n11
        n00 = n - n11 - n10 - n01
        found.append(
            {
                "models": [models[a].name, models[b].name],
                "n": n,
                "disagreement": float((n10 + n01) / n),
                "q": _ratio(n11 * n00 - n01 * n10, n11 * n00 + n01 * n10),
                "kappa": _ratio(
                    2 * (n11 * n00 - n01 * n10),
                    (n11 + n10) * (n10 + n00) + (n11 + n01) * (n01 + n00),
                ),
                "both_wrong": float(n00 / n),
            }
        )
    return found


def coverage_risk(
    mixture: Mixture, labels: np.ndarray, thresholds: Sequence[float]
) -> list[dict[str, Any]]:
    """Return for each threshold the share of images answered and of wrong answers among these.

    Args:
        labels: of the mixture's images, int64 (N,), N >= 1.

    The risk is None where nothing is answered.
    """
    points = []
    for threshold in sorted(set(thresholds)):
        answered = (mixture.top >= threshold - ROUNDING) & (mixture.best >= 0)
        wrong = answered & (mixture.best != labels)
        points.append(
            {
                "threshold": threshold,
                "answered": int(answered.sum()),
                "coverage": float(answered.mean()),
                "risk": _ratio(float(wrong.sum()), float(answered.sum())),
            }
        )
    return points


def _ratio(above: float, below: float) -> float | None:
    return float(above / below) if below else None
