"""Images → the pooled features of several backbones, each computed once."""

from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from leukctl import lanes, launch
from leukctl.errors import ImageError, InputError
from leukctl.fusion import extracting, sharing
from leukctl.fusion.bank import Bank
from leukctl.fusion.cache import Digests, Store
from leukctl.fusion.extracting import Extraction, Progress, Rejected
from leukctl.fusion.sources import Source
from leukctl.portions import Portion
from leukctl.runtime import Compute
from leukctl.tensors import Reader
from leukctl.wording import counted

VERSION = 4  # of what is done with an image; another makes other features

# What decodes, resizes and convolves; each release may round differently.
_PACKAGES = ("torch", "timm", "opencv-python-headless", "pillow")


def describe(source: Source, compute: Compute, read: Reader, batch_size: int) -> dict[str, Any]:
    """Return all that the features of an image depend on beside its bytes."""
    return {
        "architecture": source.spec.architecture,
        "batch_size": batch_size,  # matrix products of other sizes round differently
        "device": compute.device.type,
        "folded": True,
        "input_size": list(source.spec.input_size),
        "lane_threads": lanes.threads(compute),  # other numbers round differently
        "layer": "global average pool",
        "mean": list(source.spec.mean),
        "model_args": source.spec.model_args,
        "name": source.spec.name,
        "precision": compute.precision,
        "prep": str(read.chain) if read.chain is not None else None,
        "std": list(source.spec.std),
        "version": VERSION,
        "versions": {name: _version(name) for name in _PACKAGES},
        "weights_sha256": source.digest,
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def collect(
    sources: Sequence[Source],
    paths: Sequence[Path],
    read: Reader,
    compute: Compute,
    *,
    folder: Path,
    batch_size: int,
    on_progress: Progress = lambda step: None,
    on_note: Callable[[str], None] = lambda text: None,
    on_reject: Callable[[Path, ImageError], None] = lambda path, reason: None,
) -> Bank:
    """Return where the features of images are, after computing those that are nowhere yet.

    Args:
        folder: of the features on disk.
        on_note: told where the memory is too small for a batch, which then goes through in parts.
        on_reject: told of each image that cannot be read, where there are several. What does not
            begin as an image does is found before anything is computed; behind one that turns out
            to be damaged later on the others are read, but no further batch is begun.

    Raises :class:`InputError` where there are such images, and, where there are features to be
    computed, for a folder that they cannot be kept in.
    """
    stores = [
        Store(folder, describe(source, compute, read, batch_size), source.width)
        for source in sources
    ]
    portion = Portion(
        lambda size: on_note(f"out of memory: {counted(size, 'image')} at a time from here on")
    )
    work = Extraction(sources, read, compute, batch_size, portion)
    bank, digests = Bank(list(paths), [], stores), Digests(folder)
    rejected: Rejected = []
    try:
        if launch.launched() is None:
            extracting.fill(work, bank, digests, rejected, on_progress)
        else:
            sharing.fill(work, bank, digests, rejected, on_progress)
    finally:
        digests.save()
    _check_read(rejected, len(paths), on_reject)
    return bank


def _check_read(
    rejected: Rejected, total: int, on_reject: Callable[[Path, ImageError], None]
) -> None:
    if len(rejected) == 1:
        raise InputError(str(rejected[0][1]), file=rejected[0][0])
    for path, reason in rejected:
        on_reject(path, reason)
    if rejected:
        raise InputError(
            f"{len(rejected)} of {counted(total, 'image')} cannot be read; mend them, or leave "
            "their rows out"
        )
