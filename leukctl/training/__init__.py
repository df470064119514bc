"""Train a network on the splits of a manifest and leave a run folder."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from leukctl import backbones, files, inference, manifest, predictions, results, runs, runtime
from leukctl.backbones import Network, Origin
from leukctl.backbones.weights import read_config, write_safetensors
from leukctl.errors import InputError, UsageError
from leukctl.inference import NetworkPredictor
from leukctl.predictions import Predictions
from leukctl.runs import Run
from leukctl.runtime import torch
from leukctl.tables import Table
from leukctl.tensors import Reader
from leukctl.training.data import ImageStore
from leukctl.training.loop import DivergedError, Epoch, Settings, Split, Stage, Trainer

__all__ = ["Options", "Outcome", "train"]

HISTORY = (
    "epoch",
    "stage",
    "learning_rate",
    "train_loss",
    "train_accuracy",
    "train_f1_macro",
    "val_loss",
    "val_accuracy",
    "val_f1_macro",
)


@dataclass(slots=True)
class Options:
    """What a user decides about training; see ``leukctl train --help``."""

    backbone: str
    origin: Origin = field(default_factory=Origin)
    input_size: int | None = None
    augment: str = "basic"
    frozen_epochs: int = 0
    epochs: int = 20
    frozen_lr: float = 1e-3
    lr: float = 1e-4
    batch_size: int = 32
    hidden: int = 0
    dropout: float = 0.2
    weight_decay: float = 1e-4
    label_smoothing: float = 0.0
    patience: int = 5
    seed: int = 0


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
    *,
    root: Path | None,
    device: torch.device,
    precision: str,
    workers: int,
    manifest_sha256: str,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_progress: Callable[[int], None] = lambda step: None,
) -> Outcome:
    """Train as ``options`` say and write the run into ``folder``, ``run.json`` last.

    The state kept is the one with the best macro F1 on the rows whose split is val; test rows
    are read once, at the end.

    Raises :class:`InputError` for a manifest without train or val rows, with fewer than two
    classes, with labels in val or test that train lacks, or with an image that cannot be read.
    """
    started = time.monotonic()
    classes = check(table, root)
    torch.manual_seed(options.seed)
    backbone, spec = backbones.create(options.backbone, options.origin, options.input_size)
    head = {"hidden": options.hidden, "dropout": options.dropout}
    network = Network(backbone, len(classes), head, spec.input_size)
    runtime.place(network, device)
    prep = manifest.prep_chain(table)
    run = Run(
        "network",
        classes,
        [spec],
        head,
        prep,
        _plain(options, device, precision),
        manifest_sha256,
        options.seed,
        folder=folder,
    )
    settings = Settings(
        options.batch_size,
        options.augment,
        options.weight_decay,
        options.label_smoothing,
        options.patience,
        options.seed,
        device,
        precision,
        spec,
    )
    read = inference.reader(run)
    splits = {
        name: _split(table, name, classes, root, read, spec.input_size, workers)
        for name in ("train", "val")
    }
    for split in splits.values():
        split.store.preload(on_progress)
    trainer = Trainer(network, splits["train"], splits["val"], settings, on_progress)
    training_started = time.monotonic()
    epochs, diverged = _run(trainer, stages(options), on_epoch)
    seconds = time.monotonic() - training_started
    write_safetensors(network.state_dict(), folder / runs.WEIGHTS)
    predictor = NetworkPredictor(run, network, device, precision)
    answers = evaluate(
        predictor,
        table,
        read,
        root=root,
        batch_size=options.batch_size,
        workers=workers,
        on_progress=on_progress,
    )
    document = results.write(answers, folder, history(epochs), options.seed)
    rate = len(splits["train"].store) * len(epochs) / seconds
    files.write_json(
        folder / runs.ENVIRONMENT,
        runs.environment(
            started,
            time.monotonic(),
            device=str(device),
            images_per_s=round(rate, 2),
            epoch_seconds=[round(epoch.seconds, 3) for epoch in epochs],
        ),
    )
    runs.write(run, folder)
    return Outcome(
        document, trainer.best.epoch, len(epochs), results.collapsed(answers), diverged, rate
    )


def architecture_of(weights: Path | None) -> str | None:
    """Return the architecture that the ``config.json`` of a weights folder names, if it does."""
    return read_config(weights).get("architecture") if weights is not None else None


def check(table: Table, root: Path | None) -> list[str]:
    """Return the classes of the train rows, after checking that the manifest can be trained on."""
    table.require("label", "split")
    rows = {name: manifest.rows_of_split(table, name) for name in ("train", "val")}
    for name, hint in (
        ("train", "leukctl split makes one"),
        ("val", "leukctl split --ratios 80,10,10 makes one; test is not for this"),
    ):
        if not rows[name]:
            raise InputError(f"no row of split {name}; {hint}", file=table.name, column="split")
    labels = table.column("label")
    for name in ("train", "val"):
        for index in rows[name]:
            if not labels[index]:
                raise table.error(index, "label", f"empty, on a row of split {name}")
    classes = sorted({labels[i] for i in rows["train"]})
    if len(classes) < 2:
        raise InputError(
            f"only the class {classes[0]!r} in split train; two are needed",
            file=table.name,
            column="label",
        )
    manifest.check_labels(table, classes)
    manifest.check_images_exist(table, root)
    return classes


def stages(options: Options) -> list[Stage]:
    """Return the stages that have epochs."""
    both = (
        Stage("frozen", options.frozen_epochs, options.frozen_lr),
        Stage("finetune", options.epochs, options.lr),
    )
    chosen = [stage for stage in both if stage.epochs > 0]
    if not chosen:
        raise UsageError("no epochs at all; --epochs or --frozen-epochs must be above 0")
    return chosen


def _split(
    table: Table,
    name: str,
    classes: list[str],
    root: Path | None,
    read: Reader,
    size: tuple[int, int],
    workers: int,
) -> Split:
    rows = manifest.rows_of_split(table, name)
    chosen = table.select(rows)
    place = {label: index for index, label in enumerate(classes)}
    labels = np.array([place[label] for label in chosen.column("label")], np.int64)
    return Split(ImageStore(manifest.image_paths(chosen, root), read, size, workers), labels)


def _run(
    trainer: Trainer, chosen: list[Stage], on_epoch: Callable[[Epoch], None]
) -> tuple[list[Epoch], str | None]:
    """Run all stages and leave the best state in the network."""
    epochs: list[Epoch] = []
    diverged = None
    last = time.monotonic()
    try:
        for epoch in trainer.run(chosen):
            epoch.seconds = time.monotonic() - last
            last = time.monotonic()
            epochs.append(epoch)
            on_epoch(epoch)
    except DivergedError as error:
        if not trainer.best.state:
            raise DivergedError(f"{error} in the first epoch; a smaller --lr may help") from None
        diverged = f"{error} in epoch {len(epochs) + 1}"
    trainer.restore_best()
    return epochs, diverged


def _plain(options: Options, device: torch.device, precision: str) -> dict[str, Any]:
    content = asdict(options)
    origin = content.pop("origin")
    return {
        **content,
        "weights": str(origin["weights"]) if origin["weights"] is not None else None,
        "pretrained": origin["pretrained"],
        "device": device.type,
        "precision": precision,
    }


def evaluate(
    predictor: inference.Predictor,
    table: Table,
    read: Reader,
    *,
    root: Path | None,
    batch_size: int,
    workers: int,
    on_progress: Callable[[int], None] = lambda step: None,
) -> Predictions:
    """Return the predictions for every image of the manifest that has a split, each once."""
    once = manifest.originals(table)
    chosen = once.select([i for i, split in enumerate(once.column("split")) if split])
    answers = inference.predict(
        predictor,
        manifest.image_paths(chosen, root),
        read,
        batch_size=batch_size,
        workers=workers,
        on_progress=on_progress,
    )
    rows = []
    for path, answer in answers:
        if not isinstance(answer, np.ndarray):
            raise InputError(str(answer), file=path)
        rows.append(answer)
    return predictions.make(predictor.run.name, predictor.run.classes, chosen, np.stack(rows))


def history(epochs: list[Epoch]) -> Table:
    """Return the epochs as the table of history.csv."""
    rows = [
        [
            str(e.epoch),
            e.stage,
            repr(e.learning_rate),
            *(
                repr(split[key])
                for split in (e.train, e.val)
                for key in ("loss", "accuracy", "f1_macro")
            ),
        ]
        for e in epochs
    ]
    return Table(runs.HISTORY, list(HISTORY), rows)
