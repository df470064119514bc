"""Resizing, zooming, squaring: pictures and their masks go through the same geometry."""

import cv2
import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]
Mask = NDArray[np.uint8]
Result = tuple[Rgb, Mask | None, str | None]
Box = tuple[int, int, int, int]


def resize(
    rgb: Rgb, mask: Mask | None, *, size: tuple[int, int], fit: str = "exact", fill: str = "ground"
) -> Result:
    """Return the picture at ``size`` (width, height) in pixels.

    Area averages where neither side grows, bicubic otherwise; the mask takes the nearest pixel, so
    that no value arises that it did not have.

    Args:
        fit: ``exact`` changes the aspect where it has to; ``pad`` keeps it: the picture is made as
            large as fits, and stands in the middle.
        fill: of the padding, as in :func:`square`.
    """
    if fit == "exact":
        return _resize(rgb, mask, size)
    height, width = rgb.shape[:2]
    scale = min(size[0] / width, size[1] / height)
    inner = max(1, min(size[0], round(width * scale))), max(1, min(size[1], round(height * scale)))
    ground = _fill(rgb, fill)
    small, small_mask, _ = _resize(rgb, mask, inner)
    return _pad(small, small_mask, size, ground)


def zoom(rgb: Rgb, mask: Mask | None, *, factor: float) -> Result:
    """Return the central part, ``factor`` in (0, 1] of width and of height, at least one pixel.

    The centred zoom of Digiammarco et al. 2024: background goes, size and shape of the cell stay
    comparable.
    """
    height, width = rgb.shape[:2]
    return _crop_center(rgb, mask, (max(1, round(width * factor)), max(1, round(height * factor))))


def square(rgb: Rgb, mask: Mask | None, *, how: str, fill: str = "ground") -> Result:
    """Return a square picture whose content keeps its aspect.

    Args:
        how: ``pad`` adds to the shorter side, half before and half after; ``crop`` keeps the middle
            of the longer side.
        fill: of the padding: ``black``, ``white``, or ``ground``, the median color of the picture's
            outermost pixels. A mask is padded with 0.
    """
    height, width = rgb.shape[:2]
    if how == "crop":
        return _crop_center(rgb, mask, (min(height, width),) * 2)
    return _pad(rgb, mask, (max(height, width),) * 2, _fill(rgb, fill))


def crop(rgb: Rgb, mask: Mask | None, box: Box) -> Result:
    """Return what lies inside ``box`` (left, top, right, bottom), the last two exclusive."""
    left, top, right, bottom = box
    return (
        rgb[top:bottom, left:right],
        mask[top:bottom, left:right] if mask is not None else None,
        None,
    )


def shrink(rgb: Rgb, side: int) -> Rgb:
    """Return the picture with a longer side of at most ``side`` pixels, its aspect kept."""
    height, width = rgb.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return rgb
    return _resize(rgb, None, (max(1, round(width * scale)), max(1, round(height * scale))))[0]


def edge(rgb: Rgb) -> NDArray[np.uint8]:
    """Return the outermost pixels of a picture, uint8 (N, 3)."""
    return np.concatenate([rgb[0], rgb[-1], rgb[:, 0], rgb[:, -1]])


def _resize(rgb: Rgb, mask: Mask | None, size: tuple[int, int]) -> Result:
    width, height = size
    shrinks = width <= rgb.shape[1] and height <= rgb.shape[0]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    resized = np.asarray(cv2.resize(rgb, size, interpolation=interpolation), np.uint8)
    if mask is None:
        return resized, None, None
    nearest = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST_EXACT)
    return resized, np.asarray(nearest, np.uint8), None


def _crop_center(rgb: Rgb, mask: Mask | None, size: tuple[int, int]) -> Result:
    height, width = rgb.shape[:2]
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    return crop(rgb, mask, (left, top, left + size[0], top + size[1]))


def _fill(rgb: Rgb, fill: str) -> tuple[int, ...]:
    if fill == "ground":
        return tuple(int(value) for value in np.median(edge(rgb), axis=0))
    return (0, 0, 0) if fill == "black" else (255, 255, 255)


def _pad(rgb: Rgb, mask: Mask | None, size: tuple[int, int], color: tuple[int, ...]) -> Result:
    height, width = rgb.shape[:2]
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    sides = (top, size[1] - height - top, left, size[0] - width - left)
    padded = cv2.copyMakeBorder(rgb, *sides, cv2.BORDER_CONSTANT, value=color)
    if mask is None:
        return np.asarray(padded, np.uint8), None, None
    around = cv2.copyMakeBorder(mask, *sides, cv2.BORDER_CONSTANT, value=0)
    return np.asarray(padded, np.uint8), np.asarray(around, np.uint8), None
