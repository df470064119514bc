"""MixUp and CutMix: a batch mixed with itself in another order, on the device it is on."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leukctl.runtime import torch

Batch = tuple[torch.Tensor, torch.Tensor]
Box = tuple[slice, slice]


@dataclass(frozen=True, slots=True)
class Mix:
    """How a batch is mixed.

    Attributes:
        order: whom each image is mixed with, int64 (N,).
        kept, taken: the shares of an image's own targets and of the other's.
        box: the rows and columns that come from the other image; None mixes all pixels.
    """

    order: NDArray[np.int64]
    kept: float
    taken: float
    box: Box | None = None

    def partners(self, rows: slice) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return what it takes to mix some rows of the batch.

        Returns:
            the places in the batch of these rows and then of others that they are mixed with, and
            for each of the rows where among all of these its partner is.
        """
        own = np.arange(rows.start, rows.stop)
        others = self.order[rows]
        places = np.concatenate([own, np.setdiff1d(others, own)])
        where = np.empty(len(self.order), np.int64)
        where[places] = np.arange(len(places))
        return places, where[others]

    def mixed(self, inputs: torch.Tensor, targets: torch.Tensor, partners: torch.Tensor) -> Batch:
        """Return n rows mixed, images (n, 3, H, W) and one-hot or soft labels (n, K).

        Args:
            inputs, targets: of the n rows and of whomever else they are mixed with.
            partners: the place of each row's partner among these, int64 (n,).
        """
        n = len(partners)
        soft = targets[:n].mul(self.kept).add_(targets[partners], alpha=self.taken)
        if self.box is None:
            return inputs[:n].mul(self.kept).add_(inputs[partners], alpha=self.taken), soft
        rows, columns = self.box
        changed = inputs[:n].clone()
        changed[..., rows, columns] = inputs[partners, :, rows, columns]
        return changed, soft


def mixup(count: int, size: tuple[int, int], random: np.random.Generator, alpha: float) -> Mix:
    """Draw a MixUp after Zhang et al. 2018, its share from Beta(alpha, alpha).

    Args:
        count: images in the batch. size: (H, W), which does not matter here.
    """
    share = float(random.beta(alpha, alpha))
    return Mix(random.permutation(count), share, 1 - share)


def cutmix(count: int, size: tuple[int, int], random: np.random.Generator, alpha: float) -> Mix:
    """Draw a CutMix after Yun et al. 2019: each image with a rectangle of another.

    The rectangle's share of the area comes from Beta(alpha, alpha), its center from anywhere; the
    labels are mixed by the share that lies inside the image.

    Args:
        count: images in the batch. size: (H, W) of them.
    """
    height, width = size
    rows, columns = box(height, width, float(random.beta(alpha, alpha)), random)
    order = random.permutation(count)
    cut = (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)
    return Mix(order, 1 - cut, cut, (rows, columns))


def box(height: int, width: int, kept: float, random: np.random.Generator) -> Box:
    """Return the rows and columns of a rectangle of about 1 - ``kept`` of the area."""
    half = 0.5 * math.sqrt(1 - kept)
    x, y = random.integers(width), random.integers(height)
    half_height, half_width = int(half * height), int(half * width)
    return (
        slice(max(int(y) - half_height, 0), min(int(y) + half_height, height)),
        slice(max(int(x) - half_width, 0), min(int(x) + half_width, width)),
    )
