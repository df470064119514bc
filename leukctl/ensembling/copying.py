"""Copies of the images that an ensemble changed, in folders by kind, as patel2025 keeps them."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from leukctl import files
from leukctl.ensembling.corrections import KINDS
from leukctl.errors import UsageError
from leukctl.preparing import naming
from leukctl.tables import Table

FOLDERS = {kind: kind.replace("→", "-to-") for kind in KINDS}


@dataclass(slots=True)
class Copied:
    """How many copies were made, and why others were not: (path, reason)."""

    count: int
    missing: list[tuple[str, str]]


def check_free(folder: Path, force: bool) -> None:
    """Raise :class:`UsageError` unless copies may go into ``folder``.

    With ``force`` its folders of earlier copies may be replaced.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; --copy-images needs a folder")
    there = sorted(folder.iterdir()) if folder.exists() else []
    for path in there:
        if path.name not in FOLDERS.values() or path.is_symlink() or not path.is_dir():
            raise UsageError(f"{folder} holds {path.name!r}; name a new folder for --copy-images")
    if there and not force:
        raise UsageError(f"{folder} holds images of an earlier audit; --force replaces them")


def copy(
    table: Table, folder: Path, root: Path | None, on_progress: Callable[[int], None]
) -> Copied:
    """Copy each image of a corrections table to ``folder``/KIND/CLASS/PATH.

    Paths are made safe: none leaves ``folder``, no two are alike. An image that cannot be read is
    told of and left out.

    Args:
        root: where relative paths start.
    """
    for name in FOLDERS.values():
        if (folder / name).is_dir():
            shutil.rmtree(folder / name)
    paths = table.column("path")
    targets = _targets(paths, table.column("positive"), table.column("kind"))
    copied = Copied(0, [])
    folder.mkdir(parents=True, exist_ok=True)
    for path, target in zip(paths, targets, strict=True):
        try:
            data = (Path(path) if root is None else root / path).read_bytes()
        except (OSError, ValueError) as error:
            copied.missing.append((path, getattr(error, "strerror", None) or str(error)))
        else:
            files.write_bytes(files.inside(folder, target), data)
            copied.count += 1
        on_progress(1)
    return copied


def _targets(paths: Sequence[str], positives: Sequence[str], kinds: Sequence[str]) -> list[str]:
    wanted = [
        f"{positive.replace('/', '_')}/{'/'.join(_parts(path))}"
        for path, positive in zip(paths, positives, strict=True)
    ]
    suffixes = [files.clean_name(PurePosixPath(path).suffix)[:16] for path in paths]
    stems = naming.targets(wanted, [FOLDERS[kind] for kind in kinds])
    return [stem + suffix for stem, suffix in zip(stems, suffixes, strict=True)]


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".", "..")] or ["image"]
