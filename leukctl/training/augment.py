"""Augmentation of training images, the same whatever the number of workers.

Every image of every epoch has a random stream of its own, seeded by (seed, epoch, index).
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from leukctl.images import Rgb
from leukctl.runtime import torch

Augmentation = Callable[[Rgb, np.random.Generator], Rgb]

MAX_ROTATION_DEG = 180.0  # a cell on a slide has no upright position
MAX_SHIFT = 0.1
SCALE = (0.9, 1.1)
MIXUP_ALPHA = 0.2


def none(rgb: Rgb, random: np.random.Generator) -> Rgb:
    """Return the image as it is."""
    return rgb


def basic(rgb: Rgb, random: np.random.Generator) -> Rgb:
    """Return uint8 (H, W, 3) flipped, rotated, shifted and scaled in one bilinear warp.

    Flips with probability 1/2 each way, rotation within ±180°, shift within ±10 % of the side,
    scale within 0.9 to 1.1; what comes into the frame is mirrored from inside it.
    """
    height, width = rgb.shape[:2]
    angle = random.uniform(-MAX_ROTATION_DEG, MAX_ROTATION_DEG)
    matrix = cv2.getRotationMatrix2D(
        ((width - 1) / 2, (height - 1) / 2), angle, random.uniform(*SCALE)
    )
    matrix[0, 2] += random.uniform(-MAX_SHIFT, MAX_SHIFT) * width
    matrix[1, 2] += random.uniform(-MAX_SHIFT, MAX_SHIFT) * height
    flip_x, flip_y = random.random(2) < 0.5
    if flip_x:
        matrix[0] = [0, 0, width - 1] - matrix[0]
    if flip_y:
        matrix[1] = [0, 0, height - 1] - matrix[1]
    return cv2.warpAffine(
        rgb, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    ).astype(np.uint8, copy=False)


# Each name of the catalogue: what it does to an image, and whether pairs are mixed afterwards.
AUGMENTATIONS: dict[str, tuple[Augmentation, bool]] = {
    "none": (none, False),
    "basic": (basic, False),
    "mixup": (basic, True),
}


def augment_batch(
    pixels: NDArray[np.uint8], indices: NDArray[np.int64], name: str, seed: int, epoch: int
) -> NDArray[np.uint8]:
    """Return a batch, uint8 (N, H, W, 3), with every image augmented.

    Args:
        indices: each image's place in the training set, int64 (N,), which seeds its stream.
    """
    function = AUGMENTATIONS[name][0]
    if function is none:
        return pixels
    return np.stack(
        [
            function(image, np.random.default_rng([seed, epoch, int(index)]))
            for image, index in zip(pixels, indices, strict=True)
        ]
    )


def mix(
    inputs: torch.Tensor, targets: torch.Tensor, random: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a MixUp batch after Zhang et al. 2018, with lambda from Beta(0.2, 0.2).

    Args:
        inputs: (N, 3, H, W). targets: one-hot or soft labels (N, K).
    """
    share = float(random.beta(MIXUP_ALPHA, MIXUP_ALPHA))
    order = torch.from_numpy(random.permutation(len(inputs))).to(inputs.device)
    return (
        inputs.mul(share).add_(inputs[order], alpha=1 - share),
        targets.mul(share).add_(targets[order], alpha=1 - share),
    )
