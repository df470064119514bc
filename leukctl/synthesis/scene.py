"""The scene around a white cell: ground, red cells, platelets, and the light of a source.

Stains absorb as Beer and Lambert have it: intensity = light x exp(-sum of stain x absorption), so
that red cells which overlap are darker together. The absorptions are those of a May-Grünwald-
Giemsa smear, read off photographs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leukctl.synthesis import cell, shapes
from leukctl.synthesis.cell import Look, WhiteCell
from leukctl.synthesis.shapes import Map, Outline, Window

FIELD_UM = 30.0  # the side of the field of view at magnification 1

# Optical density in R, G, B of one unit of stain: chromatin, basophilic cytoplasm, hemoglobin.
_PURPLE = (1.22, 1.66, 0.60)
_BLUE = (0.62, 0.50, 0.13)
_PINK = (0.19, 0.31, 0.25)

_WARM = np.array((252.0, 234.0, 208.0))
_COOL = np.array((226.0, 224.0, 236.0))

_RED_RADIUS_UM = 3.6
_RED_SPACING_UM = 7.0


@dataclass(frozen=True, slots=True)
class Optics:
    """How a source, or one subject's smear of it, is stained, lit and photographed."""

    light: NDArray[np.float64]  # (3,) R, G, B of the empty ground, 0..255
    stains: NDArray[np.float64]  # (3, 3) optical density, a row a stain
    magnification: float
    blur: float  # micrometers
    noise: float  # standard deviation in grey levels of 255
    red_radius: float  # micrometers
    pallor: float  # how pale the middle of a red cell is, 0..1


def source_optics(index: int, rng: np.random.Generator) -> Optics:
    """Return the optics of source ``index``; neighboring sources differ visibly."""
    # The golden ratio spreads any number of sources evenly between warm and cool.
    cool = (index * 0.6180339887) % 1
    stains = np.array((_PURPLE, _BLUE, _PINK)) * rng.normal(1, 0.05, (3, 3))
    stains[:, 0] *= 1 - 0.12 * cool
    stains[:, 2] *= 1 + 0.10 * cool
    return Optics(
        light=(_WARM + (_COOL - _WARM) * cool) * rng.normal(1, 0.012, 3),
        stains=stains * rng.normal(1, 0.05),
        magnification=1 + 0.08 * (cool - 0.5) + rng.normal(0, 0.01),
        blur=0.10 + 0.07 * cool,
        noise=1.6 + 1.8 * cool,
        red_radius=_RED_RADIUS_UM,
        pallor=0.72,
    )


def subject_optics(source: Optics, rng: np.random.Generator) -> Optics:
    """Return the optics of one subject's smear at ``source``: no two smears are stained alike."""
    return Optics(
        light=source.light * rng.normal(1, 0.02) * rng.normal(1, 0.01, 3),
        stains=source.stains * rng.normal(1, 0.06, (3, 1)) * rng.normal(1, 0.025, (3, 3)),
        magnification=source.magnification * rng.normal(1, 0.015),
        blur=source.blur * rng.uniform(0.8, 1.3),
        noise=source.noise * rng.uniform(0.8, 1.3),
        red_radius=source.red_radius * rng.normal(1, 0.04),
        pallor=float(np.clip(source.pallor + rng.normal(0, 0.12), 0.2, 0.9)),
    )


def draw(
    look: Look, optics: Optics, size: int, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw one field of view with one white cell near its middle.

    Returns:
        The picture, uint8 RGB (size, size, 3), and the mask of what was drawn, uint8 (size, size):
        255 nucleus, 128 cytoplasm, 0 elsewhere.
    """
    scale = size / FIELD_UM * optics.magnification
    x, y = size / 2 + rng.normal(0, 0.02 * size, 2).clip(-0.05 * size, 0.05 * size)
    white = cell.draw(look, x, y, size, scale, rng)
    pink = _red_cells(optics, size, scale, rng) * (1 - _dilated(white, scale))
    purple = white.purple + _platelets(size, scale, rng) * (1 - white.cover)
    densities = np.stack([purple, white.blue, pink], axis=-1)
    # No matrix product: its last bits may depend on the number of threads.
    clear: Map = np.exp(-np.einsum("hws,sc->hwc", densities, optics.stains.astype(np.float32)))
    return _photographed(clear, optics, size, scale, rng), white.mask


def _photographed(
    clear: Map, optics: Optics, size: int, scale: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Return uint8 RGB of a transmittance (H, W, 3): light, its fall-off, lens and sensor."""
    slope = np.linspace(-1, 1, size, dtype=np.float32)
    tilt_x, tilt_y = rng.normal(0, 0.012, 2).astype(np.float32)
    falloff = 1 + tilt_x * slope[None, :] + tilt_y * slope[:, None]
    blurred = shapes.blurred(clear, optics.blur * scale)
    picture = blurred * falloff[..., None] * optics.light.astype(np.float32)
    # Half of the noise is that of single color channels, half the shot noise they share.
    grain = rng.standard_normal((size, size, 4), dtype=np.float32)
    noise = np.float32(optics.noise * 0.7) * (grain[..., :3] + grain[..., 3:])
    return np.rint(picture + noise).clip(0, 255).astype(np.uint8)


def _dilated(white: WhiteCell, scale: float) -> Map:
    # Red cells lie against the white one and give way: a hair of ground stays between them.
    grown = shapes.blurred(white.cover, 0.3 * scale)
    return (grown * 1.6).clip(0, 1)


def _red_cells(optics: Optics, size: int, scale: float, rng: np.random.Generator) -> Map:
    """Return the hemoglobin, (H, W): discs on a shaken grid that reaches over the frame's edge."""
    pink = np.zeros((size, size), np.float32)
    spacing = _RED_SPACING_UM * scale
    crowding = rng.uniform(0.45, 0.95)
    places = np.arange(-spacing, size + spacing, spacing) + rng.uniform(0, spacing)
    for row in places:
        for column in places:
            x, y = np.array((column, row)) + rng.normal(0, 0.2 * spacing, 2)
            radius = optics.red_radius * scale * rng.normal(1, 0.06)
            outline = shapes.wavy(rng, x, y, radius, 0.02)
            present = rng.uniform() < crowding
            strength, pallor = rng.normal(1, 0.08), optics.pallor * rng.uniform(0.5, 1.15)
            if present:
                _add_red_cell(pink, outline, strength, min(pallor, 0.95), scale)
    return pink


def _add_red_cell(
    pink: Map, outline: Outline, strength: float, pallor: float, scale: float
) -> None:
    where: Window = shapes.window(outline, len(pink))
    inside, outward = shapes.depth(outline, where)
    dimple = pallor * np.exp(-((outward / np.float32(0.52)) ** 4))
    rim = 0.12 * np.exp(-(((outward - 0.86) / 0.12) ** 2))
    disc = shapes.coverage(inside, max(0.3 * scale, 1.0))
    pink[where] += np.float32(strength) * disc * (1 - dimple + rim)


def _platelets(size: int, scale: float, rng: np.random.Generator) -> Map:
    purple = np.zeros((size, size), np.float32)
    for _ in range(rng.poisson(0.7)):
        x, y = rng.uniform(0, size, 2)
        outline = shapes.wavy(rng, x, y, rng.uniform(0.8, 1.5) * scale, 0.09)
        where = shapes.window(outline, size)
        body = shapes.coverage(shapes.depth(outline, where)[0], 0.5 * scale)
        speckle = shapes.noise(rng, size, 0.22 * scale)[where]
        purple[where] += body * (0.38 + 0.14 * speckle).clip(0.1, 0.9)
    return purple
