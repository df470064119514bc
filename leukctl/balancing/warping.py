"""Random affine pictures: rotated, sheared, zoomed, flipped and shifted in a single warp.

The operations and their default ranges are those of Muduli et al. 2025.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from leukctl.errors import ImageError, UsageError
from leukctl.images import Rgb

Mask = NDArray[np.uint8]

# What comes into the frame: OpenCV's border, the color of a constant one, and that of the mask.
# By the names of catalog.FILLS.
FILLS: dict[str, tuple[int, int]] = {
    "reflect": (cv2.BORDER_REFLECT_101, 0),
    "edge": (cv2.BORDER_REPLICATE, 0),
    "black": (cv2.BORDER_CONSTANT, 0),
    "white": (cv2.BORDER_CONSTANT, 255),
}
# Whether left and right, and top and bottom, may change places; by the names of catalog.FLIPS.
FLIPS = {
    "none": (False, False),
    "horizontal": (True, False),
    "vertical": (False, True),
    "both": (True, True),
}
MAX_ROTATION_DEG, MAX_SHEAR, MAX_ZOOM, MAX_SHIFT = 180.0, 1.0, 0.9, 1.0

_MAX_SIDE = 32766  # of OpenCV's warp


@dataclass(frozen=True, slots=True)
class Ranges:
    """How far a random picture may go; every number goes both ways.

    Attributes:
        rotate: degrees, 0 to 180.
        shear: how far a row slides sideways, as a share of its distance from the center, 0 to 1.
        zoom: 0.4 magnifies by 0.6 to 1.4, alike in both directions; 0 to 0.9.
        shift: as a share of the width and, apart, of the height, 0 to 1.
        flip: a name of :data:`FLIPS`, each of its directions with probability 1/2.
        fill: a name of :data:`FILLS`.

    Raises :class:`UsageError` for what is outside these, and where nothing would ever change.
    """

    rotate: float = 40.0
    shear: float = 0.4
    zoom: float = 0.4
    shift: float = 0.4
    flip: str = "horizontal"
    fill: str = "reflect"

    def __post_init__(self) -> None:
        limits = {
            "rotate": MAX_ROTATION_DEG,
            "shear": MAX_SHEAR,
            "zoom": MAX_ZOOM,
            "shift": MAX_SHIFT,
        }
        for name, limit in limits.items():
            if not 0 <= getattr(self, name) <= limit:  # true for NaN too
                raise UsageError(f"--{name} {getattr(self, name):g}: from 0 to {limit:g}")
        if self.flip == "none" and not any(getattr(self, name) for name in limits):
            raise UsageError(
                "nothing would be varied: all ranges are 0; --method oversample repeats images"
            )

    def __str__(self) -> str:
        """Return the canonical text, which the images made so carry."""
        numbers = (f"{name}={getattr(self, name)!r}" for name in ("rotate", "shear", "zoom"))
        return f"{','.join(numbers)},shift={self.shift!r},flip={self.flip},fill={self.fill}"


@dataclass(frozen=True, slots=True)
class Warp:
    """One change of a picture, about its center, in this order.

    Attributes:
        shear: of the rows.
        rotate: degrees, counterclockwise.
        zoom: magnification.
        flip: left and right, top and bottom.
        shift: to the right and down, as shares of width and height.
    """

    shear: float = 0.0
    rotate: float = 0.0
    zoom: float = 1.0
    flip: tuple[bool, bool] = (False, False)
    shift: tuple[float, float] = (0.0, 0.0)


def draw(ranges: Ranges, random: np.random.Generator) -> Warp:
    """Return a random change, each part uniform in its range.

    The same numbers are drawn whatever the ranges, so that one can be changed alone.
    """
    shear, rotate, zoom, across, down = random.uniform(-1, 1, 5).tolist()
    flips = (random.random(2) < 0.5).tolist()
    allowed = FLIPS[ranges.flip]
    return Warp(
        ranges.shear * shear,
        ranges.rotate * rotate,
        1 + ranges.zoom * zoom,
        (flips[0] and allowed[0], flips[1] and allowed[1]),
        (ranges.shift * across, ranges.shift * down),
    )


def matrix(warp: Warp, width: int, height: int) -> NDArray[np.float64]:
    """Return where pixels (x, y) of a picture go, float64 (2, 3)."""
    cosine, sine = math.cos(math.radians(warp.rotate)), math.sin(math.radians(warp.rotate))
    sheared = np.array([[1, warp.shear], [0, 1]])
    turned = np.array([[cosine, sine], [-sine, cosine]])  # y points down
    mirrored = np.diag([-1.0 if flip else 1.0 for flip in warp.flip])
    linear = warp.zoom * mirrored @ turned @ sheared
    center = np.array([(width - 1) / 2, (height - 1) / 2])
    moved = center - linear @ center + np.array(warp.shift) * (width, height)
    return np.column_stack([linear, moved])


def apply(
    warp: Warp, rgb: Rgb, mask: Mask | None = None, fill: str = "reflect"
) -> tuple[Rgb, Mask | None]:
    """Return the picture, bilinear, and its mask, nearest pixel, changed alike and as large.

    Args:
        rgb: uint8 (H, W, 3).
        mask: uint8 (H, W); outside a constant border it is 0.

    Raises :class:`ImageError` for a side above 32,766 pixels.
    """
    height, width = rgb.shape[:2]
    if max(height, width) > _MAX_SIDE:
        raise ImageError(f"{width}x{height} pixels, and no side may be above {_MAX_SIDE}")
    border, color = FILLS[fill]
    where = matrix(warp, width, height)
    size = (width, height)
    changed = cv2.warpAffine(
        rgb, where, size, flags=cv2.INTER_LINEAR, borderMode=border, borderValue=(color,) * 3
    )
    if mask is None:
        return np.asarray(changed, np.uint8), None
    nearest = cv2.warpAffine(mask, where, size, flags=cv2.INTER_NEAREST, borderMode=border)
    return np.asarray(changed, np.uint8), np.asarray(nearest, np.uint8)
