"""A set of drawn cells: which image gets which class, subject and source; its files and manifest.

Every random stream is derived from the seed and from what it is for, so that an image's bytes do
not depend on the number of processes, nor on how many images are drawn beside it.
"""

import functools
import os
import re
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from leukctl import files, images, processes, tables
from leukctl.errors import UsageError
from leukctl.images import Rgb
from leukctl.synthesis import cell, scene

COLUMNS = ("path", "label", "subject", "source", "mask", "sha256")
MANIFEST = "manifest.csv"
SMALLEST, LARGEST = 48, 1024

_IMAGES, _MASKS = "images", "masks"
_NAME = re.compile(r"cell-\d{6,}\.png")
_CHUNK = 16

# What a random stream is for; the numbers are part of what a seed means.
_FOR_ORDER, _FOR_SOURCE, _FOR_SUBJECT, _FOR_IMAGE = range(4)


@dataclass(frozen=True)
class Recipe:
    """What to draw. Numbers of images, subjects and sources start at 0.

    Raises :class:`UsageError` where the wishes do not fit together.
    """

    images: int
    classes: tuple[str, ...]
    subjects: int
    sources: int
    size: int
    seed: int

    def __post_init__(self) -> None:
        _check_classes(self.classes)
        if not SMALLEST <= self.size <= LARGEST:
            raise UsageError(f"--size {self.size} is not within {SMALLEST} to {LARGEST} pixels")
        if self.sources < 1:
            raise UsageError(f"--sources {self.sources}: at least one is needed")
        for name, least in (("classes", len(self.classes)), ("sources", self.sources)):
            if self.subjects < least:
                raise UsageError(
                    f"--subjects {self.subjects} is fewer than the {least} {name}; "
                    "a subject has one class and one source"
                )
        if self.images < self.subjects:
            raise UsageError(
                f"--images {self.images} is fewer than --subjects {self.subjects}; "
                "every subject needs an image"
            )

    def stream(self, purpose: int, number: int) -> np.random.Generator:
        """Return the random stream of ``number`` for ``purpose``."""
        return np.random.default_rng([self.seed, purpose, number])

    def subject_class(self, subject: int) -> int:
        """Return the class of ``subject``.

        Round by round, each class once in a shuffled order: the number gives no class away.
        """
        turn, place = divmod(subject, len(self.classes))
        return int(self.stream(_FOR_ORDER, turn).permutation(len(self.classes))[place])

    def subject_source(self, subject: int) -> int:
        """Return the source of ``subject``: sources in turn, class after class."""
        label = self.subject_class(subject)
        before = sum(len(members) for members in self.members[:label])
        return (before + subject // len(self.classes)) % self.sources

    def image_subject(self, image: int) -> int:
        """Return the subject of ``image``.

        Classes are dealt to images as they are to subjects, and the images of a class go to its
        subjects in turn, so that both are as even as they can be.
        """
        members = self.members[self.subject_class(image)]
        return members[image // len(self.classes) % len(members)]

    @functools.cached_property
    def members(self) -> list[list[int]]:
        members: list[list[int]] = [[] for _ in self.classes]
        for subject in range(self.subjects):
            members[self.subject_class(subject)].append(subject)
        return members


def _check_classes(classes: Sequence[str]) -> None:
    if len(classes) < 2:
        raise UsageError("--classes needs at least two names, as in ALL,healthy")
    folded = [name.casefold() for name in classes]
    for index, name in enumerate(classes):
        if not name or name.startswith(".") or "/" in name or "\\" in name:
            raise UsageError(f"--classes: {name!r} cannot be the name of a folder")
        if name != name.strip() or not name.isprintable() or len(os.fsencode(name)) > 200:
            raise UsageError(f"--classes: {name!r} cannot be the name of a folder")
        if folded[index] in folded[:index]:
            raise UsageError(f"--classes: {name!r} stands there twice")


def draw(recipe: Recipe, image: int) -> tuple[Rgb, Rgb]:
    """Return picture and mask of ``image``; see :func:`leukctl.synthesis.scene.draw`."""
    subject = recipe.image_subject(image)
    source = recipe.subject_source(subject)
    optics = scene.source_optics(source, recipe.stream(_FOR_SOURCE, source))
    of_subject = recipe.stream(_FOR_SUBJECT, subject)
    optics = scene.subject_optics(optics, of_subject)
    position = cell.class_position(recipe.subject_class(subject), len(recipe.classes))
    position = cell.subject_position(position, of_subject)
    of_image = recipe.stream(_FOR_IMAGE, image)
    return scene.draw(cell.draw_look(position, of_image), optics, recipe.size, of_image)


def write(
    recipe: Recipe,
    out: Path,
    *,
    workers: int | None = None,
    force: bool = False,
    on_progress: Callable[[int], None] = lambda step: None,
) -> None:
    """Draw the set into the folder ``out``: ``images/``, ``masks/`` and, last, ``manifest.csv``.

    Paths in the manifest start with ``out`` as it was given. Memory does not grow with the number
    of images.

    Args:
        workers: processes, by default one a processor; 1 draws in this one.
        force: remove what an earlier call drew there, instead of refusing.
        on_progress: called with the number of images just done.

    Raises:
        UsageError: ``out`` is no folder, or holds images, masks or a manifest.
    """
    _make_room(out, force)
    with files.atomic_writer(out / MANIFEST) as stream:
        writer = tables.writer(stream)
        writer.writerow(COLUMNS)
        with closing(_drawn(recipe, out, workers or processes.processors())) as drawn:
            for rows in drawn:
                writer.writerows(rows)
                on_progress(len(rows))


def _make_room(out: Path, force: bool) -> None:
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is no folder")
    there = [name for name in (MANIFEST, _IMAGES, _MASKS) if (out / name).exists()]
    if there and not force:
        raise UsageError(f"{out} already holds {there[0]}; --force draws it anew")
    (out / MANIFEST).unlink(missing_ok=True)
    # Only what was drawn here goes: a mask by our name, and its twin among the images.
    for mask in sorted((out / _MASKS).glob("*/cell-*.png")):
        if _NAME.fullmatch(mask.name):
            (out / _IMAGES / mask.parent.name / mask.name).unlink(missing_ok=True)
            mask.unlink()
    for folder in (*(out / _MASKS).glob("*/"), *(out / _IMAGES).glob("*/")):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _drawn(recipe: Recipe, out: Path, workers: int) -> Generator[list[tuple[str, ...]], None, None]:
    """Yield the manifest's rows chunk by chunk, in the order of the images."""
    starts = range(0, recipe.images, _CHUNK)
    work = functools.partial(_write_images, recipe, out)
    return processes.in_order(work, starts, min(workers, len(starts)))


def _write_images(recipe: Recipe, out: Path, start: int) -> list[tuple[str, ...]]:
    chunk = range(start, min(start + _CHUNK, recipe.images))
    return [_write_image(recipe, out, image) for image in chunk]


def _write_image(recipe: Recipe, out: Path, image: int) -> tuple[str, ...]:
    subject = recipe.image_subject(image)
    label = recipe.classes[recipe.subject_class(subject)]
    name = f"cell-{image + 1:06d}.png"
    path, mask_path = (out / folder / label / name for folder in (_IMAGES, _MASKS))
    rgb, mask = draw(recipe, image)
    data = images.encode_png(rgb)
    # The mask first, so that whatever an interrupted call leaves can be told by its mask.
    files.write_bytes(mask_path, images.encode_png(mask))
    files.write_bytes(path, data)
    source = f"lab{recipe.subject_source(subject) + 1}"
    return str(path), label, f"s{subject + 1:03d}", source, str(mask_path), images.sha256(data)
