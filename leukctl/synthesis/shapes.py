"""The geometry that cells are drawn with: closed outlines in polar form, depth inside, noise.

Lengths are in pixels. Pixel (0, 0) has its centre at (0, 0).
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float32]
Window = tuple[slice, slice]

_ANGLES = 2048
_THETA = np.linspace(0, 2 * np.pi, _ANGLES, endpoint=False)
_ORDERS = np.arange(2, 8)
_WAVES = np.stack([np.cos(_ORDERS[:, None] * _THETA), np.sin(_ORDERS[:, None] * _THETA)])


@dataclass(frozen=True, slots=True)
class Outline:
    """A closed curve around ``(x, y)``: its distance from there at evenly spaced angles."""

    x: float
    y: float
    radii: NDArray[np.float64]  # (A,)

    def reach(self) -> float:
        """Return the largest distance from the centre."""
        return float(self.radii.max())


def wavy(rng: np.random.Generator, x: float, y: float, radius: float, waviness: float) -> Outline:
    """Return a circle of mean ``radius`` bent by random harmonics.

    Args:
        waviness: standard deviation of the lowest harmonic in parts of the radius; the higher
            ones fall off with their order.
    """
    amplitudes = rng.normal(0, waviness, (2, _ORDERS.size)) * np.sqrt(2) / _ORDERS
    # No matrix product: its last bits may depend on the number of threads.
    waves = np.einsum("po,poa->a", amplitudes, _WAVES)
    return Outline(x, y, radius * np.clip(1 + waves, 0.5, 1.5))


def indented(outline: Outline, angle: float, depth: float, width: float) -> Outline:
    """Return ``outline`` with a cleft: ``depth`` in parts of the radius, the others in radians."""
    away = np.angle(np.exp(1j * (_THETA - angle)))
    cleft = 1 - depth * np.exp(-((away / width) ** 2))
    return Outline(outline.x, outline.y, outline.radii * cleft)


def whole(size: int) -> Window:
    """Return the window that is the whole frame of ``size`` x ``size`` pixels."""
    return slice(0, size), slice(0, size)


def window(outline: Outline, size: int, margin: float = 3.0) -> Window:
    """Return the part of the frame (rows, columns) that ``outline`` can touch; it may be empty."""
    reach = outline.reach() + margin

    def span(centre: float) -> slice:
        low, high = int(centre - reach), int(centre + reach) + 2
        return slice(min(max(low, 0), size), min(max(high, 0), size))

    return span(outline.y), span(outline.x)


def depth(outline: Outline, where: Window) -> tuple[Map, Map]:
    """Return how deep each pixel of the window lies inside ``outline``.

    Both are float32 (h, w): pixels towards the outline along the ray from the centre, negative
    outside; and the distance from the centre in parts of the outline's, 1 on the outline.
    """
    rows, columns = where
    dy = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] - np.float32(outline.y)
    dx = np.arange(columns.start, columns.stop, dtype=np.float32)[None, :] - np.float32(outline.x)
    turn = np.arctan2(dy, dx) * np.float32(_ANGLES / (2 * np.pi))
    edge = outline.radii.astype(np.float32)[np.rint(turn).astype(np.int64) % _ANGLES]
    distance = np.hypot(dx, dy)
    return edge - distance, distance / edge


def coverage(inside: Map, softness: float) -> Map:
    """Return the share of each pixel that is covered, in [0, 1]; the edge is ``softness`` wide."""
    ramp = np.clip(inside / np.float32(softness) + np.float32(0.5), 0, 1)
    return ramp * ramp * (3 - 2 * ramp)


def blurred(image: Map, sigma: float) -> Map:
    """Return ``image``, (H, W) or (H, W, C), blurred by a Gaussian of at least 0.3 pixels."""
    soft = cv2.GaussianBlur(image, (0, 0), max(sigma, 0.3), borderType=cv2.BORDER_REFLECT)
    return np.asarray(soft, np.float32)


def noise(rng: np.random.Generator, size: int, grain: float) -> Map:
    """Return smooth noise, float32 (size, size), of mean 0 and standard deviation 1.

    Args:
        grain: standard deviation of the smoothing in pixels: half the width of a grain.
    """
    white = rng.standard_normal((size, size), dtype=np.float32)
    smooth = blurred(white, grain)
    return (smooth - smooth.mean()) / max(float(smooth.std()), 1e-6)
