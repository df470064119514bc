"""Pairs of images that show the same cells, and the groups that such pairs join."""

import functools
import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from leukctl import images, joining, processes
from leukctl.auditing import alignment, candidates
from leukctl.auditing.alignment import Alignment, View
from leukctl.auditing.candidates import Candidate
from leukctl.auditing.fingerprints import Fingerprint
from leukctl.auditing.survey import Examined, Known
from leukctl.errors import ImageError

SAME_BYTES = "same-bytes"
SAME_PIXELS = "same-pixels"
NEAR_DUPLICATE = "near-duplicate"
OVERLAP = "overlap"
KINDS = {
    SAME_BYTES: "the same file",
    SAME_PIXELS: "another file of the very same picture",
    NEAR_DUPLICATE: "the same picture, changed",
    OVERLAP: "another picture of a part of the same field",
}

EXACT = (SAME_BYTES, SAME_PIXELS)

_WHOLE = 0.75  # of the smaller frame; from here on two frames are one, turned ones included
_CHUNK = 16  # pairs a job
_VIEWS = 8  # pairs are in the order of their first image, which is laid on several

Files = Sequence[Path]


@dataclass(frozen=True, slots=True)
class Copy:
    """Two images, by their places, of which one is a copy of the other.

    Attributes:
        score: correlation of the detail that they share, in [-1, 1]; 1 for exact copies.
        shared, angle, scale, mirrored: of :class:`~leukctl.auditing.alignment.Alignment`.
    """

    a: int
    b: int
    kind: str
    score: float = 1.0
    shared: float = 1.0
    angle: float = 0.0
    scale: float = 1.0
    mirrored: bool = False


def exact(examined: Sequence[Examined | str]) -> list[Copy]:
    """Return each image that repeats an earlier one, with the first of its kind."""
    first_file: dict[str, int] = {}
    first_picture: dict[bytes, int] = {}
    found = []
    for place, item in enumerate(examined):
        if isinstance(item, str):
            continue
        same = first_file.setdefault(item.sha256, place)
        alike = first_picture.setdefault(item.pixels, place)
        if same != place:
            found.append(Copy(same, place, SAME_BYTES))
        elif alike != place:
            found.append(Copy(alike, place, SAME_PIXELS))
    return found


def suspects(examined: Sequence[Examined | str]) -> list[Candidate]:
    """Return the pairs that may be copies of each other, of every picture its first image."""
    known = {copy.b for copy in exact(examined)}
    places, prints = [], []
    for place, item in enumerate(examined):
        if place not in known and not isinstance(item, str):
            places.append(place)
            prints.append(item.fingerprint)
    return [pair._replace(a=places[pair.a], b=places[pair.b]) for pair in candidates.find(prints)]


def confirmed(
    files: Files,
    examined: Sequence[Examined | str],
    pairs: Sequence[Candidate],
    workers: int,
    on_progress: Callable[[int], None],
) -> list[Copy]:
    """Return the copies among ``pairs``, each pair of images once, in order.

    Args:
        files: all images; those of the pairs are read again.
    """
    best: dict[tuple[int, int], Alignment] = {}
    jobs = (
        [_job(pair, files, examined) for pair in chunk] for chunk in processes.chunks(pairs, _CHUNK)
    )
    chunks = processes.chunks(pairs, _CHUNK)
    for chunk, judged in zip(chunks, processes.in_order(_align_all, jobs, workers), strict=True):
        for pair, found in zip(chunk, judged, strict=True):
            if found is not None and found.score >= alignment.ALIKE:
                key = (pair.a, pair.b)
                best[key] = max(best.get(key, found), found, key=lambda item: item.score)
        on_progress(len(chunk))
    return [_copy(a, b, found) for (a, b), found in sorted(best.items(), key=lambda item: item[0])]


@dataclass(frozen=True, slots=True)
class _Job:
    """Attributes:
    prints: of both images; None for whole frames, which are laid on each other without.
    """

    files: tuple[Path, Path]
    prints: tuple[Fingerprint, Fingerprint] | None
    mirrored: bool


def _job(pair: Candidate, files: Files, examined: Sequence[Examined | str]) -> _Job:
    a, b = examined[pair.a], examined[pair.b]
    prints = None
    if not pair.whole and not isinstance(a, str) and not isinstance(b, str):
        prints = a.fingerprint, b.fingerprint
    return _Job((files[pair.a], files[pair.b]), prints, pair.mirrored)


def _copy(a: int, b: int, found: Alignment) -> Copy:
    kind = NEAR_DUPLICATE if found.shared >= _WHOLE else OVERLAP
    return Copy(a, b, kind, found.score, found.shared, found.angle, found.scale, found.mirrored)


def _align_all(jobs: list[_Job]) -> list[Alignment | None]:
    return [_align(job) for job in jobs]


def _align(job: _Job) -> Alignment | None:
    try:
        first, second = (_view(file) for file in job.files)
    except ImageError:  # it was readable a moment ago
        return None
    if job.prints is None:
        return alignment.by_turning(first, second)
    return alignment.by_points(first, second, job.prints, job.mirrored)


@functools.lru_cache(_VIEWS)
def _view(file: Path) -> View:
    return View(images.read_rgb(file))


def group_names(files: Files, examined: Sequence[Known | str], copies: Iterable[Copy]) -> list[str]:
    """Return for each image the name of its group: images joined by copies, directly or not.

    A name is made of the contents, so that it does not change with the order of the images.
    """
    leader = joining.leaders(len(examined), ((copy.a, copy.b) for copy in copies))
    members: dict[int, list[str]] = defaultdict(list)
    for place, item in enumerate(examined):
        content = item.sha256 if not isinstance(item, str) else _digest(files[place])
        members[leader[place]].append(content)
    names = {place: f"g-{min(contents)[:16]}" for place, contents in members.items()}
    return [names[first] for first in leader]


def _digest(file: Path) -> str:
    return hashlib.sha256(bytes(file)).hexdigest()
