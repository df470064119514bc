"""What passes between the processes of a job. All of them call the same functions in turn.

Numbers and bytes alone: nothing is pickled.
"""

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from leukctl.errors import LeukctlError
from leukctl.runtime import torch

dist = torch.distributed
Job = TypeVar("Job")
Array = NDArray[Any]

_KINDS = (np.uint8, np.int64, np.float32, np.float64)
_MOST_DIMENSIONS = 4


class LostError(LeukctlError):
    """Another process of the job is no longer there."""


def size() -> int:
    """Return how many processes are at the job at hand; 1 outside of one."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Return which of them this is; 0 leads."""
    return dist.get_rank() if size() > 1 else 0


def _do(collective: Callable[..., Any], *arguments: Any, **more: Any) -> None:
    try:
        collective(*arguments, **more)
    except RuntimeError as error:
        raise LostError(str(error).splitlines()[0]) from None


def add_up(tensor: torch.Tensor) -> torch.Tensor:
    """Add up a tensor over all processes, in place; the sum is the same to the bit on all."""
    if size() > 1:
        _do(dist.all_reduce, tensor)
    return tensor


def gather(tensor: torch.Tensor) -> torch.Tensor:
    """Return the tensors (…) of all processes, of equal shapes, as one (size, …)."""
    if size() == 1:
        return tensor[None]
    parts = [torch.empty_like(tensor) for _ in range(size())]
    _do(dist.all_gather, parts, tensor)
    return torch.stack(parts)


def add_gradients(tensors: Iterable[torch.nn.Parameter]) -> None:
    """Add up the gradients of tensors over all processes."""
    if size() == 1:
        return
    gradients = [tensor.grad for tensor in tensors if tensor.grad is not None]
    if not gradients:
        return
    flat = add_up(torch.cat([gradient.reshape(-1) for gradient in gradients]))
    for gradient, part in zip(
        gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True
    ):
        gradient.copy_(part.view(gradient.shape))


def all_agree(answer: bool) -> bool:
    """Tell whether ``answer`` is true on all processes."""
    return bool(gather(torch.tensor([answer])).all())


def share_json(content: Any = None) -> Any:
    """Return what the first process has; the others give nothing."""
    if size() == 1:
        return content
    data = json.dumps(content).encode() if rank() == 0 else b""
    length = torch.tensor([len(data)])
    _do(dist.broadcast, length, 0)
    buffer = torch.zeros(int(length), dtype=torch.uint8)
    if rank() == 0:
        buffer.copy_(torch.frombuffer(bytearray(data), dtype=torch.uint8))
    _do(dist.broadcast, buffer, 0)
    return json.loads(buffer.numpy().tobytes())


def share_state(network: torch.nn.Module) -> None:
    """Give the network of every process the tensors that the first one's has."""
    share_tensors(network.state_dict())


def share_tensors(state: Mapping[str, torch.Tensor]) -> None:
    """Fill the tensors of every process, of equal names and shapes, with the first one's."""
    if size() == 1:
        return
    for tensor in state.values():
        # In the order of the elements, whatever their strides are.
        plain = tensor.detach().clone(memory_format=torch.contiguous_format)
        _do(dist.broadcast, plain, 0)
        tensor.copy_(plain)


def gather_rows(rows: Array | None) -> list[Array]:
    """Return the arrays of all processes, in their order, on every one of them.

    Args:
        rows: (n, …) of uint8, int64, float32 or float64; n may differ. None stands for no rows.
    """
    if size() == 1:
        return [rows] if rows is not None else []
    header = np.full(_MOST_DIMENSIONS + 1, -1, np.int64)
    if rows is not None:
        header[0] = next(i for i, kind in enumerate(_KINDS) if kind == rows.dtype)
        header[1 : 1 + rows.ndim] = rows.shape
    headers = gather(torch.from_numpy(header)).numpy()
    shapes = [tuple(int(n) for n in own[1:] if n >= 0) if own[0] >= 0 else None for own in headers]
    kinds = [np.dtype(_KINDS[own[0]]) for own in headers]
    lengths = [
        int(np.prod(shape)) * kind.itemsize if shape is not None else 0
        for shape, kind in zip(shapes, kinds, strict=True)
    ]
    buffer = torch.zeros(max(lengths), dtype=torch.uint8)
    if rows is not None and rows.size:
        own_bytes = np.ascontiguousarray(rows).reshape(-1).view(np.uint8)
        buffer.numpy()[: len(own_bytes)] = own_bytes
    parts = gather(buffer).numpy() if max(lengths) else np.zeros((size(), 0), np.uint8)
    return [
        part[:length].view(kind).reshape(shape)
        for part, length, kind, shape in zip(parts, lengths, kinds, shapes, strict=True)
        if shape is not None
    ]


def gather_texts(texts: Sequence[str]) -> list[list[str]]:
    """Return the texts of all processes, in their order, on every one of them."""
    data = np.frombuffer(json.dumps(list(texts)).encode(), np.uint8)
    return [json.loads(part.tobytes()) for part in gather_rows(data)]


def dealt(work: Callable[[Job], Array], jobs: Iterable[Job]) -> Iterator[Array]:
    """Yield ``work(job)`` for every job, in order, on all processes; each does its share.

    Process r does jobs r, r + size, …, and only as many results as there are processes are held.
    """
    if size() == 1:
        yield from map(work, jobs)
        return
    rest = iter(jobs)
    while turn := list(itertools.islice(rest, size())):
        yield from gather_rows(work(turn[rank()]) if rank() < len(turn) else None)


def own(jobs: Sequence[Job]) -> Sequence[Job]:
    """Return the jobs that :func:`dealt` gives to this process."""
    return jobs[rank() :: size()]
