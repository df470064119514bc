"""Augmentation of training images: leukctl against torchvision's transforms of the same kind.

    python benchmarks/augment.py IMAGES_FOLDER

Up to 100 images of 224 x 224 in memory as bytes, one thread each. Both draw from the same ranges
and interpolate bilinearly; leukctl's ``basic`` goes before AugMix and RandAugment in training, and
is left out of them here.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pairs

from leukctl import images, tensors
from leukctl.runtime import timm, torch
from leukctl.training import augment, choices

STILL = "rotate=0:shift=0:scale=0:flip=none"
SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"}
MOST = 100


def transforms() -> dict[str, Callable[[torch.Tensor], torch.Tensor]]:
    """Return torchvision's way of what each option says."""
    assert timm  # its door has made torchvision importable
    from torchvision.transforms import v2

    bilinear = v2.InterpolationMode.BILINEAR
    return {
        "basic": v2.Compose([
            v2.RandomHorizontalFlip(),
            v2.RandomVerticalFlip(),
            v2.RandomAffine(180, (0.1, 0.1), (0.9, 1.1), interpolation=bilinear),
        ]),
        f"augmix:{STILL}": v2.AugMix(severity=3, mixture_width=3, interpolation=bilinear),
        f"randaugment:{STILL}": v2.RandAugment(2, 9, interpolation=bilinear),
    }  # fmt: skip


def main(folder: Path) -> None:
    """Print the medians of paired runs."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    paths = found[:: -(-len(found) // MOST)]
    pixels = tensors.batch([images.decode(path.read_bytes()) for path in paths], (224, 224))
    planes = [torch.from_numpy(image).permute(2, 0, 1).contiguous() for image in pixels]
    indices = np.arange(len(pixels))
    for text, transform in transforms().items():
        choice = choices.read("--augment", text, augment.PARAMETERS)
        figures = pairs.compare(
            lambda: augment.augment_batch(pixels, indices, choice, 0, 1),  # noqa: B023
            lambda: [transform(plane) for plane in planes],  # noqa: B023
        )
        pairs.say(choice.name, figures)
        rates = [len(pixels) / seconds for seconds in figures[:2]]
        print(f"{'':32s} ours {rates[0]:6.0f} images/s  theirs {rates[1]:6.0f} images/s")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
