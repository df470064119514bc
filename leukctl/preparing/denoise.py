"""Removing noise: median, Gaussian and non-local means."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from leukctl.preparing.geometry import Mask, Result, Rgb


def denoise(rgb: Rgb, mask: Mask | None, *, method: str, **parameters: Any) -> Result:
    """Return the picture with less noise, by one of :data:`METHODS`; the mask stays as it is."""
    return METHODS[method](rgb, **parameters), mask, None


def median(rgb: Rgb, *, size: int) -> Rgb:
    """Return the median of ``size`` x ``size`` pixels, a channel at a time; size is odd."""
    return np.asarray(cv2.medianBlur(rgb, size), np.uint8)


def gaussian(rgb: Rgb, *, sigma: float) -> Rgb:
    """Return the picture blurred with a Gaussian of ``sigma`` pixels."""
    return np.asarray(cv2.GaussianBlur(rgb, (0, 0), sigma), np.uint8)


def nlm(rgb: Rgb, *, h: float, hcolor: float, template: int, search: int) -> Rgb:
    """Return non-local means (Buades, Coll and Morel, Image Processing On Line 1, 2011).

    Each pixel becomes the mean of pixels whose surroundings look alike, in CIE Lab.

    Args:
        h, hcolor: strength for lightness and for color; noise of that standard deviation goes.
        template: side of the surroundings compared, odd pixels.
        search: side of the window in which they are looked for, odd pixels; time grows with its
            square.
    """
    bgr = np.ascontiguousarray(rgb[:, :, ::-1])
    quiet = cv2.fastNlMeansDenoisingColored(bgr, None, h, hcolor, template, search)
    return np.ascontiguousarray(quiet[:, :, ::-1], np.uint8)


METHODS: dict[str, Callable[..., Rgb]] = {"median": median, "gaussian": gaussian, "nlm": nlm}
