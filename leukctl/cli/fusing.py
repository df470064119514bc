"""What ``fuse`` checks before torch is imported, does with it, and says of it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from leukctl import catalog
from leukctl.cli import inputs, streams
from leukctl.errors import ExitStatus, InputError, UsageError

if TYPE_CHECKING:
    from leukctl.fusion.choices import Plan
    from leukctl.fusion.features import Bank
    from leukctl.fusion.work import Fitted, Job
    from leukctl.tables import Table

_STAGES = ("preprocessing", "extraction", "training", "prediction")
_CLASS_COLUMNS = ("sensitivity", "specificity", "accuracy", "auroc")
_SHOWN = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced",
    "f1_macro": "F1 macro",
    "auroc_macro": "AUROC",
}


def prepared(
    table: "Table", folds: int | None, cross_validate: bool, seed: int, root: Path | None
) -> "tuple[Table, list[int]]":
    """Return the manifest, and the numbers of its folds where there are to be some.

    Raises :class:`InputError` for a manifest that nothing can be learned from.
    """
    from leukctl import crossvalidation, manifest

    if folds is not None:
        table = _divided(table, folds, seed)
    numbers = crossvalidation.folds(table) if folds is not None or cross_validate else []
    if not numbers:
        manifest.learnable(table, ("train",), root)
        inputs.check_weights(table)
        return table, []
    crossvalidation.check_classes(table)
    crossvalidation.check_tests(table)
    parts = [crossvalidation.of_fold(table, number) for number in numbers]
    manifest.learnable(parts[0], ("train",), root)
    inputs.check_weights(parts[0])
    _say_folds(table)
    return table, numbers


def _divided(table: "Table", folds: int, seed: int) -> "Table":
    from leukctl import splits
    from leukctl.splits import units

    if any(table.column("fold", "")):
        raise UsageError(
            f"{table.name} has folds already; --cross-validate takes them, not --folds {folds}"
        )
    unit = units.choose(table, "auto")
    if unit is units.UNITS["near-duplicate"]:  # to look at the images is for leukctl split
        unit = units.UNITS["image"]
    plan = splits.Plan(folds=folds, seed=seed)
    made = splits.assign(table, plan, unit)
    streams.note(f"{folds} folds by {made.unit.name}, stratified by label:")
    streams.note(streams.text_table(*splits.grid(made, plan)))
    for text in made.warnings:
        streams.warn(text)
    if unit.name != "subject":
        streams.warn(
            f"folds are cut by {unit.name}: one patient's cells may stand in several, which "
            "flatters the scores"
        )
    return table.with_columns(fold=made.cells)


def _say_folds(table: "Table") -> None:
    from leukctl import crossvalidation, splits

    if outside := crossvalidation.outside(table):
        streams.note(f"{outside} rows without a fold or a label take no part")
    if shared := splits.crossing(table.column("subject", ""), table.column("fold")):
        streams.warn(
            f"{shared} subjects stand in several folds: the scores are not those of unseen patients"
        )


def warn_of_seen(table: "Table", folds: list[int], runs: list[Path]) -> None:
    """Say where the backbones of ``runs`` know images that are to be tested on."""
    from leukctl.fusion import seen

    for run in runs:
        known = seen.count(table, folds, run)
        if known is None:
            streams.warn(f"{run} has no predictions left, which would say what it learned from")
        elif known:
            streams.warn(
                f"{run} learned from {known} images that are tested on here, which flatters the "
                "scores; "
                + ("--backbones learned from none of them" if folds else "its own splits would not")
            )


def check_free(folder: Path, classifiers: list[str], folds: list[int], force: bool) -> None:
    """Raise :class:`UsageError` unless the runs may go into ``folder``."""
    from leukctl import crossvalidation, runs

    if folder.is_file():
        raise UsageError(f"{folder} is a file; a run needs a folder")
    if len(classifiers) > 1:
        if runs.is_run(folder) or runs.is_folds(folder):
            raise UsageError(f"{folder} holds a run; several need a folder of their own")
        there = {path.name for path in folder.iterdir()} if folder.exists() else set()
        for name in sorted(there - {*catalog.CLASSIFIERS}):
            if not name.startswith("."):
                raise UsageError(f"{folder} holds {name!r}, which is no run; name a new folder")
    elif runs.is_folds(folder) and not folds:
        raise UsageError(f"{folder} holds folds; name a new folder")
    for own in homes(folder, classifiers):
        if not folds:
            runs.check_free(own, force)
            continue
        crossvalidation.check_free(own, folds)
        for fold in folds:
            runs.check_free(crossvalidation.folder_of(own, fold), force)


def homes(folder: Path, classifiers: list[str]) -> list[Path]:
    """Return the run folder of each classifier."""
    return [folder] if len(classifiers) == 1 else [folder / name for name in classifiers]


def check_features(table: "Table", folder: Path, root: Path | None, force: bool) -> None:
    """Raise an error unless the features of ``table`` can be written into ``folder``."""
    from leukctl import manifest

    names = ("features.npy", "features.csv", "features.json")
    if not len(table):
        raise InputError("no rows", file=table.name)
    if folder.is_file():
        raise UsageError(f"{folder} is a file; features need a folder")
    there = {path.name for path in folder.iterdir()} if folder.exists() else set()
    for name in sorted(there):
        if name not in names and not name.startswith("."):
            raise UsageError(f"{folder} holds {name!r} and no features; name a new folder")
        if not force:
            raise UsageError(f"{folder} holds features; --force replaces them")
    manifest.check_images_exist(table, root)


def write_features(job: "Job", kept: Path, folder: Path) -> int:
    """Write the features of all images of the manifest."""
    from leukctl import manifest
    from leukctl.fusion import work

    table = manifest.originals(job.table)
    bank = _collect(job, table, kept)
    work.write_features(bank, table, folder)
    streams.note(f"{folder}: {len(bank.paths)} images, {sum(bank.widths)} features each")
    return ExitStatus.DONE


def _collect(job: "Job", table: "Table", kept: Path) -> "Bank":
    from leukctl.fusion import work

    with streams.progress("features", len(table)) as advance:
        bank = work.collect(job, table, kept, advance, streams.note)
    for store in bank.stores:
        for part in store.damaged:
            streams.warn(f"{part}: damaged; the features in it were computed anew where needed")
        streams.detail(f"{store.about['name']}: {store.width} features, in {store.folder}")
    streams.note(
        f"features of {len(bank.paths)} images, {bank.computed} of them computed now; "
        f"kept in {kept}"
    )
    return bank


def run(job: "Job", plans: "list[Plan]", folds: list[int], kept: Path, folder: Path) -> int:
    """Fit every plan, write its run or its folds, and say what came of it."""
    from leukctl.fusion import work

    table = work.wanted(job.table, folds)
    given = work.read(_collect(job, table, kept), table)
    found: dict[str, Fitted] = {}
    like: Path | None = None
    steps = len(plans) * max(1, len(folds))
    with streams.progress("fit", steps, "fits") as advance:
        for plan, own in zip(plans, homes(folder, [p.classifier for p in plans]), strict=True):
            if folds:
                fitted = work.fit_folds(job, plan, folds, given, own, like, advance)
            else:
                fitted = work.fit(job, plan, given, own, like)
                advance(1)
            like = like or (work.crossvalidation.folder_of(own, folds[0]) if folds else own)
            found[plan.classifier] = fitted
    for (name, fitted), own in zip(found.items(), homes(folder, list(found)), strict=True):
        for text in fitted.remarks:
            streams.warn(f"{name}: {text}")
        _say(fitted, own, bool(folds))
    _say_stages(found, f"{given.computed} of {len(given.values)}")
    if len(found) > 1:
        _say_comparison(found)
    return ExitStatus.DONE


def _say(fitted: "Fitted", folder: Path, is_folds: bool) -> None:
    if not is_folds:
        streams.note_scores(fitted.document, folder)
        return
    folds = fitted.document["folds"]
    streams.note(f"{folder}: {folds['count']} folds, mean and standard deviation over them")
    rows = [
        [
            name,
            *(_spread(values[metric]["mean"], values[metric]["sd"]) for metric in _CLASS_COLUMNS),
        ]
        for name, values in folds["per_class"].items()
    ]
    streams.note(streams.text_table(["class", *_CLASS_COLUMNS], rows))


def _spread(mean: float | None, deviation: float | None) -> str:
    return "-" if mean is None else f"{mean:.4f} ± {deviation:.4f}"


def _say_stages(found: "dict[str, Fitted]", computed: str) -> None:
    rows = [
        [name, *(f"{fitted.stages[stage]:.2f}" for stage in _STAGES)]
        for name, fitted in found.items()
    ]
    streams.note(
        f"seconds by stage; preprocessing and extraction are of {computed} images, once for all:"
    )
    streams.note(streams.text_table(["classifier", *_STAGES], rows))


def _say_comparison(found: "dict[str, Fitted]") -> None:
    from leukctl.fusion import work

    rows = []
    for name, fitted in found.items():
        document: dict[str, Any] = fitted.document
        split = work.shown(document)
        if "folds" in document:
            mean, sd = document["folds"]["mean"], document["folds"]["sd"]
            cells = [_spread(mean[metric], sd[metric]) for metric in _SHOWN]
        else:
            values = [document["splits"][split][metric]["value"] for metric in _SHOWN]
            cells = ["-" if value is None else f"{value:.4f}" for value in values]
        rows.append([name, split, *cells])
    streams.note(streams.text_table(["classifier", "split", *_SHOWN.values()], rows))
