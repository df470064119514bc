"""Drawn cells in the layouts of public data sets: their folders, names, formats and label files.

They stand in for the real sets where these may not lie: a Makefile that reads a drawn set reads
the real one. Nothing in them was taken from the real images.
"""

import functools
import io
import shutil
import tempfile
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from leukctl import files, processes
from leukctl.errors import UsageError
from leukctl.images import Rgb
from leukctl.layouts import bloodmnist
from leukctl.synthesis.dataset import SMALLEST, Recipe, draw

Result = TypeVar("Result")

_CHUNK = 16
_FORMATS = {".bmp": "BMP", ".jpg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF"}


class Copy(NamedTuple):
    """A file that an image is written to.

    Attributes:
        path: below the folder of the set.
        segmented: whether all but the white cell is black.
    """

    path: str
    segmented: bool = False


Copies = Callable[[Recipe, int], tuple[Copy, ...]]
Progress = Callable[[int], None]


@dataclass(frozen=True)
class PublicSet:
    """How a set is laid out.

    Attributes:
        classes: in its vocabulary, the least mature first.
        size: width and height of its images in pixels.
        copies: recipe, number of an image → its files; None where all are in one archive.
        labels: recipe → label files by their path, as text.
        least, most: images that it takes to have all parts, and that its names have room for;
            ``most`` is 0 for any number.
    """

    classes: tuple[str, ...]
    size: int
    copies: Copies | None
    labels: Callable[[Recipe], dict[str, str]] = lambda recipe: {}
    least: int = 0
    most: int = 0


def _label(recipe: Recipe, image: int) -> str:
    return recipe.classes[recipe.subject_class(image)]


def _number(recipe: Recipe, image: int) -> int:
    """Return the number of an image in its class, from 1."""
    return image // len(recipe.classes) + 1


_CNMC = "C-NMC_Leukemia"
_PRELIMINARY = f"{_CNMC}/validation_data/C-NMC_test_prelim_phase_data"
_FINAL = f"{_CNMC}/testing_data/C-NMC_test_final_phase_data"


def _cnmc_name(recipe: Recipe, image: int) -> tuple[str, int]:
    """Return the name that tells subject and class, and the place of the subject in its class."""
    label = _label(recipe, image)
    of_class = recipe.members[recipe.classes.index(label)]
    place = of_class.index(recipe.image_subject(image))
    number = (_number(recipe, image) - 1) // len(of_class) + 1
    subject = f"H{place + 1}" if label == "hem" else str(place + 1)
    return f"UID_{subject}_{number}_1_{label}.bmp", place


def _cnmc(recipe: Recipe, image: int) -> tuple[Copy, ...]:
    name, place = _cnmc_name(recipe, image)
    # Of five subjects three go to the folds of training, one to each of the renamed phases.
    part = place % 5
    if part < 3:
        path = f"{_CNMC}/training_data/fold_{part}/{_label(recipe, image)}/{name}"
    else:
        path = f"{(_PRELIMINARY, _FINAL)[part - 3]}/{image + 1}.bmp"
    return (Copy(path, segmented=True),)


def _cnmc_labels(recipe: Recipe) -> dict[str, str]:
    lines = ["Patient_ID,new_names,labels"]
    for image in range(recipe.images):
        path = _cnmc(recipe, image)[0].path
        if path.startswith(_PRELIMINARY):
            name = _cnmc_name(recipe, image)[0]
            lines.append(f"{name},{Path(path).name},{int(_label(recipe, image) == 'all')}")
    return {f"{_PRELIMINARY}_labels.csv": "\n".join(lines) + "\n"}


def _taleghani(recipe: Recipe, image: int) -> tuple[Copy, ...]:
    label = _label(recipe, image)
    kind = label if label == "Benign" else f"Malignant-{label}"
    name = f"{label}/WBC-{kind}-{_number(recipe, image):03d}.jpg"
    return Copy(f"Original/{name}"), Copy(f"Segmented/{name}", segmented=True)


def _variant(recipe: Recipe, image: int) -> tuple[Copy, ...]:
    name = f"{_label(recipe, image)}/{_number(recipe, image):04d}.jpg"
    return (Copy(f"Blood cell Cancer [ALL]/{name}"),)


def _all_idb(recipe: Recipe, image: int) -> tuple[Copy, ...]:
    return (Copy(f"ALL_IDB2/img/Im{image + 1:03d}_{int(_label(recipe, image) == 'ALL')}.tif"),)


# Class → the prefix of its names.
_PBC = {
    "ig": "MY",
    "erythroblast": "ERB",
    "monocyte": "MO",
    "lymphocyte": "LY",
    "neutrophil": "SNE",
    "eosinophil": "EO",
    "basophil": "BA",
    "platelet": "PLATELET",
}


def _pbc(recipe: Recipe, image: int) -> tuple[Copy, ...]:
    label = _label(recipe, image)
    name = f"{_PBC[label]}_{100000 + image}.jpg"
    return (Copy(f"PBC_dataset_normal_DIB/{label}/{name}"),)


def _raabin(recipe: Recipe, image: int) -> tuple[Copy, ...]:
    label = _label(recipe, image)
    of_class = recipe.members[recipe.classes.index(label)]
    # Of ten subjects seven are trained on, two are in TestA; the images of one stay together.
    share = of_class.index(recipe.image_subject(image)) / len(of_class)
    part = "Train" if share < 0.7 else "TestA" if share < 0.9 else "TestB"
    return (Copy(f"{part}/{label}/{image + 1:05d}.jpg"),)


_MUNICH = (
    *("MYB", "PMO", "PMB", "MYO", "MOB", "MMZ", "EBO", "MON"),
    *("LYA", "LYT", "NGB", "NGS", "EOS", "BAS", "KSC"),
)


def _munich(recipe: Recipe, image: int) -> tuple[Copy, ...]:
    label = _label(recipe, image)
    return (Copy(f"data/data/{label}/{label}_{_number(recipe, image):04d}.tiff"),)


def _munich_labels(recipe: Recipe) -> dict[str, str]:
    paths = [_munich(recipe, image)[0].path for image in range(recipe.images)]
    lines = [f"{'/'.join(path.split('/')[-2:])} {path.split('/')[-2]}" for path in paths]
    return {"annotations.dat": "\n".join(sorted(lines)) + "\n"}


def _multi_cancer(recipe: Recipe, image: int) -> tuple[Copy, ...]:
    label = _label(recipe, image)
    name = f"{label}_{_number(recipe, image):04d}.jpg"
    return (Copy(f"Multi Cancer/Multi Cancer/ALL/{label}/{name}"),)


SETS: dict[str, PublicSet] = {
    "cnmc": PublicSet(("all", "hem"), 450, _cnmc, _cnmc_labels),
    "all-idb": PublicSet(("ALL", "healthy"), 257, _all_idb, most=999),
    "taleghani": PublicSet(("Early", "Pre", "Pro", "Benign"), 224, _taleghani),
    "taleghani-4class": PublicSet(
        ("[Malignant] early Pre-B", "[Malignant] Pre-B", "[Malignant] Pro-B", "Benign"),
        224,
        _variant,
    ),
    "pbc": PublicSet(tuple(_PBC), 360, _pbc),
    "raabin": PublicSet(
        ("Monocyte", "Lymphocyte", "Neutrophil", "Eosinophil", "Basophil"), 300, _raabin
    ),
    "munich-aml": PublicSet(_MUNICH, 400, _munich, _munich_labels),
    "multi-cancer": PublicSet(
        ("all_early", "all_pre", "all_pro", "all_benign"), 512, _multi_cancer
    ),
    "bloodmnist": PublicSet(bloodmnist.CLASSES, 28, None, least=80),
}


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
