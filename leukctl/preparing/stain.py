"""Stain normalization: a picture's colors to those of a reference.

A reference is a handful of numbers, fitted once; the chain's text carries them, so that a run can
prepare a raw image without the file they came from.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from leukctl import images
from leukctl.errors import ImageError, InputError
from leukctl.preparing import masks
from leukctl.preparing.geometry import Mask, Result, Rgb

Reference = tuple[float, ...]
Floats = NDArray[np.float64]

# Medians of what was fitted to 1,200 blood cells of eight kinds, stained with May-Grünwald-Giemsa:
# Acevedo et al., Data in Brief 30 (2020) 105474 (CC BY 4.0).
_AZURE = (0.7158, 0.6487, 0.2585)
_EOSIN = (0.4376, 0.8941, 0.0952)
MACENKO: Reference = (*_AZURE, *_EOSIN, 0.8738, 2.182, 255.0, 229.0, 203.0)
REINHARD: Reference = (79.3454, 10.9614, 7.5567, 15.9643, 9.3066, 14.4383)

BETA, ALPHA = 0.15, 1.0

_WHITE = 255.0
_GROUND = 90  # percentile of each channel that is taken for the light that comes through
_LEAST_TISSUE = 0.001  # of the frame
_LEAST_SPREAD = 1e-4  # variance of optical density across one stain; real smears have 1e-3 or more
_LEAST_ANGLE = 1e-3  # between the stains, its sine squared
_MOST_DENSITY = 20.0  # one pixel in half a billion photons
_DECIMALS = 4  # decimals that the text of a chain keeps


def stain(
    rgb: Rgb, mask: Mask | None, *, method: str, reference: Reference, **parameters: Any
) -> Result:
    """Return the picture in the colors of a reference, by one of :data:`METHODS`; the mask stays.

    Where that cannot be done the picture is kept, with a note.
    """
    try:
        return METHODS[method].apply(rgb, reference, **parameters), mask, None
    except ValueError as error:
        return rgb, mask, f"{error}, picture kept"


def macenko(rgb: Rgb, reference: Reference, *, beta: float, alpha: float) -> Rgb:
    """Return the picture in the two stains of a reference (Macenko et al., ISBI 2009).

    Optical densities are measured against the picture's own ground, whose color becomes the
    reference's; on black ground, which stays black, against white.

    Args:
        reference: as :func:`fit_macenko` returns it.
        beta: the least optical density, mean of the channels, of a pixel that tells of the stains.
        alpha: percentile that is passed over at either end, of the angles between the stains and
            of the stains' amounts.

    Raises ValueError where there is too little to tell two stains.
    """
    _, amounts, most, _ = _unmix(rgb, beta, alpha)
    theirs = np.array(reference[:6]).reshape(2, 3).T
    scaled = amounts * (np.array(reference[6:8]) / most)[:, None]
    light = np.full(3, _WHITE) if masks.on_black(rgb) else np.array(reference[8:])
    # A picture may hold more of a stain than any reference: what is too dark is black.
    colors = light * np.exp(np.clip(-(theirs @ scaled), -_MOST_DENSITY, _MOST_DENSITY)).T
    out = rgb.copy()
    out[_shown(rgb)] = np.clip(np.rint(colors), 0, 255).astype(np.uint8)
    return out


def fit_macenko(rgb: Rgb) -> Reference:
    """Return the two stains' optical densities (R, G, B each), their amounts, and the ground.

    The stain that takes more red comes first: the azure of nuclei, then eosin. Raises ValueError
    as :func:`macenko` does.
    """
    stains, _, most, light = _unmix(rgb, BETA, ALPHA)
    return tuple(round(float(v), _DECIMALS) for v in (*stains.T.ravel(), *most, *light))


def _unmix(rgb: Rgb, beta: float, alpha: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Return stains (3, 2), amounts (2, N) of the pixels shown, the most of each (2,), light (3,).

    N counts the pixels that are not the black ground of a segmented picture.
    """
    colors = rgb[_shown(rgb)]
    black = masks.on_black(rgb)
    if len(colors) == 0:
        raise ValueError("nothing but black")
    light = np.full(3, _WHITE) if black else np.percentile(colors, _GROUND, axis=0)
    light = np.maximum(light, 1.0)
    # One is added on both sides, so that black has a density and the ground has none.
    curves = np.log(light + 1.0) - np.log(np.arange(256)[:, None] + 1.0)
    density = np.stack([curves[colors[:, c], c] for c in range(3)], axis=1)
    tissue = density[density.mean(axis=1) >= beta]
    if len(tissue) < max(2, _LEAST_TISSUE * rgb.shape[0] * rgb.shape[1]):
        raise ValueError("no tissue")
    stains = _two_stains(tissue, alpha)
    amounts = np.linalg.pinv(stains) @ density.T
    most = np.percentile(amounts, 100 - alpha, axis=1)
    if not (most > 0).all():
        raise ValueError("one stain alone")
    return stains, amounts, most, light


def _two_stains(density: Floats, alpha: float) -> Floats:
    """Return the unit vectors (3, 2) at the ends of the fan that the densities (N, 3) make."""
    centered = density - density.mean(axis=0)
    # Not np.cov, whose sums may depend on how many threads BLAS has.
    covariance = np.einsum("ni,nj->ij", centered, centered) / len(density)
    spread, directions = np.linalg.eigh(covariance)
    if spread[1] < _LEAST_SPREAD:
        raise ValueError("one stain alone")
    plane = directions[:, [2, 1]]
    plane = plane * np.where(plane.sum(axis=0) < 0, -1, 1)
    along = density @ plane
    angles = np.arctan2(along[:, 1], along[:, 0])
    ends = np.percentile(angles, [alpha, 100 - alpha])
    stains = plane @ np.array([np.cos(ends), np.sin(ends)])
    if abs(np.linalg.det(stains.T @ stains)) < _LEAST_ANGLE:
        raise ValueError("one stain alone")
    return stains if stains[0, 0] >= stains[0, 1] else stains[:, ::-1]


def reinhard(rgb: Rgb, reference: Reference) -> Rgb:
    """Return the picture with the reference's mean and deviation of each channel of CIE Lab.

    Reinhard et al., IEEE Computer Graphics and Applications 21 (2001), whose own color space is
    another one. The black ground of a segmented picture neither counts nor changes.

    Moments are of all that is shown, so a reference should show as much ground as the pictures do;
    the built-in one is of whole fields, and no reference for cells on black.

    Args:
        reference: as :func:`fit_reinhard` returns it.

    Raises ValueError where all that is shown has one color.
    """
    shown = _shown(rgb)
    lab = _lab(rgb)
    mean, deviation = _moments(lab[shown])
    scale = np.divide(reference[3:], deviation, out=np.ones(3), where=deviation > 1e-3)
    moved = ((lab - mean) * scale + reference[:3]).astype(np.float32)
    colors = np.clip(cv2.cvtColor(moved, cv2.COLOR_LAB2RGB), 0, 1)
    return np.where(shown[:, :, None], np.rint(colors * 255), rgb).astype(np.uint8)


def fit_reinhard(rgb: Rgb) -> Reference:
    """Return mean and standard deviation of L*, a* and b*; raises as :func:`reinhard` does."""
    mean, deviation = _moments(_lab(rgb)[_shown(rgb)])
    return tuple(round(float(v), _DECIMALS) for v in (*mean, *deviation))


def _lab(rgb: Rgb) -> NDArray[np.float32]:
    return np.asarray(cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)


def _moments(lab: NDArray[np.float32]) -> tuple[Floats, Floats]:
    if len(lab) == 0:
        raise ValueError("nothing but black")
    deviation = lab.std(axis=0, dtype=np.float64)
    if deviation.max() < 1e-3:
        raise ValueError("one color alone")
    return lab.mean(axis=0, dtype=np.float64), deviation


def _shown(rgb: Rgb) -> NDArray[np.bool_]:
    """Return what is not the black ground of a segmented picture."""
    if not masks.on_black(rgb):
        return np.ones(rgb.shape[:2], bool)
    return masks.not_black(rgb).astype(bool)


@dataclass(frozen=True, slots=True)
class Method:
    """A way to normalize, how a reference is fitted, and how many numbers that has."""

    apply: Callable[..., Rgb]
    fit: Callable[[Rgb], Reference]
    builtin: Reference


METHODS = {
    "macenko": Method(macenko, fit_macenko, MACENKO),
    "reinhard": Method(reinhard, fit_reinhard, REINHARD),
}


def reader(method: str) -> Callable[[str], Reference]:
    """Return what reads a reference of ``method``: its numbers, or the path of an image to fit.

    It raises ValueError with what is expected, and :class:`InputError` for an image that cannot be
    read or that nothing can be fitted to.
    """

    def read(text: str) -> Reference:
        numbers, count = _read_numbers(text), len(METHODS[method].builtin)
        if numbers is not None:
            if len(numbers) != count:
                raise ValueError(f"an image file, or {count} numbers joined by /")
            return numbers
        try:
            return METHODS[method].fit(images.read_rgb(Path(text)))
        except (ImageError, ValueError) as error:
            why = f"no reference for stain:{method} ({error}); paths here have no comma or colon"
            raise InputError(why, file=text) from None

    return read


def show_reference(reference: Reference) -> str:
    """Return the text that reads back to a reference."""
    return "/".join(repr(value).removesuffix(".0") for value in reference)


def _read_numbers(text: str) -> Reference | None:
    try:
        numbers = tuple(float(part) for part in text.split("/"))
    except ValueError:
        return None
    return numbers if np.isfinite(numbers).all() else None
