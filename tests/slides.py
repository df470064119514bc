"""A slide drawn from noise, and photographs of it: copies whose making is known."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from leukctl import images

Rgb = NDArray[np.uint8]


def slide(seed: int, side: int = 500) -> Rgb:
    """Return a field of blots and specks of all sizes, uint8 (side, side, 3)."""
    draw = np.random.default_rng(seed)
    field = sum(
        size**0.8 * cv2.GaussianBlur(draw.standard_normal((side, side)), (0, 0), size)
        for size in (1, 2, 4, 8, 16)
    )
    grey = 128 + 40 * (field - np.mean(field)) / np.std(field)
    tint = np.array([1.0, 0.8, 0.95])
    return np.asarray(np.clip(grey[..., None] * tint, 20, 240), np.uint8)


def window(field: Rgb, x: int, y: int, side: int = 224) -> Rgb:
    """Return a photograph of a part of the slide."""
    return np.ascontiguousarray(field[y : y + side, x : x + side])


def write(path: Path, rgb: Rgb) -> Path:
    """Write a photograph as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(images.encode_png(rgb))
    return path
