"""Confidence intervals: percentile and BCa of a bootstrap, Wilson of a proportion."""

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95

Floats = NDArray[np.float64]
_NORMAL = NormalDist()


def interval(values: Floats, level: float = LEVEL) -> list[float] | None:
    """Return the percentile interval [lo, hi] of resampled ``values`` (R,).

    Resamples that do not define the metric are left out; None when fewer than half define it.
    Source: Efron and Tibshirani (1993), chapter 13.
    """
    return _quantiles(values, (1 - level) / 2, (1 + level) / 2)


def bca(value: float, values: Floats, left_out: Floats, level: float = LEVEL) -> list[float] | None:
    """Return the bias-corrected and accelerated interval [lo, hi].

    None as :func:`interval`, and where ``value`` lies outside all of ``values``, so that the bias
    has no measure. Source: Efron and Tibshirani (1993), chapter 14.

    Args:
        value: the metric itself.
        values: resampled, (R,).
        left_out: of the jackknife, (G,); what is not defined there is left out.
    """
    defined = values[~np.isnan(values)]
    if not len(defined):
        return None
    # Rounding alone must not put a resample that equals the value beside it.
    near = np.isclose(defined, value, rtol=1e-12, atol=1e-14)
    share = float(((defined < value) & ~near).mean() + near.mean() / 2)
    if not 0 < share < 1:
        return None
    bias, acceleration = _NORMAL.inv_cdf(share), _acceleration(left_out)
    ends = []
    for tail in ((1 - level) / 2, (1 + level) / 2):
        z = bias + _NORMAL.inv_cdf(tail)
        ends.append(_NORMAL.cdf(bias + z / (1 - acceleration * z)))
    return _quantiles(values, *ends)


def wilson(right: float, total: float, level: float = LEVEL) -> list[float] | None:
    """Return Wilson's score interval [lo, hi] of ``right`` out of ``total``; None of nothing.

    It takes the images for independent. Source: Wilson, JASA 22 (1927).
    """
    if total <= 0:
        return None
    z = _NORMAL.inv_cdf((1 + level) / 2)
    share, spread = right / total, z * z / total
    middle = (share + spread / 2) / (1 + spread)
    half = math.sqrt(share * (1 - share) * spread + spread * spread / 4) / (1 + spread)
    return [max(0.0, middle - half), min(1.0, middle + half)]


def _acceleration(left_out: Floats) -> float:
    defined = left_out[~np.isnan(left_out)]
    if not len(defined):
        return 0.0
    away = defined.mean() - defined
    spread = float(np.square(away).sum())
    # What no unit moves is not skewed either.
    return float((away**3).sum()) / (6 * spread**1.5) if spread > 1e-28 else 0.0


def _quantiles(values: Floats, low: float, high: float) -> list[float] | None:
    defined = values[~np.isnan(values)]
    if 2 * len(defined) < len(values) or not len(defined):
        return None
    ends = np.quantile(defined, [low, high])
    return [float(ends[0]), float(ends[1])]
