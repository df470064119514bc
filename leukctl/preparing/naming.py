"""Where prepared images go: a distinct, clean path inside the output folder for every row."""

import functools
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from leukctl import files

MASKS = "masks"
REJECTED = "rejected.csv"

# File systems allow 255 bytes; the suffix, and a number to tell two apart, still have to fit.
_LONGEST = 200


def targets(relative: Iterable[str], sources: Iterable[str]) -> list[str]:
    """Return the output name of each image, without suffix, relative to the output folder.

    ``SOURCE/PATH``: control characters and undecodable bytes percent-encoded, ``..`` and the
    anchor of absolute paths dropped, no two alike but for equal pairs of path and source, which
    share one.
    """
    keys = list(zip(sources, relative, strict=True))
    return files.distinct_names((_wanted(*key) for key in keys), keys)


def image_path(folder: Path, target: str) -> str:
    """Return the path of the prepared image, ``folder`` as the user named it."""
    files.check_inside(folder, target)
    return os.path.join(folder, f"{target}.png")


def mask_path(folder: Path, target: str) -> str:
    """Return the path of the prepared mask."""
    return image_path(folder, f"{MASKS}/{target}")


def _wanted(source: str, path: str) -> str:
    folder, _, name = os.path.normpath(path).rpartition("/")
    return f"{_folder(source, folder)}/{_shorten(name if name not in ('', '.', '..') else 'image')}"


@functools.lru_cache
def _folder(source: str, folder: str) -> str:
    parts = _parts(folder)
    # A folder x.png/ would stand where the image x.png goes.
    clean = [_shorten(f"{part}_" if part.lower().endswith(".png") else part) for part in parts]
    return "/".join([_source_folder(source), *clean])


def _source_folder(source: str) -> str:
    name = "_".join(map(_shorten, _parts(os.path.normpath(source)))) or "images"
    return f"{name}_" if name.casefold() in (MASKS, REJECTED) else name


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".", "..")]


def _shorten(name: str) -> str:
    clean = files.clean_name(name)
    if len(clean) <= _LONGEST // 4 or len(clean.encode()) <= _LONGEST:
        return clean
    digest = hashlib.sha256(clean.encode()).hexdigest()[:16]
    stem = clean.encode()[: _LONGEST - 40].decode(errors="ignore")
    return f"{stem}-{digest}{PurePosixPath(clean).suffix[:16]}"
