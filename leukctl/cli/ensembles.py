"""What ``leukctl ensemble`` is asked for, and what it writes beside the predictions."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from leukctl import files
from leukctl.cli import inputs, streams
from leukctl.errors import ExitStatus, InputError, UsageError

if TYPE_CHECKING:
    from leukctl.ensembling import Made, Plan
    from leukctl.ensembling.summary import Figures
    from leukctl.predictions import Predictions
    from leukctl.tables import Table


@dataclass(frozen=True, slots=True)
class Wishes:
    """The options of a plan as they were typed, None where one was not given."""

    method: str | None
    weights: str | None
    threshold: str | None
    below: str | None
    search: str | None
    metric: str | None
    min_coverage: float | None
    fit_on: str | None

    @property
    def way(self) -> str:
        """The method, given or not."""
        weighed = self.weights is not None or self.search is not None
        return self.method or ("weighted" if weighed else "mean")

    @property
    def has_threshold(self) -> bool:
        """Whether there is one to be below of."""
        if self.threshold is None:
            return self.search == "patel2025"
        return any(part.strip() != "none" for part in self.threshold.split(","))


@dataclass(frozen=True, slots=True)
class Extras:
    """What is written beside the predictions, None where nothing."""

    corrections: Path | None
    copy_images: Path | None
    search_table: Path | None
    summary_json: Path | None

    @property
    def audits(self) -> bool:
        """Whether the corrections are asked for."""
        return self.corrections is not None or self.copy_images is not None


def check(
    models: Sequence[Path],
    wishes: Wishes,
    extras: Extras,
    output: Path | None,
    positive: str | None,
    key: str,
    root: Path | None,
    force: bool,
) -> None:
    """Raise :class:`UsageError` for options that do not go together, before anything is read."""
    if len(models) < 2:
        raise UsageError("an ensemble needs at least two models")
    if key.startswith("p:"):
        raise UsageError(f"--key {key}: probabilities do not tell images apart")
    way, searching = wishes.way, wishes.search is not None
    several = wishes.threshold is not None and "," in wishes.threshold
    needs = [
        ("--weights", wishes.weights is not None, way in ("weighted", "vote"), "--method weighted"),
        ("--search", searching, way in ("weighted", "vote"), "--method weighted or vote"),
        ("--fit-on", wishes.fit_on is not None, way == "stack", "--method stack"),
        ("--metric", wishes.metric is not None, searching, "--search"),
        ("--min-coverage", wishes.min_coverage is not None, searching, "--search"),
        ("--search-table", extras.search_table is not None, searching, "--search"),
        ("several thresholds", several, searching, "--search"),
        ("--below", wishes.below is not None, wishes.has_threshold, "--threshold"),
        (
            "--positive",
            positive is not None,
            extras.audits,
            "--corrections or --copy-images",
        ),
        (
            "--root",
            inputs.asked("root", root),
            extras.copy_images is not None,
            "--copy-images",
        ),
        ("--force", force, extras.copy_images is not None, "--copy-images"),
    ]
    for option, given, fits, other in needs:
        if given and not fits:
            raise UsageError(f"{option} goes with {other}")
    if way == "weighted" and wishes.weights is None and not searching:
        raise UsageError("--method weighted needs --weights or --search")
    if wishes.weights is not None and searching:
        raise UsageError("--weights or --search, but not both")
    _check_outputs(models, extras, output, force)


def _check_outputs(
    models: Sequence[Path], extras: Extras, output: Path | None, force: bool
) -> None:
    written = {
        "--corrections": extras.corrections,
        "--search-table": extras.search_table,
        "--summary-json": extras.summary_json,
    }
    for option, path in written.items():
        if path is not None and str(path) == "-":
            raise UsageError(f"{option} needs a file; -o is what may be standard output")
    read, taken = {*map(_place, models)}, set()
    for path in (output, *written.values()):
        if path is None or str(path) == "-":
            continue
        if (place := _place(path)) in read:
            raise UsageError(f"{path} is one of the models; name another output")
        if place in taken:
            raise UsageError(f"{path} is named for two outputs")
        taken.add(place)
    if extras.copy_images is not None:
        from leukctl.ensembling import copying

        copying.check_free(extras.copy_images, force)


def read(models: Sequence[Path], key: str) -> "list[Predictions]":
    """Read the models and put them on the same images.

    Raises :class:`UsageError` for one that is named twice.
    """
    from leukctl import alignment

    names = _names(models)
    aligned = alignment.align(_each(models, key), key)
    for one, name in zip(aligned, names, strict=True):
        one.name = name  # errors call it by its path
    for place, one in enumerate(aligned):
        for other in aligned[:place]:
            if len(one) and (one.probabilities == other.probabilities).all():
                streams.warn(f"{one.name} and {other.name} are the same: equal in every number")
    return aligned


def _each(models: Sequence[Path], key: str) -> "Iterator[Predictions]":
    from leukctl import predictions, runs

    for path in models:
        if path.is_dir():
            found = runs.read_predictions(path, key)
            found.name = str(path)
            yield found
        else:
            with streams.open_input(path) as (stream, name):
                yield predictions.read(stream, name, key)


def _names(models: Sequence[Path]) -> list[str]:
    """Return what each model is called: its own name, or its whole path where that is taken."""
    places = [*map(_place, models)]
    for number, (place, path) in enumerate(zip(places, models, strict=True)):
        if place in places[:number]:
            what = "standard input" if str(path) == "-" else path
            raise UsageError(f"{what} is named twice; a model counts more by --weights")
    own = [
        "stdin" if str(path) == "-" else path.resolve().name if path.is_dir() else path.stem
        for path in models
    ]
    count = Counter([*own, "ensemble"])
    return [name if count[name] == 1 else str(path) for name, path in zip(own, models, strict=True)]


def _place(path: Path) -> Path:
    """Return the file that ``path`` stands for, links resolved; ``-`` is itself."""
    from leukctl import runs

    if str(path) == "-":
        return path
    return (path / runs.PREDICTIONS if path.is_dir() else path).resolve()


def plan(wishes: Wishes, models: "Sequence[Predictions]") -> "Plan":
    """Return the plan that the options ask for.

    Raises :class:`UsageError` for what is no weight, threshold or search.
    """
    from leukctl.ensembling import Plan, making

    thresholds = making.default_thresholds(wishes.search)
    if wishes.threshold is not None:
        thresholds = tuple(dict.fromkeys(_thresholds(wishes.threshold)))
    return Plan(
        wishes.way,
        None if wishes.weights is None else _weights(wishes.weights),
        thresholds,
        wishes.below or "abstain",
        None if wishes.search is None else _sets(wishes.search, models),
        wishes.metric or "f1_macro",
        wishes.min_coverage or 0.0,
        wishes.fit_on or "val",
    )


def _weights(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--weights {text!r}: numbers with commas between them") from None


def _thresholds(text: str) -> Iterator[float | None]:
    for part in text.split(","):
        try:
            yield None if part.strip() == "none" else float(part)
        except ValueError:
            raise UsageError(
                f"--threshold {text!r}: a number, or several and none for --search"
            ) from None


def _sets(text: str, models: "Sequence[Predictions]") -> list[tuple[float, ...]]:
    from leukctl import tables
    from leukctl.ensembling import weight_sets

    names = [model.name for model in models]
    if text.lower().endswith(".csv"):
        return weight_sets.of_table(tables.read_path(Path(text)), names)
    return weight_sets.named(text, len(names))


def figures(
    models: "Sequence[Predictions]",
    made: "Made",
    plan: "Plan",
    extras: Extras,
    split: str | None,
    positive: str | None,
) -> "Figures":
    """Return the figures of the labeled images of ``split``.

    Raises :class:`InputError` where corrections are asked for and no image has a label.
    """
    from leukctl.ensembling import diversity, summary

    asked = [threshold for threshold in plan.thresholds if threshold is not None]
    points = sorted({*asked, *diversity.DEFAULT_THRESHOLDS})
    found = summary.figures(models, made, split, positive, points)
    if found.mixed is None and extras.audits:
        raise InputError("no row has a label, so nothing is known to be corrected")
    return found


def write_extras(
    extras: Extras,
    plan: "Plan",
    made: "Made",
    found: "Figures",
    models: "Sequence[Predictions]",
    root: Path | None,
) -> ExitStatus:
    """Write what is asked for beside the predictions; return the exit status."""
    from leukctl import tables
    from leukctl.ensembling import corrections, searching, summary

    status = ExitStatus.DONE
    if extras.search_table is not None and made.search is not None:
        tables.write_path(searching.to_table(made.search), extras.search_table)
    if found.mixed is not None and extras.audits:
        table = corrections.to_table(found.changes, found.models, found.mixed)
        if extras.corrections is not None:
            tables.write_path(table, extras.corrections)
        if extras.copy_images is not None:
            status = _copy(table, extras.copy_images, root)
    if extras.summary_json is not None:
        files.write_json(extras.summary_json, summary.to_document(models, plan, made, found))
    return status


def _copy(table: "Table", folder: Path, root: Path | None) -> ExitStatus:
    from leukctl.ensembling import copying

    with streams.progress("copying", len(table), "images") as advance:
        copied = copying.copy(table, folder, root, advance)
    for path, reason in copied.missing:
        inputs.reject(path, reason)
    streams.note(f"{copied.count} images copied to {folder}")
    return ExitStatus.FOUND if copied.missing else ExitStatus.DONE
