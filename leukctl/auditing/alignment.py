"""Whether two images show the same cells: lay one on the other, and compare what they share."""

import functools
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from leukctl.auditing import fingerprints
from leukctl.auditing.fingerprints import SQUARE, Codes, Fingerprint, Floats, Grey, Rgb

ALIKE = 0.75  # the score from which two images are copies

# Pixels: detail between these is compared. Coarser, light and the mere shape of round cells would
# count: distinct cells then reached 0.83, of frames of 28 pixels 0.77, instead of 0.70 and 0.64.
_FINE, _COARSE = 1.0, 4.0
_EVEN = 8.0  # pixels over which the strength of detail is evened
_QUIET = 2.0  # grey levels of detail that are noise
_EDGE = 9  # pixels around black ground and filling that are left out
_LEAST_SHARED = 0.10  # of what the emptier frame shows
_LEAST_AREA = 0.03  # of the second frame
_LEAST_DETAIL = 0.1  # deviation of the evened detail
_MOST_BITS = 36  # of 128 in which the codes of one point may differ
_REACH = 3.0  # pixels
_LEAST_INLIERS = 5
_MOST_STRETCH = 4.0


@dataclass(frozen=True, slots=True)
class Alignment:
    """How the first image lies on the second.

    Attributes:
        score: correlation of the detail in what they share, in [-1, 1].
        shared: what both show, as a share of what the one shows that shows less, in [0, 1].
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

    @functools.cached_property
    def frame(self) -> _Frame:
        return _frame(fingerprints.grey_frame(self._rgb))

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
    strength = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), _EVEN)) + _QUIET
    return _Frame(np.asarray(detail / strength, np.float32), fingerprints.shown(grey, _EDGE))


def by_points(
    a: View, b: View, prints: tuple[Fingerprint, Fingerprint], mirrored: bool
) -> Alignment | None:
    """Align two frames that share a part, by points that match; None where too few do."""
    mine, other = prints
    places = (mine.points.mirrored(mine.width) if mirrored else mine.points).places
    codes = mine.mirrored if mirrored else mine.codes
    first, second = _matches(codes, other.codes)
    if len(first) < _LEAST_INLIERS:
        return None
    cv2.setRNGSeed(0)  # it draws the samples: the same ones in every process
    matrix, inliers = cv2.estimateAffinePartial2D(
        places[first], other.points.places[second], ransacReprojThreshold=_REACH
    )
    if matrix is None or int(np.sum(inliers)) < _LEAST_INLIERS:
        return None
    frame = a.frame.mirrored() if mirrored else a.frame
    return _judge(frame, b.frame, np.asarray(matrix, np.float64), mirrored)


def _matches(a: Codes, b: Codes) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the indices of the points whose codes are each other's nearest, and near."""
    if not len(a) or not len(b):
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    differing = a.view(np.uint64)[:, None] ^ b.view(np.uint64)[None]
    bits = np.bitwise_count(differing).sum(axis=2)
    best = bits.argmin(axis=1)
    rows = np.arange(len(a))
    good = (bits.argmin(axis=0)[best] == rows) & (bits[rows, best] <= _MOST_BITS)
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
    both = (np.asarray(laid, np.uint8) & b.shown) > 0
    shared = float(both.sum() / max(1.0, min(a.shown.sum() * scale**2, b.shown.sum())))
    if shared < _LEAST_SHARED or both.mean() < _LEAST_AREA:
        return None
    mine = cv2.warpAffine(a.detail, matrix, size, flags=cv2.INTER_LINEAR)[both]
    other = b.detail[both]
    if min(float(mine.std()), float(other.std())) < _LEAST_DETAIL:
        return None
    score = float(np.corrcoef(mine, other)[0, 1])
    angle = float(np.degrees(np.arctan2(-matrix[1, 0], matrix[0, 0])))
    # Rounded first: what lies a hair below 0 would otherwise be 360.
    return Alignment(score, min(shared, 1.0), round(angle, 6) % 360, scale, mirrored)
