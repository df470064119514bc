"""What training makes small, and what it counts on the way."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score

from leukctl.errors import LeukctlError, UsageError
from leukctl.runtime import torch
from leukctl.training.data import ImageStore


@dataclass(slots=True)
class Split:
    """Images of one split.

    Attributes:
        labels: int64 (N,).
        weights: of each image in the training loss, float64 (N,) with a mean of 1; None weighs
            all alike.
    """

    store: ImageStore
    labels: NDArray[np.int64]
    weights: NDArray[np.float64] | None = None


class DivergedError(LeukctlError):
    """The loss is no number any more."""


def checked(forward: Callable[[], torch.Tensor]) -> torch.Tensor:
    """Return what a forward pass of training gives; refuse a batch that BatchNorm cannot take."""
    try:
        return forward()
    except ValueError as error:  # there is nothing to take a variance of
        raise UsageError(
            f"{str(error).splitlines()[0]}; a larger --batch-size or --input-size helps"
        ) from None


@dataclass(slots=True)
class Tally:
    """Sums up an epoch: loss, accuracy and macro F1."""

    loss: float = 0.0
    labels: list[NDArray[np.int64]] = field(default_factory=list)
    answers: list[NDArray[np.int64]] = field(default_factory=list)

    def add(self, loss: float, answers: NDArray[np.int64], labels: NDArray[np.int64]) -> None:
        """Count a batch: its mean loss, the classes it was called (N,) and its labels (N,)."""
        if not math.isfinite(loss):
            raise DivergedError(f"the loss became {loss}")
        self.loss += loss * len(labels)
        self.labels.append(labels)
        self.answers.append(answers)

    def figures(self) -> dict[str, float]:
        """Return the means over all that was counted; that of F1 is over the classes with images.

        So it is in :mod:`leukctl.metrics`: what a state is chosen by is what is told of it.
        """
        labels, answers = np.concatenate(self.labels), np.concatenate(self.answers)
        present = np.unique(labels)
        return {
            "loss": self.loss / len(labels),
            "accuracy": float(accuracy_score(labels, answers)),
            "f1_macro": float(
                f1_score(labels, answers, labels=present, average="macro", zero_division=0.0)
            ),
        }


def soft_targets(split: Split, classes: int, smoothing: float) -> torch.Tensor:
    """Return what the loss compares the answers with, float32 (N, K): one-hot, smoothed, weighted.

    Cross-entropy is linear in its targets, so that a weight may stand here as well as before the
    loss; and MixUp, which mixes targets, then mixes the weights of a pair by its share.
    """
    labels = torch.from_numpy(split.labels)
    targets = torch.nn.functional.one_hot(labels, classes).float()
    targets = targets * (1 - smoothing) + smoothing / classes
    if split.weights is None:
        return targets
    return targets * torch.from_numpy(split.weights).float()[:, None]


def accumulated(sizes: list[int], steps: int) -> list[tuple[float, bool]]:
    """Return each batch's share of the images of its step, and whether the step ends with it.

    Args:
        sizes: of the batches.
        steps: how many batches come together in a step; the last may have fewer.
    """
    found = []
    for place, size in enumerate(sizes):
        first = place - place % steps
        together = sizes[first : first + steps]
        found.append((size / sum(together), place == first + len(together) - 1))
    return found
