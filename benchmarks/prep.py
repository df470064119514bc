"""Images prepared a second: leukctl against the bare loops that a user would write.

    python benchmarks/prep.py CELLS_FOLDER [PAIRS]

CELLS_FOLDER holds some hundred small images (BMP, PNG or JPEG), of which copies are made; beside
them fields of 640x480 pixels are drawn and written as JPEG. leukctl denoises, finds the region,
resizes and writes with digests and manifest; the loops decode, resize and write. Every side is a
process of its own, run on all images and on a tenth of them, in turn: the difference gives the
steady rate, what is left is the start. Seconds of processor are told beside those of the clock,
since they suffer less from whoever shares the machine. All is written below TMPDIR, about a
gigabyte a pair.
"""

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SIZE = 224
STEPS = f"denoise:median,roi,resize:{SIZE}"
LEVEL = 1  # of PNG's compression, leukctl's own

BARE = f"""
import os, sys, cv2
cv2.setNumThreads(1)
source, target, level = sys.argv[1], sys.argv[2], int(sys.argv[3])
os.makedirs(target)
for name in sorted(os.listdir(source)):
    image = cv2.imread(os.path.join(source, name))
    image = cv2.resize(image, ({SIZE}, {SIZE}))
    options = [cv2.IMWRITE_PNG_COMPRESSION, level]
    cv2.imwrite(os.path.join(target, os.path.splitext(name)[0] + ".png"), image, options)
"""

PILLOW = f"""
import os, sys
from PIL import Image
source, target = sys.argv[1:3]
os.makedirs(target)
for name in sorted(os.listdir(source)):
    with Image.open(os.path.join(source, name)) as image:
        small = image.convert("RGB").resize(({SIZE}, {SIZE}))
    small.save(os.path.join(target, os.path.splitext(name)[0] + ".png"))
"""


def leukctl(source: Path, target: Path, workers: int) -> list[str]:
    """Return the command that prepares a folder."""
    options = ["--layout", "folders", "--steps", STEPS, "--workers", str(workers), "-q"]
    output = ["--images", str(target), "-o", str(target.with_suffix(".csv"))]
    return [sys.executable, "-m", "leukctl", "prep", str(source), *options, *output]


SIDES = {
    "leukctl": lambda source, target: leukctl(source, target, 1),
    "2 workers": lambda source, target: leukctl(source, target, 2),
    "OpenCV": lambda source, target: [
        *(sys.executable, "-c", BARE, str(source), str(target), str(LEVEL)),
    ],
    "Pillow": lambda source, target: [sys.executable, "-c", PILLOW, str(source), str(target)],
}


RATIOS = (("leukctl", "OpenCV"), ("leukctl", "Pillow"), ("2 workers", "leukctl"))


def seconds(side: str, source: Path) -> tuple[float, float]:
    """Return the seconds of the clock and of processors that a side takes for a folder."""
    # A new folder, for ext4 is slow to make files where many were deleted in the last minutes.
    target = Path(tempfile.mkdtemp(dir=source.parent)) / "out"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    subprocess.run(SIDES[side](source, target), check=True)
    clock = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return clock, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def compare(name: str, everything: Path, few: Path, pairs: int) -> None:
    """Print a line a side, of medians over the pairs."""
    more = len(os.listdir(everything)) - len(os.listdir(few))
    times: dict[str, list[tuple[float, float, float]]] = {side: [] for side in SIDES}
    for _ in range(pairs):
        for side, found in times.items():
            short, short_cpu = seconds(side, few)
            long, long_cpu = seconds(side, everything)
            each = (long - short) / more
            start = short - each * len(os.listdir(few))
            found.append((each, (long_cpu - short_cpu) / more, start))
    print(f"{name}, medians of {pairs} pairs")
    for side, found in times.items():
        clock, cpu, start = (statistics.median(values) for values in zip(*found, strict=True))
        print(
            f"  {side:10s} {1 / clock:5.0f} images/s, {1 / cpu:5.0f} by the processor's time, "
            f"start {start:4.1f} s"
        )
    for one, other in RATIOS:
        clock, cpu = (
            statistics.median(b[i] / a[i] for a, b in zip(times[one], times[other], strict=True))
            for i in (0, 1)
        )
        print(f"  {one} over {other}: {clock:.2f}, {cpu:.2f} by the processor's time")


def copies(given: list[Path], folder: Path, count: int) -> Path:
    """Fill a folder with ``count`` copies of the given files, in turn."""
    folder.mkdir()
    for index in range(count):
        source = given[index % len(given)]
        shutil.copy(source, folder / f"{index:06d}{source.suffix}")
    return folder


def draw_fields(folder: Path, count: int) -> list[Path]:
    """Draw fields with synth, and write them as JPEG of 640x480."""
    import cv2

    options = ["--images", str(count), "--size", "640", "--seed", "3", "-q"]
    synth = [sys.executable, "-m", "leukctl", "synth", str(folder / "drawn"), *options]
    subprocess.run(synth, check=True)
    made = []
    for index, path in enumerate(sorted((folder / "drawn" / "images").rglob("*.png"))):
        made.append(folder / f"{index:03d}.jpg")
        options_jpeg = [cv2.IMWRITE_JPEG_QUALITY, 90]
        cv2.imwrite(str(made[-1]), cv2.imread(str(path))[80:560], options_jpeg)
    return made


def main(cells: Path, pairs: int = 5) -> None:
    """Print both tables."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        given = sorted(p for p in cells.iterdir() if p.suffix.lower() in (".bmp", ".jpg", ".jpeg"))
        fields = draw_fields(folder, 60)
        for kind, images, count in (("cells", given, 3000), ("640x480 JPEG", fields, 1500)):
            everything = copies(images, folder / kind.replace(" ", "-"), count)
            few = copies(images, folder / f"few-{kind.replace(' ', '-')}", count // 10)
            compare(f"{count} {kind}", everything, few, pairs)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:3]))
