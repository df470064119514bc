"""The two stages of training: the head on a frozen backbone, then all of it.

The regime is that of altalhi2026. The state that is kept is the one with the best macro F1 on the
validation split, over both stages; the test split is never looked at here.
"""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leukctl import distributed, runtime, tensors
from leukctl.backbones import Network
from leukctl.runs import BackboneSpec
from leukctl.runtime import Compute, torch
from leukctl.training import augment, compiling, feeding, memory, stages
from leukctl.training.choices import Choice
from leukctl.training.data import batches
from leukctl.training.loss import Split, Tally, accumulated, soft_targets
from leukctl.training.memory import Batch, Portions
from leukctl.training.stages import Learning, Stage
from leukctl.training.state import (
    Best,
    Epoch,
    State,
    load_optimizer,
    randomness,
    set_randomness,
)

Progress = Callable[[int], None]
Note = Callable[[str], None]
Features = tuple[torch.Tensor, torch.Tensor]


@dataclass(slots=True)
class Settings:
    """What both stages share."""

    batch_size: int
    accumulate: int
    clip: float | None
    augment: Choice
    label_smoothing: float
    seed: int
    compute: Compute
    spec: BackboneSpec
    compile: bool = False


class Trainer:
    """Trains one network.

    Args:
        network: on the settings' device.
        train, val: the splits to learn from and to choose by.
        on_progress: told of images seen.
        on_note: told where the memory is too small for a batch.
    """

    def __init__(
        self,
        network: Network,
        train: Split,
        val: Split,
        settings: Settings,
        on_progress: Progress,
        on_note: Note = lambda text: None,
    ) -> None:
        self.network = network
        self.train = train
        self.val = val
        self.settings = settings
        self.device = settings.compute.device
        self.on_progress = on_progress
        self.best = Best()
        self.portions = Portions(on_note)
        self.classes = network.classes
        self.extract = compiling.compiled() if settings.compile else stages.features
        self.targets = soft_targets(train, network.classes, settings.label_smoothing)

    def run(self, plan: list[Stage], past: State | None = None) -> Iterator[Epoch]:
        """Yield the epochs of all stages; each stage goes on from the best state so far.

        Args:
            plan: the stages, in turn.
            past: where an interrupted training stood; it goes on from there.

        Raises :class:`DivergedError` when the loss became NaN or infinite; :attr:`best` then still
        holds the last good state, if there was one.
        """
        for stage in plan:
            stages.freeze(self.network, stage)  # refuses what cannot be before hours of another
        number = 0
        if past is not None:
            self.best = past.best
            number = past.epochs[-1].epoch
            plan = plan[[stage.name for stage in plan].index(past.stage) :]
        for place, stage in enumerate(plan):
            self.restore_best()
            for epoch in self._run_stage(stage, number, past if place == 0 else None):
                number = epoch.epoch
                yield epoch

    def state(self, epochs: list[Epoch]) -> State:
        """Return what it takes to go on after ``epochs``, all that there were; it shares memory."""
        learning = self.learning
        return State(
            stage=epochs[-1].stage,
            epochs=epochs,
            network=self.network.state_dict(),
            optimizer=learning.optimizer.state_dict(),
            parts={
                "schedule": learning.schedule.state_dict(),
                "scaler": learning.scaler.state_dict(),
                "watch": learning.watch.state_dict(),
                "portions": self.portions.state_dict(),
            },
            best=self.best,
            randomness=randomness(),
        )

    def _go_on(self, past: State, learning: Learning) -> None:
        """Put everything back to where it stood."""
        self.network.load_state_dict(past.network)
        load_optimizer(learning.optimizer, past.optimizer)
        learning.schedule.load_state_dict(past.parts["schedule"])
        learning.scaler.load_state_dict(past.parts["scaler"])
        learning.watch.load_state_dict(past.parts["watch"])
        self.portions.load_state_dict(past.parts.get("portions", {}))
        set_randomness(*past.randomness)

    def restore_best(self) -> None:
        """Put the best state back into the network."""
        if self.best.state:
            self.network.load_state_dict(self.best.state)

    def _run_stage(self, stage: Stage, done: int, past: State | None) -> Iterator[Epoch]:
        learning = self.learning = stages.begin(self.network, stage, self.settings.compute)
        first = done + 1
        if past is not None:
            self._go_on(past, learning)
            done -= sum(epoch.stage == stage.name for epoch in past.epochs)
        if first > done + stage.epochs or learning.watch.is_over():
            return
        unaugmented = self.settings.augment.name == "none"
        cached = self._cache_features() if stage.frozen and unaugmented else {}
        for epoch in range(first, done + 1 + stage.epochs):
            rate = learning.schedule.rate
            train = self._train_epoch(learning, epoch, stage.frozen, cached.get("train"))
            val = self._evaluate(cached.get("val"))
            self._keep_if_best(epoch, val)
            learning.schedule.end_epoch(val)
            learning.watch.count(val)
            yield Epoch(epoch, stage.name, rate, train, val)
            if learning.watch.is_over():
                return

    def _keep_if_best(self, epoch: int, val: dict[str, float]) -> None:
        key = (val["f1_macro"], -val["loss"])
        if key > self.best.key:
            state = {k: v.detach().cpu().clone() for k, v in self.network.state_dict().items()}
            self.best = Best(key, state, epoch)

    def _train_epoch(
        self, learning: Learning, epoch: int, frozen: bool, cached: Features | None
    ) -> dict[str, float]:
        self.network.train()
        for module in learning.frozen:
            module.training = False
        torch.manual_seed(_mix_seed(self.settings.seed, epoch))  # dropout's
        tally = Tally()
        random = np.random.default_rng([self.settings.seed, epoch])
        order = batches(len(self.train.store), self.settings.batch_size, random)
        steps = (
            self._feature_steps(cached, order)
            if cached
            else self._image_steps(epoch, frozen, order, random)
        )
        shares = accumulated([len(indices) for indices in order], self.settings.accumulate)
        compute, portion = self.settings.compute, self.portions.learning
        for batch, (share, last) in zip(steps, shares, strict=True):
            part = distributed.part(len(batch.labels))
            given = (batch, share * part.weight, part, self.network, learning.scaler)
            with compiling.said() if self.settings.compile else nullcontext():
                learned = memory.learn(*given, compute, portion)
            tally.add(*learned, batch.labels)
            if last:
                self._step(learning)
            self.on_progress(len(batch.labels))
        return tally.figures()

    def _step(self, learning: Learning) -> None:
        """Change the network by the gradients that have come together, and forget them."""
        distributed.add_gradients(learning.tensors)
        if self.settings.clip is not None:
            learning.scaler.unscale_(learning.optimizer)
            torch.nn.utils.clip_grad_norm_(learning.tensors, self.settings.clip)
        learning.scaler.step(learning.optimizer)
        learning.scaler.update()
        learning.optimizer.zero_grad(set_to_none=True)

    def _image_steps(
        self,
        epoch: int,
        frozen: bool,
        order: list[NDArray[np.int64]],
        random: np.random.Generator,
    ) -> Iterator[Batch]:
        settings = self.settings
        answer = partial(stages.logits, self.network, frozen=frozen, extract=self.extract)
        size = settings.spec.input_size
        jobs = []
        mixes = augment.mixes(settings.augment, [len(batch) for batch in order], size, random)
        for indices, mix in zip(order, mixes, strict=True):
            rows = distributed.part(len(indices)).rows
            places, partners = mix.partners(rows) if mix else (np.r_[rows], None)
            jobs.append((indices, indices[places], mix, partners))

        on_device = feeding.warps_on(self.device) and augment.is_a_warp(settings.augment)

        def load(job: Any) -> feeding.Loaded:
            pixels = self.train.store.get(job[1], workers=1)
            draws = (settings.augment, settings.seed, epoch)
            if on_device:
                return feeding.Loaded(pixels, augment.placements(job[1], size, *draws))
            return feeding.Loaded(augment.augment_batch(pixels, job[1], *draws))

        loaded = tensors.ordered_map(load, jobs, settings.compute.workers, ready=2)
        fed = feeding.inputs(loaded, settings.spec, self.device)
        for (indices, chosen, mix, partners), inputs in zip(jobs, fed, strict=True):
            targets = self.targets[chosen].to(self.device)
            if mix is not None and partners is not None:
                whose = torch.from_numpy(partners).to(self.device)
                inputs, targets = mix.mixed(inputs, targets, whose)
            yield Batch(answer, inputs, targets, self.train.labels[indices])

    def _feature_steps(self, cached: Features, order: list[NDArray[np.int64]]) -> Iterator[Batch]:
        features, labels = cached
        for indices in order:
            chosen = torch.from_numpy(indices[distributed.part(len(indices)).rows])
            inputs = features[chosen].to(self.device)
            targets = self.targets[chosen].to(self.device)
            yield Batch(self.network.head, inputs, targets, labels[indices].numpy())

    def _cache_features(self) -> dict[str, Features]:
        """Compute the pooled features of both splits once: frozen and unaugmented, they stay."""
        self.network.eval()
        found = {}
        for name, split in (("train", self.train), ("val", self.val)):
            pooled = [*self._dealt(split, partial(self._pooled, split))]
            found[name] = (torch.from_numpy(np.concatenate(pooled)), torch.from_numpy(split.labels))
        return found

    def _dealt(self, split: Split, work: Callable[..., torch.Tensor]) -> Iterator[NDArray[Any]]:
        """Yield what ``work`` has for each batch of a split, in order, without gradients."""

        def quietly(indices: NDArray[np.int64]) -> NDArray[Any]:
            with torch.inference_mode():
                return work(indices).cpu().numpy()

        order = batches(len(split.store), self.settings.batch_size, None)
        for found in distributed.dealt(quietly, order):
            self.on_progress(len(found))
            yield found

    def _pooled(self, split: Split, indices: NDArray[np.int64]) -> torch.Tensor:
        pixels = split.store.get(indices)
        return torch.cat(self.portions.answering.each(self._pooled_at_once, pixels))

    def _pooled_at_once(self, pixels: NDArray[np.uint8]) -> torch.Tensor:
        inputs = tensors.normalize(pixels, self.settings.spec, self.device)
        with runtime.autocast(self.settings.compute):
            return stages.features(self.network, inputs).float()

    def _evaluate(self, cached: Features | None) -> dict[str, float]:
        self.network.eval()
        tally = Tally()

        def measure(indices: NDArray[np.int64]) -> torch.Tensor:
            """Return (n, 2): the batch's mean loss, and each image's answer."""
            pooled = (
                cached[0][indices].to(self.device) if cached else self._pooled(self.val, indices)
            )
            logits = self.network.head(pooled)
            targets = torch.from_numpy(self.val.labels[indices]).to(self.device)
            loss = torch.nn.functional.cross_entropy(logits, targets)
            # On the CPU: Apple's GPUs have no float64.
            loss, answers = loss.cpu().double(), logits.argmax(1).cpu().double()
            return torch.stack([loss.expand(len(indices)), answers], 1)

        done = 0
        for found in self._dealt(self.val, measure):
            labels = self.val.labels[done : done + len(found)]
            tally.add(float(found[0, 0]), found[:, 1].astype(np.int64), labels)
            done += len(found)
        return tally.figures()


def _mix_seed(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])
