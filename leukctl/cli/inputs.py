"""What users name as input: a manifest, images, folders of images, a run."""

import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from leukctl import manifest
from leukctl.cli import streams
from leukctl.errors import InputError, UsageError
from leukctl.tables import Table

if TYPE_CHECKING:
    from leukctl.runs import Run


def read_manifest(path: Path, require: tuple[str, ...] = ()) -> tuple[Table, str]:
    """Return the manifest at ``path`` (``-`` is standard input) and the SHA-256 of its bytes."""
    with streams.open_input(path) as (stream, name):
        text = stream.read()
    table = manifest.read(io.StringIO(text, newline=""), name, require)
    return table, hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def read_run(folder: Path) -> "Run":
    """Return the run in ``folder``; raises what :func:`leukctl.runs.read` does."""
    from leukctl import runs

    run = runs.read(folder)
    if run.kind == "fusion":
        # Here it is before torch, for the sake of the order: see there.
        from leukctl.fusion import archives as archives
    return run


def gather(inputs: Sequence[Path], root: Path | None) -> Table:
    """Return the manifest that ``inputs`` are, or one made of the images that they name.

    One CSV file, a pipe or ``-`` is a manifest. Anything else is an image, or a folder whose
    images are taken in sorted order.

    Raises :class:`UsageError` for a mixture, and :class:`InputError` for what is not there.
    """
    manifests = [path for path in inputs if _is_manifest(path)]
    if manifests:
        if len(inputs) > 1:
            raise UsageError("one manifest, or images and folders, but not both")
        table, _ = read_manifest(manifests[0])
        manifest.check_images_exist(table, root)
        return table
    if asked("root", root):
        raise UsageError("--root goes with a manifest; images are named as they are")
    paths = [str(path) for given in inputs for path in _images(given)]
    table = Table("the command line", ["path"], [[path] for path in dict.fromkeys(paths)])
    if not len(table):
        raise InputError("no images in it", file=inputs[0])
    return table


def asked(option: str, value: Path | int | str | None) -> bool:
    """Tell whether a shared option is given for this very call, and not by its LEUKCTL_ variable.

    What stands in the environment is a wish for all the calls that it means something to.
    """
    standing = os.environ.get(f"LEUKCTL_{option.upper()}")
    return value is not None and (not standing or str(value) != str(Path(standing)))


def _is_manifest(path: Path) -> bool:
    # A shell's <(…) is a pipe without a suffix.
    return str(path) == "-" or path.suffix.lower() == ".csv" or path.is_fifo()


def _images(given: Path) -> Iterator[Path]:
    if not given.is_dir():
        if not given.exists():
            raise InputError("no such image, folder or manifest", file=given)
        yield given
        return
    from leukctl import layouts

    yield from (given / path for path in layouts.list_folder(given).images)


def check_weights(table: Table, class_weights: str | None = None) -> None:
    """Check the weights of the train rows, and say that they are honored.

    Raises :class:`UsageError` where ``class_weights`` asks for others.
    """
    from leukctl.balancing import weights

    learned, values = weights.learned(table)
    if values is None:
        return
    if class_weights == "balanced":
        raise UsageError(
            f"--class-weights balanced: {table.name} has a column weight already, which is honored"
        )
    left_out = len(manifest.rows_of_split(table, "train")) - len(learned)
    verb = "is" if left_out == 1 else "are"
    zeros = f"; {streams.counted(left_out, 'row')} of weight 0 {verb} left out" if left_out else ""
    streams.note(
        f"train rows are weighted by the column weight, {values.min():.4g} to {values.max():.4g} "
        f"times the mean{zeros}"
    )
    gone = {*manifest.classes(table)} - {*table.select(learned).column("label")}
    for label in sorted(gone):
        streams.warn(f"class {label!r}: all its train rows have weight 0, so it is never learned")


def reject(path: object, reason: object) -> None:
    """Say on standard error that an image was left out, and why."""
    streams.error(f"{path}: {reason}; left out")


def check_raw(raw: bool | None, run: "Run") -> None:
    """Warn where --raw has no effect, since the run knows of no preparation."""
    if raw and run.prep is None:
        streams.warn(f"{run.folder} knows of no preparation: --raw takes the images as they are")
