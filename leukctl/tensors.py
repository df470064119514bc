"""Image files → uint8 batches → normalized float32 (N, 3, H, W); the only place that normalizes."""

import functools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from leukctl import images
from leukctl.errors import ImageError
from leukctl.images import Rgb
from leukctl.preparing import Chain, work
from leukctl.runs import BackboneSpec
from leukctl.runtime import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

# The pool below reads several images at once; OpenCV's own threads would only get in its way.
cv2.setNumThreads(1)


@dataclass(slots=True)
class Reader:
    """Reads images the way a run's training images were prepared.

    Attributes:
        chain: the run's preparation, None where it has none.
        raw: True applies it to every image, False to none, None to those whose PNG does not
            carry its mark.
    """

    chain: Chain | None = None
    raw: bool | None = None

    def __call__(self, path: Path) -> Rgb:
        """Return the prepared image, uint8 (H, W, 3); raises :class:`ImageError`."""
        return self.decode(images.read_bytes(path))

    def decode(self, data: bytes) -> Rgb:
        """Return the prepared image of a file's bytes; raises :class:`ImageError`."""
        rgb = images.decode(data)
        chain = work.lacking(self.chain, self.raw, data)
        return rgb if chain is None else chain.apply(rgb)[0]


def fit(rgb: Rgb, size: tuple[int, int]) -> Rgb:
    """Return ``rgb`` resized to ``size`` = (H, W), by area when it shrinks, else bilinear."""
    height, width = rgb.shape[:2]
    if (height, width) == size:
        return rgb
    shrinks = size[0] < height and size[1] < width
    return cv2.resize(
        rgb, (size[1], size[0]), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    ).astype(np.uint8, copy=False)


def batch(rgbs: Sequence[Rgb], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return images as one uint8 array (N, H, W, 3)."""
    return np.stack([fit(rgb, size) for rgb in rgbs])


def normalize(pixels: NDArray[np.uint8], spec: BackboneSpec, device: torch.device) -> torch.Tensor:
    """Return uint8 (N, H, W, 3) as normalized float32 (N, 3, H, W) on ``device``.

    The bytes travel as they are, and the result has channels_last strides, which convolutions on
    CPUs and tensor cores like best.
    """
    if device.type != "cpu" or not pixels.size:
        return normalized(torch.from_numpy(pixels).to(device), spec)
    # A table of all 256 levels gives the same values in one pass over the memory, not three.
    count, height, width, _ = pixels.shape
    lines = np.ascontiguousarray(pixels).reshape(count * height, width, 3)
    found = cv2.LUT(lines, _levels(tuple(spec.mean), tuple(spec.std)))
    return torch.from_numpy(found).view(count, height, width, 3).permute(0, 3, 1, 2)


def normalized(pixels: torch.Tensor, spec: BackboneSpec) -> torch.Tensor:
    """Return uint8 (N, H, W, 3) as :func:`normalize` does, on the device that they are on."""
    return normalized_in_place(pixels.permute(0, 3, 1, 2).float(), spec)


def normalized_in_place(values: torch.Tensor, spec: BackboneSpec) -> torch.Tensor:
    """Return levels from 0 to 255, float32 (N, 3, H, W), normalized where they lie."""
    mean, std = (_by_channel(tuple(three), values.device) for three in (spec.mean, spec.std))
    return values.sub_(mean).div_(std)


@functools.cache
def _levels(mean: tuple[float, ...], std: tuple[float, ...]) -> NDArray[np.float32]:
    """Return what each level of a channel is normalized to, (1, 256, 3)."""
    cpu = torch.device("cpu")
    values = torch.arange(256).float().repeat(1, 3, 1, 1).permute(0, 1, 3, 2)
    values = values.sub(_by_channel(mean, cpu)).div_(_by_channel(std, cpu))
    return np.ascontiguousarray(values[0, :, :, 0].T[None].numpy())


@functools.cache
def _by_channel(three: tuple[float, ...], device: torch.device) -> torch.Tensor:
    # Multiplied here: what a GPU computes in one stream, another would have to wait for.
    return (torch.tensor(three, dtype=torch.float32).view(1, 3, 1, 1) * 255.0).to(device)


def ordered_map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int,
    ready: int | None = None,
) -> Iterator[Result]:
    """Yield ``function(item)`` in the order of ``items``, computed by threads a little ahead.

    At most ``ready`` results wait, by default three a thread, beside those that the threads are at,
    so that memory does not grow with the number of items.
    """
    ahead = workers + (3 * workers if ready is None else ready)
    if workers <= 1:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def read_many(
    paths: Iterable[Path], reader: Callable[[Path], Rgb], workers: int
) -> Iterator[tuple[Path, Rgb | ImageError]]:
    """Yield each path with its image, or with the reason why it has none, in order."""

    def attempt(path: Path) -> tuple[Path, Rgb | ImageError]:
        try:
            return path, reader(path)
        except ImageError as error:
            return path, error

    return ordered_map(attempt, paths, workers)
