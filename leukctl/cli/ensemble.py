"""``leukctl ensemble``: predictions of several models → predictions of their ensemble."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leukctl.cli import options, streams
from leukctl.errors import ExitStatus, UsageError

if TYPE_CHECKING:
    from leukctl.predictions import Predictions


def ensemble(
    models: Annotated[
        list[Path],
        typer.Argument(
            metavar="PRED", help="Two or more predictions files or run folders; - is stdin."
        ),
    ],
    output: options.Output = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="W,W,...",
            help="A weight for each model, in the order given.",
            show_default="equal",
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(metavar="G", help="Below this probability there is no confident prediction."),
    ] = None,
) -> int:
    """Average the probabilities of several models, with weights.

    Rows are matched by path and classes by name, never by their order. With --threshold, the
    column predicted stays empty where the likeliest class is not likely enough.

    \b
    Example:
      leukctl ensemble runs/densenet201 runs/resnet50 \\
          --weights 0.7,0.3 --threshold 0.7 -o ensemble.csv
    """
    from leukctl import alignment, ensembling, predictions, tables

    if len(models) < 2:
        raise UsageError("an ensemble needs at least two models")
    aligned = alignment.align([_read(path) for path in models])
    mixed = ensembling.ensemble(
        aligned, _numbers(weights) if weights is not None else None, threshold
    )
    with streams.open_output(output) as stream:
        tables.write(predictions.to_table(mixed), stream)
    silent = int((mixed.predicted < 0).sum())
    if silent:
        streams.note(f"no confident prediction for {silent} of {len(mixed)} images")
    return ExitStatus.DONE


def _read(path: Path) -> "Predictions":
    from leukctl import predictions, runs

    if path.is_dir():
        return runs.read_predictions(path)
    with streams.open_input(path) as (stream, name):
        return predictions.read(stream, name)


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--weights {text!r}: numbers with commas between them") from None
