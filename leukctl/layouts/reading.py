"""What a layout is, and what reading one gives."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from leukctl.errors import InputError
from leukctl.layouts.listing import Listing
from leukctl.tables import Table


@dataclass(slots=True)
class Reading:
    """What a layout's reader makes of a listing.

    Attributes:
        images: the path of each image inside its source, or inside its archive.
        cells: column → a cell an image; ``label`` is among them, "" where it is not known.
        notes: what the user should know of them.
        archive: the file that the images lie in, "" where they are files themselves.
    """

    images: list[str]
    cells: dict[str, list[str]]
    notes: list[str] = field(default_factory=list)
    archive: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a data set is recognized and read.

    Attributes:
        looked_for: in words, for the error that nothing there fits.
        fits: how many images are named or placed as in this layout; told from names.
        read: the rows.
    """

    looked_for: str
    fits: Callable[[Listing], int]
    read: Callable[[Listing], Reading]


@dataclass(slots=True)
class Found:
    """What was read of a source.

    Attributes:
        table: a row an image; ``path`` as the current directory sees it, ``ARCHIVE#NAME`` for an
            image that is no file of its own.
        relative: the path of each image inside its source.
        notes: what the user should know of them.
        archives: the archive of each path that lies in one.
    """

    table: Table
    relative: list[str]
    notes: list[str] = field(default_factory=list)
    archives: dict[str, str] = field(default_factory=dict)


# Takes the folders and the name of an image; returns its cells, or None where it does not fit.
Place = Callable[[Sequence[str]], Sequence[str] | None]


def by_place(columns: Sequence[str], place: Place) -> Callable[[Listing], Reading]:
    """Return a reader that looks at each image's folders and name alone.

    An image that does not fit is kept without label, and told of.
    """

    def read(listing: Listing) -> Reading:
        rows = [place(parts) for parts in listing.parts()]
        cells = {
            name: [row[index] if row is not None else "" for row in rows]
            for index, name in enumerate(columns)
        }
        stray = [path for path, row in zip(listing.images, rows, strict=True) if row is None]
        notes = []
        if stray:
            notes.append(
                f"{len(stray)} images are not named or placed as the others, such as "
                f"{stray[0]!r}: kept without labels"
            )
        return Reading(listing.images, cells, notes)

    return read


def without_labels(images: Sequence[str], labels: Sequence[str]) -> list[str]:
    """Return a note on the images without a label, where there are any."""
    bare = [path for path, label in zip(images, labels, strict=True) if not label]
    return [f"{len(bare)} images have no label, such as {bare[0]!r}: kept without"] if bare else []


def absent(file: object, names: Sequence[str]) -> list[str]:
    """Return a note on images that a label file names and that are not there, if any."""
    return (
        [f"{file} names {len(names)} images that are not there, such as {names[0]!r}"]
        if names
        else []
    )


def counted(place: Callable[[Sequence[str]], object]) -> Callable[[Listing], int]:
    """Return how to count the images for which ``place`` returns something."""
    return lambda listing: sum(bool(place(parts)) for parts in listing.parts())


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
        combined.archives |= one.archives
    _check_apart(combined.table)
    return combined


def _check_apart(table: Table) -> None:
    seen: set[tuple[str, str]] = set()
    for key in zip(table.column("path"), table.column("copy", ""), strict=True):
        if key in seen:
            raise InputError(f"{key[0]!r} stands in two of them", file=table.name, column="path")
        seen.add(key)
