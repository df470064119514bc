"""The command ``report``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from leukctl import files
from leukctl.cli import calibrating, options, streams
from leukctl.errors import ExitStatus, UsageError

if TYPE_CHECKING:
    from leukctl.reporting.audits import Audit
    from leukctl.reporting.content import Report
    from leukctl.reporting.formats import Grid
    from leukctl.reporting.gate import Breach, Condition, Tolerances
    from leukctl.reporting.sources import Model, Sources
    from leukctl.tables import Table

_SUFFIXES = {
    ".csv": "csv",
    ".htm": "html",
    ".html": "html",
    ".json": "json",
    ".markdown": "markdown",
    ".md": "markdown",
    ".txt": "table",
}


def report(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT",
            help="Run folders, predictions (- is standard input), similarity tables, "
            "explanations folders, audits (JSON).",
        ),
    ],
    output: options.Output = None,
    format_: Annotated[
        Literal["table", "markdown", "json", "csv", "html"] | None,
        typer.Option(
            "--format",
            help="Format of what is written.",
            show_default="by the name of -o, else table",
        ),
    ] = None,
    split: Annotated[
        Literal["train", "val", "test", "unsplit"] | None,
        typer.Option(
            "--split",
            help="Images to score; unsplit are those without a split.",
            show_default="test, else val, else unsplit, else train",
        ),
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option(
            "--baseline",
            metavar="FILE",
            help="A metrics.json or a run; exit 1 when a metric is worse than there.",
        ),
    ] = None,
    tolerance: Annotated[
        list[str] | None,
        typer.Option(
            "--tolerance",
            metavar="[METRIC=]NUMBER",
            help="How much worse than the baseline a metric may be, for all or for one; "
            "repeatable.",
            show_default="0",
        ),
    ] = None,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-if",
            metavar="CONDITION",
            help="Exit 1 when a model meets it, as in 'test.f1_macro < 0.90'; repeatable.",
        ),
    ] = None,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate",
            help="Fit a temperature for each run on its val rows, and keep it in "
            "RUN/calibration.json for predict --calibrated.",
        ),
    ] = False,
    digits: Annotated[
        int | None,
        typer.Option(
            "--digits",
            metavar="N",
            min=0,
            max=15,
            help="Digits after the decimal point.",
            show_default="4; JSON and CSV: all",
        ),
    ] = None,
    seed: options.ReportSeed = None,
    json: options.Json = False,
) -> ExitStatus:
    """Report scores as a table, Markdown, JSON, CSV or HTML.

    INPUT is told from its content. Intervals are 95 % bootstrap intervals over subjects, or over
    images where no subject is known. With --fail-if or --baseline the exit status is 1 when a
    metric did not hold, and each is named on standard error; conditions name a metric as
    SPLIT.METRIC, SPLIT.METRIC.lo or .hi (the ends of its interval) or
    SPLIT.per_class.CLASS.METRIC. Explanations appear in HTML only. An audit by leukctl split shows
    what can be told without the cells beside what the models reach.

    --calibrate scales log probabilities by one temperature, which makes the loss on val least
    (Guo et al. 2017), and tells what it does to val and test; scores stay those of the run's own
    predictions.

    \b
    Example:
      leukctl report runs/* build/similarity.csv build/maps -o report.html
      leukctl split --audit split.csv --json > audit.json
      leukctl report runs/mnv2 audit.json -o report.html
      leukctl report predictions.csv --format csv --digits 3
      leukctl report runs/mnv2 --baseline baseline/metrics.json \\
          --tolerance 0.01 --fail-if 'test.f1_macro < 0.90'
      leukctl report runs/mnv2 --calibrate
    """
    from leukctl.reporting import gate, sources

    kind = _format(format_, json, output)
    conditions = [gate.parse(text) for text in fail_if or ()]
    if tolerance and baseline is None:
        raise UsageError("--tolerance goes with --baseline")
    tolerances = gate.parse_tolerances(tolerance or ())
    if calibrate:
        calibrating.inputs(inputs)
    found = sources.load([_input(path) for path in inputs], seed, full=kind == "html")
    for warning in found.warnings:
        streams.warn(warning)
    content = _report(found, split, digits, kind)
    breaches = _check(content, conditions)
    if baseline is not None:
        breaches += _compare(content, baseline, tolerances)
    _write(content, kind, output)
    for line in breaches:
        streams.error(line)
    if (conditions or baseline is not None) and not breaches:
        streams.note("the gate held")
    return ExitStatus.FOUND if breaches else ExitStatus.DONE


def _format(named: str | None, json: bool, output: Path | None) -> str:
    if json and named not in (None, "json"):
        raise UsageError(f"--json and --format {named} do not go together")
    if json or named:
        return named or "json"
    if output is None or str(output) == "-":
        return "table"
    if output.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"the name {str(output)!r} does not tell the format; --format does")
    return _SUFFIXES[output.suffix.lower()]


def _input(path: Path) -> "Path | Table | Audit | Model":
    if str(path) != "-":
        return path
    from leukctl.reporting import sources

    with streams.open_input(path) as (stream, name):
        return sources.read(stream, name)


def _report(found: "Sources", split: str | None, digits: int | None, kind: str) -> "Report":
    """Return what is to be written, having said on standard error what should be known of it."""
    from leukctl.reporting import audits, content, documents, findings, similarity

    said = content.Report(found, None, digits=digits)
    said.similarity = similarity.summarize(found.similarities)
    if found.models:
        said.split = documents.choose_split({m.name: m.document for m in found.models}, split)
        said.findings = findings.findings(found.models, said.split)
        said.facts = findings.facts(found.models, said.split)
        if split is None:
            streams.note(f"scores on {said.split}")
    elif split is not None:
        raise UsageError("--split goes with runs or predictions; there are none")
    scores = {model.name: said.scores(model) for model in said.models}
    said.findings += audits.findings(found.audits, scores, said.split)
    if kind != "html":
        if not said.models and not said.similarity and not said.audits:
            raise UsageError("explanations alone make a page of HTML only; -o report.html")
        if found.explanations:
            streams.note("explanations appear in HTML only")
        if kind == "csv":
            _say_what_csv_leaves_out(said)
        for sentence in said.facts:
            streams.note(sentence)
        for sentence in said.findings:
            streams.warn(sentence)
    return said


def _say_what_csv_leaves_out(content: "Report") -> None:
    tables = {
        "scores": content.models,
        "similarity tables": content.similarity,
        "audits": content.audits,
    }
    shown, *others = [name for name, found in tables.items() if found]
    if others:
        streams.note(
            f"CSV holds the {shown} alone; name the {' or the '.join(others)} alone for their own"
        )


def _check(content: "Report", conditions: "list[Condition]") -> list[str]:
    """Return a line for every condition that a model meets."""
    from leukctl.reporting import documents, gate

    if conditions and not content.models:
        raise UsageError("--fail-if needs a run or predictions")
    return [
        _line(model.name, breach)
        for model in content.models
        for breach in gate.check(conditions, documents.flatten(model.document))
    ]


def _compare(content: "Report", baseline: Path, tolerances: "Tolerances") -> list[str]:
    """Return a line for every metric of the one model that is worse than in ``baseline``."""
    from leukctl.reporting import documents, gate

    if len(content.models) != 1:
        raise UsageError(f"--baseline goes with one model; there are {len(content.models)}")
    model = content.models[0]
    was = documents.flatten(documents.read(baseline))
    now = documents.flatten(model.document)
    breaches = gate.compare(was, now, str(content.split), tolerances)
    return [_line(model.name, breach) for breach in breaches]


def _line(name: str, breach: "Breach") -> str:
    return f"fell: {name}: {breach}"


def _write(content: "Report", kind: str, output: Path | None) -> None:
    from leukctl.reporting import formats

    if kind != "table":
        text = formats.RENDERERS[kind](content)
        with streams.open_output(output) as stream:
            stream.write(text)
        return
    if (output is None or str(output) == "-") and sys.stdout.isatty():
        _print_tables(formats.grids(content))
        return
    with streams.open_output(output) as stream:
        tables = [streams.text_table(grid.header, grid.rows) for grid in formats.grids(content)]
        stream.write("\n\n".join(tables) + "\n")


def _print_tables(grids: "list[Grid]") -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    for grid in grids:
        # Text, so that no name is read as markup.
        drawn = Table(title=Text(grid.title), box=box.SIMPLE_HEAD, title_justify="left")
        for place, title in enumerate(grid.header):
            drawn.add_column(Text(title), justify="left" if place == 0 else "right")
        for row in grid.rows:
            drawn.add_row(*(Text(files.printable(cell)) for cell in row))
        console.print(drawn)
