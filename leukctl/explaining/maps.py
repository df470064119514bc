"""From a method's raw map to the heatmap that is kept."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from leukctl import runtime
from leukctl.backbones import Network
from leukctl.errors import UsageError
from leukctl.inference import NetworkPredictor, Predictor
from leukctl.runtime import torch

Floats = NDArray[np.float32]


@dataclass(slots=True)
class Heatmap:
    """How much each pixel speaks for a class.

    Attributes:
        values: float32 (H, W) of the prepared image, scaled to [0, 1]; zero where nothing can be
            scaled.
        raw_min, raw_max: the range before scaling, in the method's own unit.
        layer: whose activations were used, "" for methods that look at no layer.
        status: ``ok``, ``blank`` (the same everywhere) or ``nan``.
    """

    values: Floats
    raw_min: float
    raw_max: float
    layer: str
    status: str


def from_activations(raw: Floats, size: tuple[int, int], layer: str) -> Heatmap:
    """Scale a class activation map as pytorch-grad-cam does.

    Its order matters: the small map is scaled to [0, 1] first, then resized bilinearly, then
    scaled again.

    Args:
        raw: (h, w), already rectified. size: (H, W) of the prepared image.
    """
    status = _status(raw)
    if status != "ok":
        return Heatmap(np.zeros(size, np.float32), _low(raw), _high(raw), layer, status)
    resized = cv2.resize(_scale(raw), (size[1], size[0])).astype(np.float32, copy=False)
    return Heatmap(_scale(resized), _low(raw), _high(raw), layer, "ok")


def from_pixels(raw: Floats, signed: Floats) -> Heatmap:
    """Scale a map that is of the image's size already, by its maximum.

    Args:
        raw: (H, W), not negative. signed: what it was made from; its range is kept.
    """
    status = _status(raw)
    values = raw / raw.max() if status == "ok" else np.zeros_like(raw)
    return Heatmap(values.astype(np.float32), _low(signed), _high(signed), "", status)


def _scale(values: Floats) -> Floats:
    shifted = values - values.min()
    return shifted / (1e-7 + shifted.max())


def _status(raw: Floats) -> str:
    if not np.isfinite(raw).all():
        return "nan"
    return "blank" if raw.max() - raw.min() <= 1e-12 else "ok"


def _low(raw: Floats) -> float:
    return float(np.nanmin(raw)) if np.isfinite(raw).any() else 0.0


def _high(raw: Floats) -> float:
    return float(np.nanmax(raw)) if np.isfinite(raw).any() else 0.0


def network_of(model: Predictor, method: str) -> NetworkPredictor:
    """Return the model if it has a network to look into.

    Raises :class:`UsageError` for a fusion, whose trees have no activations.
    """
    if not isinstance(model, NetworkPredictor):
        raise UsageError(f"{method} looks into one network; for a fusion there is lime")
    return model


def check_model(model: Predictor, method: str) -> None:
    """Raise :class:`UsageError` when there is no feature map for ``method`` to look at."""
    predictor = network_of(model, method)
    size = predictor.run.backbones[0].input_size
    look(predictor, torch.zeros(1, 3, *size, device=model.compute.device), method)


def look(
    model: NetworkPredictor, inputs: torch.Tensor, method: str, target: int | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run the network and return what the layer for class activation maps gave, and its gradient.

    Args:
        inputs: normalized float32 (1, 3, H, W).
        target: index of the class whose logit the gradient is of; None asks for none.

    Returns:
        float32 (1, C, h, w) each; without a target the gradient is the activations. Tokens of a
        transformer are laid out as the patches they stand for.

    Raises :class:`UsageError` when the layer gives no such map.
    """
    caught: list[torch.Tensor] = []

    def catch(module: object, given: object, output: Any) -> torch.Tensor:
        if not isinstance(output, torch.Tensor):
            raise _no_map(method, f"in {len(output)} parts")
        # Nothing before the layer matters to the gradient, so only here does a graph begin.
        torch.set_grad_enabled(target is not None)
        caught.append(output.detach().requires_grad_(target is not None))
        # A copy goes on, since what follows may start with an activation in place.
        return caught[-1].clone()

    network = model.network
    hook = network.layer(network.cam_layer).register_forward_hook(catch)
    try:
        with torch.no_grad(), runtime.autocast(model.compute):
            logits = network(inputs)
    finally:
        hook.remove()
    found = caught[-1]
    spread = _spread(network, found, method)
    if target is None:
        return spread, spread
    (gradient,) = torch.autograd.grad(logits[0, target], found)
    return spread.detach(), _spread(network, gradient, method)


def _spread(network: Network, values: torch.Tensor, method: str) -> torch.Tensor:
    """Return a layer's output as float32 (N, C, h, w)."""
    backbone: Any = network.backbone
    if values.ndim == 4:
        channels_last = getattr(backbone, "output_fmt", "NCHW") == "NHWC"
        return (values.permute(0, 3, 1, 2) if channels_last else values).float()
    height, width = getattr(getattr(backbone, "patch_embed", None), "grid_size", (0, 0))
    prefix = getattr(backbone, "num_prefix_tokens", None)
    if values.ndim == 3 and prefix is not None and values.shape[1] - prefix == height * width:
        patches = values[:, prefix:].transpose(1, 2)
        return patches.reshape(*patches.shape[:2], height, width).float()
    raise _no_map(method, f"{tuple(values.shape)}")


def _no_map(method: str, what: str) -> UsageError:
    return UsageError(
        f"{method} needs a feature map (N, C, h, w), and this backbone's is {what}; lime needs none"
    )
