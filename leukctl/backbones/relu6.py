"""ReLU6 in place while training, with one map kept for the way back where torch keeps two.

Torch's copies what it is about to clamp and keeps the copy, beside the result that the next
convolution keeps. What is clamped will do: at a limit there is no gradient, as beyond it.
"""

from typing import Any

from leukctl.runtime import torch


class ReLU6(torch.nn.ReLU6):
    """torch's, of equal values and gradients.

    While training it overwrites its input; what changes its result in place then is refused by
    torch on the way back.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        # A compiler decides by itself what is kept.
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
        (clamped,) = ctx.saved_tensors
        return torch.ops.aten.hardtanh_backward(gradient, clamped, 0.0, 6.0)


def put_in(network: torch.nn.Module) -> None:
    """Replace torch's, where a network wants it in place."""
    for parent in [*network.modules()]:
        for name, module in [*parent._modules.items()]:
            if type(module) is torch.nn.ReLU6 and module.inplace:
                setattr(parent, name, ReLU6().train(module.training))
