"""The copies found among images, remembered for the next command that looks at the same ones.

A pipe of two splits, or an audit after a split, looks at the same images twice, which takes minutes
for thousands. What is found follows from the bytes of the files in their order, the code, its
versions and the machine alone; so it lies in the user's cache folder under a name that is the
digest of all these, and what stands there needs no further check. Nothing is kept of a set in which
an image cannot be read.
"""

import contextlib
import functools
import hashlib
import os
import platform
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path

import leukctl
from leukctl import files, images, versions
from leukctl.auditing.copies import Copy
from leukctl.auditing.survey import Known
from leukctl.errors import ImageError, InputError

_CODE = ("auditing/*.py", "preparing/*.py", "images.py")  # that decides what is found
_MOST_KEPT = 64  # sets of images; a set takes a hundred bytes a pair of copies


def recall(paths: Sequence[Path]) -> tuple[list[Known], list[Copy]] | None:
    """Return what is known of these files and the copies among them; None where that is nothing.

    Files are read only where as many were looked at before.
    """
    if not any(_entries(len(paths))):
        return None
    try:
        digests = [images.sha256(images.read_bytes(path)) for path in paths]
        entry = _entry(digests)
        found = [Copy(*fields) for fields in files.read_json(entry)]
        os.utime(entry)
    except (OSError, ImageError, InputError, TypeError):
        return None
    return [Known(sha256=digest) for digest in digests], found


def keep(examined: Sequence[Known | str], copies: Sequence[Copy]) -> None:
    """Remember the copies among images; a cache that cannot be written to is left as it is."""
    digests = [item.sha256 for item in examined if not isinstance(item, str)]
    if len(digests) < len(examined):
        return
    with contextlib.suppress(OSError):
        files.write_json(_entry(digests), [astuple(copy) for copy in copies])
        by_age = sorted(_entries(), key=os.path.getmtime, reverse=True)
        for entry in by_age[_MOST_KEPT:]:
            entry.unlink(missing_ok=True)


def _entries(count: int | None = None) -> list[Path]:
    """Return what is remembered, of sets of ``count`` images alone where that is given."""
    return list(_folder().glob(f"{'*' if count is None else count}-*.json"))


def _entry(digests: Sequence[str]) -> Path:
    key = hashlib.sha256("\n".join([_maker(), *digests]).encode()).hexdigest()
    return _folder() / f"{len(digests)}-{key}.json"


def _folder() -> Path:
    return files.cache_folder() / "copies"


@functools.cache
def _maker() -> str:
    """Return a digest of what looks at images: this machine, the versions, and leukctl's code."""
    code, home = hashlib.sha256(), Path(leukctl.__file__).parent
    for path in sorted(path for pattern in _CODE for path in home.glob(pattern)):
        code.update(path.read_bytes())
    parts = [*versions.of_pictures().items(), platform.node(), platform.machine()]
    return hashlib.sha256(f"{parts} {code.hexdigest()}".encode()).hexdigest()
