"""Image files → features on disk: each file is read once, each image computed once."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from leukctl import images, processes, tensors
from leukctl.errors import ImageError
from leukctl.fusion import cache
from leukctl.fusion.bank import Bank, Times
from leukctl.fusion.cache import Digests, Floats
from leukctl.fusion.sources import Source
from leukctl.images import Rgb
from leukctl.inference import FeatureExtractor
from leukctl.lanes import Lanes
from leukctl.portions import Portion
from leukctl.runtime import Compute
from leukctl.tensors import Reader

Progress = Callable[[int], None]
Rejected = list[tuple[Path, ImageError]]

PART = 256  # images


@dataclass(slots=True)
class Seen:
    """An image that has been read as far as it takes.

    Attributes:
        digest: of the file's bytes, "" where it cannot be read.
        image: prepared, uint8 (H, W, 3); None where its features are there, an error where it is
            broken.
    """

    path: Path
    digest: str
    image: Rgb | ImageError | None


@dataclass(slots=True)
class Extraction:
    """What computes features.

    Attributes:
        read: prepares images.
        portion: of a batch that goes through at once.
    """

    sources: Sequence[Source]
    read: Reader
    compute: Compute
    batch_size: int
    portion: Portion

    def extractors(self, bank: Bank) -> list[FeatureExtractor]:
        """Return what takes the features; raises :class:`InputError` where none can be kept."""
        for store in bank.stores:
            cache.check_writable(store.folder)
        return [source.extractor(self.compute, self.portion) for source in self.sources]


def are_images(paths: Sequence[Path], digests: Digests, workers: int) -> bool:
    """Tell whether all files begin as images do, as far as they are not known."""

    def look(path: Path) -> bool:
        try:
            if not digests.know(path):
                images.check_header(path)
        except ImageError:
            return False
        return True

    return all(tensors.ordered_map(look, paths, workers))


def fill(
    work: Extraction, bank: Bank, digests: Digests, rejected: Rejected, on_progress: Progress
) -> None:
    """Compute the features that a store of ``bank`` lacks, and write them part by part.

    Args:
        rejected: gets the images that cannot be read. Nothing is computed where one does not even
            begin as images do, and no batch is begun after the first one.
    """
    is_whole = are_images(bank.paths, digests, work.compute.workers)
    extractors: list[FeatureExtractor] = []
    rest = Rest(bank)
    waiting: dict[str, tuple[Path, Rgb]] = {}
    begun: set[str] = set()
    under_way: deque[tuple[dict[str, Path], Future[list[Floats]]]] = deque()
    lanes = Lanes(work.compute)

    def begin() -> None:
        extractors[:] = extractors or work.extractors(bank)
        paths, rgbs = zip(*waiting.values(), strict=True)
        features = lanes.submit(batch_features, extractors, rgbs, work.batch_size, bank.times)
        under_way.append((dict(zip(waiting, paths, strict=True)), features))
        begun.update(waiting)
        waiting.clear()
        # One waits beside those that are computed, so that no lane does.
        while under_way and (len(under_way) > lanes.count or under_way[0][1].done()):
            end()

    def end() -> None:
        batch, features = under_way.popleft()
        rest.take(list(batch), list(batch.values()), features.result())
        on_progress(len(batch))

    try:
        for item in _seen(work, bank, digests):
            bank.digests.append(item.digest)
            if isinstance(item.image, ImageError):
                rejected.append((item.path, item.image))
                is_whole = False
            elif item.image is None or item.digest in waiting or item.digest in begun:
                on_progress(1)
            elif is_whole:
                waiting[item.digest] = item.path, item.image
                if len(waiting) == work.batch_size:
                    begin()
        if waiting and is_whole:
            begin()
        while under_way:
            end()
    finally:
        try:
            lanes.close()
            # What is computed is kept, whatever has happened.
            while under_way and _is_there(under_way[0][1]):
                end()
        finally:
            rest.write()


def _is_there(features: Future[list[Floats]]) -> bool:
    return features.done() and not features.cancelled() and features.exception() is None


def _seen(work: Extraction, bank: Bank, digests: Digests) -> Iterator[Seen]:
    def look(path: Path) -> Seen:
        try:
            digest, data = digests.look(path)
            if all(digest in store for store in bank.stores):
                return Seen(path, digest, None)
            with bank.times.reading():
                image = work.read.decode(images.read_bytes(path) if data is None else data)
        except ImageError as error:
            return Seen(path, "", error)
        return Seen(path, digest, image)

    return tensors.ordered_map(look, bank.paths, work.compute.workers)


def batch_features(
    extractors: Sequence[FeatureExtractor], rgbs: Sequence[Rgb], batch_size: int, times: Times
) -> list[Floats]:
    """Return the features (n, D) of a batch of n prepared images by each backbone, in a lane.

    A batch that is not full is filled up with its last image, so that all are of one size and the
    features of an image do not depend on how many come with it.
    """
    whole = [*rgbs, *[rgbs[-1]] * (batch_size - len(rgbs))]
    with times.in_network():
        return [extract(whole)[: len(rgbs)] for extract in extractors]


def pooled(
    extractors: Sequence[FeatureExtractor],
    rgbs: Sequence[Rgb],
    batch_size: int,
    lanes: Lanes,
    times: Times,
) -> list[Floats]:
    """Return the features (n, D) of n prepared images by each backbone, batch by batch."""
    parts = [
        lanes.submit(batch_features, extractors, part, batch_size, times)
        for part in processes.chunks(rgbs, batch_size)
    ]
    try:
        found = [part.result() for part in parts]
    except BaseException:  # an interrupt too, which would wait for all of them otherwise
        for part in parts:
            part.cancel()
        raise
    return [np.concatenate(values) for values in zip(*found, strict=True)]


class Rest:
    """Features that are computed and not written yet."""

    def __init__(self, bank: Bank) -> None:
        self.bank = bank
        self.digests: list[str] = []
        self.paths: list[Path] = []
        self.values: list[list[Floats]] = [[] for _ in bank.stores]

    def take(self, digests: Sequence[str], paths: Sequence[Path], values: Sequence[Floats]) -> None:
        """Take the features (n, D) of n images by each backbone."""
        self.digests += digests
        self.paths += paths
        for held, new in zip(self.values, values, strict=True):
            held.append(new)
        if len(self.digests) >= PART:
            self.write()

    def write(self) -> None:
        """Write what waits into each store that lacks it."""
        if not self.digests:
            return
        for store, held in zip(self.bank.stores, self.values, strict=True):
            lacking = [row for row, digest in enumerate(self.digests) if digest not in store]
            if lacking:
                found = np.concatenate(held)[lacking]
                digests = [self.digests[row] for row in lacking]
                store.add(digests, [self.paths[row] for row in lacking], found)
            held.clear()
        self.bank.computed += len(self.digests)
        self.digests, self.paths = [], []
