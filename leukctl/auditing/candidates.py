"""Which pairs of images may be copies, found without comparing all pairs in full.

Whole frames: the nearest neighbors of each spectrum. Shared parts: points whose codes agree vote
for a pair of images together with the turn, the enlargement and the shift that they imply, and
only pairs for which several points imply the same are kept (Ballard's generalized Hough transform
1981, as Lowe 2004 uses it).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from leukctl.auditing.fingerprints import CODE_BYTES, SIDE, Fingerprint, Floats, Points

Ints = NDArray[np.int64]

_NEIGHBORS = 4
_LEAST_ALIKE = 0.6  # cosine of standardized spectra; of distinct cells 1 in 20 has such a neighbor
_BLOCK = 1024

_TABLES = 12
_LONG_KEYS = 8_000_000  # points from which keys have four bytes instead of three
_CROWD = 32  # points with one key; more are a commonplace, such as the edge of a red cell
_MOST_BITS = 20  # of 128 in which two codes of one point differ
_LEAST_VOTES = 3
_TURN, _DOUBLINGS, _SHIFT = 30.0, 0.8, 48.0  # the bins: degrees, powers of two, pixels


class Candidate(NamedTuple):
    """Two images, ``a`` before ``b``, that may be copies; ``whole`` frames, or parts of them."""

    a: int
    b: int
    whole: bool
    mirrored: bool


def find(prints: Sequence[Fingerprint]) -> list[Candidate]:
    """Return the pairs that may be copies, in order, each kind of a pair once."""
    if len(prints) < 2:
        return []
    whole = [Candidate(a, b, True, False) for a, b in _neighbors(prints)]
    return sorted([*whole, *_voted(prints)])


def _neighbors(prints: Sequence[Fingerprint]) -> list[tuple[int, int]]:
    """Return the pairs of which one is among the nearest neighbors of the other."""
    spectra = np.stack([item.spectrum for item in prints])
    showing = np.flatnonzero(spectra.any(axis=1))
    if len(showing) < 2:
        return []
    known = spectra[showing]
    known = (known - known.mean(axis=0)) / (known.std(axis=0) + 1e-6)
    known /= np.maximum(np.linalg.norm(known, axis=1, keepdims=True), 1e-9)
    count = min(_NEIGHBORS, len(known) - 1)
    pairs: set[tuple[int, int]] = set()
    for start in range(0, len(known), _BLOCK):
        alike = known[start : start + _BLOCK] @ known.T
        rows = np.arange(len(alike))
        alike[rows, start + rows] = -1
        near = np.argpartition(-alike, count - 1, axis=1)[:, :count]
        row, place = np.nonzero(np.take_along_axis(alike, near, axis=1) >= _LEAST_ALIKE)
        ends = np.stack([showing[start + row], showing[near[row, place]]], axis=1)
        pairs.update((a, b) for a, b in np.sort(ends, axis=1).tolist())
    return sorted(pairs)


class _Pool(NamedTuple):
    """The points of all images, and then the same points in the mirrored images."""

    image: NDArray[np.int32]
    mirrored: NDArray[np.bool_]
    codes: NDArray[np.uint8]
    points: Points


def _voted(prints: Sequence[Fingerprint]) -> list[Candidate]:
    """Return the pairs for which several points imply one and the same transformation."""
    pool = _pool(prints)
    first, second = _same_points(pool)
    if not len(first):
        return []
    number = len(prints)
    pair = pool.image[first].astype(np.int64) * number + pool.image[second]
    kinds, kind = np.unique(pair * 2 + pool.mirrored[first], return_inverse=True)
    found = kinds[_agreed(kind, _implied(pool.points, first, second))]
    return [
        Candidate(key // 2 // number, key // 2 % number, False, bool(key % 2))
        for key in found.tolist()
    ]


def _pool(prints: Sequence[Fingerprint]) -> _Pool:
    counts = [len(item.codes) for item in prints]
    image = np.repeat(np.arange(len(prints), dtype=np.int32), counts)
    sides = [[item.points for item in prints], [p.points.mirrored(p.width) for p in prints]]
    every = [points for side in sides for points in side]
    return _Pool(
        np.concatenate([image, image]),
        np.repeat([False, True], len(image)),
        np.concatenate([item.codes for item in prints] + [item.mirrored for item in prints]),
        Points(
            np.concatenate([points.places for points in every]),
            np.concatenate([points.sizes for points in every]),
            np.concatenate([points.angles for points in every]),
        ),
    )


def _same_points(pool: _Pool) -> tuple[Ints, Ints]:
    """Return pairs of points, of two images, whose codes are nearly the same.

    Of the first, the image comes earlier, and it alone may be mirrored.
    """
    total = len(pool.image)
    width = 4 if total > _LONG_KEYS else 3
    rng = np.random.default_rng(1981)
    found = [np.zeros(0, np.int64)]
    for _ in range(_TABLES):
        key = _keys(pool.codes, rng.choice(CODE_BYTES, width, replace=False))
        found.append(_joined(pool, key))
    unique = np.unique(np.concatenate(found))
    return unique // total, unique % total


def _keys(codes: NDArray[np.uint8], chosen: NDArray[np.int64]) -> Ints:
    key = np.zeros(len(codes), np.int64)
    for place in chosen:
        key = (key << 8) | codes[:, place]
    return key


def _joined(pool: _Pool, key: Ints) -> Ints:
    """Return the pairs of points of one key, as ``first * total + second``."""
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    sizes = np.diff(np.r_[starts, len(ordered)])
    few = np.repeat((sizes > 1) & (sizes <= _CROWD), sizes)
    order, ordered = order[few], ordered[few]
    words = pool.codes.view(np.uint64)
    pairs = [np.zeros(0, np.int64)]
    for distance in range(1, _CROWD):
        same = np.flatnonzero(ordered[distance:] == ordered[:-distance])
        if not len(same):
            break
        first, second = order[same], order[same + distance]
        swap = pool.image[first] > pool.image[second]
        first, second = np.where(swap, second, first), np.where(swap, first, second)
        keep = (pool.image[first] != pool.image[second]) & ~pool.mirrored[second]
        first, second = first[keep], second[keep]
        bits = np.bitwise_count(words[first] ^ words[second]).sum(axis=1)
        near = bits <= _MOST_BITS
        pairs.append(first[near] * len(pool.image) + second[near])
    return np.concatenate(pairs)


def _agreed(kind: Ints, implied: Floats) -> Ints:
    """Return the kinds of which several votes imply the same, sorted."""
    chosen = []
    for offset in (0.0, 0.5):  # what one grid cuts in two, the other has in one bin
        bins = np.floor(implied + offset).astype(np.int64)
        bins[0] %= round(360 / _TURN)
        key = kind.astype(np.int64)
        for values in bins:
            key = (key << 8) | np.clip(values + 128, 0, 255)
        votes, counts = np.unique(key, return_counts=True)
        chosen.append(votes[counts >= _LEAST_VOTES] >> 32)
    return np.unique(np.concatenate(chosen))


def _implied(points: Points, first: Ints, second: Ints) -> Floats:
    """Return turn, enlargement and the place of the first frame's middle, in bins, (4, n)."""
    turn = (points.angles[second] - points.angles[first]) % 360
    scale = np.clip(points.sizes[second] / points.sizes[first], 0.1, 10)
    cosine, sine = scale * np.cos(np.deg2rad(turn)), scale * np.sin(np.deg2rad(turn))
    x, y = (SIDE / 2 - points.places[first]).T
    to_x, to_y = points.places[second].T
    return np.stack(
        [
            turn / _TURN,
            np.log2(scale) / _DOUBLINGS,
            (to_x + cosine * x - sine * y) / _SHIFT,
            (to_y + sine * x + cosine * y) / _SHIFT,
        ]
    ).astype(np.float32)
