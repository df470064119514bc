"""The region of interest: the box around the largest contour of a mask."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from leukctl import images
from leukctl.preparing import masks
from leukctl.preparing.geometry import Box, Mask, Result, Rgb, crop, edge
from leukctl.preparing.segment import inside as inside_hsv

# A box needs no finer picture, and a coarse one has less noise.
_WORKING_SIDE = 256
_GAP = 0.1  # of the shorter side
_LEAST_CONTRAST = 8.0  # in units of Lab, between the means of stained and other pixels

Masker = Callable[..., NDArray[np.uint8] | None]


NOT_FOUND = "no stained region, whole frame kept"


def roi(rgb: Rgb, mask: Mask | None, /, **locating: Any) -> Result:
    """Crop to the bounding box of the largest contour of a mask (Altalhi et al. 2026).

    Args:
        locating: what :func:`locate` takes.

    Where there is no such contour the whole frame is returned, with a note.
    """
    box = locate(rgb, **locating)
    return crop(rgb, mask, box) if box is not None else (rgb, mask, NOT_FOUND)


def locate(rgb: Rgb, *, margin: float, minarea: float, **masking: Any) -> Box | None:
    """Return (left, top, right, bottom) to crop to, None without a contour.

    Args:
        margin: added on each side, as a share of the box's width and height.
        minarea: the smallest contour that counts, as a share of the frame's area.
        masking: ``mask``, one of :data:`MASKS`, and what that one takes.
    """
    box = find_box(rgb, minarea, **masking)
    if box is None:
        return None
    left, top, right, bottom = box
    across, down = round((right - left) * margin), round((bottom - top) * margin)
    return (
        max(0, left - across),
        max(0, top - down),
        min(rgb.shape[1], right + across),
        min(rgb.shape[0], bottom + down),
    )


def find_box(rgb: Rgb, minarea: float, mask: str = "auto", **masking: Any) -> Box | None:
    """Return (left, top, right, bottom) of the largest contour of a mask, None without one."""
    height, width = rgb.shape[:2]
    small, factor = _shrink(rgb)
    size = small.shape[1::-1]
    found = MASKS[mask](small, **masking)
    if found is None:
        return None
    contours, _ = cv2.findContours(_whole(found), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    largest = max(contours, key=cv2.contourArea, default=None)
    if largest is None or cv2.contourArea(largest) < max(minarea * found.size, 1):
        return None
    x, y, w, h = cv2.boundingRect(largest)
    return (
        x * factor,
        y * factor,
        width if x + w == size[0] else (x + w) * factor,
        height if y + h == size[1] else (y + h) * factor,
    )


def _shrink(rgb: Rgb) -> tuple[Rgb, int]:
    """Return the picture with sides of at most 256 pixels, and by what it was divided.

    By halves, whose areas are averaged five times as fast as those of any other size; of a side
    that is odd the last row or column is left out.
    """
    factor = 1
    while max(rgb.shape[:2]) > _WORKING_SIDE:
        height, width = (max(1, side // 2) for side in rgb.shape[:2])
        even = rgb[: 2 * height, : 2 * width]
        rgb = np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        factor *= 2
    return rgb, factor


def _whole(mask: Mask) -> Mask:
    """Return the mask without specks, its gaps up to a tenth of the frame closed.

    So the lobes of one nucleus stay together.
    """
    speck = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    reach = max(1, round(min(mask.shape) * _GAP / 2))
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    opened = cv2.morphologyEx(mask, cv2.MORPH_OPEN, speck)
    # With room around, or closing would take the frame's edge for stain.
    roomy = cv2.copyMakeBorder(opened, *(reach,) * 4, cv2.BORDER_CONSTANT, value=0)
    closed = cv2.morphologyEx(roomy, cv2.MORPH_CLOSE, disk)
    return np.ascontiguousarray(closed[reach:-reach, reach:-reach], np.uint8)


def auto(rgb: Rgb) -> Mask | None:
    """Return what is not black on black ground, what is purple elsewhere.

    Purple is what Otsu's threshold separates on a* - b* of CIE Lab: Romanowsky stains turn nuclei
    purple (a* high, b* low), red cells and ground less so, whatever the light.
    """
    return masks.not_black(rgb) if masks.on_black(rgb) else _purple(rgb)


def otsu(rgb: Rgb) -> Mask | None:
    """Return what Otsu's threshold separates on lightness: the side that the edge has less of."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    level, light = cv2.threshold(grey, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    if not light.any() or light.all():
        return None
    outside = cv2.cvtColor(edge(rgb)[None], cv2.COLOR_RGB2GRAY) > level
    return np.asarray(1 - light if outside.mean() > 0.5 else light, np.uint8)


def black(rgb: Rgb, *, level: int) -> Mask:
    """Return the pixels that have a channel above ``level``."""
    return (images.brightest(rgb) > level).astype(np.uint8)


def _purple(rgb: Rgb) -> Mask | None:
    lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)
    difference = np.subtract(lab[:, :, 1], lab[:, :, 2], dtype=np.float32)
    purple = cv2.GaussianBlur(difference, (5, 5), 0)
    low, high, _, _ = cv2.minMaxLoc(purple)
    if high - low < _LEAST_CONTRAST:
        return None
    scaled = ((purple - low) * (255 / (high - low))).astype(np.uint8)
    _, stained = cv2.threshold(scaled, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    contrast = cv2.mean(purple, stained)[0] - cv2.mean(purple, 1 - stained)[0]
    return np.asarray(stained, np.uint8) if contrast >= _LEAST_CONTRAST else None


MASKS: dict[str, Masker] = {
    "auto": auto,
    "otsu": otsu,
    "hsv": inside_hsv,
    "black": black,
    "nucleus": masks.nucleus,
    "cell": masks.cell,
}
