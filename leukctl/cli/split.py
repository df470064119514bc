"""``leukctl split``: train, val and test, or folds, with every subject in one part only."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from leukctl.cli import options, streams
from leukctl.errors import ExitStatus, UsageError

if TYPE_CHECKING:
    from leukctl.splits import Assignment
    from leukctl.tables import Table


def split(
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST", help="CSV with path and label; - is stdin.")
    ],
    ratios: Annotated[
        str | None,
        typer.Option(
            "--ratios",
            metavar="TRAIN,VAL,TEST",
            help="Shares in percent; two numbers are train and test.",
            show_default="80,10,10",
        ),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            "--folds", metavar="K", min=2, help="Write K folds (0 … K-1) instead of splits."
        ),
    ] = None,
    by: Annotated[
        Literal["auto", "subject", "image"],
        typer.Option(
            "--by",
            help="What stays together: a subject's images, or identical files alone; auto takes "
            "subjects when every labelled row has one.",
        ),
    ] = "auto",
    seed: options.Seed = 0,
    output: options.Output = None,
    force: options.Force = False,
) -> int:
    """Assign labelled rows to train, val and test, or to folds.

    Each class is spread over the parts as evenly as its groups allow, and gets at least one group
    in each where it has enough. A subject never stands in two parts; two people of one name in two
    sources count as one. Rows without a label stay outside. The result depends on the names and
    the seed, not on the order of the rows.

    --ratios writes the column split, --folds the column fold; filled ones are replaced only with
    --force. Folds leave out the rows of the split test, so that it can be held out first.

    \b
    Example:
      leukctl split all.csv --ratios 80,10,10 --seed 7 -o split.csv
      leukctl split all.csv --ratios 80,20 | leukctl split - --folds 5 > folds.csv
    """
    from leukctl import manifest as manifests
    from leukctl import splits, tables

    if ratios is not None and folds is not None:
        raise UsageError("--ratios or --folds, not both; a second split adds the other column")
    shares = splits.parse_ratios("80,10,10" if ratios is None else ratios)
    column = "split" if folds is None else "fold"
    with streams.open_input(manifest) as (stream, name):
        table = manifests.read(stream, name, ("label",))
    _check_empty(table, column, force)
    if folds is None:
        made = splits.by_ratios(table, shares, by, seed)
    else:
        made = splits.by_folds(table, folds, by, seed)
    with streams.open_output(output) as out:
        tables.write(table.with_columns(**{column: made.cells}), out)
    _report(table, made, column)
    return ExitStatus.DONE


def _check_empty(table: "Table", column: str, force: bool) -> None:
    if not force and any(table.column(column, "")):
        raise UsageError(
            f"{table.name}: the column {column} is filled already; --force replaces it"
        )


def _report(table: "Table", made: "Assignment", column: str) -> None:
    from leukctl import splits

    units = "subjects" if made.unit == "subject" else "distinct images"
    names = [f"fold {part}" for part in made.parts] if column == "fold" else made.parts
    streams.note(f"split by {made.unit}, stratified by label:")
    rows = [
        [label, *map(str, counts), str(sum(counts))]
        for label, counts in zip(made.classes, made.counts.tolist(), strict=True)
    ]
    total = made.counts.sum(axis=0).tolist()
    rows.append(["rows", *map(str, total), str(sum(total))])
    groups = made.groups.tolist()
    rows.append([units, *map(str, groups), str(sum(groups))])
    streams.note(streams.text_table(["class", *names, "all"], rows))
    if outside := made.cells.count(""):
        streams.note(f"{outside} rows stay outside (no label, or held out)")
    for warning in made.warnings:
        streams.warn(warning)
    if made.unit == "image":
        _say_image(table)
    elif crossing := splits.crossing_files(table, made.cells):
        streams.warn(
            f"{crossing} files stand in more than one part: subjects share identical images"
        )


def _say_image(table: "Table") -> None:
    subjects = table.column("subject", "")
    if any(subjects):
        lacking = sum(
            not subject and bool(label)
            for subject, label in zip(subjects, table.column("label"), strict=True)
        )
        streams.warn(f"subjects are not looked at ({lacking} labelled rows name none)")
    if "sha256" not in table:
        streams.warn("no column sha256: identical files are not kept together")
    streams.warn(
        "split by image: one patient's cells may stand in train and test, so performance on "
        "unseen patients stays unknown"
    )
