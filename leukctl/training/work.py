"""What every process of a training does: one alone, or each of several."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from leukctl import backbones, checkpoints, distributed, inference, manifest, runs, runtime
from leukctl.backbones import Network
from leukctl.balancing import weights as row_weights
from leukctl.distributed import predicting
from leukctl.errors import InputError
from leukctl.inference import NetworkPredictor
from leukctl.predictions import Predictions
from leukctl.runs import BackboneSpec, Run
from leukctl.runtime import Compute
from leukctl.tables import Table
from leukctl.tensors import Reader
from leukctl.training import checking, compiling
from leukctl.training.checkpoints import load
from leukctl.training.data import ImageStore
from leukctl.training.ending import evaluate
from leukctl.training.loop import Settings, Trainer
from leukctl.training.loss import DivergedError, Split
from leukctl.training.options import Options, restored
from leukctl.training.state import Epoch, State, set_seed
from leukctl.wording import counted

JOB = "train"

Progress = Callable[[int], None]
Note = Callable[[str], None]
Keep = Callable[[Trainer, list[Epoch]], None]


@dataclass(slots=True)
class Work:
    """A training that is about to begin.

    Attributes:
        run: what run.json will say of it.
        network: on its device.
        splits: the images to learn from and those to choose by.
        compute: how the answers at the end are computed.
        how: how the network is trained.
        root: where the paths of the table start.
    """

    table: Table
    options: Options
    run: Run
    network: Network
    read: Reader
    splits: tuple[Split, Split]
    compute: Compute
    how: Compute
    root: Path | None


@dataclass(slots=True)
class Done:
    """What came of it: the epochs, why they stopped before their end, the best epoch, answers."""

    epochs: list[Epoch]
    diverged: str | None
    best_epoch: int
    answers: Predictions


def prepare(
    table: Table,
    options: Options,
    folder: Path,
    compute: Compute,
    classes: list[str],
    *,
    root: Path | None,
    manifest_sha256: str,
    spec: BackboneSpec | None = None,
) -> Work:
    """Build the untrained network, and say what it will learn from.

    Args:
        spec: of a backbone whose weights will come; otherwise ``options`` say how it begins.
    """
    if options.compile:
        compiling.check(compute.device)
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
    read = inference.reader(run)
    splits = _splits(table, run, options, compute, root, read)
    return Work(table, options, run, network, read, splits, compute, compute, root)


def _splits(
    table: Table, run: Run, options: Options, compute: Compute, root: Path | None, read: Reader
) -> tuple[Split, Split]:
    """Return the images to learn from and those to choose by."""

    def split(indices: list[int]) -> Split:
        rows = table.select(indices)
        paths = manifest.image_paths(rows, root)
        labels = np.array([run.classes.index(label) for label in rows.column("label")], np.int64)
        store = ImageStore(paths, read, run.backbones[0].input_size, compute.workers)
        return Split(store, labels)

    learned, weights = row_weights.learned(table)
    train, val = split(learned), split(manifest.rows_of_split(table, "val"))
    balanced = options.class_weights == "balanced"
    train.weights = row_weights.balanced(train.labels) if balanced else weights
    return train, val


def do(work: Work, past: State | None, keep: Keep, on_progress: Progress, on_note: Note) -> Done:
    """Train, with the other processes where there are any, and answer for all splits.

    Args:
        past: the state to go on from.
        keep: called after each epoch, with all of them.
        on_note: told where the memory is too small for a batch.
    """
    own = {"epochs": len(past.epochs) if past is not None else 0, **_content(work)}
    with distributed.together(JOB, own, work.compute.device.type):
        return _do(work, past, keep, on_progress, on_note)


def _do(work: Work, past: State | None, keep: Keep, on_progress: Progress, on_note: Note) -> Done:
    distributed.share_state(work.network)
    trainer = _trainer(work, on_progress, on_note)
    stores = [split.store for split in work.splits]
    checking.check(work.table, stores, work.read, work.root, on_progress)
    epochs, diverged = _run(trainer, work.options, past, keep)
    work.run.options["micro_batch"] = trainer.portions.learning.size
    answering = trainer.portions.answering
    model = NetworkPredictor(work.run, work.network, work.compute, answering)
    size = work.options.batch_size
    answers = evaluate(model, work.table, work.read, work.root, size, on_progress)
    return Done(epochs, diverged, trainer.best.epoch, answers)


def _trainer(work: Work, on_progress: Progress, on_note: Note) -> Trainer:
    """Return what trains the network, its images read."""
    options = work.options
    train, val = work.splits
    for split in (train, val):
        split.store.preload(on_progress)
    settings = Settings(
        batch_size=options.batch_size,
        accumulate=options.accumulate,
        clip=options.clip,
        augment=options.choice("augment"),
        label_smoothing=options.label_smoothing,
        seed=options.seed,
        compute=work.how,
        spec=work.run.backbones[0],
        compile=options.compile,
    )
    return Trainer(work.network, train, val, settings, on_progress, on_note)


def _run(
    trainer: Trainer, options: Options, past: State | None, keep: Keep
) -> tuple[list[Epoch], str | None]:
    """Run all stages, or what is left of them, and leave the best state in the network."""
    epochs = list(past.epochs) if past is not None else []
    diverged = None
    last = time.monotonic()
    try:
        for epoch in trainer.run(options.stages(), past):
            epoch.seconds = time.monotonic() - last
            epochs.append(epoch)
            keep(trainer, epochs)
            last = time.monotonic()
    except DivergedError as error:
        if not trainer.best.state:
            raise DivergedError(f"{error} in the first epoch; a smaller --lr may help") from None
        diverged = f"{error} in epoch {len(epochs) + 1}"
    trainer.restore_best()
    return epochs, diverged


def _content(work: Work) -> dict[str, Any]:
    """Return what :func:`follow` needs, as JSON has it."""
    run = work.run
    return {
        "table": {
            "name": work.table.name,
            "columns": work.table.columns,
            "rows": [list(row) for row in work.table.rows],
        },
        "options": work.options.kept(),
        "classes": run.classes,
        "folder": str(run.folder),
        "manifest_sha256": run.manifest_sha256,
        "backbone": asdict(run.backbones[0]),
        "compute": predicting.compute_content(work.compute),
        "precision": work.how.precision,
        "root": str(work.root) if work.root is not None else None,
    }


def follow(content: Any) -> None:
    """Do the part of :func:`do` that is left to this process; the first one writes."""
    folder = Path(content["folder"])
    compute = predicting.compute_of(content["compute"])
    work = prepare(
        Table(**content["table"]),
        restored(content["options"]),
        folder,
        compute,
        content["classes"],
        root=Path(content["root"]) if content["root"] is not None else None,
        manifest_sha256=content["manifest_sha256"],
        spec=runs.backbone(content["backbone"]),
    )
    work.how = replace(compute, precision=content["precision"])
    state = _past(folder, content["epochs"])
    _do(work, state, lambda trainer, epochs: None, lambda step: None, lambda text: None)


def _past(folder: Path, epochs: int) -> State | None:
    """Return the state after ``epochs`` that the first process goes on from, None after none."""
    if not epochs:
        return None
    record = checkpoints.read(folder)
    state = load(folder, record) if record is not None else None
    if state is None or len(state.epochs) != epochs:
        raise InputError(
            f"the state after {counted(epochs, 'epoch')} is not on this machine; several machines "
            "need a shared folder",
            file=folder / checkpoints.FOLDER,
        )
    return state
