"""Segmentation: what lies outside a color interval, or outside the cell, goes black."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from leukctl.preparing import masks
from leukctl.preparing.geometry import Mask, Result, Rgb
from leukctl.preparing.parameters import Intervals

# Nuclei of blood cells under three Romanowsky stains; of all intervals in steps of 10 degrees and
# 0.05 these have about the largest mean overlap with nuclei on all three alike.
HUE: Intervals = ((230.0, 350.0),)
SATURATION: Intervals = ((0.4, 1.0),)
VALUE: Intervals = ((0.0, 0.75),)


def segment(rgb: Rgb, mask: Mask | None, *, by: str, **parameters: Any) -> Result:
    """Blacken what one of :data:`METHODS` leaves out; the mask stays as it is.

    Where nothing would be left the picture is kept, with a note.
    """
    shown = METHODS[by](rgb, **parameters)
    if shown is None or not shown.any():
        what = "nothing of that color" if by == "hsv" else f"no {by} found"
        return rgb, mask, f"{what}, picture kept"
    return rgb * shown[:, :, None], mask, None


def inside(rgb: Rgb, *, hue: Intervals, saturation: Intervals, value: Intervals) -> Mask:
    """Return which pixels lie inside the color intervals, uint8 (H, W) of 0 and 1.

    Two thresholds a channel of HSV and a binary mask, as Patel et al. 2025 segment lymphoblasts.

    Args:
        hue: degrees, 0 to 360, in OpenCV's steps of two; LOW above HIGH wraps through 0.
        saturation, value: 0 to 1.
    """
    steps = np.arange(256)
    table = np.stack(
        [
            _allowed(steps * 2, hue),
            _allowed(steps / 255, saturation),
            _allowed(steps / 255, value),
        ],
        axis=1,
    )
    hsv = cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV)
    return np.asarray(cv2.LUT(hsv, table[None]).min(axis=2), np.uint8)


def _allowed(values: NDArray[np.number], intervals: Intervals) -> NDArray[np.uint8]:
    allowed = np.zeros(values.shape, bool)
    for low, high in intervals:
        above, below = values >= low - 1e-9, values <= high + 1e-9
        allowed |= (above & below) if low <= high else (above | below)
    return allowed.astype(np.uint8)


METHODS: dict[str, Callable[..., Mask | None]] = {
    "hsv": inside,
    "nucleus": masks.nucleus,
    "cell": masks.cell,
}
