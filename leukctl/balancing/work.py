"""One image from its file to the PNG files made of it, and many of them in processes."""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from leukctl import files, images, processes
from leukctl.balancing import warping
from leukctl.balancing.warping import Mask, Ranges
from leukctl.errors import ImageError, InputError
from leukctl.images import Rgb
from leukctl.preparing import work as preparing

AUGMENT = "leukctl:augment"
_PARENT = "leukctl:parent-sha256"
_MASK = "leukctl:mask-sha256"

_LEAST_IMAGES = 512  # a process, which takes half a second to start


@dataclass(frozen=True, slots=True)
class Copy:
    """An image to make: its number among those of its parent, and the files to write."""

    number: int
    target: str
    mask_target: str = ""


@dataclass(frozen=True, slots=True)
class Family:
    """An image, and those to make of it.

    Attributes:
        source, mask: the files to read; no mask where ``mask`` is "".
        sha256: what the source's digest must be, "" where it is not known.
    """

    source: str
    mask: str
    sha256: str
    copies: tuple[Copy, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a family.

    Attributes:
        sha256: of each image made, in the order of the copies.
        skipped: how many were there already.
        rejected: why none could be made, "" where they were.
    """

    sha256: tuple[str, ...] = ()
    skipped: int = 0
    rejected: str = ""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How images are made; ``force`` replaces those of other recipes."""

    ranges: Ranges
    seed: int
    force: bool = False


def make_all(families: Sequence[Family], recipe: Recipe, workers: int) -> Iterator[Outcome]:
    """Yield the outcome of every family, in order; the same whatever the number of ``workers``.

    Raises OSError where an image cannot be written, and :class:`InputError` where a file that
    balance did not write stands in the way, or, unless forced, one of another image or recipe.
    """
    count = sum(len(family.copies) for family in families)
    few = max(1, min(workers, count // _LEAST_IMAGES))
    run = functools.partial(processes.in_order, workers=few)
    return processes.spread(functools.partial(make, recipe=recipe), families, run)


def make(family: Family, recipe: Recipe) -> Outcome:
    """Make the images of one family, except those that are there already."""
    try:
        parent = _Parent(family)
        done = [_make_copy(parent, copy, recipe) for copy in family.copies]
    except ImageError as error:
        return Outcome(rejected=str(error))
    return Outcome(tuple(digest for digest, _ in done), sum(skipped for _, skipped in done))


class _Parent:
    """An image as read, decoded only when it is needed."""

    def __init__(self, family: Family) -> None:
        self.family = family
        self.data = images.read_bytes(Path(family.source))
        self.sha256 = images.sha256(self.data)
        if family.sha256 and family.sha256.lower() != self.sha256:
            raise ImageError("its SHA-256 is not the one in the manifest")
        self.mask_data = self._read_mask()

    def text(self, copy: Copy, recipe: Recipe) -> dict[str, str]:
        """Return what a picture made of this one carries: all that decides about its pixels.

        The mark of prep goes on, or predict would prepare the picture once more.
        """
        made = f"{recipe.ranges},seed={recipe.seed},copy={copy.number}"
        text = {AUGMENT: made, _PARENT: self.sha256}
        if self.mask_data:
            text[_MASK] = images.sha256(self.mask_data)
        prep = (images.png_text(self.data) or {}).get(preparing.PREP)
        return text if prep is None else text | {preparing.PREP: prep}

    @functools.cached_property
    def pixels(self) -> tuple[Rgb, Mask | None]:
        rgb = images.decode(self.data)
        if not self.mask_data:
            return rgb, None
        try:
            mask = images.brightest(images.decode(self.mask_data))
        except ImageError as error:
            raise self._mask_error(error) from None
        if mask.shape != rgb.shape[:2]:
            raise self._mask_error("not of the image's size")
        return rgb, mask

    def _read_mask(self) -> bytes:
        try:
            return images.read_bytes(Path(self.family.mask)) if self.family.mask else b""
        except ImageError as error:
            raise self._mask_error(error) from None

    def _mask_error(self, reason: object) -> ImageError:
        return ImageError(f"its mask {self.family.mask!r}: {reason}")


def _make_copy(parent: _Parent, copy: Copy, recipe: Recipe) -> tuple[str, bool]:
    """Return the digest of the copy's PNG, and whether it was there already."""
    text = parent.text(copy, recipe)
    targets = [target for target in (copy.target, copy.mask_target) if target]
    there = [_read_target(target, text, recipe.force) for target in targets]
    if all(data is not None and images.png_text(data) == text for data in there):
        return images.sha256(there[0] or b""), True
    rgb, mask = parent.pixels
    # The content and the number seed it, and neither the path nor the order of the rows.
    random = np.random.default_rng([recipe.seed, copy.number, int(parent.sha256, 16)])
    change = warping.draw(recipe.ranges, random)
    rgb, mask = warping.apply(change, rgb, mask, recipe.ranges.fill)
    # The image comes last: where it is whole, so is its mask.
    if mask is not None:
        files.write_bytes(Path(copy.mask_target), images.encode_png(mask, text))
    data = images.encode_png(rgb, text)
    files.write_bytes(Path(copy.target), data)
    return images.sha256(data), False


def _read_target(target: str, text: dict[str, str], force: bool) -> bytes | None:
    """Return what stands where a result goes, None where nothing does.

    Raises :class:`InputError` for what balance did not write, and, without ``force``, for what it
    made of another image or by another recipe: an earlier manifest may name it still.
    """
    try:
        data = Path(target).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    # A crashed disk may leave a file of ours empty or torn: its first entries still tell.
    if data and f"{AUGMENT}\0".encode() not in data[:200]:
        raise InputError(
            "stands where an augmented image goes, and balance did not write it; "
            "remove it or name another --images",
            file=target,
        )
    entry = images.png_text(data)
    if entry is not None and entry != text and not force:
        raise InputError(
            "made of another image or by other options before; name another --images, or --force",
            file=target,
        )
    return data
