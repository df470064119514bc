"""Drawn cells in the layouts of public data sets.

They stand in for the real sets where these may not lie: a Makefile that reads a drawn set reads
the real one. Nothing in them was taken from the real images.
"""

import functools
import io
import shutil
import tempfile
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from leukctl import files, processes
from leukctl.errors import UsageError
from leukctl.images import Rgb
from leukctl.synthesis.dataset import SMALLEST, Recipe, draw
from leukctl.synthesis.public_layouts import SETS, Copies

Result = TypeVar("Result")
Progress = Callable[[int], None]

_CHUNK = 16
_FORMATS = {".bmp": "BMP", ".jpg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF"}


def _check(name: str, recipe: Recipe) -> None:
    least, most = SETS[name].least, SETS[name].most
    if recipe.images < least:
        raise UsageError(f"--images {recipe.images}: {name} needs {least} to fill its splits")
    if most and recipe.images > most:
        raise UsageError(f"--images {recipe.images}: the names of {name} have room for {most}")


def write(
    name: str,
    recipe: Recipe,
    out: Path,
    *,
    size: int,
    workers: int | None = None,
    on_progress: Progress = lambda step: None,
) -> None:
    """Draw the set into ``out``, which appears when it is whole.

    Args:
        name: of :data:`SETS`.
        size: of the images that are written; the recipe's may be larger, and is then reduced.

    Raises :class:`UsageError` where ``out`` exists and is no empty folder, or for a number of
    images that the set cannot have.
    """
    _check(name, recipe)
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise UsageError(f"{out} is there already; a set with --layout needs a folder of its own")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder:
        new = Path(folder) / "new"
        new.mkdir()
        few = workers or processes.processors()
        if (copies := SETS[name].copies) is None:
            _write_archive(recipe, new, size, few, on_progress)
        else:
            _write_files(copies, recipe, new, size, few, on_progress)
        for path, text in SETS[name].labels(recipe).items():
            files.write_bytes(new / path, text.encode())
        if out.exists():
            out.rmdir()
        shutil.move(new, out)


def _write_files(
    copies: Copies, recipe: Recipe, out: Path, size: int, workers: int, on_progress: Progress
) -> None:
    work = functools.partial(_write_chunk, copies, recipe, out, size)
    with closing(_chunks(work, recipe, workers)) as counts:
        for count in counts:
            on_progress(count)


def _chunks(
    work: Callable[[range], Result], recipe: Recipe, workers: int
) -> Generator[Result, None, None]:
    starts = range(0, recipe.images, _CHUNK)
    jobs = [range(start, min(start + _CHUNK, recipe.images)) for start in starts]
    return processes.in_order(work, jobs, min(workers, len(jobs)))


def _write_chunk(copies: Copies, recipe: Recipe, out: Path, size: int, images: range) -> int:
    for image in images:
        rgb, mask = draw(recipe, image)
        for copy in copies(recipe, image):
            shown = np.where(mask[:, :, None] > 0, rgb, 0) if copy.segmented else rgb
            files.write_bytes(out / copy.path, _encode(_resize(shown, size), copy.path))
    return len(images)


def _encode(rgb: Rgb, path: str) -> bytes:
    stream = io.BytesIO()
    given = {"quality": 92} if path.endswith(".jpg") else {}
    Image.fromarray(rgb).save(stream, _FORMATS[Path(path).suffix], **given)
    return stream.getvalue()


def _resize(rgb: Rgb, size: int) -> Rgb:
    if rgb.shape[0] == size:
        return rgb
    return np.asarray(Image.fromarray(rgb).resize((size, size), Image.Resampling.BOX))


def _write_archive(
    recipe: Recipe, out: Path, size: int, workers: int, on_progress: Progress
) -> None:
    work = functools.partial(_pixels, recipe, size)
    parts = []
    with closing(_chunks(work, recipe, workers)) as chunks:
        for part in chunks:
            parts.append(part)
            on_progress(len(part))
    pixels = np.concatenate(parts)
    labels = [recipe.subject_class(image) for image in range(recipe.images)]
    codes = np.array(labels, np.uint8)[:, None]
    # Rounds of all classes: of ten, seven are train, one val, two test.
    turns = np.arange(recipe.images) // len(recipe.classes) % 10
    arrays: dict[str, Any] = {}
    for split, own in (("train", turns < 7), ("val", turns == 7), ("test", turns > 7)):
        arrays |= {f"{split}_images": pixels[own], f"{split}_labels": codes[own]}
    name = "bloodmnist.npz" if size == 28 else f"bloodmnist_{size}.npz"
    np.savez_compressed(out / name, **arrays)


def _pixels(recipe: Recipe, size: int, images: range) -> NDArray[np.uint8]:
    return np.stack([_resize(draw(recipe, image)[0], size) for image in images])


def drawn_size(size: int) -> int:
    """Return the size to draw at for images of ``size``: small ones are reduced from twice it."""
    return size if size >= SMALLEST else 2 * size
