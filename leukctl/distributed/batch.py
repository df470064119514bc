"""A batch whose images are divided among the processes, and learned from as if they were not."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leukctl.distributed import collectives
from leukctl.runtime import torch

functional = torch.nn.functional


@dataclass(frozen=True, slots=True)
class Part:
    """This process's part of a batch.

    Attributes:
        rows: of the batch, which are next to each other.
        count: images in the whole batch.
        weight: of the mean loss over its rows in the sum over all processes.
    """

    rows: slice
    count: int
    weight: float

    @property
    def whole(self) -> bool:
        """Whether it is all of the batch."""
        return self.rows.stop - self.rows.start == self.count

    def computing(self) -> AbstractContextManager[Any]:
        """Return the context in which a network learns from the rows as part of the batch."""
        return nullcontext() if self.whole else WholeBatch(self.rows, self.count)

    def together(self, loss: torch.Tensor, logits: torch.Tensor) -> tuple[float, NDArray[np.int64]]:
        """Return the batch's mean loss, and its answers (count,), from those of every part.

        Args:
            loss: the mean over the rows. logits: (rows, K).
        """
        answers = logits.detach().argmax(1).cpu()
        if collectives.size() == 1:
            return loss.item(), answers.numpy()
        found = torch.zeros(1 + self.count, dtype=torch.float64)
        found[0] = loss.detach().double().cpu() * self.weight
        if not self.whole or collectives.rank() == 0:
            found[1:][self.rows] = answers.double()
        collectives.add_up(found)
        return float(found[0]), found[1:].numpy().astype(np.int64)


def part(count: int) -> Part:
    """Return this process's part of a batch of ``count`` images.

    A batch of fewer images than there are processes is computed by every one of them.
    """
    many, own = collectives.size(), collectives.rank()
    if count < many or many == 1:
        return Part(slice(0, count), count, 1 / many)
    start, stop = own * count // many, (own + 1) * count // many
    return Part(slice(start, stop), count, (stop - start) / count)


class WholeBatch(torch.overrides.TorchFunctionMode):
    """Lets BatchNorm take its statistics from the whole batch, and dropout draw for all of it.

    torch's SyncBatchNorm works on GPUs alone. Here every call that the network makes passes by,
    whatever module it comes from, so that nothing in the network is replaced.
    """

    def __init__(self, rows: slice, count: int) -> None:
        super().__init__()
        self.rows = rows
        self.count = count

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is functional.batch_norm:
            return _batch_norm(*args, **(kwargs or {}))
        if func is functional.dropout:
            return self._dropout(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _dropout(
        self, x: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
    ) -> torch.Tensor:
        """Drop what one process would, its random state being that of this one."""
        if not training or not 0 < p < 1 or len(x) != self.rows.stop - self.rows.start:
            return functional.dropout(x, p, training, inplace)
        like = torch.channels_last if _is_channels_last(x) else torch.contiguous_format
        noise = torch.empty(
            (self.count, *x.shape[1:]), dtype=x.dtype, device=x.device, memory_format=like
        )
        kept = noise.bernoulli_(1 - p)[self.rows].div_(1 - p)
        return x.mul_(kept) if inplace else x * kept


def _is_channels_last(x: torch.Tensor) -> bool:
    return x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)


def _batch_norm(
    x: torch.Tensor,
    running_mean: torch.Tensor | None,
    running_var: torch.Tensor | None,
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> torch.Tensor:
    # Without running statistics it is a kernel that is standardized, and no batch.
    if not training or running_mean is None or running_var is None:
        return functional.batch_norm(
            x, running_mean, running_var, weight, bias, training, momentum, eps
        )
    mean, var, values = _statistics(x)
    with torch.no_grad():
        running_mean.lerp_(mean.to(running_mean.dtype), momentum)
        unbiased = var * (values / (values - 1))
        running_var.lerp_(unbiased.to(running_var.dtype), momentum)
    kind = torch.promote_types(x.dtype, torch.float32)
    normalized: torch.Tensor = _Normalize.apply(
        x, weight, bias, mean.to(kind), var.to(kind), values, eps
    )
    return normalized


@torch.no_grad()
def _statistics(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Return mean and biased variance of every channel over the batch, float64 (C,), and of how
    many values they are; the parts' are joined after Chan et al. 1983."""
    channels = x.shape[1]
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    mean, var = torch.batch_norm_update_stats(wide, None, None, 0.0)
    count = torch.tensor([x.numel() // channels], dtype=torch.float64, device=x.device)
    parts = collectives.gather(torch.cat([count, mean.double(), var.double()]))
    counts, means, variances = parts.split([1, channels, channels], dim=1)
    values = counts.sum()
    if int(values) == 1:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size {x.size()}"
        )
    mean = (counts * means).sum(0) / values
    var = (counts * (variances + (means - mean) ** 2)).sum(0) / values
    return mean, var, int(values)


class _Normalize(torch.autograd.Function):
    """Batch normalization by given statistics of the batch, which the gradient passes through.

    The gradients of weight and bias are those of this part alone, to be added up like all others.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor | None,
        bias: torch.Tensor | None,
        mean: torch.Tensor,
        var: torch.Tensor,
        values: int,
        eps: float,
    ) -> torch.Tensor:
        ctx.save_for_backward(x, weight, mean, var)
        ctx.values, ctx.eps = values, eps
        return functional.batch_norm(x, mean, var, weight, bias, False, 0.0, eps)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (of_y,) = gradients
        x, weight, mean, var = ctx.saved_tensors
        of_x, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            of_y, x, weight, mean, var, None, None, False, ctx.eps, [True, True, True]
        )
        sums = collectives.add_up(torch.stack([of_bias, of_weight]).double()) / ctx.values
        # What is missing is that mean and variance depend on x: an affine function of x.
        inverse = (var.double() + ctx.eps).rsqrt()
        scale = inverse if weight is None else inverse * weight.double()
        slope = -scale * inverse * sums[1]
        offset = -scale * sums[0] - slope * mean.double()
        shape = (1, -1, *[1] * (x.dim() - 2))
        slope, offset = (v.to(of_x.dtype).view(shape) for v in (slope, offset))
        of_x.add_(torch.addcmul(offset, x, slope))
        given = (of_weight, of_bias) if weight is not None else (None, None)
        return of_x, *given, None, None, None, None
