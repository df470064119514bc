"""Which copies `leukctl split --audit` finds, and how long it takes.

    python benchmarks/audit.py IMAGES_FOLDER [COPIES]

Of COPIES images drawn from the folder (40 unless told), anew for each way of copying, copies are
put beside all images of the folder; the table says which share of each kind was found. Pairs among
the images themselves are false unless a person, looking at them, says otherwise: they are listed.
"""

import collections
import csv
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from leukctl import images, layouts

Rgb = NDArray[np.uint8]
Draw = np.random.Generator
Way = Callable[[Image.Image, Draw], Image.Image]
SIDE = 224


def _jpeg(picture: Image.Image, quality: int) -> Image.Image:
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=quality)
    return Image.open(io.BytesIO(data.getvalue())).convert("RGB")


def _scaled(picture: Image.Image, width: float, height: float) -> Image.Image:
    size = (round(picture.width * width), round(picture.height * height))
    return picture.resize(size, Image.Resampling.BICUBIC)


def _hue(picture: Image.Image) -> Image.Image:
    hue, saturation, value = picture.convert("HSV").split()
    turned = hue.point(lambda level: (level + 20) % 256)
    return Image.merge("HSV", (turned, saturation, value)).convert("RGB")


def _flip(picture: Image.Image, draw: Draw) -> Image.Image:
    ways = (Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.FLIP_TOP_BOTTOM)
    return picture.transpose(ways[draw.integers(2)])


def _turn(picture: Image.Image, draw: Draw) -> Image.Image:
    ways = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)
    return picture.transpose(ways[draw.integers(3)])


def _rotate(picture: Image.Image, draw: Draw, expand: bool = False) -> Image.Image:
    return picture.rotate(
        draw.uniform(5, 355),
        Image.Resampling.BICUBIC,
        expand=expand,
        fillcolor=(255, 255, 255) if expand else (0, 0, 0),
    )


def _noisy(picture: Image.Image, draw: Draw) -> Image.Image:
    values = np.asarray(picture, float) + draw.normal(0, 8, (picture.height, picture.width, 3))
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def _blurred(picture: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(cv2.GaussianBlur(np.asarray(picture), (0, 0), 2), np.uint8))


def _central(picture: Image.Image, share: float) -> Image.Image:
    width, height = picture.size
    left, top = round(width * (1 - share) / 2), round(height * (1 - share) / 2)
    return picture.crop((left, top, width - left, height - top)).resize((SIDE, SIDE))


WAYS: dict[str, Way] = {
    "JPEG of quality 30": lambda picture, draw: _jpeg(picture, 30),
    "a third of the size": lambda picture, draw: _scaled(picture, 1 / 3, 1 / 3),
    "twice the size": lambda picture, draw: _scaled(picture, 2, 2),
    "another aspect (4:3)": lambda picture, draw: _scaled(picture, 0.8, 0.6),
    "brightness +-30 %": lambda picture, draw: ImageEnhance.Brightness(picture).enhance(
        draw.choice([0.7, 1.3])
    ),
    "contrast 0.6 or 1.5": lambda picture, draw: ImageEnhance.Contrast(picture).enhance(
        draw.choice([0.6, 1.5])
    ),
    "saturation 0.3 or 1.7": lambda picture, draw: ImageEnhance.Color(picture).enhance(
        draw.choice([0.3, 1.7])
    ),
    "hue by 28 degrees": lambda picture, draw: _hue(picture),
    "mirrored": _flip,
    "quarter turns": _turn,
    "any turn": _rotate,
    "any turn, frame grown": lambda picture, draw: _rotate(picture, draw, expand=True),
    "mirrored, any turn, JPEG 70": lambda picture, draw: _jpeg(
        _rotate(_flip(picture, draw), draw), 70
    ),
    "central 80 %": lambda picture, draw: _central(picture, 0.8),
    "noise of 8 levels": _noisy,
    "blur of 2 pixels": lambda picture, draw: _blurred(picture),
}
SHIFTS = (0.0, 0.25, 0.4, 0.5, 0.6, 0.7)


def shot(rgb: Rgb, draw: Draw, x: float, y: float, side: float) -> Image.Image:
    """Return a window of a field as one more photograph would show it.

    Turned by up to 3 degrees, enlarged by up to 3 %, a little out of focus, with a light, a color
    and a noise of its own, as JPEG.
    """
    zoom = SIDE / side * draw.uniform(0.97, 1.03)
    matrix = cv2.getRotationMatrix2D((x, y), draw.uniform(-3, 3), zoom)
    matrix[:, 2] += SIDE / 2 - np.array([x, y])
    edge = cv2.BORDER_REFLECT
    seen = cv2.warpAffine(rgb, matrix, (SIDE, SIDE), flags=cv2.INTER_CUBIC, borderMode=edge)
    seen = cv2.GaussianBlur(seen.astype(np.float32), (0, 0), draw.uniform(0.3, 1.2))
    light = draw.uniform(0.9, 1.05) * draw.uniform(0.95, 1.05, 3)
    seen = 255 * (seen / 255) ** draw.uniform(0.85, 1.18) * light
    seen = seen + draw.normal(0, draw.uniform(2, 6), seen.shape)
    return _jpeg(Image.fromarray(np.clip(seen, 0, 255).astype(np.uint8)), 80)


def two_shots(rgb: Rgb, draw: Draw, shift: float) -> tuple[Image.Image, Image.Image]:
    """Return two photographs of one field, the second moved by ``shift`` of a frame."""
    height, width = rgb.shape[:2]
    side = min(int(width / (1 + shift)), height) - 8
    step = shift * side / 2
    across, down = (step, 0.0) if draw.random() < 0.5 else (0.0, step)
    if down:
        side = min(int(height / (1 + shift)), width) - 8
        down = shift * side / 2
    middle = width / 2, height / 2
    one = shot(rgb, draw, middle[0] - across, middle[1] - down, side)
    return one, shot(rgb, draw, middle[0] + across, middle[1] + down, side)


def copies(
    files: list[Path], number: int, draw: Draw, folder: Path
) -> Iterator[tuple[str, Path, Path]]:
    """Write copies of images drawn anew for each kind; yield the kind, and the pair's files."""
    for kind, (name, way) in enumerate(WAYS.items()):
        for place in draw.choice(len(files), number, replace=False):
            target = folder / f"{kind}-{place}.png"
            way(Image.open(files[place]).convert("RGB"), draw).save(target)
            yield name, files[place], target
    for shift in SHIFTS:
        name = f"two shots, moved by {shift:.0%}"
        for place in draw.choice(len(files), number, replace=False):
            pictures = two_shots(images.read_rgb(files[place]), draw, shift)
            targets = [folder / f"shift{shift}-{place}-{side}.png" for side in "ab"]
            for picture, target in zip(pictures, targets, strict=True):
                picture.save(target)
            yield name, targets[0], targets[1]


def main(source: Path, number: int) -> None:
    """Make the copies, audit them, and print what was found."""
    files = [source / name for name in layouts.list_folder(source).images]
    draw = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        made = list(copies(files, number, draw, folder))
        paths = dict.fromkeys([*files, *(path for _, *pair in made for path in pair)])
        manifest, found = folder / "all.csv", folder / "pairs.csv"
        manifest.write_text("".join(f"{path}\n" for path in ["path", *paths]))
        started = time.perf_counter()
        command = ["split", "--audit", str(manifest), "--no-shortcuts", "-o", str(found)]
        # Of a cache of its own, so that nothing is remembered from the run before.
        forgetful = os.environ | {"XDG_CACHE_HOME": scratch}
        subprocess.run([sys.executable, "-m", "leukctl", *command], check=True, env=forgetful)
        seconds = time.perf_counter() - started
        with open(found, newline="") as stream:
            pairs = list(csv.DictReader(stream))
    print(f"{len(paths)} images in {seconds:.0f} s")
    scores = {frozenset((pair["path_a"], pair["path_b"])): pair["score"] for pair in pairs}
    recall = collections.defaultdict(list)
    for name, a, b in made:
        recall[name].append(scores.get(frozenset((str(a), str(b)))))
    for name, got in recall.items():
        hits = [float(score) for score in got if score is not None]
        least = f"least score {min(hits):.2f}" if hits else ""
        print(f"{name:30s} {len(hits) / len(got):6.1%} of {len(got)}  {least}")
    own = {str(path) for path in files}
    among = [pair for pair in pairs if pair["path_a"] in own and pair["path_b"] in own]
    print(f"pairs among the {len(files)} images themselves: {len(among)}")
    for pair in among:
        print("  ", pair["kind"], pair["score"], pair["path_a"], pair["path_b"])


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 40)
