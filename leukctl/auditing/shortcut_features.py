"""What can be seen of an image without its cells: colors, background, facts of the file.

If a classifier can tell the label from these, a model may have learned them in place of the cells.
Source of the idea: Geirhos et al., Nature Machine Intelligence 2 (2020), 665-673; Badgeley et al.,
npj Digital Medicine 2 (2019), 31 (the scanner told instead of the fracture).

The number of bytes is no fact of the file here, since it follows what the cells look like: bytes a
pixel told the eight classes of the PBC set, of one camera and one size, at 0.19 (chance 0.125).
"""

import io
import warnings
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from leukctl.preparing import geometry, masks

Floats = NDArray[np.float32]
Rgb = NDArray[np.uint8]

COLOR_NUMBERS = 18
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM", "JPEG2000")

_FACTS = (
    *("width", "height", "channels", "bits", "luma", "chroma", "subsampling", "progressive"),
    *("dpi", "exif", "profile"),
)
_MARKS = [
    f"{what} {where}"
    for what in ("black", "white", "pure")
    for where in ("top", "bottom", "left", "right")
]
FILE_NUMBERS = (
    *("aspect", *_FACTS, *FORMATS, *_MARKS),
    *("black ground", "white ground", "pure ground"),
)

# Colors need no finer picture, and cells are found on a coarse one four times as fast.
_WORKING_SIDE = 112
_LEAST_SIDE = 16  # of that picture, for its cells to be looked for
_MARGIN = 0.04  # of the longer side, kept between cell and background
_BACKGROUND = 0.5  # of the picture, farthest from cells
_LEAST_BACKGROUND = 0.02  # of the picture
_PERCENTILES = (0.05, 0.25, 0.75, 0.95)

_BORDER = 0.1  # of each side, where marks are burnt in
_MARK_SIDE = 512  # pixels are skipped where there are more
_DARK, _BRIGHT = 10, 245  # no channel above, none below


def describe(data: bytes, rgb: Rgb) -> dict[str, Floats]:
    """Return the features of one image by kind, float32 (D,) each.

    ``color`` is of all pixels: mean, standard deviation and the percentiles 5, 25, 75, 95 of L*,
    a*, b* (8 bits each) on the picture with a longer side of at most 112 pixels. ``background`` is
    the same of the half of the picture that is farthest from its white blood cells
    (:func:`leukctl.preparing.masks.cell`), or of less, 4 % of the longer side away from them being
    the least; NaN where no cell was found, or less than 2 % of the picture is left, since
    background and cell cannot be told apart there. ``file`` is of :func:`file_facts`.

    Args:
        data: the encoded image; empty where there is none, as in an archive of arrays.
        rgb: its pixels, uint8 (H, W, 3).
    """
    small = geometry.shrink(rgb, _WORKING_SIDE)
    lab = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2LAB), np.uint8)
    ground = _background(small)
    nothing = np.full(COLOR_NUMBERS, np.nan, np.float32)
    return {
        "color": _statistics(lab, None),
        "background": nothing if ground is None else _statistics(lab, ground),
        "file": file_facts(data, rgb),
    }


def file_facts(data: bytes, rgb: Rgb) -> Floats:
    """Return what the file tells besides its picture, float32, named by :data:`FILE_NUMBERS`.

    Width, height and aspect; the format; channels and bits; of a JPEG the means of its quantization
    tables, the subsampling of colors and whether it is progressive; dots per inch; whether there
    are EXIF data or a color profile; and marks burnt in at the border (scale bars, text): the share
    of black, white and purely colored pixels in strips of a tenth along the four sides. Black or
    white that stands in three corners or more is taken for the ground and not for a mark.
    """
    header = _header(data) if data else np.zeros(len(_FACTS) + len(FORMATS), np.float32)
    if not data:
        header[:2] = rgb.shape[1], rgb.shape[0]
    aspect = header[0] / max(float(header[1]), 1.0)
    return np.concatenate([[aspect], header, _marks(rgb)]).astype(np.float32)


def _background(small: Rgb) -> NDArray[np.uint8] | None:
    """Return the background as uint8 (H, W) of 0 and 1, None where it cannot be told."""
    if min(small.shape[:2]) < _LEAST_SIDE:
        return None
    cells = masks.cell(small)
    if cells is None:
        return None
    away = cv2.distanceTransform(1 - cells, cv2.DIST_L2, cv2.DIST_MASK_5)
    # All that a cell leaves would tell its size, by the share that red cells have of the rest.
    least = max(float(np.quantile(away, 1 - _BACKGROUND)), _MARGIN * max(small.shape[:2]))
    ground = (away >= least).astype(np.uint8)
    return ground if ground.mean() >= _LEAST_BACKGROUND else None


def _statistics(lab: Rgb, mask: NDArray[np.uint8] | None) -> Floats:
    return np.concatenate([_of_channel(lab, channel, mask) for channel in range(3)])


def _of_channel(lab: Rgb, channel: int, mask: NDArray[np.uint8] | None) -> Floats:
    counts = cv2.calcHist([lab], [channel], mask, [256], [0, 256]).ravel().astype(np.float64)
    shares = counts / counts.sum()
    levels = np.arange(256)
    mean = float(shares @ levels)
    deviation = float(np.sqrt(shares @ (levels - mean) ** 2))
    # The sum of shares may end a rounding below 1.
    percentiles = np.searchsorted(np.minimum(np.cumsum(shares), 1), _PERCENTILES)
    return np.array([mean, deviation, *percentiles], np.float32)


def _header(data: bytes) -> Floats:
    """Return the numbers of :data:`_FACTS`, then one of 0 and 1 a format."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            facts = _facts(image)
            format_ = [float(image.format == name) for name in FORMATS]
    return np.array([*(facts[name] for name in _FACTS), *format_], np.float32)


def _facts(image: Image.Image) -> dict[str, float]:
    tables: dict[int, list[int]] = getattr(image, "quantization", None) or {}
    layers: list[tuple[int, ...]] = getattr(image, "layer", None) or []
    means = [float(np.mean(tables[key])) for key in sorted(tables)]
    return {
        "width": image.width,
        "height": image.height,
        "channels": len(image.getbands()),
        "bits": {"1": 1, "I": 32, "F": 32}.get(image.mode, 16 if "16" in image.mode else 8),
        "luma": means[0] if means else 0,
        "chroma": means[1] if len(means) > 1 else 0,
        "subsampling": layers[0][1] * layers[0][2] if layers else 0,
        "progressive": bool(image.info.get("progressive")),
        "dpi": _number(image.info.get("dpi")),
        "exif": "exif" in image.info,
        "profile": "icc_profile" in image.info,
    }


def _number(dpi: Any) -> float:
    """Return the first of Pillow's pair, 0 where it is none: metadata may hold anything."""
    try:
        value = float(dpi[0])
    except (TypeError, ValueError, IndexError, ZeroDivisionError):
        return 0.0
    return value if 0 < value < 1e6 else 0.0


def _marks(rgb: Rgb) -> Floats:
    """Return the share of black, white, pure color in the four strips, then of corners: (15,)."""
    step = -(-max(rgb.shape[:2]) // _MARK_SIDE)
    pixels = rgb[::step, ::step]
    down, across = (max(1, round(side * _BORDER)) for side in pixels.shape[:2])
    strips = (pixels[:down], pixels[-down:], pixels[:, :across], pixels[:, -across:])
    corners = rgb[[0, 0, -1, -1], [0, -1, 0, -1]][None]
    shares = np.stack([_extremes(strip) for strip in strips], axis=1)
    ground = _extremes(corners) >= 0.75
    return np.concatenate([np.where(ground[:, None], 0, shares).ravel(), ground])


def _extremes(pixels: Rgb) -> NDArray[np.float64]:
    """Return which share of uint8 (H, W, 3) is black, white, of a pure color."""
    red, green, blue = cv2.split(np.ascontiguousarray(pixels))
    low, high = cv2.min(cv2.min(red, green), blue), cv2.max(cv2.max(red, green), blue)
    return np.array(
        [
            (high <= _DARK).mean(),
            (low >= _BRIGHT).mean(),
            ((low <= _DARK) & (high >= _BRIGHT)).mean(),
        ]
    )
