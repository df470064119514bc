"""Resizing and zooming: pictures and their masks go through the same geometry."""

import cv2
import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]
Mask = NDArray[np.uint8]
Result = tuple[Rgb, Mask | None, str | None]


def resize(rgb: Rgb, mask: Mask | None, *, size: tuple[int, int]) -> Result:
    """Return the picture at exactly ``size`` (width, height) in pixels; the aspect may change.

    Area averages where neither side grows, bicubic otherwise; the mask takes the nearest pixel, so
    that no value arises that it did not have.
    """
    width, height = size
    shrinks = width <= rgb.shape[1] and height <= rgb.shape[0]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    resized = np.asarray(cv2.resize(rgb, size, interpolation=interpolation), np.uint8)
    if mask is None:
        return resized, None, None
    nearest = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST_EXACT)
    return resized, np.asarray(nearest, np.uint8), None


def zoom(rgb: Rgb, mask: Mask | None, *, factor: float) -> Result:
    """Return the central part, ``factor`` in (0, 1] of width and of height, at least one pixel.

    The centred zoom of Digiammarco et al. 2024: background goes, size and shape of the cell stay
    comparable.
    """
    height, width = rgb.shape[:2]
    inner_width = max(1, round(width * factor))
    inner_height = max(1, round(height * factor))
    left, top = (width - inner_width) // 2, (height - inner_height) // 2
    return crop(rgb, mask, (left, top, left + inner_width, top + inner_height))


def crop(rgb: Rgb, mask: Mask | None, box: tuple[int, int, int, int]) -> Result:
    """Return what lies inside ``box`` (left, top, right, bottom), the last two exclusive."""
    left, top, right, bottom = box
    return (
        rgb[top:bottom, left:right],
        mask[top:bottom, left:right] if mask is not None else None,
        None,
    )
