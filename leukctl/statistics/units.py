"""What is resampled, and how often each of it stands in a resample.

Source: Field and Welsh, JRSS B 69 (2007), resampling clusters instead of observations.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leukctl.predictions import Predictions

# Numbers held at once by one matrix of weights: small enough to stay in the processor's cache.
_CHUNK = 200_000
_BLOCKS = 2000

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


def leaving_out(count: int, rows: int) -> Iterator[Floats]:
    """Yield the weights of the jackknife, float64 (G', count): all units but one block at a time.

    A block is one unit, or, of more than 2,000 units, every 2,000th. The skewness that blocks show
    is, in the sum that the acceleration of BCa is made of, that of the units.

    Args:
        rows: images, which only bounds how many come at once.
    """
    blocks = min(count, _BLOCKS)
    of_unit = np.arange(count) % blocks
    step = max(1, _CHUNK // max(count, rows, 1))
    for start in range(0, blocks, step):
        mine = np.arange(start, min(start + step, blocks))
        yield (of_unit[None, :] != mine[:, None]).astype(float)
