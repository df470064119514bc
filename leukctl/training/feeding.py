"""Loaded bytes → inputs on the device, where a GPU has them ready before it needs them."""

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leukctl import tensors
from leukctl.runs import BackboneSpec
from leukctl.runtime import torch

Sent = tuple[torch.Tensor, torch.cuda.Event]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A batch as it leaves the threads that read.

    Attributes:
        pixels: uint8 (N, H, W, 3).
        placements: where the device is still to take each pixel, float64 (N, 2, 3) in pixels, as
            :func:`leukctl.training.augment.placement` draws it; None leaves them.
    """

    pixels: NDArray[np.uint8]
    placements: NDArray[np.float64] | None = None


def warps_on(device: torch.device) -> bool:
    """Tell whether a device warps images itself; elsewhere threads of the CPU do it."""
    return device.type == "cuda"


def inputs(
    batches: Iterable[Loaded], spec: BackboneSpec, device: torch.device
) -> Iterator[torch.Tensor]:
    """Yield each batch normalized as :func:`leukctl.tensors.normalize` does, and warped before.

    To a GPU the next batch travels while it computes with this one: as bytes, out of pinned memory,
    in a stream of its own, in which it is warped and normalized too.
    """
    if device.type != "cuda":
        for batch in batches:
            yield _on(device, batch, spec)
        return
    stream = _stream(device)
    under_way: Sent | None = None
    for batch in batches:
        following = _send(batch, spec, device, stream)
        arrived = None if under_way is None else _arrived(under_way, device)
        under_way = following
        if arrived is not None:
            yield arrived
            del arrived  # whoever computes with it holds it, for as long as that takes
    if under_way is not None:
        yield _arrived(under_way, device)


def warped(levels: torch.Tensor, back: torch.Tensor) -> torch.Tensor:
    """Return images (N, 3, H, W) warped bilinearly, float32 with channels_last strides.

    Levels are rounded, and what comes into the frame is mirrored from inside it, as
    :func:`leukctl.training.augment.basic` has both; a level may differ by one where a value lies
    between two, and by more from OpenCV before its version 5, which reads at 32nds of a pixel.

    Args:
        back: of :func:`_way_back`, on the same device.
    """
    # A product of matrices, as in torch's affine_grid, may be computed in fewer digits on a GPU.
    y, x = (torch.arange(n, device=back.device, dtype=back.dtype) for n in levels.shape[2:])
    of_x, of_y, offset = back[:, None, None].unbind(-1)  # (N, 1, 1, 2)
    grid = x[:, None] * of_x + (y[:, None, None] * of_y + offset)  # (N, H, W, 2)
    found = torch.nn.functional.grid_sample(
        levels, grid, mode="bilinear", padding_mode="reflection", align_corners=True
    )
    return found.round_().contiguous(memory_format=torch.channels_last)


def _way_back(placements: NDArray[np.float64], size: tuple[int, int]) -> torch.Tensor:
    """Return where the pixel at (x, y) comes from, float32 (N, 2, 3) @ (x, y, 1).

    There both are -1 and 1 at the centers of the outermost pixels.
    """
    height, width = size
    to_unit = np.array([[2 / (width - 1), 0, -1], [0, 2 / (height - 1), -1]])
    whole = np.concatenate([placements, np.tile([[[0.0, 0.0, 1.0]]], (len(placements), 1, 1))], 1)
    return torch.from_numpy((to_unit @ np.linalg.inv(whole)).astype(np.float32))


@functools.cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    """Return the one stream of a device: what memory another had could not be had by it."""
    return torch.cuda.Stream(device)


def _on(device: torch.device, batch: Loaded, spec: BackboneSpec) -> torch.Tensor:
    if batch.placements is None:
        return tensors.normalize(batch.pixels, spec, device)
    return _prepared(spec, *(part.to(device) for part in _parts(batch)))


def _parts(batch: Loaded) -> list[torch.Tensor]:
    """Return what travels: the pixels, and the way back where they are still to be warped."""
    pixels, placements = batch.pixels, batch.placements
    back = [] if placements is None else [_way_back(placements, (pixels.shape[1], pixels.shape[2]))]
    return [torch.from_numpy(pixels), *back]


def _prepared(
    spec: BackboneSpec, pixels: torch.Tensor, back: torch.Tensor | None = None
) -> torch.Tensor:
    if back is None:
        return tensors.normalized(pixels, spec)
    levels = warped(pixels.permute(0, 3, 1, 2).float(), back)
    return tensors.normalized_in_place(levels, spec)


def _send(
    batch: Loaded, spec: BackboneSpec, device: torch.device, stream: torch.cuda.Stream
) -> Sent:
    held = [part.pin_memory() for part in _parts(batch)]
    with torch.cuda.stream(stream):
        sent = _prepared(spec, *(part.to(device, non_blocking=True) for part in held))
        return sent, stream.record_event()


def _arrived(sent: Sent, device: torch.device) -> torch.Tensor:
    """Return a batch that whatever the caller computes next waits for."""
    values, event = sent
    computing = torch.cuda.current_stream(device)
    computing.wait_event(event)
    # Else the memory might be had by the next batch, in the other stream, before this one is done.
    values.record_stream(computing)
    return values
