"""Features by several processes: each computes some of the batches, for the same features."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from leukctl import backbones, distributed, launch, processes, runs
from leukctl.distributed import predicting
from leukctl.fusion import features
from leukctl.fusion.cache import Floats
from leukctl.fusion.features import Times
from leukctl.fusion.sources import Source
from leukctl.inference import FeatureExtractor
from leukctl.preparing import Chain
from leukctl.tensors import Reader

JOB = "features"


def compute(
    sources: Sequence[Source],
    extractors: Sequence[FeatureExtractor],
    paths: Sequence[Path],
    read: Reader,
    batch_size: int,
    times: Times,
) -> Iterator[list[Floats]]:
    """Yield what :func:`leukctl.fusion.features.compute` does, by all processes that there are.

    Args:
        sources: of the extractors.
        times: of this process alone.
    """
    if launch.launched() is None:
        yield from features.compute(extractors, paths, read, batch_size, times)
        return
    how = extractors[0].compute
    content = {
        "specs": [asdict(source.spec) for source in sources],
        "paths": [str(path) for path in paths],
        "prep": str(read.chain) if read.chain is not None else None,
        "raw": read.raw,
        "batch_size": batch_size,
        "compute": predicting.compute_content(how),
    }
    with distributed.together(JOB, content, how.device.type):
        for source in sources:
            distributed.share_tensors(source.state)
        widths = [source.width for source in sources]
        yield from _dealt(widths, extractors, paths, read, batch_size, times)


def _dealt(
    widths: list[int],
    extractors: Sequence[FeatureExtractor],
    paths: Sequence[Path],
    read: Reader,
    batch_size: int,
    times: Times,
) -> Iterator[list[Floats]]:
    batches = list(processes.chunks(paths, batch_size))
    own = [path for batch in distributed.own(batches) for path in batch]
    values = features.compute(extractors, own, read, batch_size, times)
    ends = np.cumsum(widths)[:-1]
    for rows in distributed.dealt(lambda batch: np.concatenate(next(values), axis=1), batches):
        yield np.split(rows, ends, axis=1)


def follow(content: Any) -> None:
    """Do the part of :func:`compute` that is left to this process."""
    specs = [runs.backbone(spec) for spec in content["specs"]]
    sources = [
        Source(network, spec) for network, spec in zip(backbones.build(specs), specs, strict=True)
    ]
    for source in sources:
        distributed.share_tensors(source.network.state_dict())
    how = predicting.compute_of(content["compute"])
    widths = [source.width for source in sources]
    extractors = [source.extractor(how) for source in sources]
    read = Reader(Chain.parse(content["prep"]) if content["prep"] else None, content["raw"])
    paths = [Path(path) for path in content["paths"]]
    for _ in _dealt(widths, extractors, paths, read, content["batch_size"], Times()):
        pass
