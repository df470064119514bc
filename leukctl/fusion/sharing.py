"""Features by several processes: each computes some of the batches, for the same features."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from leukctl import backbones, distributed, lanes, processes, runs, tensors
from leukctl.distributed import predicting
from leukctl.errors import ImageError
from leukctl.fusion import extracting
from leukctl.fusion.bank import Bank, Times
from leukctl.fusion.cache import Digests, Floats
from leukctl.fusion.extracting import Extraction, Progress, Rejected
from leukctl.fusion.sources import Source
from leukctl.inference import FeatureExtractor
from leukctl.portions import Portion
from leukctl.preparing import Chain
from leukctl.tensors import Reader

JOB = "features"


def fill(
    work: Extraction, bank: Bank, digests: Digests, rejected: Rejected, on_progress: Progress
) -> None:
    """Do what :func:`leukctl.fusion.extracting.fill` does, by all processes that there are.

    This one finds out which features are missing; those that there are images for are computed.
    """
    paths = _missing(bank, digests, work.compute.workers, rejected, on_progress)
    if not paths:
        return
    extractors = work.extractors(bank)
    content = {
        "specs": [asdict(source.spec) for source in work.sources],
        "paths": [str(path) for path in paths.values()],
        "prep": str(work.read.chain) if work.read.chain is not None else None,
        "raw": work.read.raw,
        "batch_size": work.batch_size,
        "compute": predicting.compute_content(work.compute),
    }
    rest = extracting.Rest(bank)
    with distributed.together(JOB, content, work.compute.device.type):
        for source in work.sources:
            distributed.share_tensors(source.state)
        try:
            for batch, values, reasons in _dealt(work, extractors, paths, bank.times):
                rest.take(list(batch), list(batch.values()), values)
                rejected += reasons
                on_progress(len(batch) + len(reasons))
        finally:
            rest.write()


def _missing(
    bank: Bank, digests: Digests, workers: int, rejected: Rejected, on_progress: Progress
) -> dict[str, Path]:
    """Note the digests of all images, and return those that a store lacks, with their paths."""
    found: dict[str, Path] = {}

    def look(path: Path) -> str | ImageError:
        try:
            return digests.of(path)
        except ImageError as error:
            return error

    for path, digest in zip(
        bank.paths, tensors.ordered_map(look, bank.paths, workers), strict=True
    ):
        if isinstance(digest, ImageError):
            rejected.append((path, digest))
            bank.digests.append("")
            continue
        bank.digests.append(digest)
        if digest in found or all(digest in store for store in bank.stores):
            on_progress(1)
        else:
            found[digest] = path
    return found


def _dealt(
    work: Extraction,
    extractors: Sequence[FeatureExtractor],
    paths: Mapping[str, Path],
    times: Times,
) -> Iterator[tuple[dict[str, Path], list[Floats], Rejected]]:
    """Yield the images of each batch that are whole, their features, and those that are not.

    Args:
        paths: of images, by their digests.
    """
    # As many for all processes, whatever each one's processors.
    share = lanes.most(work.compute) * work.batch_size
    batches = [dict(some) for some in processes.chunks(paths.items(), share)]
    own = [path for batch in distributed.own(batches) for path in batch.values()]
    images = tensors.read_many(own, work.read, work.compute.workers)
    ends = np.cumsum([1, *(source.width for source in work.sources)])
    said: list[str] = []  # why images of this process's last batch cannot be read
    side_by_side = lanes.Lanes(work.compute)

    def answer(batch: dict[str, Path]) -> Floats:
        """Return (n, 1 + D1 + D2 + …): whether there are features, and which."""
        found = [next(images)[1] for _ in batch]
        good = [image for image in found if not isinstance(image, ImageError)]
        said[:] = [str(image) for image in found if isinstance(image, ImageError)]
        rows = np.zeros((len(batch), ends[-1]), np.float32)
        if good:
            values = extracting.pooled(extractors, good, work.batch_size, side_by_side, times)
            whole = [not isinstance(image, ImageError) for image in found]
            rows[whole] = np.insert(np.concatenate(values, axis=1), 0, 1.0, axis=1)
        return rows

    for place, (batch, rows) in enumerate(
        zip(batches, distributed.dealt(answer, batches), strict=True)
    ):
        good = rows[:, 0] == 1
        why: Iterator[str] = iter(())
        if not good.all():
            why = iter(distributed.gather_texts(said)[place % distributed.size()])
        whole = {digest: path for (digest, path), is_good in zip(batch.items(), good, strict=True)
                 if is_good}  # fmt: skip
        broken = [path for path, is_good in zip(batch.values(), good, strict=True) if not is_good]
        values = np.split(rows[good], ends[:-1], axis=1)[1:]
        yield whole, values, [(path, ImageError(next(why))) for path in broken]


def follow(content: Any) -> None:
    """Do the part of :func:`compute` that is left to this process."""
    specs = [runs.backbone(spec) for spec in content["specs"]]
    sources = [
        Source(network, spec) for network, spec in zip(backbones.build(specs), specs, strict=True)
    ]
    for source in sources:
        distributed.share_tensors(source.network.state_dict())
    how = predicting.compute_of(content["compute"])
    chain = Chain.parse(content["prep"]) if content["prep"] else None
    read = Reader(chain, content["raw"])
    work = Extraction(sources, read, how, content["batch_size"], Portion())
    extractors = [source.extractor(how, work.portion) for source in sources]
    paths = {str(place): Path(path) for place, path in enumerate(content["paths"])}
    for _ in _dealt(work, extractors, paths, Times()):
        pass
