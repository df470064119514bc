"""Non-local means, a crop and a resize: the chain, and a loop that denoises whole frames.

The loop is given the chain's own boxes and spends no time on finding any. Both read the file,
neither writes, and both have one thread, as each of prep's processes has. Then: how far the box
moves that the chain finds on a median-filtered frame, from the one that it would find on the
denoised frame (intersection over union).

    python benchmarks/nlm.py CELLS_FOLDER [FIELDS]
"""

import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import fields
import pairs

from leukctl import images
from leukctl.preparing import Chain, denoise, region

CHAIN = "denoise:nlm,roi,resize:224"
H, H_COLOR, TEMPLATE, SEARCH = 3, 3, 7, 21
ROI = {"margin": 0.1, "minarea": 0.01}
FRAMES = 60
Box = tuple[int, int, int, int]


def box_of(rgb: images.Rgb) -> Box:
    """Return the region of a frame, all of it where nothing is found."""
    return region.locate(rgb, **ROI) or (0, 0, rgb.shape[1], rgb.shape[0])


def loop(paths: Sequence[Path], boxes: Sequence[Box]) -> None:
    for path, (left, top, right, bottom) in zip(paths, boxes, strict=True):
        frame = cv2.imread(str(path))
        quiet = cv2.fastNlMeansDenoisingColored(frame, None, H, H_COLOR, TEMPLATE, SEARCH)
        crop = quiet[top:bottom, left:right]
        shrinks = crop.shape[0] >= 224 and crop.shape[1] >= 224
        cv2.resize(crop, (224, 224), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def overlap(a: Box, b: Box) -> float:
    """Return the intersection over the union of two boxes."""
    width = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return width * height / (areas - width * height)


def measure(name: str, paths: Sequence[Path], count: int) -> None:
    """Time the two over ``count`` of the files, and compare the boxes of all of them."""
    chain = Chain.parse(CHAIN)
    boxes, overlaps = [], []
    for path in paths:
        rgb = images.read_rgb(path)
        quiet = denoise.nlm(rgb, h=H, hcolor=H_COLOR, template=TEMPLATE, search=SEARCH)
        boxes.append(box_of(denoise.median(rgb, size=3)))
        overlaps.append(overlap(boxes[-1], box_of(quiet)))
    few, their_boxes = paths[:count], boxes[:count]

    def ours() -> None:
        for path in few:
            chain.apply(images.read_rgb(path))

    pairs.say(f"{name}, {count}", pairs.compare(ours, lambda: loop(few, their_boxes), pairs=5))
    shares = [(right - left) * (bottom - top) for left, top, right, bottom in boxes]
    frame = images.read_rgb(paths[0]).shape
    print(
        f"  {len(paths)} boxes: median overlap {statistics.median(overlaps):.3f}, "
        f"{sum(value < 0.9 for value in overlaps)} below 0.9; "
        f"median share of the frame {statistics.median(shares) / frame[0] / frame[1]:.2f}"
    )


def main() -> None:
    """Measure small cells that fill their frames, and fields of 640 x 480."""
    cv2.setNumThreads(1)
    cells = sorted(p for p in Path(sys.argv[1]).iterdir() if p.suffix in (".bmp", ".jpg"))
    count = int(sys.argv[2]) if len(sys.argv) > 2 else FRAMES
    measure("cells", cells, min(len(cells), FRAMES))
    with tempfile.TemporaryDirectory() as folder:
        measure("fields 640x480", fields.draw(Path(folder), count), min(count, 10))


if __name__ == "__main__":
    main()
