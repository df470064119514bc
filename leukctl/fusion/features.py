"""Images → the pooled features of several backbones, each computed once."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from leukctl import processes, tensors
from leukctl.errors import ImageError, InputError
from leukctl.fusion import cache
from leukctl.fusion.cache import Digests, Floats, Store
from leukctl.fusion.sources import Source
from leukctl.images import Rgb
from leukctl.inference import FeatureExtractor
from leukctl.portions import Portion
from leukctl.runtime import Compute
from leukctl.tensors import Reader

Progress = Callable[[int], None]

VERSION = 2  # of what :func:`compute` does with an image; another makes other features
PART = 256  # images
_ROWS = 4096

# What decodes, resizes and convolves; each release may round differently.
_PACKAGES = ("torch", "timm", "opencv-python-headless", "pillow")


@dataclass(slots=True)
class Times:
    """What became of the time.

    Attributes:
        read_s: reading and preparing images, in seconds of all threads.
        network_s: in the backbones.
    """

    read_s: float = 0.0
    network_s: float = 0.0


@dataclass(slots=True)
class Bank:
    """Where the features of some images are.

    Attributes:
        paths: of N images.
        digests: of their bytes.
        stores: one for each backbone.
        computed: how many images went through the backbones; the others were there.
        times: what that took.
    """

    paths: list[Path]
    digests: list[str]
    stores: list[Store]
    computed: int = 0
    times: "Times" = field(default_factory=lambda: Times())

    @property
    def widths(self) -> list[int]:
        """The number of features of each backbone."""
        return [store.width for store in self.stores]

    def read(self) -> Floats:
        """Return the features side by side, float32 (N, D1 + D2 + …)."""
        found = np.empty((len(self.paths), sum(self.widths)), np.float32)
        for first, rows in self.chunks():
            found[first : first + len(rows)] = rows
        return found

    def chunks(self) -> Iterator[tuple[int, Floats]]:
        """Yield the features side by side by some thousands of rows, each with its first row.

        Raises :class:`InputError` for features that are no finite numbers, naming the image.
        """
        for first in range(0, len(self.paths), _ROWS):
            rows = slice(first, first + _ROWS)
            parts = [store.read(self.digests[rows]) for store in self.stores]
            for values, store in zip(parts, self.stores, strict=True):
                _check_finite(values, self.paths[rows], store)
            yield first, np.concatenate(parts, axis=1)


def _check_finite(values: Floats, paths: Sequence[Path], store: Store) -> None:
    wrong = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(wrong):
        raise InputError(
            f"the features of {store.about['name']} are no finite numbers; its weights may be "
            "damaged, or --precision fp32 may help",
            file=paths[int(wrong[0])],
        )


def describe(source: Source, compute: Compute, read: Reader, batch_size: int) -> dict[str, Any]:
    """Return all that the features of an image depend on beside its bytes."""
    return {
        "architecture": source.spec.architecture,
        "batch_size": batch_size,  # matrix products of other sizes round differently
        "device": compute.device.type,
        "folded": True,
        "input_size": list(source.spec.input_size),
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
) -> Bank:
    """Return where the features of images are, after computing those that are nowhere yet.

    Args:
        folder: of the features on disk.
        on_note: told where the memory is too small for a batch, which then goes through in parts.

    Raises :class:`InputError` for an image that cannot be read, and, where there are features to be
    computed, for a folder that they cannot be kept in.
    """
    digests = Digests(folder)
    known = list(tensors.ordered_map(digests.of, paths, compute.workers))
    digests.save()
    stores = [
        Store(folder, describe(source, compute, read, batch_size), source.width)
        for source in sources
    ]
    bank = Bank(list(paths), known, stores)
    missing = _missing(bank)
    on_progress(len(paths) - len(missing))
    if missing:
        for store in stores:
            cache.check_writable(store.folder)
        portion = Portion(
            lambda size: on_note(f"out of memory: {size} images at a time from here on")
        )
        extractors = [source.extractor(compute, portion) for source in sources]
        _fill(bank, missing, sources, extractors, read, batch_size, on_progress)
    return bank


def _missing(bank: Bank) -> list[int]:
    """Return the places of images that a store lacks, each image once."""
    first: dict[str, int] = {}
    for place, digest in enumerate(bank.digests):
        if not all(digest in store for store in bank.stores):
            first.setdefault(digest, place)
    return list(first.values())


def _fill(
    bank: Bank,
    missing: list[int],
    sources: Sequence[Source],
    extractors: list[FeatureExtractor],
    read: Reader,
    batch_size: int,
    on_progress: Progress,
) -> None:
    """Compute the features of images, and write them part by part, the last one when cut off."""
    from leukctl.fusion import sharing

    rest = _Rest(bank, missing)
    paths = [bank.paths[place] for place in missing]
    try:
        for values in sharing.compute(sources, extractors, paths, read, batch_size, bank.times):
            rest.take(values)
            on_progress(len(values[0]))
    finally:
        rest.write()


class _Rest:
    """Features that are computed and not written yet.

    Args:
        missing: the places of all images whose features will come, in their order.
    """

    def __init__(self, bank: Bank, missing: list[int]) -> None:
        self.bank = bank
        self.places = iter(missing)
        self.waiting: list[int] = []
        self.values: list[list[Floats]] = [[] for _ in bank.stores]

    def take(self, values: list[Floats]) -> None:
        """Take the features (n, D) of the next n images by each backbone."""
        self.waiting += itertools.islice(self.places, len(values[0]))
        for held, new in zip(self.values, values, strict=True):
            held.append(new)
        if len(self.waiting) >= PART:
            self.write()

    def write(self) -> None:
        """Write what waits into each store that lacks it."""
        if not self.waiting:
            return
        digests = [self.bank.digests[place] for place in self.waiting]
        paths = [self.bank.paths[place] for place in self.waiting]
        for store, held in zip(self.bank.stores, self.values, strict=True):
            lacking = [row for row, digest in enumerate(digests) if digest not in store]
            if lacking:
                found = np.concatenate(held)[lacking]
                store.add([digests[row] for row in lacking], [paths[row] for row in lacking], found)
            held.clear()
        self.bank.computed += len(self.waiting)
        self.waiting.clear()


def compute(
    extractors: Sequence[FeatureExtractor],
    paths: Sequence[Path],
    read: Reader,
    batch_size: int,
    times: Times,
) -> Iterator[list[Floats]]:
    """Yield the features of a batch of images after the other: (n, D) for each backbone.

    Every image is read once. The last batch is filled up with its last image, so that all batches
    are of one size and the features of an image do not depend on how many come with it.

    Raises :class:`InputError` for an image that cannot be read.
    """
    images = tensors.read_many(paths, _timed(read, times), extractors[0].compute.workers)
    for chunk in processes.chunks(images, batch_size):
        rgbs = []
        for path, image in chunk:
            if isinstance(image, ImageError):
                raise InputError(str(image), file=path)
            rgbs.append(image)
        whole = rgbs + [rgbs[-1]] * (batch_size - len(rgbs))
        started = time.perf_counter()
        values = [extract(whole)[: len(rgbs)] for extract in extractors]
        times.network_s += time.perf_counter() - started
        yield values


def _timed(read: Reader, times: Times) -> Callable[[Path], Rgb]:
    lock = threading.Lock()

    def timed(path: Path) -> Rgb:
        started = time.perf_counter()
        try:
            return read(path)
        finally:
            with lock:
                times.read_s += time.perf_counter() - started

    return timed
