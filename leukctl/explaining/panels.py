"""Pictures of explanations: input | heatmap | overlay."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from leukctl import files
from leukctl.explaining.maps import Floats
from leukctl.images import Rgb

_COLORMAPS = {
    "viridis": cv2.COLORMAP_VIRIDIS,
    "jet": cv2.COLORMAP_JET,
    "turbo": cv2.COLORMAP_TURBO,
    "magma": cv2.COLORMAP_MAGMA,
}
_TILE = 224  # pixels a side at least, so that captions can be read
_GAP = 8
_CAPTION = 24
_OVERLAY = 0.6
_LETTERS = 15


def color(values: Floats, colormap: str) -> Rgb:
    """Return a heatmap in [0, 1] as uint8 RGB (H, W, 3)."""
    levels = np.clip(np.rint(values * 255), 0, 255).astype(np.uint8)
    return _rgb(cv2.cvtColor(cv2.applyColorMap(levels, _COLORMAPS[colormap]), cv2.COLOR_BGR2RGB))


def overlay(image: Rgb, values: Floats, colormap: str) -> Rgb:
    """Return the image with the colored heatmap laid over it, the thicker the hotter.

    From nothing where the map is 0 to 60 % where it is 1, so that the cell stays to be seen.
    """
    share = _OVERLAY * values[:, :, None]
    return _rgb(np.rint(image * (1 - share) + color(values, colormap) * share))


def panel(
    image: Rgb, heatmaps: Sequence[tuple[str, Floats]], caption: str, colormap: str = "viridis"
) -> Rgb:
    """Return one picture, uint8 RGB: a caption, then a row a heatmap.

    Args:
        image: prepared, uint8 (H, W, 3).
        heatmaps: each with its title; (H, W) in [0, 1].
        caption: a line over all of it.
    """
    factor = max(1.0, _TILE / max(image.shape[:2]))
    height, width = (round(side * factor) for side in image.shape[:2])
    total = (
        _CAPTION + len(heatmaps) * (_CAPTION + height) + _GAP,
        3 * width + 4 * _GAP,
    )
    canvas = np.full((*total, 3), 255, np.uint8)
    top = _CAPTION
    for _, values in heatmaps:
        tiles = (image, color(values, colormap), overlay(image, values, colormap))
        for place, tile in enumerate(tiles):
            left = _GAP + place * (width + _GAP)
            rows = slice(top + _CAPTION, top + _CAPTION + height)
            canvas[rows, left : left + width] = _resize(tile, height, width)
        top += _CAPTION + height
    return _write(canvas, [caption, *(title for title, _ in heatmaps)], height)


def _write(canvas: Rgb, lines: list[str], height: int) -> Rgb:
    picture = Image.fromarray(canvas)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(_LETTERS)
    for place, line in enumerate(lines):
        top = 4 if place == 0 else _CAPTION + (place - 1) * (_CAPTION + height) + 3
        draw.text((_GAP, top), _shorten(line, font, canvas.shape[1] - 2 * _GAP), "black", font)
    return np.asarray(picture)


def _shorten(line: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    shown = files.printable(line)
    if font.getlength(shown) <= width:
        return shown
    while shown and font.getlength(shown + "…") > width:
        shown = shown[:-1]
    return shown + "…"


def _resize(tile: Rgb, height: int, width: int) -> Rgb:
    if tile.shape[:2] == (height, width):
        return tile
    return _rgb(cv2.resize(tile, (width, height), interpolation=cv2.INTER_CUBIC))


def _rgb(pixels: NDArray[np.generic]) -> Rgb:
    return pixels.astype(np.uint8, copy=False)
