"""What a user asks of balancing, and what a method gives back."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from leukctl.balancing.rows import Members
from leukctl.balancing.warping import Ranges
from leukctl.tables import Table


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How new images are made.

    Attributes:
        images: the folder that they go to.
        root: where the manifest's paths start, by default the current directory.
        workers: processes; the result does not depend on their number.
        force: replace what was made of another image or by other ranges.
        on_progress: told of images done.
    """

    images: Path
    ranges: Ranges = field(default_factory=Ranges)
    root: Path | None = None
    workers: int = 1
    force: bool = False
    on_progress: Callable[[int], None] = lambda step: None


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for.

    Attributes:
        to: the train rows that each class gets, as :func:`leukctl.balancing.targets.size` reads
            it; weights take no notice of it.
        even: a column whose values are kept as evenly represented in each class as can be.
        seed: of all that is random.
        augmentation: for the method that makes images.
        replace: weights that are there already may be replaced.
    """

    to: str
    even: str | None = None
    seed: int = 0
    augmentation: Augmentation | None = None
    replace: bool = False


@dataclass(slots=True)
class Made:
    """What a method made.

    Attributes:
        table: the manifest.
        written, skipped: new images, and those of them that were there already.
        rejected: why an image could not be used, by its path.
        weights: of a row of each class, where there are new ones.
    """

    table: Table
    written: int = 0
    skipped: int = 0
    rejected: dict[str, str] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Method:
    """A way of balancing, and the size of the classes where none is asked for."""

    apply: Callable[[Table, Members, Request], Made]
    default_to: str | None
