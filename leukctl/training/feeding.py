"""Augmented bytes → inputs on the device, where a GPU has them ready before it needs them."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from leukctl import tensors
from leukctl.runs import BackboneSpec
from leukctl.runtime import torch

Sent = tuple[torch.Tensor, torch.cuda.Event]


def inputs(
    batches: Iterable[NDArray[np.uint8]], spec: BackboneSpec, device: torch.device
) -> Iterator[torch.Tensor]:
    """Yield each batch, uint8 (N, H, W, 3), as :func:`leukctl.tensors.normalize` makes it.

    To a GPU the next batch travels while it computes with this one: out of pinned memory, in a
    stream of its own, in which it is normalized too.
    """
    if device.type != "cuda":
        for pixels in batches:
            yield tensors.normalize(pixels, spec, device)
        return
    stream = torch.cuda.Stream(device)
    under_way: Sent | None = None
    for pixels in batches:
        following = _send(pixels, spec, device, stream)
        arrived = None if under_way is None else _arrived(under_way, device)
        under_way = following
        if arrived is not None:
            yield arrived
            del arrived  # whoever computes with it holds it, for as long as that takes
    if under_way is not None:
        yield _arrived(under_way, device)


def _send(
    pixels: NDArray[np.uint8], spec: BackboneSpec, device: torch.device, stream: torch.cuda.Stream
) -> Sent:
    held = torch.from_numpy(pixels).pin_memory()
    with torch.cuda.stream(stream):
        sent = tensors.normalized(held.to(device, non_blocking=True), spec)
        return sent, stream.record_event()


def _arrived(sent: Sent, device: torch.device) -> torch.Tensor:
    """Return a batch that whatever the caller computes next waits for."""
    values, event = sent
    computing = torch.cuda.current_stream(device)
    computing.wait_event(event)
    # Else the memory might be had by the next batch, in the other stream, before this one is done.
    values.record_stream(computing)
    return values
