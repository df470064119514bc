"""Every image read once: its digests, its fingerprint, and what tells its label without its cells.

Images are read and described in worker processes, some at a time.
"""

import functools
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from leukctl import images, processes
from leukctl.auditing import fingerprints, shortcut_features
from leukctl.auditing.fingerprints import Fingerprint
from leukctl.errors import ImageError

_CHUNK = 16  # images a job: some tenths of a second


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What an audit needs of an image once its copies are found.

    Attributes:
        sha256: of the file's bytes.
        features: of the shortcut audit, None unless they were asked for.
    """

    sha256: str
    features: dict[str, NDArray[np.float32]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined(Known):
    """What its copies are found by, besides.

    Attributes:
        pixels: digest of the decoded picture and its size, equal for equal pictures.
    """

    pixels: bytes
    fingerprint: Fingerprint


Found = TypeVar("Found", bound=Known)


def examine(
    files: Sequence[Path],
    workers: int,
    on_progress: Callable[[int], None],
    features: bool = False,
) -> list[Examined | str]:
    """Return what there is to know of each file, or why it cannot be read.

    Args:
        features: those of the shortcut audit too.
    """
    return _each(functools.partial(_examine, features), files, workers, on_progress)


def describe(
    files: Sequence[Path], workers: int, on_progress: Callable[[int], None]
) -> list[Known | str]:
    """Return the features of the shortcut audit alone, of files whose copies are known."""
    return _each(_describe, files, workers, on_progress)


def _each(
    work: Callable[[Path], Found],
    files: Sequence[Path],
    workers: int,
    on_progress: Callable[[int], None],
) -> list[Found | str]:
    found: list[Found | str] = []
    chunks = processes.chunks(files, _CHUNK)
    for results in processes.in_order(functools.partial(_all, work), chunks, workers):
        found += results
        on_progress(len(results))
    return found


def _all(work: Callable[[Path], Found], files: Sequence[Path]) -> list[Found | str]:
    return [_or_why_not(work, file) for file in files]


def _or_why_not(work: Callable[[Path], Found], file: Path) -> Found | str:
    try:
        return work(file)
    except ImageError as error:
        return str(error)


def _examine(features: bool, file: Path) -> Examined:
    data = images.read_bytes(file)
    rgb = images.decode(data)
    return Examined(
        sha256=images.sha256(data),
        features=shortcut_features.describe(data, rgb) if features else None,
        pixels=hashlib.sha256(repr(rgb.shape).encode() + rgb.tobytes()).digest(),
        fingerprint=fingerprints.fingerprint(rgb),
    )


def _describe(file: Path) -> Known:
    data = images.read_bytes(file)
    features = shortcut_features.describe(data, images.decode(data))
    return Known(sha256=images.sha256(data), features=features)
