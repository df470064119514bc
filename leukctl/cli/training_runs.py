"""One training with everything said about it, as ``train`` starts, resumes or repeats it."""

from pathlib import Path
from typing import TYPE_CHECKING

from leukctl.cli import inputs, streams
from leukctl.errors import ExitStatus, InputError

if TYPE_CHECKING:
    from leukctl.checkpoints import Record, Source
    from leukctl.runtime import Compute
    from leukctl.tables import Table
    from leukctl.training import Options, Outcome
    from leukctl.training.state import Epoch

_WIDE_GAP = 0.05  # of macro F1; altalhi2026 takes models of 2 to 3 points at most


def prepared(
    table: "Table", percent: float | None, class_weights: str | None, seed: int, root: Path | None
) -> "Table":
    """Return the manifest as training takes it, with a val split; refuse what cannot be learned.

    Args:
        percent: of the train rows, to be taken for val.
    """
    from leukctl import manifest

    manifest.learnable(table, ("train",), root)
    table = _with_val(table, percent, seed)
    manifest.learnable(table, ("train", "val"), root)
    inputs.check_weights(table, class_weights)
    return table


def _with_val(table: "Table", percent: float | None, seed: int) -> "Table":
    """Return the manifest with the val rows that it has or that train rows are taken for."""
    from leukctl import manifest, splits

    if percent is None:
        if not manifest.rows_of_split(table, "val"):
            raise InputError(
                "no row of split val, which the best state is chosen by; --val-from-train 10 takes "
                "a tenth of train for it, leukctl split makes all splits",
                file=table.name,
                column="split",
            )
        return table
    table, made, lost = splits.cut_val(table, percent, seed)
    streams.note(f"val cut from train by {made.unit.name}, stratified by label:")
    streams.note(streams.text_table(*splits.grid(made, splits.Plan(seed=seed))))
    if lost:
        streams.note(f"{lost} rows that balance added are left out: their images came into val")
    for text in made.warnings:
        streams.warn(text)
    return table


def run(
    table: "Table",
    source: "Source",
    chosen: "Options",
    folder: Path,
    compute: "Compute",
    root: Path | None,
    past: "Record | None" = None,
) -> "Outcome":
    """Train into ``folder``, showing progress and epochs."""
    from leukctl import training

    streams.detail(f"{chosen}, {compute}")
    with streams.progress(f"train {chosen.backbone}", None) as advance:
        return training.train(
            table,
            chosen,
            folder,
            compute,
            root=root,
            manifest_sha256=source.sha256,
            manifest_path=source.path,
            past=past,
            on_epoch=_say_epoch,
            on_progress=advance,
        )


def _say_epoch(epoch: "Epoch") -> None:
    streams.note(
        f"epoch {epoch.epoch:3d} {epoch.stage}: loss {epoch.train['loss']:.3f}, "
        f"val loss {epoch.val['loss']:.3f}, accuracy {epoch.val['accuracy']:.3f}, "
        f"F1 {epoch.val['f1_macro']:.3f}; {epoch.seconds:.1f} s"
    )


def say(outcome: "Outcome", folder: Path) -> int:
    """Say how a training ended, and return the status that it ends with."""
    streams.note_scores(outcome.metrics, folder)
    streams.note(
        f"{folder}: epoch {outcome.best_epoch} of {outcome.epochs} kept, "
        f"trained at {outcome.images_per_s:.0f} images/s"
    )
    _say_gap(outcome)
    if outcome.diverged:
        streams.warn(f"training stopped: {outcome.diverged}; the last good state is kept")
    if outcome.collapsed is not None:
        streams.warn(f"the model has collapsed: it calls every val image {outcome.collapsed!r}")
    return ExitStatus.FOUND if found(outcome) else ExitStatus.DONE


def _say_gap(outcome: "Outcome") -> None:
    from leukctl import results

    gap = results.gap(outcome.metrics)
    if gap is None:
        return
    text = f"macro F1 is {abs(100 * gap):.1f} points {'higher' if gap >= 0 else 'lower'} on train"
    if gap > _WIDE_GAP:
        streams.warn(f"{text} than on val: the model has learned train by heart")
    else:
        streams.note(f"{text} than on val")


def found(outcome: "Outcome") -> bool:
    """Tell whether something was found: a loss that became no number, a model that collapsed."""
    return outcome.diverged is not None or outcome.collapsed is not None
