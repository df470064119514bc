"""Tests of two models on the same images."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from leukctl.statistics.intervals import LEVEL, interval

Floats = NDArray[np.float64]

_EXACT = 1000  # images that one model alone has right, up to which McNemar's test is exact
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class McNemar:
    """McNemar's test: images that one model alone has right, and how the test was made."""

    only_first: int
    only_second: int
    method: str
    p: float


@dataclass(frozen=True, slots=True)
class Difference:
    """How much larger a metric is of the second model than of the first.

    Attributes:
        first, second: the values, None where undefined; so is ``value``, the difference.
        ci95: its interval, None where there is none.
        p: two-sided, None where there is no test.
    """

    first: float | None
    second: float | None
    ci95: list[float] | None
    p: float | None

    @property
    def value(self) -> float | None:
        """The second less the first."""
        if self.first is None or self.second is None:
            return None
        return self.second - self.first


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> McNemar:
    """Return McNemar's test of which images two models have right, (N,) each.

    Exact (binomial) where up to 1,000 images tell the models apart, else chi-squared with the
    correction for continuity. It takes the images for independent.
    Source: McNemar, Psychometrika 12 (1947); Edwards, Psychometrika 13 (1948).
    """
    from scipy import stats

    one, other = int((first & ~second).sum()), int((second & ~first).sum())
    total = one + other
    if total == 0:
        return McNemar(0, 0, "exact", 1.0)
    if total <= _EXACT:
        return McNemar(one, other, "exact", float(stats.binomtest(one, total).pvalue))
    statistic = (abs(one - other) - 1) ** 2 / total
    return McNemar(one, other, "chi-squared", float(stats.chi2.sf(max(statistic, 0.0), 1)))


def delong(positive: NDArray[np.bool_], first: Floats, second: Floats) -> Difference:
    """Return the difference of two AUROCs on the same images, with interval and p.

    It takes the images for independent; where subjects have several, the bootstrap over subjects
    is the one to trust. No test where a class has fewer than two images, nor where the difference
    has no variance and is not zero.
    Source: DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988), by the ranks of Sun and Xu,
    IEEE Signal Processing Letters 21 (2014).

    Args:
        positive: whether each image is of the class, (N,).
        first, second: the scores of the two models, (N,).
    """
    m, n = int(positive.sum()), int((~positive).sum())
    if not m or not n:
        return Difference(None, None, None, None)
    placed = [_placements(positive, scores) for scores in (first, second)]
    areas = [float(of_positives.mean()) for of_positives, _ in placed]
    if m < 2 or n < 2:
        return Difference(areas[0], areas[1], None, None)
    (first_10, first_01), (second_10, second_01) = placed
    variance = (second_10 - first_10).var(ddof=1) / m + (second_01 - first_01).var(ddof=1) / n
    value, error = areas[1] - areas[0], math.sqrt(variance)
    if error < 1e-15:
        return Difference(areas[0], areas[1], None, 1.0 if abs(value) < 1e-15 else None)
    half = _NORMAL.inv_cdf((1 + LEVEL) / 2) * error
    p = 2 * _NORMAL.cdf(-abs(value) / error)
    return Difference(areas[0], areas[1], [value - half, value + half], p)


def bootstrapped(
    first: float | None, second: float | None, drawn: tuple[Floats, Floats]
) -> Difference:
    """Return the difference of a metric, with the percentile interval and p of a paired bootstrap.

    p is twice the smaller share of resamples in which the difference is not above, or not below,
    zero, the observed counted among them. Source: Davison and Hinkley, Bootstrap Methods and their
    Application (1997), section 4.4, with the interval's own centering.

    Args:
        drawn: of the first and the second model on the same resamples, (R,) each.
    """
    if first is None or second is None:
        return Difference(first, second, None, None)
    away = drawn[1] - drawn[0]
    ci95 = interval(away)
    if ci95 is None:
        return Difference(first, second, None, None)
    defined = away[~np.isnan(away)]
    # Rounding must not tell apart what is equal.
    defined = np.where(np.abs(defined) < 1e-12, 0.0, defined)
    least = min(int((defined <= 0).sum()), int((defined >= 0).sum()))
    return Difference(first, second, ci95, min(1.0, 2 * (least + 1) / (len(defined) + 1)))


def holm(values: Sequence[float | None]) -> list[float | None]:
    """Return p-values corrected for being many; None stays, and is not counted.

    Source: Holm, Scandinavian Journal of Statistics 6 (1979).
    """
    order = sorted((p, place) for place, p in enumerate(values) if p is not None)
    found: list[float | None] = [None] * len(values)
    highest = 0.0
    for rank, (p, place) in enumerate(order):
        highest = max(highest, min(1.0, p * (len(order) - rank)))
        found[place] = highest
    return found


def _placements(positive: NDArray[np.bool_], scores: Floats) -> tuple[Floats, Floats]:
    """Return the share of negatives below each positive and of positives above each negative."""
    own, others = scores[positive], scores[~positive]
    below, above = np.sort(others), np.sort(own)
    wins = np.searchsorted(below, own, "left") + np.searchsorted(below, own, "right")
    losses = np.searchsorted(above, others, "left") + np.searchsorted(above, others, "right")
    return wins / (2 * len(others)), 1 - losses / (2 * len(own))
