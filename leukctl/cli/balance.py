"""``leukctl balance``: the classes of the train rows made equal in number."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from leukctl.cli import options, streams
from leukctl.errors import ExitStatus


def balance(
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST", help="CSV with path, label and split; - is stdin.")
    ],
    method: Annotated[
        Literal["undersample", "oversample"],
        typer.Option(
            "--method",
            help="Drop random rows of the larger classes, or repeat random rows of the smaller.",
        ),
    ] = "undersample",
    seed: options.Seed = 0,
    output: options.Output = None,
) -> int:
    """Make the classes of the train rows equal in number.

    Only train rows are dropped or repeated; all others stay as they are, in their order, since a
    balanced test set would flatter the model. Repeated rows come last, and the column copy tells
    them apart (0 for the first, then 1, 2 …).

    \b
    Example:
      leukctl balance split.csv --method undersample --seed 7 -o balanced.csv
      leukctl split all.csv | leukctl balance - --method oversample > train.csv
    """
    from leukctl import balancing, tables
    from leukctl import manifest as manifests

    with streams.open_input(manifest) as (stream, name):
        table = manifests.read(stream, name, ("label", "split"))
    made = balancing.balance(table, method, seed)
    with streams.open_output(output) as out:
        tables.write(made.table, out)
    streams.note(f"train rows, {method}d:")
    rows = [[label, str(made.before[label]), str(made.after[label])] for label in made.before]
    streams.note(streams.text_table(["class", "before", "after"], rows))
    for label in made.absent:
        streams.warn(f"class {label!r} has no train row, and stays without")
    return ExitStatus.DONE
