"""Known data sets' folders → manifest rows.

A reader takes the listing of a folder and returns a row an image, in the order of the paths. To
add a layout, write its reader, put it into :data:`READERS` and its name into
:data:`leukctl.catalog.LAYOUTS`.
"""

import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from leukctl import manifest, tables
from leukctl.errors import InputError
from leukctl.images import SUFFIXES
from leukctl.tables import Table

COLUMNS = ("path", "label", "subject", "source")
CNMC_LABELS = ("Patient_ID", "new_names", "labels")

_CNMC_NAME = re.compile(r"UID_(H?\d+)_\d+_\d+_(all|hem)", re.IGNORECASE)
_CNMC_CLASSES = {"0": "hem", "1": "all"}


@dataclass(slots=True)
class Listing:
    """The files below a folder.

    Attributes:
        root: the folder, as the user named it.
        images: relative POSIX paths of the files with an image's suffix, sorted.
        skipped: how many other files there are, by suffix, "hidden" for names with a leading dot.
        aliases: folders passed over because a link had led there before.
    """

    root: Path
    images: list[str] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    aliases: int = 0


@dataclass(slots=True)
class Found:
    """What was read of a source.

    Attributes:
        table: a row an image; ``path`` as the current directory sees it.
        relative: the path of each image inside its source.
        notes: what the user should know of them.
    """

    table: Table
    relative: list[str]
    notes: list[str] = field(default_factory=list)


def list_folder(root: Path, exclude: Path | None = None) -> Listing:
    """Return the files below ``root``, links followed, each real folder once.

    Args:
        exclude: a folder that is passed over, since the results go there.

    Raises :class:`InputError` for a folder that is missing or must not be read.
    """
    listing = Listing(root)
    barred = os.path.realpath(exclude) if exclude is not None else None
    seen: set[tuple[int, int]] = set()
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        place = root / folder
        if folder and barred is not None and os.path.realpath(place) == barred:
            continue
        try:
            status = os.stat(place)
            if (status.st_dev, status.st_ino) in seen:
                listing.aliases += 1
                continue
            seen.add((status.st_dev, status.st_ino))
            waiting += _list_one(place, folder, listing)
        except OSError as error:
            raise InputError(error.strerror or str(error), file=place) from None
    listing.images.sort()
    return listing


def _list_one(place: Path, folder: str, listing: Listing) -> list[str]:
    folders = []
    with os.scandir(place) as entries:
        for entry in entries:
            relative = f"{folder}/{entry.name}" if folder else entry.name
            if entry.name.startswith("."):
                listing.skipped["hidden"] += 1
            elif os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir():
                folders.append(relative)
            elif entry.name.lower().endswith(SUFFIXES):
                listing.images.append(relative)
            else:
                listing.skipped[PurePosixPath(entry.name).suffix.lower() or "no suffix"] += 1
    # Popped from the end: the first name is read first, so that of two links to one folder the
    # same one counts everywhere.
    return sorted(folders, reverse=True)


def recognize(listing: Listing) -> str:
    """Return the layout that a folder's names speak for."""
    if any(_cnmc_match(path) for path in listing.images):
        return "cnmc"
    return "cnmc" if _cnmc_label_files(listing) else "folders"


def read(listing: Listing, layout: str, source: str) -> Found:
    """Return the rows of a folder of images, read as ``layout``, one of :data:`READERS`.

    Raises :class:`InputError` when there are no images, or none that fits the layout.
    """
    if not listing.images:
        what = "no images here or below (looked for {}; found {})"
        raise InputError(
            what.format(" ".join(SUFFIXES), _describe(listing.skipped)), file=listing.root
        )
    labels, subjects, notes = READERS[layout](listing)
    rows = [
        [os.path.join(listing.root, path), label, subject, source]
        for path, label, subject in zip(listing.images, labels, subjects, strict=True)
    ]
    return Found(Table(str(listing.root), list(COLUMNS), rows), listing.images, notes)


def check_is_table(path: Path) -> None:
    """Raise :class:`InputError` unless ``path``, which is no folder, may be a manifest."""
    if str(path) != "-" and not path.exists():
        raise InputError("no such folder or manifest", file=path)
    if path.suffix.lower() not in ("", ".csv", ".txt"):
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


def _describe(skipped: Counter[str]) -> str:
    return ", ".join(f"{n} {kind}" for kind, n in skipped.most_common(5)) or "nothing"


Columns = tuple[list[str], list[str], list[str]]


def _read_folders(listing: Listing) -> Columns:
    """ROOT/CLASS/**/IMAGE: the first folder is the label; no subjects."""
    parts = [PurePosixPath(path).parts for path in listing.images]
    labels = [part[0] if len(part) > 1 else "" for part in parts]
    classes = sorted(set(labels) - {""})
    notes = []
    if not classes:
        notes.append("no class folders: the images are kept without labels")
    elif loose := labels.count(""):
        notes.append(f"{loose} images lie outside the class folders: kept without labels")
    if len(classes) == 1 and any(len(part) > 2 for part in parts):
        inner = listing.root / classes[0]
        notes.append(
            f"only one class, {classes[0]!r}: if its folders are the classes, give {inner}"
        )
    return labels, [""] * len(labels), notes


def _read_cnmc(listing: Listing) -> Columns:
    """C-NMC 2019: class and subject from the names, or from the label file of a renamed phase."""
    names = {path: _cnmc_match(path) for path in listing.images}
    label_files = _cnmc_label_files(listing)
    if not any(names.values()) and not label_files:
        raise InputError(
            "no C-NMC images (looked for UID_SUBJECT_IMAGE_CELL_CLASS.bmp, or a CSV with "
            f"{','.join(CNMC_LABELS)}; found {len(names)} images such as {listing.images[0]!r})",
            file=listing.root,
        )
    given = {folder: _read_cnmc_labels(file) for folder, file in label_files.items()}
    labels, subjects = [], []
    for path, match in names.items():
        folder, name = os.path.split(path)
        if match:
            _check_cnmc_folder(listing.root / path, match)
            label, subject = match[2].lower(), match[1].upper()
        else:
            label, subject = given.get(folder, {}).get(name, ("", ""))
        labels.append(label)
        subjects.append(subject)
    notes = [f"{labels.count('')} images have no label: kept without"] if "" in labels else []
    for folder, entries in given.items():
        if absent := sum(os.path.join(folder, name) not in names for name in entries):
            notes.append(f"{label_files[folder]} names {absent} images that are not there")
    return labels, subjects, notes


def _cnmc_match(path: str) -> re.Match[str] | None:
    return _CNMC_NAME.fullmatch(PurePosixPath(path).stem)


def _check_cnmc_folder(path: Path, match: re.Match[str]) -> None:
    folder = path.parent.name.lower()
    if folder in _CNMC_CLASSES.values() and folder != match[2].lower():
        raise InputError(f"named {match[2]!r} but lies in a folder {folder!r}", file=path)


def _cnmc_label_files(listing: Listing) -> dict[str, Path]:
    """Return the label file of each folder that holds renamed images and has one."""
    folders = sorted({os.path.dirname(p) for p in listing.images if not _cnmc_match(p)})
    parents = Counter((listing.root / folder).absolute().parent for folder in folders)
    found = {}
    for folder in folders:
        place = (listing.root / folder).absolute()
        beside = _cnmc_csvs(place.parent)
        named = [file for file in beside if file.stem.startswith(place.name)]
        # One file beside two folders may belong to either, so it labels neither.
        choice = _cnmc_csvs(place) or named or (beside if parents[place.parent] == 1 else [])
        if len(choice) > 1:
            raise InputError(f"as good as {choice[1].name} as label file; keep one", file=choice[0])
        if choice:
            found[folder] = choice[0]
    return found


def _cnmc_csvs(folder: Path) -> list[Path]:
    found = []
    for path in sorted(folder.glob("*.csv")):
        try:
            with open(path, encoding="utf-8-sig", errors="surrogateescape") as stream:
                header = stream.readline(1000).strip().split(",")
        except OSError:
            continue
        if set(CNMC_LABELS) <= {cell.strip(' "') for cell in header}:
            found.append(path)
    return found


def _read_cnmc_labels(path: Path) -> dict[str, tuple[str, str]]:
    """Return new name → (label, subject)."""
    table = tables.read_path(path)
    table.require(*CNMC_LABELS)
    found: dict[str, tuple[str, str]] = {}
    for index, (old, new, code) in enumerate(
        zip(*(table.column(name) for name in CNMC_LABELS), strict=True)
    ):
        match = _cnmc_match(old)
        if match is None:
            raise table.error(index, "Patient_ID", f"{old!r} is no name of C-NMC")
        if _CNMC_CLASSES.get(code) != match[2].lower():
            raise table.error(index, "labels", f"{code!r} does not fit {old!r} (1 = all, 0 = hem)")
        if new in found:
            raise table.error(index, "new_names", f"{new!r} stands there twice")
        found[new] = (match[2].lower(), match[1].upper())
    return found


READERS: dict[str, Callable[[Listing], Columns]] = {
    "folders": _read_folders,
    "cnmc": _read_cnmc,
}


def combine(found: Sequence[Found]) -> Found:
    """Return the rows of several sources under the union of their columns, "" where one lacks."""
    if len(found) == 1:
        return found[0]
    columns = list(dict.fromkeys(name for one in found for name in one.table.columns))
    combined = Found(Table(" + ".join(one.table.name for one in found), columns), [])
    for one in found:
        cells = [one.table.column(name, "") for name in columns]
        combined.table.rows += [list(row) for row in zip(*cells, strict=True)]
        combined.relative += one.relative
        combined.notes += one.notes
    _check_apart(combined.table)
    return combined


def _check_apart(table: Table) -> None:
    seen: set[tuple[str, str]] = set()
    for key in zip(table.column("path"), table.column("copy", ""), strict=True):
        if key in seen:
            raise InputError(f"{key[0]!r} stands in two of them", file=table.name, column="path")
        seen.add(key)
