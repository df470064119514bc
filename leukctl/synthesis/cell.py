"""One white cell: how a class looks, how one of its cells looks, and the drawing of it.

A class is a point on two axes. Maturity makes the cell smaller, gives the nucleus less of it,
coarsens the chromatin and takes the nucleoli away; character indents the nucleus, pales the
cytoplasm and strews granules into it. Subjects and single cells scatter around their class so
widely that neighboring classes overlap.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leukctl.synthesis import shapes
from leukctl.synthesis.shapes import Map, Outline

# How far single cells, and whole subjects, lie from their class on the two axes (which run from
# 0 to 1), and how far apart classes stand at most. Chosen so that a network of four convolutions,
# trained from scratch on 300 cells, is right on unseen subjects for about nine in ten cells of
# two classes and three in four of four.
_CELL_SCATTER = 0.09
_SUBJECT_SCATTER = 0.05
_WIDEST_STEP = 0.40

_SMALLEST_UM, _LARGEST_UM = 4.2, 9.0


@dataclass(frozen=True, slots=True)
class Position:
    """Where a class, a subject or a cell stands; 0 to 1 on both axes, and a little beyond."""

    maturity: float
    character: float

    def scattered(self, rng: np.random.Generator, spread: float) -> "Position":
        """Return a position nearby, ``spread`` being the standard deviation on both axes."""
        return Position(
            self.maturity + rng.normal(0, spread), self.character + rng.normal(0, spread)
        )


@dataclass(frozen=True, slots=True)
class Look:
    """The traits of one cell; lengths in micrometers, densities as optical densities."""

    radius: float
    nuclear_share: float  # of the cell's area
    waviness: float
    indentation: float
    clump_size: float
    clump_contrast: float
    chromatin: float
    nucleoli: int
    basophilia: float
    granules: int


@dataclass(frozen=True, slots=True)
class WhiteCell:
    """A drawn cell: how much of each stain it holds and where its parts are, all (H, W)."""

    purple: Map
    blue: Map
    cover: Map  # share of the pixel that is cell, in [0, 1]
    mask: NDArray[np.uint8]  # 255 nucleus, 128 cytoplasm, 0 elsewhere


def class_position(index: int, count: int) -> Position:
    """Return where class ``index`` of ``count`` stands; the first one is the least mature."""
    middle, aside = (count - 1) / 2, 0.5 - 0.6 / count
    return Position(
        0.5 + (index - middle) * min(_WIDEST_STEP, 1 / count),
        0.5 + (-aside if index % 2 == 0 else aside),
    )


def subject_position(position: Position, rng: np.random.Generator) -> Position:
    """Return where a subject of the class at ``position`` stands."""
    return position.scattered(rng, _SUBJECT_SCATTER)


def draw_look(position: Position, rng: np.random.Generator) -> Look:
    """Return the traits of one cell of a subject at ``position``."""
    own = position.scattered(rng, _CELL_SCATTER)

    def between(low: float, high: float, at: float, spread: float) -> float:
        return float(low + (high - low) * at + rng.normal(0, spread))

    m, c = own.maturity, own.character
    return Look(
        radius=float(np.clip(between(7.9, 5.5, m, 0.55), _SMALLEST_UM, _LARGEST_UM)),
        nuclear_share=float(np.clip(between(0.82, 0.48, m, 0.045), 0.3, 0.88)),
        waviness=max(between(0.045, 0.02, m, 0.01), 0.008),
        indentation=float(np.clip(between(-0.15, 0.60, c, 0.07), 0, 0.6)),
        clump_size=float(np.exp(np.clip(between(-1.7, -0.3, m, 0.12), -1.9, -0.2))),
        clump_contrast=float(np.clip(between(0.03, 0.42, m, 0.03), 0.05, 0.45)),
        chromatin=float(np.clip(between(0.76, 1.04, m, 0.06), 0.6, 1.2)),
        nucleoli=int(rng.poisson(max(between(3.4, -0.8, m, 0.0), 0.0))),
        basophilia=float(np.clip(between(0.95, 0.30, c, 0.09), 0.2, 1.1)),
        granules=int(rng.poisson(max(between(-8, 30, c, 0.0), 0.0))),
    )


def draw(
    look: Look, x: float, y: float, size: int, scale: float, rng: np.random.Generator
) -> WhiteCell:
    """Draw a cell around pixel ``(x, y)`` of a frame of ``size`` pixels.

    Args:
        scale: pixels in a micrometer.
    """
    body = shapes.wavy(rng, x, y, look.radius * scale, 0.025)
    nucleus = _nucleus_outline(look, body, scale, rng)
    inside, _ = shapes.depth(body, shapes.whole(size))
    # A nucleus never quite reaches the membrane, however eccentric it lies.
    deep = np.minimum(
        shapes.depth(nucleus, shapes.whole(size))[0], inside - np.float32(max(0.25 * scale, 1.5))
    )
    softness = max(0.28 * scale, 1.0)
    cover = shapes.coverage(inside, softness)
    core = shapes.coverage(deep, softness)
    around = (cover - core).clip(0)
    pale, purple = _chromatin(look, nucleus, deep, scale, rng)
    blue, grains = _cytoplasm(look, body, inside, scale, rng)
    mask = np.where(deep > 0, 255, np.where(inside > 0, 128, 0)).astype(np.uint8)
    return WhiteCell(
        purple=(core * purple + around * grains).astype(np.float32),
        blue=(core * pale + around * blue).astype(np.float32),
        cover=cover,
        mask=mask,
    )


def _nucleus_outline(look: Look, body: Outline, scale: float, rng: np.random.Generator) -> Outline:
    radius = look.radius * np.sqrt(look.nuclear_share)
    side = rng.uniform(0, 2 * np.pi)
    off = rng.uniform(0.3, 0.9) * (look.radius - radius) * scale
    outline = shapes.wavy(
        rng,
        body.x + off * np.cos(side),
        body.y + off * np.sin(side),
        radius * scale,
        look.waviness,
    )
    # The cleft of a bent nucleus faces the wider side of the cytoplasm.
    facing = side + np.pi + rng.normal(0, 0.5)
    return shapes.indented(outline, facing, look.indentation, rng.uniform(0.45, 0.8))


def _chromatin(
    look: Look, nucleus: Outline, deep: Map, scale: float, rng: np.random.Generator
) -> tuple[Map, Map]:
    size = len(deep)
    clumps = np.tanh(1.2 * shapes.noise(rng, size, look.clump_size * scale))
    fine = shapes.noise(rng, size, 0.16 * scale)
    rim = np.exp(-((deep / np.float32(0.45 * scale)) ** 2))
    purple = look.chromatin * (1 + look.clump_contrast * clumps + 0.09 * fine + 0.16 * rim)
    pale = np.full_like(deep, 0.12)
    for _ in range(look.nucleoli):
        spot = _nucleolus(look, nucleus, scale, rng)
        where = shapes.window(spot, size)
        light = shapes.coverage(shapes.depth(spot, where)[0], 0.5 * scale)
        purple[where] *= 1 - 0.42 * light
        pale[where] += 0.3 * light
    return pale, purple.astype(np.float32)


def _nucleolus(look: Look, nucleus: Outline, scale: float, rng: np.random.Generator) -> Outline:
    away = 0.6 * np.sqrt(rng.uniform()) * nucleus.radii.min()
    side = rng.uniform(0, 2 * np.pi)
    x, y = nucleus.x + away * np.cos(side), nucleus.y + away * np.sin(side)
    return shapes.wavy(rng, x, y, rng.uniform(0.65, 1.1) * scale, 0.08)


def _cytoplasm(
    look: Look, body: Outline, inside: Map, scale: float, rng: np.random.Generator
) -> tuple[Map, Map]:
    size = len(inside)
    mottle = shapes.noise(rng, size, 0.5 * scale)
    fine = shapes.noise(rng, size, 0.18 * scale)
    edge = np.exp(-((inside / np.float32(0.7 * scale)) ** 2))
    blue = look.basophilia * (0.85 + 0.10 * mottle + 0.07 * fine + 0.30 * edge)
    grains = np.full_like(inside, 0.05)
    for _ in range(look.granules):
        away = np.sqrt(rng.uniform(0.1, 0.95)) * look.radius * scale
        side = rng.uniform(0, 2 * np.pi)
        grain = shapes.wavy(
            rng,
            body.x + away * np.cos(side),
            body.y + away * np.sin(side),
            rng.uniform(0.16, 0.32) * scale,
            0.0,
        )
        where = shapes.window(grain, size)
        grains[where] += 0.4 * shapes.coverage(shapes.depth(grain, where)[0], 0.4 * scale)
    return blue.astype(np.float32), grains
