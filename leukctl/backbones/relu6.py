"""ReLU6 in place while training, which torch's own is in name alone.

Torch's ``hardtanh_`` clamps into new memory and copies that back, and keeps what it clamped for the
way back, beside what the next convolution keeps. Of MobileNetV2 that was a quarter of the memory.
"""

from typing import Any

from leukctl.runtime import torch


class ReLU6(torch.nn.ReLU6):
    """torch's, of the same values and gradients to the bit."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        # The compiler takes no function that changes what it is given.
        if self.training and input.requires_grad and not torch.compiler.is_compiling():
            found: torch.Tensor = _Clamped.apply(input)
            return found
        return torch.nn.functional.relu6(input)


class _Clamped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.mark_dirty(x)
        ctx.save_for_backward(x.clamp_(0.0, 6.0))
        return x

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        # What was at a limit or beyond is at it now, and has no gradient either way.
        (clamped,) = ctx.saved_tensors
        return torch.ops.aten.hardtanh_backward(gradient, clamped, 0.0, 6.0)


def put_in(network: torch.nn.Module) -> None:
    """Replace torch's, where a network wants it in place."""
    for parent in [*network.modules()]:
        for name, module in parent.named_children():
            if type(module) is torch.nn.ReLU6 and module.inplace:
                setattr(parent, name, ReLU6().train(module.training))
