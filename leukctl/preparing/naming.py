"""Where prepared images go: a distinct, clean path inside the output folder for every row."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from leukctl import files

MASKS = "masks"
REJECTED = "rejected.csv"

# File systems allow 255 bytes; the suffix, and a number to tell two apart, still have to fit.
_LONGEST = 200


def targets(relative: Sequence[str], sources: Sequence[str]) -> list[str]:
    """Return the output name of each image, without suffix, relative to the output folder.

    ``SOURCE/PATH``: control characters and undecodable bytes percent-encoded, ``..`` and the
    anchor of absolute paths dropped, no two alike but for equal pairs of path and source, which
    share one.
    """
    keys = list(zip(sources, relative, strict=True))
    wanted = {key: "/".join([_source_folder(key[0]), *_parts(key[1])]) for key in keys}
    return files.distinct_names([wanted[key] for key in keys], keys)


def image_path(folder: Path, target: str) -> str:
    """Return the path of the prepared image, ``folder`` as the user named it."""
    files.inside(folder, target)
    return os.path.join(folder, f"{target}.png")


def mask_path(folder: Path, target: str) -> str:
    """Return the path of the prepared mask."""
    return image_path(folder, f"{MASKS}/{target}")


def _source_folder(source: str) -> str:
    name = "_".join(_parts(source)) if source else "images"
    return f"{name}_" if name.casefold() in (MASKS, REJECTED) else name


def _parts(path: str) -> list[str]:
    given = PurePosixPath(os.path.normpath(path)).parts
    *folders, name = [part for part in given if part not in ("/", "//", "..")] or ["image"]
    # A folder x.png/ would stand where the image x.png goes.
    clean = [_shorten(f"{f}_" if f.lower().endswith(".png") else f) for f in folders]
    return [*clean, _shorten(name)]


def _shorten(name: str) -> str:
    clean = files.clean_name(name)
    if len(clean.encode()) <= _LONGEST:
        return clean
    digest = hashlib.sha256(clean.encode()).hexdigest()[:16]
    stem = clean.encode()[: _LONGEST - 40].decode(errors="ignore")
    return f"{stem}-{digest}{PurePosixPath(clean).suffix[:16]}"
