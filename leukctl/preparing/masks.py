"""White blood cells by color: the nucleus, and the cell with its cytoplasm.

Romanowsky stains (Giemsa, Wright, Leishman and their rapid kin) turn nuclei purple: of the light
that the ground lets through they take green most. So colors are measured against the ground of the
same picture, and Otsu's method finds what differs. Pictures are looked at with a longer side of at
most 256 pixels; masks come back at full size.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from leukctl import images
from leukctl.preparing.geometry import Mask, Rgb, edge, shrink

BLACK = 20  # no channel above it: the ground of segmented images, JPEG's ringing included

_WORKING_SIDE = 256
_GROUND = 90  # percentile of each channel that is taken for the ground
_LEAST_CONTRAST = 0.4  # of :func:`_stain`, nuclei over the rest: red cells reach about 0.3
_SMALLEST_LOBE = 0.1  # of the largest
_CORE = 0.9  # of its largest width, that marks a neighbor
_WAIST = 0.7  # of its width; a neighbor's bridge to the cell is narrower
_LEVELS = 20  # of width that are looked at for bridges

Floats = NDArray[np.float32]
Bits = NDArray[np.bool_]


def nucleus(rgb: Rgb) -> Mask | None:
    """Return where nuclei of white blood cells are, uint8 (H, W) of 0 and 1; None without any.

    The upper one of two thresholds by Otsu's method (ground, pale, nucleus) on how much more of
    green than of blue is missing against the ground. On black ground the cell alone is looked at,
    and all of it is nucleus where its color does not differ. Platelets are taken where there is
    nothing darker.

    Args:
        rgb: uint8 (H, W, 3).
    """
    small = shrink(rgb, _WORKING_SIDE)
    found = _black_ground_nucleus(small) if on_black(small) else _nucleus(_on_white(small))
    return None if found is None else _full_size(found, rgb)


def cell(rgb: Rgb) -> Mask | None:
    """Return where white blood cells are, cytoplasm included, as :func:`nucleus` does.

    The cytoplasm is what differs from the ground and hangs together with a nucleus; red cells that
    touch it are cut off at the narrowest place, by a watershed on the distance to the outline. On
    black ground it is all that is not black.
    """
    small = shrink(rgb, _WORKING_SIDE)
    if on_black(small):
        found = _drop_specks(not_black(small))
        return _full_size(found, rgb) if found.any() else None
    white = _on_white(small)
    nuclei = _nucleus(white)
    return None if nuclei is None else _full_size(_cytoplasm(white, nuclei), rgb)


def on_black(rgb: Rgb) -> bool:
    """Return whether most of the picture's edge is black, as segmentation leaves it."""
    around = edge(rgb)
    return 2 * cv2.countNonZero(cv2.inRange(around[None], (0, 0, 0), (BLACK,) * 3)) > len(around)


def not_black(rgb: Rgb) -> Mask:
    """Return what is not black, uint8 (H, W) of 0 and 1."""
    return (images.brightest(rgb) > BLACK).astype(np.uint8)


def _full_size(mask: Mask, rgb: Rgb) -> Mask:
    if mask.shape == rgb.shape[:2]:
        return mask
    # Bilinear at 255 levels, so that the outline is no staircase.
    full = cv2.resize(mask * np.uint8(255), rgb.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return (full > 127).astype(np.uint8)


def _nucleus(rgb: Rgb) -> Mask | None:
    stain = _stain(rgb)
    _, threshold = _two_thresholds(stain.ravel())
    found = _drop_specks((stain > threshold).astype(np.uint8))
    return found if _stands_out(stain, found.astype(bool), np.ones(found.shape, bool)) else None


def _black_ground_nucleus(rgb: Rgb) -> Mask | None:
    shown = _drop_specks(not_black(rgb)).astype(bool)
    if not shown.any():
        return None
    # The ground must not blur into the cell's edge.
    alone = np.where(shown[..., None], rgb, rgb[shown].mean(axis=0).astype(np.uint8))
    stain = _stain(_on_white(alone, rgb[shown]))
    dark = _drop_specks(((stain > _threshold(stain[shown])) & shown).astype(np.uint8)).astype(bool)
    return (dark if _stands_out(stain, dark, shown) else shown).astype(np.uint8)


def _stands_out(stain: Floats, dark: Bits, shown: Bits) -> bool:
    rest = shown & ~dark
    if not dark.any() or not rest.any():
        return False
    return bool(stain[dark].mean() - stain[rest].mean() >= _LEAST_CONTRAST)


def _cytoplasm(rgb: Rgb, nuclei: Mask) -> Mask:
    differs = _smooth(255 - rgb.min(axis=2).astype(np.float32))
    outside = differs[nuclei == 0]
    stained = ((differs > _threshold(outside)) | (nuclei > 0)).astype(np.uint8)
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    opened = np.asarray(cv2.morphologyEx(stained, cv2.MORPH_OPEN, disk), np.uint8) | nuclei
    return _cut_neighbors(_touching(_fill(opened, int(nuclei.sum())), nuclei), nuclei)


def _cut_neighbors(shown: Mask, nuclei: Mask) -> Mask:
    from skimage.segmentation import watershed

    roomy = np.pad(shown, 1, mode="edge")
    depth = cv2.distanceTransform(roomy, cv2.DIST_L2, 5)[1:-1, 1:-1].astype(np.float32)
    markers = _neighbor_cores(depth, nuclei)
    if markers.max() <= 1:
        return shown
    return (watershed(-depth, markers, mask=shown > 0) == 1).astype(np.uint8)


def _neighbor_cores(depth: Floats, nuclei: Mask) -> NDArray[np.int32]:
    """Return 1 in nuclei, and 2, 3 … in what a narrow bridge alone joins to them."""
    markers = (nuclei > 0).astype(np.int32)
    own = np.flatnonzero(nuclei)
    for level in np.linspace(1, float(depth.max()), _LEVELS):
        count, parts = cv2.connectedComponents(((depth > level) | (nuclei > 0)).astype(np.uint8))
        apart = np.ones(count, bool)
        apart[0] = False
        apart[parts.ravel()[own]] = False
        for part in np.flatnonzero(apart):
            inside = parts == part
            peak = depth[inside].max()
            if level <= _WAIST * peak and not markers[inside].any():
                markers[inside & (depth > _CORE * peak)] = markers.max() + 1
    return markers


def _on_white(rgb: Rgb, colors: NDArray[np.uint8] | None = None) -> Rgb:
    """Return the picture as it were on white ground; the ground is looked for in ``colors``."""
    seen = rgb.reshape(-1, 3) if colors is None else colors
    ground = [_percentile(np.ascontiguousarray(seen[:, channel])) for channel in range(3)]
    curves = np.arange(256)[:, None] * (255 / np.maximum(ground, 1))
    return np.asarray(cv2.LUT(rgb, np.minimum(curves, 255).astype(np.uint8)[None]), np.uint8)


def _percentile(values: NDArray[np.uint8]) -> int:
    counts = np.cumsum(np.bincount(values, minlength=256))
    return int(np.searchsorted(counts, _GROUND / 100 * counts[-1]))


def _stain(rgb: Rgb) -> Floats:
    """Return how nuclear each color is, about 0 (ground) to 1.5, of a picture on white ground."""
    green, blue = rgb[:, :, 1].astype(np.float32), rgb[:, :, 2].astype(np.float32)
    stain = 1 - green / np.maximum(blue, 1) + 0.5 * (1 - green / 255)
    return _smooth(stain.astype(np.float32))


def _smooth(values: Floats) -> Floats:
    return np.asarray(cv2.GaussianBlur(values, (5, 5), 0), np.float32)


def _levels(values: Floats) -> tuple[NDArray[np.uint8], float, float]:
    low, high = float(values.min()), float(values.max())
    step = max(high - low, 1e-6) / 255
    return ((values - low) / step).astype(np.uint8), low, step


def _threshold(values: Floats) -> float:
    """Return Otsu's threshold of float32 (N,)."""
    if values.size == 0:
        return 0.0
    levels, low, step = _levels(values)
    best, _ = cv2.threshold(levels.reshape(-1, 1), 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return low + (best + 1) * step


def _two_thresholds(values: Floats) -> tuple[float, float]:
    """Return the two thresholds that part float32 (N,) in three by Otsu's method."""
    levels, low, step = _levels(values)
    counts = np.bincount(levels, minlength=256).astype(np.float64)
    weight = np.concatenate([[0], np.cumsum(counts)])
    moment = np.concatenate([[0], np.cumsum(counts * np.arange(256))])
    # Between-class variance is, up to a constant, the sum of moment² / weight of the classes.
    span, sums = weight[None, :] - weight[:, None], moment[None, :] - moment[:, None]
    score = np.divide(sums**2, span, out=np.zeros_like(sums), where=span > 0)
    total = score[0, :, None] + score + score[:, -1][None, :]
    first, second = np.unravel_index(np.argmax(np.triu(total)), total.shape)
    return low + float(first) * step, low + float(second) * step


def _drop_specks(mask: Mask) -> Mask:
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    opened = np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, disk), np.uint8)
    _, parts, stats, _ = cv2.connectedComponentsWithStats(opened)
    areas = stats[:, cv2.CC_STAT_AREA]
    keep = areas >= _SMALLEST_LOBE * max(areas[1:], default=0)
    keep[0] = False
    return _fill(keep[parts].astype(np.uint8), mask.size)


def _fill(mask: Mask, largest: int) -> Mask:
    """Fill the holes of at most ``largest`` pixels that do not reach the frame."""
    _, parts, stats, _ = cv2.connectedComponentsWithStats(1 - mask, connectivity=4)
    height, width = mask.shape
    left, top, wide, high, area = stats.T
    inner = (left > 0) & (top > 0) & (left + wide < width) & (top + high < height)
    holes = inner & (area <= largest)
    holes[0] = False
    return mask | holes[parts].astype(np.uint8)


def _touching(mask: Mask, seeds: Mask) -> Mask:
    count, parts = cv2.connectedComponents(mask)
    keep = np.zeros(count, bool)
    keep[parts[seeds > 0]] = True
    keep[0] = False
    return keep[parts].astype(np.uint8)
