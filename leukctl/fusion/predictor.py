"""A run of ``fuse`` as a predictor: images → features of several backbones → answers."""

from collections.abc import Sequence

import numpy as np

from leukctl import runs
from leukctl.backbones.folding import fold
from leukctl.errors import InputError
from leukctl.fusion import model
from leukctl.fusion.bank import Times
from leukctl.fusion.extracting import pooled
from leukctl.fusion.steps import Floats
from leukctl.images import Rgb
from leukctl.inference import FeatureExtractor, Probabilities
from leukctl.lanes import Lanes
from leukctl.portions import Portion
from leukctl.runs import Run
from leukctl.runtime import Compute, torch


class FusionPredictor:
    """A run of ``fuse``.

    Args:
        networks: of its backbones, with their weights. Batch normalization is folded where it was
            when the classifier learned.
        padded: take features from batches of the size that the classifier's were taken from,
            filled up where there are fewer images, so that they are the same to the last bit; else
            from batches as they come.
    """

    def __init__(
        self,
        run: Run,
        networks: Sequence[torch.nn.Module],
        compute: Compute,
        portion: Portion | None = None,
        padded: bool = False,
    ) -> None:
        self.run = run
        self.compute = compute
        self.extractors = []
        for network, spec in zip(networks, run.backbones, strict=True):
            if run.head.get("folded", False):
                fold(network.eval(), spec.input_size)
            self.extractors.append(FeatureExtractor(network, spec, compute, portion))
        self.model = model.load(run)
        self.batch_size = _batch_size(run) if padded else None
        self.lanes = Lanes(compute) if self.batch_size is not None else None

    def probabilities(self, images: Sequence[Rgb]) -> Probabilities:
        """Return float64 (N, K), each row summing to 1."""
        return self.model.probabilities(self.features(images))

    def features(self, images: Sequence[Rgb]) -> Floats:
        """Return the features of all backbones side by side, float32 (N, D1 + D2 + …)."""
        size = self.batch_size
        if size is None or self.lanes is None:
            return np.concatenate([extract(images) for extract in self.extractors], axis=1)
        return np.concatenate(pooled(self.extractors, images, size, self.lanes, Times()), axis=1)


def _batch_size(run: Run) -> int | None:
    """Return how many images went through the backbones at once; an older leukctl does not tell."""
    found = run.options.get("batch_size")
    if found is not None and (not isinstance(found, int) or found < 1):
        raise InputError(f"damaged (batch_size is {found!r})", file=run.folder / runs.RUN)
    return found
