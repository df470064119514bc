"""The two stages of training: the head on a frozen backbone, then all of it.

The regime is that of altalhi2026. The state that is kept is the one with the best macro F1 on the
validation split, over both stages; the test split is never looked at here.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score

from leukctl import runtime, tensors
from leukctl.backbones import Network
from leukctl.errors import LeukctlError, UsageError
from leukctl.runs import BackboneSpec
from leukctl.runtime import Compute, torch
from leukctl.training.augment import AUGMENTATIONS, augment_batch, mix
from leukctl.training.data import ImageStore, batches

Progress = Callable[[int], None]
Features = tuple[torch.Tensor, torch.Tensor]


@dataclass(slots=True)
class Stage:
    """One stage of training.

    Attributes:
        name: ``frozen`` or ``finetune``.
        epochs: at most.
        learning_rate: of AdamW at the start; it falls to zero along half a cosine.
    """

    name: str
    epochs: int
    learning_rate: float

    @property
    def frozen(self) -> bool:
        """Whether the backbone, its BatchNorm statistics included, stays as it is."""
        return self.name == "frozen"


@dataclass(slots=True)
class Settings:
    """What both stages share."""

    batch_size: int
    augment: str
    weight_decay: float
    label_smoothing: float
    patience: int
    seed: int
    compute: Compute
    spec: BackboneSpec


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


@dataclass(slots=True)
class Epoch:
    """An epoch's figures: a row of history.csv, and the seconds it took."""

    epoch: int
    stage: str
    learning_rate: float
    train: dict[str, float]
    val: dict[str, float]
    seconds: float = 0.0


@dataclass(slots=True)
class Best:
    """The best state so far.

    Attributes:
        key: macro F1 on val, then minus its loss, to be made larger.
        state: the network's tensors on the CPU.
        epoch: when it was reached; the first is 1.
    """

    key: tuple[float, float] = (-math.inf, -math.inf)
    state: dict[str, torch.Tensor] = field(default_factory=dict)
    epoch: int = 0


class DivergedError(LeukctlError):
    """The loss is no number any more."""


@dataclass(slots=True)
class Tally:
    """Sums up an epoch: loss, accuracy and macro F1."""

    loss: float = 0.0
    labels: list[NDArray[np.int64]] = field(default_factory=list)
    answers: list[NDArray[np.int64]] = field(default_factory=list)

    def add(self, loss: float, logits: torch.Tensor, labels: NDArray[np.int64]) -> None:
        """Count a batch: its mean loss, its logits (N, K) and its labels (N,)."""
        if not math.isfinite(loss):
            raise DivergedError(f"the loss became {loss}")
        self.loss += loss * len(labels)
        self.labels.append(labels)
        self.answers.append(logits.detach().argmax(1).cpu().numpy())

    def figures(self) -> dict[str, float]:
        """Return the means over all that was counted."""
        labels, answers = np.concatenate(self.labels), np.concatenate(self.answers)
        return {
            "loss": self.loss / len(labels),
            "accuracy": float(accuracy_score(labels, answers)),
            "f1_macro": float(f1_score(labels, answers, average="macro", zero_division=0.0)),
        }


class Trainer:
    """Trains one network.

    Args:
        network: on the settings' device.
        train, val: the splits to learn from and to choose by.
        on_progress: told of images seen.
    """

    def __init__(
        self, network: Network, train: Split, val: Split, settings: Settings, on_progress: Progress
    ) -> None:
        self.network = network
        self.train = train
        self.val = val
        self.settings = settings
        self.device = settings.compute.device
        self.on_progress = on_progress
        self.best = Best()
        self.classes = network.classes
        self.targets = soft_targets(train, network.classes, settings.label_smoothing)

    def run(self, stages: list[Stage]) -> Iterator[Epoch]:
        """Yield the epochs of all stages; each stage goes on from the best state so far.

        Raises :class:`DivergedError` when the loss became NaN or infinite; :attr:`best` then still
        holds the last good state, if there was one.
        """
        number = 0
        for stage in stages:
            self.restore_best()
            for epoch in self._run_stage(stage, number):
                number = epoch.epoch
                yield epoch

    def restore_best(self) -> None:
        """Put the best state back into the network."""
        if self.best.state:
            self.network.load_state_dict(self.best.state)

    def _run_stage(self, stage: Stage, done: int) -> Iterator[Epoch]:
        self.network.backbone.requires_grad_(not stage.frozen)
        optimizer = torch.optim.AdamW(
            [p for p in self.network.parameters() if p.requires_grad],
            lr=stage.learning_rate,
            weight_decay=self.settings.weight_decay,
        )
        scaler = torch.amp.GradScaler(
            self.device.type, enabled=self.settings.compute.precision == "fp16"
        )
        cached = self._cache_features() if stage.frozen and self.settings.augment == "none" else {}
        waited = 0
        for epoch in range(done + 1, done + 1 + stage.epochs):
            rate = stage.learning_rate * _cosine((epoch - done - 1) / stage.epochs)
            for group in optimizer.param_groups:
                group["lr"] = rate
            train = self._train_epoch(optimizer, scaler, epoch, stage.frozen, cached.get("train"))
            val = self._evaluate(cached.get("val"))
            waited = 0 if self._keep_if_best(epoch, val) else waited + 1
            yield Epoch(epoch, stage.name, rate, train, val)
            if waited >= self.settings.patience:
                return

    def _keep_if_best(self, epoch: int, val: dict[str, float]) -> bool:
        key = (val["f1_macro"], -val["loss"])
        if key <= self.best.key:
            return False
        state = {k: v.detach().cpu().clone() for k, v in self.network.state_dict().items()}
        self.best = Best(key, state, epoch)
        return True

    def _train_epoch(
        self,
        optimizer: torch.optim.Optimizer,
        scaler: torch.amp.GradScaler,
        epoch: int,
        frozen: bool,
        cached: Features | None,
    ) -> dict[str, float]:
        self.network.train()
        if frozen:
            self.network.backbone.eval()
        torch.manual_seed(_mix_seed(self.settings.seed, epoch))  # dropout's
        tally = Tally()
        steps = self._feature_steps(cached, epoch) if cached else self._image_steps(epoch, frozen)
        for forward, targets, labels in steps:
            optimizer.zero_grad(set_to_none=True)
            with runtime.autocast(self.settings.compute):
                logits = self._checked(forward)
                loss = torch.nn.functional.cross_entropy(logits.float(), targets)
            tally.add(loss.item(), logits, labels)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            self.on_progress(len(labels))
        return tally.figures()

    def _checked(self, forward: Callable[[], torch.Tensor]) -> torch.Tensor:
        try:
            return forward()
        except ValueError as error:  # BatchNorm has nothing to take a variance of
            raise UsageError(
                f"{str(error).splitlines()[0]}; a larger --batch-size or --input-size helps"
            ) from None

    def _image_steps(self, epoch: int, frozen: bool) -> Iterator[Any]:
        settings = self.settings
        _, mixes = AUGMENTATIONS[settings.augment]
        random = np.random.default_rng([settings.seed, epoch])
        order = batches(len(self.train.store), settings.batch_size, random)

        def load(indices: NDArray[np.int64]) -> NDArray[np.uint8]:
            pixels = self.train.store.get(indices)
            return augment_batch(pixels, indices, settings.augment, settings.seed, epoch)

        for indices, pixels in zip(
            order, tensors.ordered_map(load, order, settings.compute.workers), strict=True
        ):
            labels = self.train.labels[indices]
            inputs = tensors.normalize(pixels, settings.spec, self.device)
            targets = self.targets[indices].to(self.device)
            if mixes:
                inputs, targets = mix(inputs, targets, random)
            yield (lambda x=inputs: self._logits(x, frozen)), targets, labels

    def _logits(self, inputs: torch.Tensor, frozen: bool) -> torch.Tensor:
        if not frozen:
            return self.network(inputs)
        with torch.no_grad():
            pooled = self.network.pool(self.network.feature_map(inputs))
        return self.network.head(pooled)

    def _feature_steps(self, cached: Features, epoch: int) -> Iterator[Any]:
        features, labels = cached
        random = np.random.default_rng([self.settings.seed, epoch])
        for indices in batches(len(features), self.settings.batch_size, random):
            chosen = torch.from_numpy(indices)
            inputs = features[chosen].to(self.device)
            targets = self.targets[chosen].to(self.device)
            yield (lambda x=inputs: self.network.head(x)), targets, labels[chosen].numpy()

    def _cache_features(self) -> dict[str, Features]:
        """Compute the pooled features of both splits once: frozen and unaugmented, they stay."""
        self.network.eval()
        found = {}
        for name, split in (("train", self.train), ("val", self.val)):
            pooled = []
            with torch.inference_mode():
                for indices in batches(len(split.store), self.settings.batch_size, None):
                    pooled.append(self._pooled(split.store.get(indices)).cpu())
                    self.on_progress(len(indices))
            # A copy, since a tensor of inference mode cannot enter autograd.
            found[name] = (torch.cat(pooled).clone(), torch.from_numpy(split.labels))
        return found

    def _pooled(self, pixels: NDArray[np.uint8]) -> torch.Tensor:
        inputs = tensors.normalize(pixels, self.settings.spec, self.device)
        with runtime.autocast(self.settings.compute):
            return self.network.pool(self.network.feature_map(inputs)).float()

    def _evaluate(self, cached: Features | None) -> dict[str, float]:
        self.network.eval()
        tally = Tally()
        with torch.inference_mode():
            for indices in batches(len(self.val.store), self.settings.batch_size, None):
                pooled = (
                    cached[0][indices].to(self.device)
                    if cached
                    else self._pooled(self.val.store.get(indices))
                )
                logits = self.network.head(pooled)
                labels = self.val.labels[indices]
                targets = torch.from_numpy(labels).to(self.device)
                loss = torch.nn.functional.cross_entropy(logits, targets)
                tally.add(loss.item(), logits, labels)
        return tally.figures()


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


def _cosine(progress: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * progress))


def _mix_seed(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])
