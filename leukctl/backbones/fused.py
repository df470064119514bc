"""A convolution that applies the activation after it while its results are still in the cache.

On a CPU, an activation of its own reads and writes the whole map once more, which took a third of
MobileNetV2's time, and the one-sided padding of TensorFlow's networks another seventh.
"""

from collections.abc import Callable
from dataclasses import dataclass

from leukctl.backbones import relu6
from leukctl.runtime import cpu_has_bf16, timm, torch

nn = torch.nn

_Fused = tuple[str, tuple[float, ...]]
# By exact type, oneDNN's name of an activation and its arguments.
ACTIVATIONS: dict[type[nn.Module], _Fused] = {
    nn.ReLU: ("relu", ()),
    nn.ReLU6: ("hardtanh", (0.0, 6.0)),
    relu6.ReLU6: ("hardtanh", (0.0, 6.0)),
    nn.SiLU: ("swish", ()),
    nn.Hardswish: ("hardswish", ()),
}


def takes_in(convolution: nn.Conv2d, activation: nn.Module) -> bool:
    """Return whether :class:`FusedConv2d` knows the activation, and pads as the convolution does.

    Padding that is named, and such as mirrors the image, it does not know.
    """
    plain = convolution.padding_mode == "zeros" and not isinstance(convolution.padding, str)
    return plain and type(activation) in ACTIVATIONS


def operator(kind: torch.dtype) -> Callable[..., torch.Tensor] | None:
    """Return torch's operator for the two in one, None where oneDNN has none for that kind.

    It is none of torch's public ones, and builds without oneDNN lack it.
    """
    if not torch.backends.mkldnn.is_available():
        return None
    # Without instructions for bf16, torch itself computes in another way.
    if kind != torch.float32 and not (kind == torch.bfloat16 and cpu_has_bf16()):
        return None
    return getattr(torch.ops.mkldnn, "_convolution_pointwise", None)


@dataclass(slots=True)
class _Ready:
    """Weights as the operator takes them.

    Attributes:
        key: of what they were made from.
        source: that itself, so that no other can come to lie in its place.
    """

    key: tuple[object, ...]
    source: tuple[torch.Tensor | None, ...]
    weight: torch.Tensor
    bias: torch.Tensor | None


class FusedConv2d(nn.Module):
    """A convolution and an activation; where a gradient or a GPU is asked for, one by one.

    Args:
        convolution: a Conv2d or a Conv2dSame; its weights are shared.
        activation: that :func:`takes_in` says yes to.
    """

    def __init__(self, convolution: nn.Conv2d, activation: nn.Module) -> None:
        super().__init__()
        self.convolution = convolution
        self.activation = activation
        self._same = isinstance(convolution, timm.layers.Conv2dSame)
        self._ready: _Ready | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the two would, (N, C, h, w)."""
        own, kind = self.convolution, x.dtype
        if torch.is_autocast_enabled("cpu"):
            kind = torch.get_autocast_dtype("cpu")
        graph = torch.is_grad_enabled() and (x.requires_grad or own.weight.requires_grad)
        both = None if graph or x.device.type != "cpu" else operator(kind)
        if both is None:
            return self.activation(own(x))
        x, grow, padding = self._padded(x)
        ready = self._weights(kind, grow)
        name, arguments = ACTIVATIONS[type(self.activation)]
        return both(
            x.to(kind),
            ready.weight,
            ready.bias,
            padding,
            own.stride,
            own.dilation,
            own.groups,
            name,
            arguments,
            "",
        )

    def _padded(self, x: torch.Tensor) -> tuple[torch.Tensor, tuple[int, int], tuple[int, int]]:
        """Return the input, by how much the kernel is to grow, and the padding on both sides.

        A side that needs one pixel more at its end gets it at both, and the kernel a zero at its
        start, so that the input need not be copied.
        """
        own = self.convolution
        if not self._same:
            return x, (0, 0), own.padding  # type: ignore[return-value]
        amounts = [
            timm.layers.get_same_padding(*side)
            for side in zip(x.shape[2:], own.kernel_size, own.stride, own.dilation, strict=True)
        ]
        if max(own.dilation) == 1:
            high, wide = ((amount + 1) // 2 for amount in amounts)
            return x, (amounts[0] % 2, amounts[1] % 2), (high, wide)
        sides = [*own.kernel_size], [*own.stride], [*own.dilation]
        padded = timm.layers.pad_same(x, *sides)
        return padded, (0, 0), (0, 0)

    def _weights(self, kind: torch.dtype, grow: tuple[int, int]) -> _Ready:
        """Return the weights as the operator takes them, made anew where they have changed."""
        own = self.convolution
        key = (kind, grow, _state(own.weight), None if own.bias is None else _state(own.bias))
        if self._ready is None or self._ready.key != key:
            weight = source = own.weight.detach()
            if max(grow):
                weight = nn.functional.pad(weight, (grow[1], 0, grow[0], 0))
            weight = weight.to(kind).contiguous(memory_format=torch.channels_last)
            shift = None if own.bias is None else own.bias.detach()
            bias = None if shift is None else shift.to(kind)
            self._ready = _Ready(key, (source, shift), weight, bias)
        return self._ready


def _state(values: torch.Tensor) -> tuple[int, int]:
    """Return where values lie, and how often they were written to since."""
    return values.data_ptr(), 0 if values.is_inference() else values._version
