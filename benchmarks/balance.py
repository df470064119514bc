"""Augmented images to PNG: leukctl against the loop that a user would write.

    python benchmarks/balance.py IMAGES_FOLDER

The loop: Pillow decodes, torchvision's RandomAffine and RandomHorizontalFlip with the same ranges
(bilinear, black fill) change the picture, Pillow writes PNG, with its default settings and at the
quickest compression. Both in one process and one thread; two new images from each of up to 150.
"""

import itertools
import math
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import pairs

from leukctl.balancing import Ranges, work
from leukctl.balancing.work import Copy, Family, Recipe

MOST, COPIES = 150, 2
SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"}


def ours(paths: list[Path], workers: int = 1) -> None:
    """Make the new images with leukctl."""
    with tempfile.TemporaryDirectory() as folder:
        families = [
            Family(
                str(path),
                "",
                "",
                tuple(Copy(n, f"{folder}/{place}-{n}.png") for n in range(1, COPIES + 1)),
            )
            for place, path in enumerate(paths)
        ]
        for outcome in work.make_all(families, Recipe(Ranges(fill="black"), 0), workers):
            assert len(outcome.sha256) == COPIES


def loop(level: int) -> Callable[[list[Path]], None]:
    """Return the plain loop, which writes PNG at this level of compression."""
    from PIL import Image

    from leukctl import runtime  # the door that makes torchvision importable

    _, torch = runtime.timm, runtime.torch
    from torchvision.transforms import v2

    torch.set_num_threads(1)
    transform = v2.Compose([
        v2.RandomAffine(
            40, (0.4, 0.4), (0.6, 1.4), math.degrees(math.atan(0.4)), v2.InterpolationMode.BILINEAR
        ),
        v2.RandomHorizontalFlip(),
    ])  # fmt: skip

    def theirs(paths: list[Path]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for (place, path), n in itertools.product(enumerate(paths), range(COPIES)):
                picture = transform(Image.open(path).convert("RGB"))
                picture.save(f"{folder}/{place}-{n}.png", compress_level=level)

    return theirs


def main(folder: Path) -> None:
    """Print the medians of paired runs."""
    cv2.setNumThreads(1)
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    paths = found[:: -(-len(found) // MOST)]
    print(f"{len(paths)} images, {COPIES} new ones of each")
    for name, level in (("Pillow's default PNG", 6), ("PNG at level 1", 1)):
        theirs = loop(level)
        figures = pairs.compare(lambda: ours(paths), lambda: theirs(paths))  # noqa: B023
        pairs.say(name, figures)
        rates = [COPIES * len(paths) / seconds for seconds in figures[:2]]
        print(f"{'':32s} ours {rates[0]:6.0f} images/s  theirs {rates[1]:6.0f} images/s")
    many = paths * 4  # so that starting a process counts for little
    figures = pairs.compare(lambda: ours(many, 2), lambda: ours(many, 1), pairs=3)
    pairs.say("two workers against one", figures)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
