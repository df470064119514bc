"""Contrast and relief."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from leukctl.preparing.geometry import Mask, Result, Rgb

Changed = tuple[Rgb, str | None]


def contrast(rgb: Rgb, mask: Mask | None, *, method: str, **parameters: Any) -> Result:
    """Return the picture with more contrast, by one of :data:`METHODS`; the mask stays."""
    changed, note = METHODS[method](rgb, **parameters)
    return changed, mask, note


def clahe(rgb: Rgb, *, clip: float, tiles: int) -> Changed:
    """Equalize lightness within tiles (Zuiderveld, Graphics Gems IV, 1994), in CIE Lab.

    Args:
        clip: how much steeper than a plain copy the curve of a tile may get.
        tiles: their number across and down.
    """
    lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)
    lab[:, :, 0] = cv2.createCLAHE(clip, (tiles, tiles)).apply(lab[:, :, 0])
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), np.uint8), None


def stretch(rgb: Rgb, *, low: float, high: float) -> Changed:
    """Map the ``low`` and ``high`` percentile of all values onto 0 and 255.

    The channels share one line, so that hues are kept. A picture whose two percentiles are the
    same is kept, with a note.
    """
    bottom, top = np.percentile(rgb, [low, high])
    if top - bottom < 1:
        return rgb, "no contrast to stretch, picture kept"
    curve = (np.arange(256) - bottom) * (255 / (top - bottom))
    return np.asarray(cv2.LUT(rgb, np.clip(np.rint(curve), 0, 255).astype(np.uint8))), None


METHODS: dict[str, Callable[..., Changed]] = {"clahe": clahe, "stretch": stretch}


def emboss(rgb: Rgb, mask: Mask | None, *, strength: float) -> Result:
    """Return the picture in relief, lit from the upper left (Khan et al. 2024).

    The kernel -2 -1 0 | -1 1 1 | 0 1 2 adds the slope towards the lower right to every pixel;
    ``strength`` scales that slope. Flat areas keep their color.
    """
    slope = np.array([[-2, -1, 0], [-1, 0, 1], [0, 1, 2]], np.float64) * strength
    slope[1, 1] = 1
    relief = cv2.filter2D(rgb, -1, slope, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(relief, np.uint8), mask, None
