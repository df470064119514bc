"""What lies below a folder: the names alone, links followed, each real folder once."""

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from leukctl.errors import InputError
from leukctl.images import SUFFIXES
from leukctl.preparing import naming


@dataclass(slots=True)
class Listing:
    """The files below a folder, or a lone archive.

    Attributes:
        root: the folder, as the user named it.
        images: relative POSIX paths of the files with an image's suffix, sorted.
        others: relative POSIX paths of the other files, hidden ones left out, sorted.
        skipped: how many other files there are, by suffix, "hidden" for names with a leading dot.
        aliases: folders passed over because a link had led there before.
        results: folders passed over because prep made the images in them.
        given: what the user named, for errors; the root, or the archive.
    """

    root: Path
    images: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    aliases: int = 0
    results: list[str] = field(default_factory=list)
    given: Path = field(default_factory=Path)

    def parts(self) -> list[list[str]]:
        """Return the folders and the name of every image, those above the root included.

        So that a data set's inner folder is read as the whole set is.
        """
        above = os.path.abspath(self.root).strip("/").split("/")
        return [[*above, *path.split("/")] for path in self.images]

    def found(self) -> str:
        """Return in words what lies there."""
        others = [f"{n} {kind}" for kind, n in self.skipped.most_common(5)]
        images = f"{len(self.images)} images such as {self.images[0]!r}" if self.images else ""
        return ", ".join([*([images] if images else []), *others]) or "nothing"


def list_source(path: Path, exclude: Path | None = None) -> Listing:
    """Return the files below the folder ``path``, or the archive that it is.

    Args:
        exclude: a folder that is passed over, since the results go there.

    Raises :class:`InputError` for what is missing, must not be read, or is neither.
    """
    if path.is_file():
        if path.suffix.lower() != ".npz":
            raise InputError("neither a folder nor an .npz archive", file=path)
        return Listing(path.parent, others=[path.name], skipped=Counter([".npz"]), given=path)
    return list_folder(path, exclude)


def list_folder(root: Path, exclude: Path | None = None) -> Listing:
    """Return the files below the folder ``root``; see :func:`list_source`."""
    listing = Listing(root, given=root)
    barred = os.path.realpath(exclude) if exclude is not None else None
    seen: set[tuple[int, int]] = set()
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        place = root / folder
        if folder and barred is not None and os.path.realpath(place) == barred:
            continue
        if folder and (_holds_results(place) or (folder == naming.MASKS and _holds_results(root))):
            listing.results.append(folder)
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
    listing.others.sort()
    return listing


def _holds_results(folder: Path) -> bool:
    """Tell whether prep put its images here: what it rejected is listed beside them."""
    try:
        with open(folder / naming.REJECTED, encoding="utf-8", errors="replace") as stream:
            return stream.readline() == "path,reason\n"
    except OSError:
        return False


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
                listing.others.append(relative)
                listing.skipped[PurePosixPath(entry.name).suffix.lower() or "no suffix"] += 1
    # Popped from the end: the first name is read first, so that of two links to one folder the
    # same one counts everywhere.
    return sorted(folders, reverse=True)
