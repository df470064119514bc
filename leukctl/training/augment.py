"""Augmentation of training images, the same whatever the number of workers.

Every image of every epoch has a random stream of its own, seeded by (seed, epoch, index).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from leukctl import catalog
from leukctl.images import Rgb
from leukctl.preparing.parameters import Parameter, number, whole
from leukctl.preparing.parameters import choice as one_of
from leukctl.training import mixing
from leukctl.training.choices import Choice
from leukctl.training.distortions import augmix, randaugment
from leukctl.training.mixing import Mix


def basic(rgb: Rgb, random: np.random.Generator, **how: Any) -> Rgb:
    """Return uint8 (H, W, 3) flipped, rotated, shifted and scaled in one bilinear warp.

    What comes into the frame is mirrored from inside it.

    Args:
        how: rotate, shift, scale and flip, as :func:`placement` has them.
    """
    if not (how["rotate"] or how["shift"] or how["scale"]) and how["flip"] == "none":
        return rgb
    height, width = rgb.shape[:2]
    return cv2.warpAffine(
        rgb,
        placement(random, (height, width), **how),
        (width, height),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT_101,
    ).astype(np.uint8, copy=False)


def placement(
    random: np.random.Generator,
    size: tuple[int, int],
    rotate: float,
    shift: float,
    scale: float,
    flip: str,
) -> NDArray[np.float64]:
    """Draw where :func:`basic` takes the pixel at (x, y) to, float64 (2, 3) @ (x, y, 1).

    Args:
        size: (H, W).
        rotate: degrees, either way. shift: of each side, either way. scale: 0.1 is 0.9 to 1.1.
        flip: none, horizontal, vertical or both, each every second time.
    """
    height, width = size
    angle = random.uniform(-rotate, rotate)
    matrix = cv2.getRotationMatrix2D(
        ((width - 1) / 2, (height - 1) / 2), angle, random.uniform(1 - scale, 1 + scale)
    )
    matrix[0, 2] += random.uniform(-shift, shift) * width
    matrix[1, 2] += random.uniform(-shift, shift) * height
    flip_x, flip_y = random.random(2) < 0.5
    if flip_x and flip in ("horizontal", "both"):
        matrix[0] = [0, 0, width - 1] - matrix[0]
    if flip_y and flip in ("vertical", "both"):
        matrix[1] = [0, 0, height - 1] - matrix[1]
    return np.asarray(matrix, np.float64)


@dataclass(frozen=True, slots=True)
class Regime:
    """An augmentation.

    Attributes:
        parameters: its own; all but ``none`` have those of :func:`basic`, which comes first.
        change: what else is done to each image, with all parameters.
        mix: what draws how each batch is mixed, with ``alpha``.
    """

    parameters: tuple[Parameter, ...] = ()
    change: Callable[..., Rgb] | None = None
    mix: Callable[..., Mix] | None = None


def _up_to(name: str, most: float, default: float) -> Parameter:
    return number(name, f"from 0 to {most:g}", lambda x: 0 <= x <= most, default)


def _alpha(default: float) -> Parameter:
    return number("alpha", "above 0", lambda x: 0 < x <= 1000, default)


def _count(name: str, least: int, most: int, default: int) -> Parameter:
    return whole(name, f"from {least} to {most}", lambda n: least <= n <= most, default)


_BASIC = (
    _up_to("rotate", 180, 180.0),  # a cell on a slide has no upright position
    _up_to("shift", 1, 0.1),
    _up_to("scale", 0.9, 0.1),
    one_of("flip", catalog.FLIPS, "both"),
)

# Each name of the catalogue.
AUGMENTATIONS = {
    "none": Regime(),
    "basic": Regime(_BASIC),
    "mixup": Regime((_alpha(0.2), *_BASIC), mix=mixing.mixup),
    "cutmix": Regime((_alpha(1.0), *_BASIC), mix=mixing.cutmix),
    "augmix": Regime(
        (_count("severity", 1, 10, 3), _count("width", 1, 10, 3), _alpha(1.0), *_BASIC), augmix
    ),
    "randaugment": Regime(
        (_count("operations", 1, 14, 2), _count("magnitude", 0, 30, 9), *_BASIC), randaugment
    ),
}
PARAMETERS = {name: regime.parameters for name, regime in AUGMENTATIONS.items()}


def is_a_warp(choice: Choice) -> bool:
    """Tell whether all that an augmentation does to each image is :func:`basic`."""
    return choice.name != "none" and AUGMENTATIONS[choice.name].change is None


def placements(
    indices: NDArray[np.int64], size: tuple[int, int], choice: Choice, seed: int, epoch: int
) -> NDArray[np.float64]:
    """Return what :func:`augment_batch` draws for :func:`basic`, float64 (N, 2, 3).

    Args:
        size: (H, W) of the images.
    """
    given = _of_basic(choice)
    return np.stack([placement(_stream(seed, epoch, index), size, **given) for index in indices])


def augment_batch(
    pixels: NDArray[np.uint8], indices: NDArray[np.int64], choice: Choice, seed: int, epoch: int
) -> NDArray[np.uint8]:
    """Return a batch, uint8 (N, H, W, 3), with every image augmented.

    Args:
        indices: each image's place in the training set, int64 (N,), which seeds its stream.
    """
    if choice.name == "none":
        return pixels
    return np.stack(
        [
            _augment(image, _stream(seed, epoch, index), choice)
            for image, index in zip(pixels, indices, strict=True)
        ]
    )


def _stream(seed: int, epoch: int, index: np.int64) -> np.random.Generator:
    return np.random.default_rng([seed, epoch, int(index)])


def _augment(rgb: Rgb, random: np.random.Generator, choice: Choice) -> Rgb:
    changed = basic(rgb, random, **_of_basic(choice))
    change = AUGMENTATIONS[choice.name].change
    return changed if change is None else change(changed, random, **choice.parameters)


def _of_basic(choice: Choice) -> dict[str, Any]:
    return {parameter.name: choice.parameters[parameter.name] for parameter in _BASIC}


def mixes(
    choice: Choice, counts: list[int], size: tuple[int, int], random: np.random.Generator
) -> list[Mix | None]:
    """Draw how each batch of an epoch is mixed, None where none is.

    Args:
        counts: images in each batch. size: (H, W) of them.
    """
    draw = AUGMENTATIONS[choice.name].mix
    if draw is None:
        return [None] * len(counts)
    return [draw(count, size, random, choice.parameters["alpha"]) for count in counts]
