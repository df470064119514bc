"""Train a network on the splits of a manifest and leave a run folder."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from leukctl import (
    backbones,
    files,
    inference,
    manifest,
    results,
    runs,
    runtime,
)
from leukctl.backbones import Network
from leukctl.backbones.weights import write_safetensors
from leukctl.balancing import weights as row_weights
from leukctl.checkpoints import Record, Source, discard
from leukctl.inference import NetworkPredictor
from leukctl.runs import BackboneSpec, Run
from leukctl.runtime import Compute, torch
from leukctl.tables import Table
from leukctl.tensors import Reader
from leukctl.training import curves, timing
from leukctl.training.checkpoints import Checkpoint, load
from leukctl.training.data import ImageStore
from leukctl.training.ending import evaluate, history
from leukctl.training.loop import Settings, Trainer
from leukctl.training.loss import DivergedError, Split
from leukctl.training.options import Options, remarks, resolve
from leukctl.training.stages import Stage
from leukctl.training.state import Epoch, State, set_seed

__all__ = ["Options", "Outcome", "remarks", "resolve", "train"]

Progress = Callable[[int], None]
Note = Callable[[str], None]


@dataclass(slots=True)
class Outcome:
    """How training ended.

    Attributes:
        metrics: the content of metrics.json.
        best_epoch: whose state was kept.
        epochs: that were run.
        collapsed: the one class that the model always answers with, None where it does not.
        diverged: why training stopped before its end, None where it did not.
        images_per_s: trained on, over both stages.
    """

    metrics: dict[str, Any]
    best_epoch: int
    epochs: int
    collapsed: str | None
    diverged: str | None
    images_per_s: float


def train(
    table: Table,
    options: Options,
    folder: Path,
    compute: Compute,
    *,
    root: Path | None,
    manifest_sha256: str,
    manifest_path: str = "-",
    past: Record | None = None,
    tensorboard: bool = False,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_progress: Progress = lambda step: None,
    on_note: Note = lambda text: None,
) -> Outcome:
    """Train as ``options`` say and write the run into ``folder``, ``run.json`` last.

    The state kept is the one with the best macro F1 on the rows whose split is val; test rows
    are read once, at the end. A column ``weight`` weighs the train rows in the loss: that of a
    batch is the mean of weight times cross-entropy, the weights having a mean of 1; rows of weight
    0 are not learned from.

    After every epoch all that it takes to go on is written to ``folder/checkpoint``.

    Args:
        manifest_path: where the table came from, for whoever goes on with the run.
        past: the checkpoint to go on from. The weights and the history are then those of a training
            that was never interrupted, to the bit on a CPU with as many threads.
        tensorboard: whether to write event files of the history; where there are some of an earlier
            part of this training, they go on.
        on_note: told what was decided on the way, a sentence each.

    Where ``compute`` leaves the precision open, training has the one that :mod:`.timing` finds, and
    the answers at the end that which ``predict`` has when nothing is said.

    Raises :class:`InputError` for a manifest that cannot be learned from
    (:func:`leukctl.manifest.learnable`, :func:`leukctl.balancing.weights.learned`) or an image that
    cannot be read, :class:`DivergedError` when the loss is no number before there is a good
    state, and :class:`leukctl.checkpoints.CheckpointError` when a state cannot be written.
    """
    started = time.monotonic()
    classes = manifest.learnable(table, ("train", "val"), root)
    state = load(folder, past) if past is not None else None
    spec = runs.backbone(past.backbone) if past is not None and state is not None else None
    network, run = _start(table, options, folder, compute, classes, manifest_sha256, spec)
    read = inference.reader(run)
    splits = _splits(table, run, options, compute, root, read)
    how = timing.settle(network, options, compute, splits[0].store, run.backbones[0], past, on_note)
    run.options["precision"] = how.precision
    source = Source(manifest_path, str(root) if root is not None else None, manifest_sha256)
    checkpoint = Checkpoint(folder, _record(past, source, options, how, run))
    checkpoint.begin()
    drawn = curves.begin(folder, tensorboard, past is not None, state.epochs if state else [])

    def show(epoch: Epoch) -> None:
        if drawn is not None:
            drawn.add(epoch)
        on_epoch(epoch)

    try:
        trainer = _trainer(network, splits, options, how, run.backbones[0], on_progress)
        epochs, diverged = _run(trainer, options.stages(), checkpoint, state, show)
    except BaseException:
        if not checkpoint.record.epochs:
            curves.clear(folder)
            discard(folder)
        raise
    finally:
        if drawn is not None:
            drawn.close()
    seconds = [round(epoch.seconds, 3) for epoch in epochs]
    rate = len(trainer.train.store) * len(epochs) / max(sum(seconds), 1e-9)
    model = NetworkPredictor(run, network, compute)
    answers = evaluate(model, table, read, root, options.batch_size, on_progress)
    run.collapsed, run.diverged = results.collapsed(answers), diverged
    environment = runs.environment(
        started,
        time.monotonic(),
        device=str(compute.device),
        epoch_seconds=seconds,
        checkpoint_seconds=round(checkpoint.seconds, 3),
        resumed_after_epochs=len(state.epochs) if state is not None else None,
        images_per_s=round(rate, 2),
    )
    with runs.fresh(folder, keep_checkpoint=True) as new:
        write_safetensors(network.state_dict(), new / runs.WEIGHTS)
        document = results.write(answers, new, history(epochs), options.seed)
        files.write_json(new / runs.ENVIRONMENT, environment)
        runs.write(run, new)
    checkpoint.finish()
    return Outcome(document, trainer.best.epoch, len(epochs), run.collapsed, diverged, rate)


def _record(
    past: Record | None, source: Source, options: Options, compute: Compute, run: Run
) -> Record:
    """Return the checkpoint to begin with."""
    fixed: dict[str, Any] = {
        "source": source,
        "options": options.kept(),
        "compute": {
            "device": compute.device.type,
            "precision": compute.precision,
            "auto": compute.auto,
            "threads": torch.get_num_threads(),
        },
        "backbone": asdict(run.backbones[0]),
    }
    return Record(**fixed) if past is None else replace(past, **fixed, finished=False)


def _start(
    table: Table,
    options: Options,
    folder: Path,
    compute: Compute,
    classes: list[str],
    manifest_sha256: str,
    spec: BackboneSpec | None = None,
) -> tuple[Network, Run]:
    """Build the untrained network, and what run.json will say of it.

    Args:
        spec: of a backbone whose weights will be loaded; otherwise ``options`` say how it begins.
    """
    set_seed(options.seed)
    if spec is not None:
        backbone: Any = backbones.build([spec])[0]
    else:
        backbone, spec = backbones.create(options.backbone, options.origin, options.input_size)
    head = {"hidden": options.hidden, "dropout": options.dropout}
    network = Network(backbone, len(classes), head, spec.input_size)
    runtime.place(network, compute.device)
    run = Run(
        kind="network",
        classes=classes,
        backbones=[spec],
        head=head,
        prep=manifest.prep_chain(table),
        options={**options.plain(compute), "weighted": row_weights.COLUMN in table},
        manifest_sha256=manifest_sha256,
        seed=options.seed,
        folder=folder,
    )
    return network, run


def _splits(
    table: Table, run: Run, options: Options, compute: Compute, root: Path | None, read: Reader
) -> list[Split]:
    """Return the images to learn from and those to choose by."""
    splits = []
    learned, weights = row_weights.learned(table)
    chosen = {"train": learned, "val": manifest.rows_of_split(table, "val")}
    for name, indices in chosen.items():
        rows = table.select(indices)
        paths = manifest.image_paths(rows, root)
        labels = np.array([run.classes.index(label) for label in rows.column("label")], np.int64)
        store = ImageStore(paths, read, run.backbones[0].input_size, compute.workers)
        own = weights if name == "train" else None
        if name == "train" and options.class_weights == "balanced":
            own = row_weights.balanced(labels)
        splits.append(Split(store, labels, own))
    return splits


def _trainer(
    network: Network,
    splits: list[Split],
    options: Options,
    compute: Compute,
    spec: BackboneSpec,
    on_progress: Progress,
) -> Trainer:
    """Return what trains the network, its images read."""
    for split in splits:
        split.store.preload(on_progress)
    settings = Settings(
        batch_size=options.batch_size,
        accumulate=options.accumulate,
        clip=options.clip,
        augment=options.choice("augment"),
        label_smoothing=options.label_smoothing,
        seed=options.seed,
        compute=compute,
        spec=spec,
    )
    train, val = splits
    return Trainer(network, train, val, settings, on_progress)


def _run(
    trainer: Trainer,
    stages: list[Stage],
    checkpoint: Checkpoint,
    past: State | None,
    on_epoch: Callable[[Epoch], None],
) -> tuple[list[Epoch], str | None]:
    """Run all stages, or what is left of them, and leave the best state in the network."""
    epochs = list(past.epochs) if past is not None else []
    diverged = None
    last = time.monotonic()
    try:
        for epoch in trainer.run(stages, past):
            epoch.seconds = time.monotonic() - last
            epochs.append(epoch)
            checkpoint.save(trainer.state(epochs))
            on_epoch(epoch)
            last = time.monotonic()
    except DivergedError as error:
        if not trainer.best.state:
            raise DivergedError(f"{error} in the first epoch; a smaller --lr may help") from None
        diverged = f"{error} in epoch {len(epochs) + 1}"
    trainer.restore_best()
    return epochs, diverged
