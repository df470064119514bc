"""``leukctl split``: train, val and test, or folds, with every subject in one part only."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leukctl import catalog
from leukctl.cli import options, streams
from leukctl.errors import ExitStatus

if TYPE_CHECKING:
    from leukctl.tables import Table


def _complete_unit(incomplete: str) -> list[str]:
    return [name for name in catalog.SPLIT_UNITS if name.startswith(incomplete)]


def split(
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST", help="CSV with path and label; - is stdin.")
    ],
    ratios: Annotated[
        str | None,
        typer.Option(
            "--ratios",
            metavar="TRAIN,VAL,TEST",
            help="Shares in percent; two numbers are train and test, or, where --hold-out or "
            "--keep fills test, train and val.",
            show_default="80,10,10; beside a test, 90,10",
        ),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            "--folds", metavar="K", min=2, help="Write K folds (0 … K-1) instead of splits."
        ),
    ] = None,
    by: Annotated[
        str,
        typer.Option(
            "--by",
            metavar="UNIT",
            help="What stays together: subject, source, group:COLUMN, near-duplicate (images that "
            "look alike), image (identical files alone); auto takes subject where every labelled "
            "row has one, else the column group likewise, else near-duplicate.",
            autocompletion=_complete_unit,
        ),
    ] = "auto",
    hold_out: Annotated[
        list[str] | None,
        typer.Option(
            "--hold-out",
            metavar="COLUMN=VALUE",
            help="Put these rows into test, and divide the rest; may be given again.",
        ),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            "--keep",
            metavar="SPLIT,…",
            help="Leave the rows of these splits where they are, and divide the rest.",
        ),
    ] = None,
    root: options.Root = None,
    workers: options.Workers = None,
    seed: options.Seed = 0,
    output: options.Output = None,
    force: options.Force = False,
) -> int:
    """Assign labelled rows to train, val and test, or to folds.

    Each class is spread over the parts as evenly as its groups allow, and gets at least one group
    in each where it has enough. A subject never stands in two parts; two people of one name in two
    sources count as one. Where subjects are not known, images that look alike stay together, with
    those of one subject; their groups go into the column group, which the next split takes. Rows
    without a label stay outside. The result depends on the names and the seed, not on the order of
    the rows.

    --ratios writes the column split, --folds the column fold; filled ones are replaced only with
    --force. Folds leave out the rows of the split test, so that it can be held out first.

    With --hold-out or --keep, --ratios are shares of the remaining rows. If test is among what is
    held out or kept, two numbers are train and val (by default 90,10), and a third adds to test.
    Rows that share a subject or group with a row held out or kept go where it is, and are told of.

    \b
    Example:
      leukctl split all.csv --ratios 80,10,10 --seed 7 -o split.csv
      leukctl split all.csv --ratios 80,20 | leukctl split - --folds 5 > folds.csv
      leukctl split all.csv --hold-out source=lab2 --ratios 90,10 -o split.csv
      leukctl split cnmc.csv --hold-out part=preliminary -o split.csv
      leukctl split bloodmnist.csv --keep test --ratios 85,15 -o split.csv
    """
    from leukctl import manifest as manifests
    from leukctl import splits, tables

    plan = splits.parse(ratios, folds, by, hold_out or (), keep, seed)
    with streams.open_input(manifest) as (stream, name):
        table = manifests.read(stream, name, ("label",))
    if not force:
        plan.check_column_free(table)
    unit = splits.choose(table, plan.by)
    if unit is splits.UNITS["near-duplicate"]:
        if not force:
            splits.check_groups_free(table)
        table = _with_groups(table, root, workers)
    made = splits.assign(table, plan, unit)
    table = table.with_columns(**{plan.column: made.cells})
    with streams.open_output(output) as out:
        tables.write(table, out)
    streams.note(f"split by {unit.name}, stratified by label:")
    streams.note(streams.text_table(*splits.grid(made, plan)))
    for text in splits.notes(made, plan):
        streams.note(text)
    for text in splits.warnings(table, made):
        streams.warn(text)
    return ExitStatus.FOUND if made.leaks else ExitStatus.DONE


def _with_groups(table: "Table", root: Path | None, workers: int | None) -> "Table":
    from leukctl import processes, splits

    with streams.progress("looking for near-duplicates", len(table)) as advance:
        return splits.find_groups(table, root, workers or processes.processors(), advance)
