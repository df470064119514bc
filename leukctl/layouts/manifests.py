"""A manifest as the source of images: all its columns, its paths checked."""

import os
from pathlib import Path

from leukctl import manifest
from leukctl.errors import InputError
from leukctl.layouts.reading import Found
from leukctl.tables import Table


def check_is_table(path: Path, by_name: bool) -> None:
    """Raise :class:`InputError` unless ``path`` may be a manifest.

    Args:
        by_name: nobody said that it is one, so that its name should.
    """
    if str(path) != "-" and not path.exists():
        raise InputError("no such folder or manifest", file=path)
    if path.is_dir():
        raise InputError(
            "a folder (looked for a CSV with a column path, or for manifest.csv in the folder)",
            file=path,
        )
    if by_name and path.suffix.lower() not in ("", ".csv", ".txt"):
        raise InputError("neither a folder nor a CSV file", file=path)


def from_manifest(
    table: Table, root: Path | None, source: str | None, home: Path | None = None
) -> Found:
    """Return the rows of a manifest, with all their columns.

    Args:
        root: where its paths start, by default the current directory.
        source: for rows that name none.
        home: the folder that the manifest lies in; images below it are called by their path from
            there.

    Raises :class:`InputError` for a row whose image or mask is no file.
    """
    if not len(table):
        raise InputError("no rows below the header", file=table.name)
    manifest.check_images_exist(table, root)
    relative = table.column("path")
    if root is not None:
        table = table.with_columns(path=[os.path.join(root, path) for path in relative])
    if "mask" in table:
        base = root if root is not None else ""
        masks = [os.path.join(base, mask) if mask else "" for mask in table.column("mask")]
        for index, mask in enumerate(masks):
            if mask and not os.path.isfile(mask):
                raise table.error(index, "mask", f"no such mask: {mask!r}")
        table = table.with_columns(mask=masks)
    if source is not None:
        table = table.with_columns(source=[own or source for own in table.column("source", "")])
    return Found(table, [_below(path, home) for path in relative])


def _below(path: str, home: Path | None) -> str:
    """Return ``path`` as seen from ``home``, if it lies below it."""
    whole = os.path.abspath(path)
    start = os.path.join(os.path.abspath(home), "") if home is not None else ""
    return whole.removeprefix(start) if start and whole.startswith(start) else path
