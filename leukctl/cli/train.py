"""``leukctl train``: manifest → run folder."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer

from leukctl import catalog
from leukctl.cli import inputs, options, streams
from leukctl.errors import ExitStatus, UsageError

if TYPE_CHECKING:
    from leukctl.training import Outcome
    from leukctl.training.loop import Epoch


Number = TypeVar("Number", int, float, str)


def _complete_backbone(incomplete: str) -> list[str]:
    return [name for name in catalog.BACKBONES if name.startswith(incomplete)]


def train(
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST", help="CSV with path, label and split; - is stdin.")
    ],
    output: options.RunOutput,
    backbone: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="mobilenetv2, densenet121, resnet50, standard_cnn …, or any name of timm.",
            show_default="what --weights says it is, else mobilenetv2",
            autocompletion=_complete_backbone,
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Weights to start from: a folder as on the Hugging Face hub, or a .safetensors "
            "file.",
        ),
    ] = None,
    pretrained: Annotated[
        bool, typer.Option("--pretrained", help="Download the weights to start from.")
    ] = False,
    input_size: Annotated[
        int | None,
        typer.Option(
            metavar="PIXELS",
            min=16,
            help="Width and height of the network's input.",
            show_default="what its weights are for",
        ),
    ] = None,
    augment: Annotated[
        Literal["none", "basic", "mixup"],
        typer.Option(
            help="none; basic (flips, rotation, shift, scale); mixup (basic, then mixed pairs)."
        ),
    ] = "basic",
    frozen_epochs: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            help="Epochs of the head alone, the backbone frozen.",
            show_default="10 from weights, 0 from scratch",
        ),
    ] = None,
    epochs: Annotated[
        int, typer.Option(metavar="N", min=0, help="Epochs of the whole network, at most.")
    ] = 20,
    frozen_lr: Annotated[
        float,
        typer.Option(metavar="RATE", min=1e-12, max=1e3, help="Learning rate of the frozen stage."),
    ] = 1e-3,
    lr: Annotated[
        float | None,
        typer.Option(
            metavar="RATE",
            min=1e-12,
            max=1e3,
            help="Learning rate of the whole network.",
            show_default="1e-4 from weights, 1e-3 from scratch",
        ),
    ] = None,
    batch_size: options.BatchSize = 32,
    hidden: Annotated[
        int, typer.Option(metavar="N", min=0, help="Units of a hidden layer in the head; 0: none.")
    ] = 0,
    dropout: Annotated[
        float, typer.Option(metavar="P", min=0, max=0.95, help="Dropout in the head.")
    ] = 0.2,
    weight_decay: Annotated[
        float, typer.Option(metavar="X", min=0, help="Weight decay of AdamW.")
    ] = 1e-4,
    label_smoothing: Annotated[
        float,
        typer.Option(metavar="X", min=0, max=0.5, help="Label smoothing of the training loss."),
    ] = 0.0,
    patience: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=1,
            help="End a stage after N epochs without a better val macro F1, or a lower val loss at "
            "an equal one.",
        ),
    ] = 5,
    seed: options.Seed = 0,
    root: options.Root = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    workers: options.Workers = None,
    force: options.Force = False,
) -> int:
    """Train a classifier on a manifest's splits.

    First the head alone on a frozen backbone, then the whole network, with AdamW and a learning
    rate that falls along a cosine. The state with the best macro F1 on val is kept, and test is
    looked at once, at the end. The run folder holds the model, its predictions, metrics and
    figures. Exit status 1: the model collapsed to one class, or its loss became NaN.

    A column weight, as balance writes it, weighs train rows in the loss; a row of weight 0 is not
    learned from.

    \b
    Example:
      leukctl train balanced.csv --backbone mobilenetv2 \\
          --weights weights/mobilenetv2_100 --epochs 5 -o runs/mnv2
    """
    if weights is not None and pretrained:
        raise UsageError("--weights or --pretrained, not both")
    table, digest = inputs.read_manifest(manifest, ("label", "split"))
    from leukctl import manifest as manifests
    from leukctl import runs

    manifests.learnable(table, ("train", "val"), root)
    inputs.check_weights(table)
    runs.check_free(output, force)
    # What can be refused has been; now torch, which takes its time.
    from leukctl import runtime, training
    from leukctl.backbones import Origin

    origin = Origin(weights, pretrained)
    chosen = training.Options(
        backbone=_or(backbone, training.architecture_of(weights) or "mobilenetv2"),
        origin=origin,
        input_size=input_size,
        augment=augment,
        frozen_epochs=_or(frozen_epochs, 0 if origin.is_random else 10),
        epochs=epochs,
        frozen_lr=frozen_lr,
        lr=_or(lr, 1e-3 if origin.is_random else 1e-4),
        batch_size=batch_size,
        hidden=hidden,
        dropout=dropout,
        weight_decay=weight_decay,
        label_smoothing=label_smoothing,
        patience=patience,
        seed=seed,
    )
    compute = runtime.compute(device, precision, workers)
    streams.detail(f"{chosen}, {compute}")
    with streams.progress(f"train {chosen.backbone}", None) as advance:
        outcome = training.train(
            table,
            chosen,
            output,
            compute,
            root=root,
            manifest_sha256=digest,
            on_epoch=_say_epoch,
            on_progress=advance,
        )
    return _say_outcome(outcome, output)


def _or(given: Number | None, otherwise: Number) -> Number:
    return given if given is not None else otherwise


def _say_epoch(epoch: "Epoch") -> None:
    streams.note(
        f"epoch {epoch.epoch:3d} {epoch.stage}: loss {epoch.train['loss']:.3f}, "
        f"val loss {epoch.val['loss']:.3f}, accuracy {epoch.val['accuracy']:.3f}, "
        f"F1 {epoch.val['f1_macro']:.3f}; {epoch.seconds:.1f} s"
    )


def _say_outcome(outcome: "Outcome", folder: Path) -> int:
    streams.note_scores(outcome.metrics, folder)
    streams.note(
        f"{folder}: epoch {outcome.best_epoch} of {outcome.epochs} kept, "
        f"trained at {outcome.images_per_s:.0f} images/s"
    )
    if outcome.diverged:
        streams.warn(f"training stopped: {outcome.diverged}; the last good state is kept")
    if outcome.collapsed is not None:
        streams.warn(f"the model has collapsed: it calls every val image {outcome.collapsed!r}")
    found = outcome.diverged is not None or outcome.collapsed is not None
    return ExitStatus.FOUND if found else ExitStatus.DONE
