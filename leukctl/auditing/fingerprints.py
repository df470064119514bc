"""What the leak audit keeps of an image: enough to find its copies, small enough to keep for all.

Two descriptions, for two kinds of copies. The *spectrum* describes the whole frame and does not
change when the picture is turned by any angle, mirrored, resized, re-compressed, or made brighter:
a polar picture of the inscribed disk, of which each ring's Fourier amplitudes are kept. The *codes*
describe single points by the signs of random projections (Charikar 2002) of SIFT descriptors (Lowe
2004), so that two frames that share only a part of the slide still share codes.
"""

import functools
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from leukctl.preparing import geometry

Rgb = NDArray[np.uint8]
Grey = NDArray[np.uint8]
Floats = NDArray[np.float32]
Codes = NDArray[np.uint8]

SIDE = 224  # pixels of the longer side in which points are found
SQUARE = 128  # pixels of the square in which whole frames are compared
POINTS = 200
CODE_BYTES = 16

_RINGS, _ANGLES, _WAVES = 24, 128, 16
_FLAT = 1.0  # grey levels: below this deviation a frame shows nothing
_CONTRAST = 0.02  # SIFT's least, half of OpenCV's: smears are pale
_DARK, _BRIGHT = 12, 254  # grey levels beyond which a pixel is ground or filling
_EDGE = 13  # pixels around these in which points are of an outline


@dataclass(frozen=True, slots=True)
class Points:
    """Distinct points of one frame, or of many.

    Attributes:
        places: float32 (n, 2), x and y in pixels of the working frame.
        sizes: float32 (n,), pixels.
        angles: float32 (n,), degrees.
    """

    places: Floats
    sizes: Floats
    angles: Floats

    def mirrored(self, width: int) -> "Points":
        """Return where the points are in the mirrored frame of that width."""
        places = (self.places * (-1, 1) + (width - 1, 0)).astype(np.float32)
        return Points(places, self.sizes, (180 - self.angles) % 360)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The two descriptions of one image.

    Attributes:
        spectrum: float32 (rings x waves,), zeros for a frame that shows nothing.
        points: where the codes were taken.
        codes: uint8 (n, CODE_BYTES), a point's 128 bits.
        mirrored: uint8 (n, CODE_BYTES), the codes of the same points in the mirrored frame.
        width: of the working frame, pixels.
    """

    spectrum: Floats
    points: Points
    codes: Codes
    mirrored: Codes
    width: int


def fingerprint(rgb: Rgb) -> Fingerprint:
    """Return the fingerprint of uint8 RGB (H, W, 3)."""
    frame = grey_frame(rgb)
    points, descriptors = find_points(frame)
    square = cv2.GaussianBlur(grey_square(rgb), (0, 0), 1.5)
    return Fingerprint(
        _spectrum(np.asarray(square, np.float32)),
        points,
        _codes(descriptors),
        _codes(mirror(descriptors)),
        frame.shape[1],
    )


def grey_frame(rgb: Rgb) -> Grey:
    """Return the picture in grey, its longer side :data:`SIDE` pixels, uint8 (H, W)."""
    height, width = rgb.shape[:2]
    scale = SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    frame, _, _ = geometry.resize(rgb, None, size=size)
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8)


def grey_square(rgb: Rgb) -> Floats:
    """Return the picture in grey as a square, float32 (SQUARE, SQUARE) in [0, 255].

    Squashed, so that a frame and its exact resize to another shape are the same.
    """
    squashed, _, _ = geometry.resize(rgb, None, size=(SQUARE, SQUARE))
    square = cv2.cvtColor(squashed, cv2.COLOR_RGB2GRAY)
    return np.asarray(square, np.float32)


def polar(square: Floats) -> Floats:
    """Return the inscribed disk of a square as float32 (angles, rings), standardized.

    Zeros where the disk shows nothing. Rows run clockwise on the screen, from the right.
    """
    middle = (square.shape[0] - 1) / 2
    flags = cv2.WARP_POLAR_LINEAR | cv2.INTER_LINEAR
    drawn = np.asarray(
        cv2.warpPolar(square, (_RINGS, _ANGLES), (middle, middle), middle, flags), np.float32
    )
    deviation = float(drawn.std())
    if deviation < _FLAT:
        return np.zeros_like(drawn)
    return (drawn - drawn.mean()) / np.float32(deviation)


def _spectrum(square: Floats) -> Floats:
    waves = np.abs(np.fft.rfft(polar(square), axis=0))[:_WAVES]
    return np.log1p(waves).T.astype(np.float32).ravel()


@functools.cache
def _sift() -> Any:  # OpenCV's type hints lack it in some versions
    create = vars(cv2)["SIFT_create"]
    return create(POINTS, contrastThreshold=_CONTRAST)


def shown(grey: NDArray[Any], edge: int) -> Grey:
    """Return 1 where a picture shows something, uint8 (H, W).

    Not shown are black ground and filling of white, and the pixels of a square of ``edge`` around
    them, or their outline would count as a part of the picture.
    """
    inside = ((grey > _DARK) & (grey < _BRIGHT)).astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (edge, edge))
    ends = cv2.BORDER_CONSTANT
    return np.asarray(cv2.erode(inside, kernel, borderType=ends, borderValue=1), np.uint8)


def find_points(grey: Grey) -> tuple[Points, Floats]:
    """Return the clearest points of a grey frame, about :data:`POINTS` at most.

    The descriptors are float32 (n, 128) of unit length, the square roots of SIFT's (Arandjelović
    and Zisserman 2012).
    """
    found, descriptors = _sift().detectAndCompute(grey, shown(grey, _EDGE))
    drawn = np.array([(*p.pt, p.size, p.angle) for p in found], np.float32).reshape(-1, 4)
    points = Points(drawn[:, :2], drawn[:, 2], drawn[:, 3])
    if descriptors is None:
        return points, np.zeros((0, 128), np.float32)
    sums = np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-9)
    return points, np.sqrt(descriptors / sums).astype(np.float32)


def mirror(descriptors: Floats) -> Floats:
    """Return the descriptors that the same points have in the mirrored frame.

    A SIFT descriptor is 4 rows x 4 columns x 8 directions around the point, turned to the point's
    own direction; a mirror swaps the sides of that direction, and the sense of turning.
    """
    grid = descriptors.reshape(-1, 4, 4, 8)[:, ::-1]
    return np.roll(grid[:, :, :, ::-1], 1, axis=3).reshape(-1, 128)


@functools.cache
def _projections() -> Floats:
    drawn = np.random.default_rng(2002).standard_normal((128, 8 * CODE_BYTES))
    # Without a mean, so that what all descriptors have in common turns no sign.
    return (drawn - drawn.mean(axis=0)).astype(np.float32)


def _codes(descriptors: Floats) -> Codes:
    if not len(descriptors):
        return np.zeros((0, CODE_BYTES), np.uint8)
    # OpenCV's product: NumPy's starts threads, which get in the way of the other processes.
    nothing = np.zeros((1, 1), np.float32)
    products = cv2.gemm(descriptors, _projections(), 1.0, nothing, 0.0)
    return np.packbits(np.asarray(products) > 0, axis=1)
