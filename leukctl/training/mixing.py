"""MixUp and CutMix: a batch mixed with itself in another order, on the device it is on."""

import math

import numpy as np

from leukctl.runtime import torch

Batch = tuple[torch.Tensor, torch.Tensor]


def mixup(
    inputs: torch.Tensor, targets: torch.Tensor, random: np.random.Generator, alpha: float
) -> Batch:
    """Return a MixUp batch after Zhang et al. 2018, its share from Beta(alpha, alpha).

    Args:
        inputs: (N, 3, H, W). targets: one-hot or soft labels (N, K).
    """
    share = float(random.beta(alpha, alpha))
    order = torch.from_numpy(random.permutation(len(inputs))).to(inputs.device)
    return (
        inputs.mul(share).add_(inputs[order], alpha=1 - share),
        targets.mul(share).add_(targets[order], alpha=1 - share),
    )


def cutmix(
    inputs: torch.Tensor, targets: torch.Tensor, random: np.random.Generator, alpha: float
) -> Batch:
    """Return a CutMix batch after Yun et al. 2019: each image with a rectangle of another.

    The rectangle's share of the area comes from Beta(alpha, alpha), its center from anywhere; the
    labels are mixed by the share that lies inside the image.

    Args:
        inputs: (N, 3, H, W). targets: one-hot or soft labels (N, K).
    """
    height, width = inputs.shape[-2:]
    rows, columns = box(height, width, float(random.beta(alpha, alpha)), random)
    order = torch.from_numpy(random.permutation(len(inputs))).to(inputs.device)
    mixed = inputs.clone()
    mixed[..., rows, columns] = inputs[order, :, rows, columns]
    cut = (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)
    return mixed, targets.mul(1 - cut).add_(targets[order], alpha=cut)


def box(height: int, width: int, kept: float, random: np.random.Generator) -> tuple[slice, slice]:
    """Return the rows and columns of a rectangle of about 1 - ``kept`` of the area."""
    half = 0.5 * math.sqrt(1 - kept)
    x, y = random.integers(width), random.integers(height)
    half_height, half_width = int(half * height), int(half * width)
    return (
        slice(max(int(y) - half_height, 0), min(int(y) + half_height, height)),
        slice(max(int(x) - half_width, 0), min(int(x) + half_width, width)),
    )
