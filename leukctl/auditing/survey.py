"""Every image read once: its digests, its fingerprint, and what tells its label without its cells.

Images are read and described in worker processes, some at a time.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leukctl import images, processes
from leukctl.auditing import fingerprints, shortcut_features
from leukctl.auditing.fingerprints import Fingerprint
from leukctl.errors import ImageError

_CHUNK = 16  # images a job: some tenths of a second


@dataclass(frozen=True, slots=True)
class Examined:
    """What is kept of one image.

    Attributes:
        sha256: of the file's bytes.
        pixels: digest of the decoded picture and its size, equal for equal pictures.
        features: of the shortcut audit, None unless they were asked for.
    """

    sha256: str
    pixels: bytes
    fingerprint: Fingerprint
    features: dict[str, NDArray[np.float32]] | None


@dataclass(frozen=True, slots=True)
class _Job:
    files: tuple[Path, ...]
    features: bool


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
    found: list[Examined | str] = []
    jobs = (_Job(tuple(chunk), features) for chunk in processes.chunks(files, _CHUNK))
    for examined in processes.in_order(_examine, jobs, workers):
        found += examined
        on_progress(len(examined))
    return found


def _examine(job: _Job) -> list[Examined | str]:
    return list(_examined(job))


def _examined(job: _Job) -> Iterator[Examined | str]:
    for file in job.files:
        try:
            yield _examine_one(file, job.features)
        except ImageError as error:
            yield str(error)


def _examine_one(file: Path, features: bool) -> Examined:
    data = images.read_bytes(file)
    rgb = images.decode(data)
    return Examined(
        images.sha256(data),
        hashlib.sha256(repr(rgb.shape).encode() + rgb.tobytes()).digest(),
        fingerprints.fingerprint(rgb),
        shortcut_features.describe(data, rgb) if features else None,
    )
