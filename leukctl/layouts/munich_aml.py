"""Munich AML Morphology: labels from ``annotations.dat``, a line ``PATH LABEL …`` an image.

Matek et al., Nature Machine Intelligence 1 (2019) 538. Further labels of a line (second opinions)
are passed over. Without the file the folders, which are named by the same codes, are the labels.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from leukctl.errors import InputError
from leukctl.layouts.listing import Listing
from leukctl.layouts.reading import Layout, Reading, absent, counted, without_labels

_FILE = "annotations.dat"
_CODES = (
    *("BAS", "EBO", "EOS", "KSC", "LYA", "LYT", "MMZ", "MOB"),
    *("MON", "MYB", "MYO", "NGB", "NGS", "PMB", "PMO"),
)
_NAME = re.compile(r"([A-Z]{3})_\d+")


def _code(parts: Sequence[str]) -> str:
    """Return the code that both an image's name and its folder have, else ""."""
    match = _NAME.fullmatch(PurePosixPath(parts[-1]).stem)
    return match[1] if match and match[1] in _CODES and match[1] == parts[-2] else ""


def _read(listing: Listing) -> Reading:
    file = _annotations(listing)
    if file is None:
        labels = [_code(parts) for parts in listing.parts()]
        notes = [f"no {_FILE} there or above: the labels are those of the folders"]
        if "" in labels:
            notes.append(f"{labels.count('')} images lie elsewhere: kept without labels")
        return Reading(listing.images, {"label": labels}, notes)
    given = _read_annotations(file)
    keys = ["/".join(parts[-2:]) for parts in listing.parts()]
    # A line may give the name alone.
    names = [key if key in given else key.rpartition("/")[2] for key in keys]
    labels = [given.get(name, "") for name in names]
    if given and not any(labels):
        raise InputError(
            f"names none of the images (it names {next(iter(given))!r}; found {listing.found()})",
            file=file,
        )
    notes = [
        *absent(file, sorted(given.keys() - set(names))),
        *without_labels(listing.images, labels),
    ]
    return Reading(listing.images, {"label": labels}, notes)


def _annotations(listing: Listing) -> Path | None:
    """Return the label file below the root, else the one just above it."""
    below = [path for path in listing.others if os.path.basename(path).lower() == _FILE]
    if len(below) > 1:
        raise InputError(f"as good as {below[1]} as label file; keep one", file=below[0])
    if below:
        return listing.root / below[0]
    above = list(listing.root.absolute().parents)[:2]
    return next((folder / _FILE for folder in above if (folder / _FILE).is_file()), None)


def _read_annotations(path: Path) -> dict[str, str]:
    """Return the last two parts of each path → its first label."""
    found: dict[str, str] = {}
    try:
        with open(path, encoding="utf-8-sig", errors="surrogateescape") as stream:
            lines = list(stream)
    except OSError as error:
        raise InputError(error.strerror or str(error), file=path) from None
    for number, line in enumerate(lines, 1):
        fields = line.split()
        if len(fields) == 1:
            raise InputError("a path, and no label behind it", file=path, line=number)
        if fields:
            key = "/".join(fields[0].replace("\\", "/").split("/")[-2:])
            if found.setdefault(key, fields[1]) != fields[1]:
                raise InputError(f"{key!r} stands above as {found[key]!r}", file=path, line=number)
    return found


LAYOUT = Layout(f"CODE/CODE_NNNN.tiff, and {_FILE}", counted(_code), _read)
