"""A set of images that was looked at: each read once, and copies found among them."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from leukctl.auditing import copies, memory, survey
from leukctl.auditing.copies import Copy
from leukctl.auditing.survey import Known

Progress = Callable[[str, int, str], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of some files.

    Attributes:
        files: no file twice.
        examined: what there is to know of each, or why it cannot be read.
        copies: pairs of the files, by their places.
        remembered: the copies are of an earlier look at the same images.
    """

    files: Sequence[Path]
    examined: Sequence[Known | str]
    copies: Sequence[Copy]
    remembered: bool = False

    def groups(self) -> dict[Path, str]:
        """Return the name of each file's group of copies."""
        names = copies.group_names(self.files, self.examined, self.copies)
        return dict(zip(self.files, names, strict=True))

    def unread(self) -> Mapping[Path, str]:
        """Return why files cannot be read."""
        pairs = zip(self.files, self.examined, strict=True)
        return {file: item for file, item in pairs if isinstance(item, str)}


def look_at(paths: Sequence[Path], workers: int, features: bool, progress: Progress) -> Look:
    """Look at images, and find the copies among them, or remember those found before.

    Args:
        features: those of the shortcut audit too.
        progress: (what is done, how many times, of what) → a context whose value takes steps done.
    """
    # In an order of their own, so that the order of the rows decides nothing.
    files = sorted(set(paths))
    remembered = memory.recall(files)
    if remembered is not None:
        known, found = remembered
        return Look(files, _described(files, workers, progress) if features else known, found, True)
    with progress("looking at images", len(files), "images") as advance:
        examined = survey.examine(files, workers, advance, features)
    suspects = copies.suspects(examined)
    with progress("comparing", len(suspects), "pairs") as advance:
        near = copies.confirmed(files, examined, suspects, workers, advance)
    found = [*copies.exact(examined), *near]
    memory.keep(examined, found)
    return Look(files, examined, found)


def _described(files: Sequence[Path], workers: int, progress: Progress) -> list[Known | str]:
    with progress("looking at images", len(files), "images") as advance:
        return survey.describe(files, workers, advance)
