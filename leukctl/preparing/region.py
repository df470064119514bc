"""The region of interest: the box around the largest stained contour."""

import cv2
import numpy as np
from numpy.typing import NDArray

from leukctl.preparing.geometry import Mask, Result, Rgb, crop

# A box needs no finer picture, and a coarse one has less noise.
_WORKING_SIDE = 256
_BLACK = 20  # no channel above it: the ground of segmented images, JPEG's ringing included
_GAP = 0.1  # of the shorter side
_LEAST_CONTRAST = 8.0  # in units of Lab, between the means of stained and other pixels


def roi(rgb: Rgb, mask: Mask | None, *, margin: float, minarea: float) -> Result:
    """Crop to the bounding box of the largest stained contour (Altalhi et al. 2026).

    Args:
        margin: added on each side, as a share of the box's width and height.
        minarea: the smallest contour that counts, as a share of the frame's area.

    Where there is no such contour the whole frame is returned, with a note.
    """
    box = find_box(rgb, minarea)
    if box is None:
        return rgb, mask, "no stained region, whole frame kept"
    left, top, right, bottom = box
    height, width = rgb.shape[:2]
    across, down = round((right - left) * margin), round((bottom - top) * margin)
    wider = (
        max(0, left - across),
        max(0, top - down),
        min(width, right + across),
        min(height, bottom + down),
    )
    return crop(rgb, mask, wider)


def find_box(rgb: Rgb, minarea: float) -> tuple[int, int, int, int] | None:
    """Return (left, top, right, bottom) of the largest stained contour, None without one."""
    height, width = rgb.shape[:2]
    scale = min(1.0, _WORKING_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA) if scale < 1 else rgb
    stained = stained_pixels(np.asarray(small, np.uint8))
    if stained is None:
        return None
    contours, _ = cv2.findContours(stained, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    largest = max(contours, key=cv2.contourArea, default=None)
    if largest is None or cv2.contourArea(largest) < max(minarea * stained.size, 1):
        return None
    x, y, w, h = cv2.boundingRect(largest)
    return (
        int(x * width / size[0]),
        int(y * height / size[1]),
        -int(-(x + w) * width // size[0]),
        -int(-(y + h) * height // size[1]),
    )


def stained_pixels(rgb: Rgb) -> NDArray[np.uint8] | None:
    """Return what is stained as uint8 (H, W), 0 or 1; None where nothing stands out.

    On black ground that is all that is not black. Elsewhere it is what Otsu's threshold separates
    on a* - b* of CIE Lab: Romanowsky stains turn nuclei purple (a* high, b* low), red cells and
    ground less so, whatever the light. Specks go; gaps up to a tenth of the frame close, so that
    the lobes of one nucleus stay together.
    """
    stained = _not_black(rgb) if _on_black(rgb) else _purple(rgb)
    if stained is None:
        return None
    speck = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    reach = max(1, round(min(rgb.shape[:2]) * _GAP / 2))
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    opened = cv2.morphologyEx(stained, cv2.MORPH_OPEN, speck)
    # With room around, or closing would take the frame's edge for stain.
    roomy = np.pad(opened, reach)
    closed = cv2.morphologyEx(roomy, cv2.MORPH_CLOSE, disk)
    return np.ascontiguousarray(closed[reach:-reach, reach:-reach], np.uint8)


def _on_black(rgb: Rgb) -> bool:
    edge = np.concatenate([rgb[0], rgb[-1], rgb[:, 0], rgb[:, -1]])
    return bool((edge.max(axis=1) <= _BLACK).mean() > 0.5)


def _not_black(rgb: Rgb) -> NDArray[np.uint8]:
    return (rgb.max(axis=2) > _BLACK).astype(np.uint8)


def _purple(rgb: Rgb) -> NDArray[np.uint8] | None:
    lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB).astype(np.float32)
    purple = cv2.GaussianBlur(lab[:, :, 1] - lab[:, :, 2], (5, 5), 0)
    low, high = purple.min(), purple.max()
    if high - low < _LEAST_CONTRAST:
        return None
    scaled = ((purple - low) * (255 / (high - low))).astype(np.uint8)
    _, stained = cv2.threshold(scaled, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    inside = stained.astype(bool)
    contrast = purple[inside].mean() - purple[~inside].mean()
    return inside.astype(np.uint8) if contrast >= _LEAST_CONTRAST else None
