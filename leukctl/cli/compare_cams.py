"""``leukctl compare-cams``: explanations → similarity of their heatmaps."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leukctl.cli import options, streams
from leukctl.errors import ExitStatus, UsageError

if TYPE_CHECKING:
    from leukctl.reporting.similarity import Row
    from leukctl.tables import Table


def compare_cams(
    folders: Annotated[
        list[Path], typer.Argument(metavar="DIR", help="Folders that explain made.")
    ],
    output: options.Output = None,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-if",
            metavar="CONDITION",
            help="Exit 1 if it holds for the mean of any pair, as in 'mr_ssim < 0.8', "
            "'spearman < 0.5' or 'top20_iou < 0.3'.",
        ),
    ] = None,
) -> int:
    """Tell how far heatmaps of the same images agree.

    Compares every two maps of one image that share the model (two methods) or the method (two
    models) by MR-SSIM, the structural similarity of Di Giammarco et al. (2024), in [-1, 1], by
    the rank correlation of their pixels (spearman) and by the overlap of their hottest fifths
    (top20_iou), which do not grow with regions where both are empty. Writes a row for each image
    and pair, and the means by pair and class, with 95 % intervals, to standard error.

    \b
    Example:
      leukctl compare-cams maps --fail-if 'mr_ssim < 0.8' -o similarity.csv
    """
    from leukctl import comparing, explanations, tables
    from leukctl.reporting import gate, similarity
    from leukctl.tables import Table

    conditions = [gate.parse(text) for text in fail_if or ()]
    nothing = dict.fromkeys(comparing.MEASURES)
    gate.check(conditions, nothing)  # an unknown metric is refused before any work
    rows = [row for folder in folders for row in explanations.read(folder)]
    pairs = list(comparing.pairs(rows))
    if not pairs:
        raise UsageError("nothing to compare: no image has two maps of one model or one method")
    table = Table("similarity", list(comparing.COLUMNS))
    with streams.progress("compare", len(pairs), "pairs") as advance:
        for a, b in pairs:
            table.rows.append(comparing.compare(a, b))
            advance(1)
    with streams.open_output(output) as stream:
        tables.write(table, stream)
    summaries = {name: similarity.summarize([table], name) for name in comparing.MEASURES}
    _say(summaries, table)
    breaches = [
        f"{same[0].models} {same[0].methods}: {breach}"
        for same in zip(*summaries.values(), strict=True)
        if same[0].label is None
        for breach in gate.check(
            conditions, {name: row.mean for name, row in zip(summaries, same, strict=True)}
        )
    ]
    if not summaries["mr_ssim"]:  # nothing shows that the conditions do not hold
        breaches = [str(breach) for breach in gate.check(conditions, nothing)]
    for breach in breaches:
        streams.error(breach)
    return ExitStatus.FOUND if breaches else ExitStatus.DONE


def _say(summaries: "dict[str, list[Row]]", table: "Table") -> None:
    cells = []
    for row, *others in zip(*summaries.values(), strict=True):
        interval = "" if row.ci95 is None else f"[{row.ci95[0]:.3f}, {row.ci95[1]:.3f}]"
        cells.append(
            [
                row.models,
                row.methods,
                row.label or "(all)",
                str(row.n),
                f"{row.mean:.3f}",
                interval,
                *(f"{other.mean:.3f}" for other in others),
            ]
        )
    header = ("model", "methods", "class", "n", "mr_ssim", "ci95", *[*summaries][1:])
    streams.note(streams.text_table(header, cells))
    blank = table.column("mr_ssim").count("")
    if blank:
        streams.warn(f"{blank} pairs left out, since a map of theirs shows nothing")
