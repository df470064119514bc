"""Whether two images show the same cells: lay one on the other, and compare what they share."""

import functools
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from leukctl.auditing import fingerprints
from leukctl.auditing.fingerprints import SQUARE, Floats, Grey, Points, Rgb

ALIKE = 0.7  # the score from which two images are copies

_FINE, _COARSE = 1.0, 8.0  # pixels: detail between these is compared, so that light counts nothing
_QUIET = 2.0  # grey levels of detail that are noise
_DARK, _BRIGHT = 12, 254  # grey levels beyond which a pixel is ground or filling
_EDGE = 9  # pixels around these that are left out too, or their outline would be compared
_LEAST_SHARED = 0.10  # of the smaller frame
_LEAST_DETAIL = 0.1  # deviation of the evened detail
_RATIO = 0.9  # of the distances to the nearest and the next point (Lowe 2004)
_REACH = 3.0  # pixels
_LEAST_INLIERS = 5
_MOST_STRETCH = 4.0


@dataclass(frozen=True, slots=True)
class Alignment:
    """How the first image lies on the second.

    Attributes:
        score: correlation of the detail in what they share, in [-1, 1].
        shared: share of the smaller frame that both show, in [0, 1].
        angle: degrees counter-clockwise by which the first is turned, in [0, 360).
        scale: by which it is enlarged, of frames of equal size.
        mirrored: whether its left and right are swapped first.
    """

    score: float
    shared: float
    angle: float
    scale: float
    mirrored: bool


@dataclass(frozen=True, slots=True)
class _Frame:
    """Attributes:
    detail: float32 (H, W), evened detail.
    shown: uint8 (H, W), 1 where there is something to compare.
    """

    detail: Floats
    shown: Grey

    def mirrored(self) -> "_Frame":
        return _Frame(
            np.ascontiguousarray(self.detail[:, ::-1]), np.ascontiguousarray(self.shown[:, ::-1])
        )


class View:
    """An image, uint8 RGB (H, W, 3), as it is compared; what is needed is made when it is."""

    def __init__(self, rgb: Rgb) -> None:
        self._rgb = rgb
        self._grey = fingerprints.grey_frame(rgb)

    @functools.cached_property
    def frame(self) -> _Frame:
        return _frame(self._grey)

    @functools.cached_property
    def points(self) -> tuple[Points, Floats]:
        return fingerprints.find_points(self._grey)

    @functools.cached_property
    def square(self) -> _Frame:
        return _frame(fingerprints.grey_square(self._rgb))

    @functools.cached_property
    def polar(self) -> Floats:
        return fingerprints.polar(fingerprints.grey_square(self._rgb))


def _frame(grey: NDArray[Any]) -> _Frame:
    """Return the detail of a picture, as strong in pale places as at the edge of a nucleus."""
    full = np.asarray(grey, np.float32)
    detail = cv2.GaussianBlur(full, (0, 0), _FINE) - cv2.GaussianBlur(full, (0, 0), _COARSE)
    strength = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), _COARSE)) + _QUIET
    shown = ((grey > _DARK) & (grey < _BRIGHT)).astype(np.uint8)
    return _Frame(np.asarray(detail / strength, np.float32), shown)


def by_points(a: View, b: View, mirrored: bool) -> Alignment | None:
    """Align two frames that share a part, by points that match; None where too few do."""
    points, descriptors = a.points
    if mirrored:
        points = points.mirrored(a.frame.detail.shape[1])
        descriptors = fingerprints.mirror(descriptors)
    other_points, other_descriptors = b.points
    mine, other = _matches(descriptors, other_descriptors)
    if len(mine) < _LEAST_INLIERS:
        return None
    cv2.setRNGSeed(0)  # it draws the samples: the same ones in every process
    matrix, inliers = cv2.estimateAffinePartial2D(
        points.places[mine], other_points.places[other], ransacReprojThreshold=_REACH
    )
    if matrix is None or int(np.sum(inliers)) < _LEAST_INLIERS:
        return None
    return _judge(a.frame, b.frame, np.asarray(matrix, np.float64), mirrored)


def _matches(a: Floats, b: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the indices of the points that are each other's nearest, and clearly so."""
    if len(a) < 2 or len(b) < 2:
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    alike = a @ b.T
    best = alike.argmax(axis=1)
    rows = np.arange(len(a))
    nearest = np.sqrt(np.maximum(2 - 2 * alike[rows, best], 0))
    following = np.sqrt(np.maximum(2 - 2 * np.partition(alike, -2, axis=1)[:, -2], 0))
    good = (alike.argmax(axis=0)[best] == rows) & (nearest < _RATIO * following)
    return rows[good], best[good]


def by_turning(a: View, b: View) -> Alignment | None:
    """Align whole frames about their middle, mirrored or not; None where nothing is shown."""
    judged = [_turned(a, b, mirrored) for mirrored in (False, True)]
    found = [alignment for alignment in judged if alignment is not None]
    return max(found, key=lambda alignment: alignment.score, default=None)


def _turned(a: View, b: View, mirrored: bool) -> Alignment | None:
    rows = len(a.polar)
    # Left and right swapped: what was at angle t is at half a turn minus t.
    own = np.roll(a.polar[::-1], rows // 2 + 1, axis=0) if mirrored else a.polar
    product = np.fft.rfft(b.polar, axis=0) * np.fft.rfft(own, axis=0).conj()
    # A ring counts by the pixels that it has.
    agreement = np.fft.irfft((product * np.arange(own.shape[1])).sum(axis=1), rows)
    angle = -_peak(agreement) * 360 / rows  # rows run clockwise, OpenCV's angles the other way
    middle = (SQUARE - 1) / 2
    matrix = cv2.getRotationMatrix2D((middle, middle), angle, 1.0)
    return _judge(a.square.mirrored() if mirrored else a.square, b.square, matrix, mirrored)


def _peak(values: NDArray[np.float64]) -> float:
    """Return the place of the highest value of a ring, between the samples."""
    at = int(values.argmax())
    left, middle, right = (float(values[(at + step) % len(values)]) for step in (-1, 0, 1))
    curve = left - 2 * middle + right
    return at + (0.5 * (left - right) / curve if curve < 0 else 0.0)


def _judge(a: _Frame, b: _Frame, matrix: NDArray[Any], mirrored: bool) -> Alignment | None:
    """Return how well ``matrix`` lays ``a`` on ``b``; None where too little is shared."""
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if not 1 / _MOST_STRETCH < scale < _MOST_STRETCH:
        return None
    size = (b.detail.shape[1], b.detail.shape[0])
    laid = cv2.warpAffine(a.shown, matrix, size, flags=cv2.INTER_NEAREST)
    inside = np.asarray(laid, np.uint8) & b.shown
    smaller = min(a.shown.size * scale**2, b.shown.size)
    shared = float(inside.sum() / smaller)
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (_EDGE, _EDGE))
    both = cv2.erode(inside, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=1) > 0
    if shared < _LEAST_SHARED or both.sum() < _LEAST_SHARED * smaller / 2:
        return None
    mine = cv2.warpAffine(a.detail, matrix, size, flags=cv2.INTER_LINEAR)[both]
    other = b.detail[both]
    if min(float(mine.std()), float(other.std())) < _LEAST_DETAIL:
        return None
    score = float(np.corrcoef(mine, other)[0, 1])
    angle = float(np.degrees(np.arctan2(-matrix[1, 0], matrix[0, 0]))) % 360
    return Alignment(score, min(shared, 1.0), angle, scale, mirrored)
