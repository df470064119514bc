"""The operations of AugMix and RandAugment on one image, and how strong they may be.

What each does, and the ranges, are torchvision's, and tests hold the two together; the work is
OpenCV's, since torchvision draws from torch's one global stream, which threads would share among
themselves and with dropout, and took about twice as long.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from leukctl.images import Rgb

Distort = Callable[[Rgb, float], Rgb]
Range = Callable[[float, int, int], float]

_SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13
_LEVELS = np.arange(256, dtype=np.float64)


def _warp(rgb: Rgb, back: list[list[float]]) -> Rgb:
    """Return the image whose pixel at (x, y) comes from ``back`` @ (x, y, 1); black outside."""
    height, width = rgb.shape[:2]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(rgb, np.array(back, np.float64), (width, height), flags=flags)
    return warped.astype(np.uint8, copy=False)


def shear_x(rgb: Rgb, slope: float) -> Rgb:
    """Slide every row to the left by ``slope`` of its distance from the upper edge."""
    return _warp(rgb, [[1, slope, slope / 2], [0, 1, 0]])


def shear_y(rgb: Rgb, slope: float) -> Rgb:
    """Slide every column upwards by ``slope`` of its distance from the left edge."""
    return _warp(rgb, [[1, 0, 0], [slope, 1, slope / 2]])


def translate_x(rgb: Rgb, pixels: float) -> Rgb:
    """Shift to the right, by whole pixels."""
    return _warp(rgb, [[1, 0, -int(pixels)], [0, 1, 0]])


def translate_y(rgb: Rgb, pixels: float) -> Rgb:
    """Shift downwards, by whole pixels."""
    return _warp(rgb, [[1, 0, 0], [0, 1, -int(pixels)]])


def rotate(rgb: Rgb, degrees: float) -> Rgb:
    """Turn about the center, counterclockwise."""
    x, y = (rgb.shape[1] - 1) / 2, (rgb.shape[0] - 1) / 2
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return _warp(rgb, [[cos, -sin, x - cos * x + sin * y], [sin, cos, y - sin * x - cos * y]])


def brightness(rgb: Rgb, change: float) -> Rgb:
    """Multiply by 1 + ``change``."""
    return _look_up(rgb, _LEVELS * (1 + change))


def contrast(rgb: Rgb, change: float) -> Rgb:
    """Stretch the distances from the mean gray by 1 + ``change``."""
    gray = float(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).mean())
    return _look_up(rgb, gray + (_LEVELS - gray) * (1 + change))


def color(rgb: Rgb, change: float) -> Rgb:
    """Stretch the distances from the pixel's own gray by 1 + ``change``."""
    gray = cv2.cvtColor(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return cv2.addWeighted(rgb, 1 + change, gray, -change, 0).astype(np.uint8, copy=False)


def sharpness(rgb: Rgb, change: float) -> Rgb:
    """Stretch the distances from the smoothed image by 1 + ``change``; the edge stays."""
    smooth = cv2.filter2D(rgb, -1, _SMOOTH)
    sharp = cv2.addWeighted(rgb, 1 + change, smooth, -change, 0).astype(np.uint8, copy=False)
    sharp[[0, -1]] = rgb[[0, -1]]
    sharp[:, [0, -1]] = rgb[:, [0, -1]]
    return sharp


def posterize(rgb: Rgb, bits: float) -> Rgb:
    """Keep the upper ``bits`` of the 8."""
    return rgb & np.uint8(256 - (1 << (8 - int(bits))))


def solarize(rgb: Rgb, threshold: float) -> Rgb:
    """Invert what is not below ``threshold`` of white."""
    return _look_up(rgb, np.where(threshold * 255 <= _LEVELS, 255 - _LEVELS, _LEVELS))


def auto_contrast(rgb: Rgb, _: float = 0) -> Rgb:
    """Stretch each channel from black to white."""
    low, high = rgb.min(axis=(0, 1)).astype(float), rgb.max(axis=(0, 1)).astype(float)
    stretched = (_LEVELS[:, None] - low) * 255 / np.maximum(high - low, 1)
    return _look_up(rgb, np.where(high > low, stretched, _LEVELS[:, None]))


def equalize(rgb: Rgb, _: float = 0) -> Rgb:
    """Make the histogram of each channel even, as Pillow does."""
    return _look_up(rgb, np.stack([_evened(rgb[:, :, channel]) for channel in range(3)], axis=1))


def _evened(channel: NDArray[np.uint8]) -> NDArray[np.float64]:
    counts = np.bincount(channel.ravel(), minlength=256)
    step = (counts.sum() - counts[counts.nonzero()[0][-1]]) // 255
    if not step:
        return _LEVELS
    before = np.concatenate([[0], np.cumsum(counts)[:-1]])
    return ((before + step // 2) // step).astype(np.float64)


def _look_up(rgb: Rgb, levels: NDArray[np.float64]) -> Rgb:
    """Replace every level by what ``levels`` has for it, (256,) or a column a channel."""
    table = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    if table.ndim == 2:
        table = table[:, None, :]
    return cv2.LUT(rgb, table).astype(np.uint8, copy=False)


def _of_width(share: float, strength: float, height: int, width: int) -> float:
    return share * width * strength


def _of_height(share: float, strength: float, height: int, width: int) -> float:
    return share * height * strength


def _up_to(most: float) -> Range:
    return lambda strength, height, width: most * strength


def _bits_from(most: int) -> Range:
    return lambda strength, height, width: float(round(most - 4 * strength))


def _none(strength: float, height: int, width: int) -> float:
    return 0.0


# Operation → what it does; how much at a strength from 0 to 1; whether the sign is drawn.
Space = dict[str, tuple[Distort, Range, bool]]


def _space(translation: float, bits: int) -> Space:
    return {
        "shear_x": (shear_x, _up_to(0.3), True),
        "shear_y": (shear_y, _up_to(0.3), True),
        "translate_x": (translate_x, partial(_of_width, translation), True),
        "translate_y": (translate_y, partial(_of_height, translation), True),
        "rotate": (rotate, _up_to(30.0), True),
        "brightness": (brightness, _up_to(0.9), True),
        "color": (color, _up_to(0.9), True),
        "contrast": (contrast, _up_to(0.9), True),
        "sharpness": (sharpness, _up_to(0.9), True),
        "posterize": (posterize, _bits_from(bits), False),
        "solarize": (solarize, lambda strength, height, width: 1 - strength, False),
        "auto_contrast": (auto_contrast, _none, False),
        "equalize": (equalize, _none, False),
    }


AUGMIX = _space(1 / 3, 4)
RANDAUGMENT: Space = {
    "identity": (lambda rgb, _: rgb, _none, False),
    **_space(150 / 331, 8),
}


def distort(rgb: Rgb, space: Space, strength: float, random: np.random.Generator) -> Rgb:
    """Return the image after one operation of ``space``, drawn, at ``strength`` in [0, 1]."""
    operation, range_, signed = list(space.values())[random.integers(len(space))]
    amount = range_(strength, rgb.shape[0], rgb.shape[1])
    if signed and random.random() < 0.5:
        amount = -amount
    return operation(rgb, amount)


def augmix(
    rgb: Rgb, random: np.random.Generator, severity: int, width: int, alpha: float, **_: Any
) -> Rgb:
    """Return the image mixed with ``width`` chains of one to three operations.

    After Hendrycks et al. 2020, without the consistency loss; strengths are the first ``severity``
    of ten.
    """
    share = random.beta(alpha, alpha)
    weights = share * random.dirichlet([alpha] * width)
    mixed = (1 - share) * rgb.astype(np.float32)
    for weight in weights:
        changed = rgb
        for _step in range(random.integers(1, 4)):
            changed = distort(changed, AUGMIX, random.integers(severity) / 9, random)
        mixed += np.float32(weight) * changed
    return np.rint(mixed).astype(np.uint8)


def randaugment(
    rgb: Rgb, random: np.random.Generator, operations: int, magnitude: int, **_: Any
) -> Rgb:
    """Return the image after ``operations`` drawn ones (Cubuk et al. 2020); magnitudes go to 30."""
    for _step in range(operations):
        rgb = distort(rgb, RANDAUGMENT, magnitude / 30, random)
    return rgb
