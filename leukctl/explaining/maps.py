"""From a method's raw map to the heatmap that is kept."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

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


LAYER = "forward_features"


def network_of(model: Predictor, method: str) -> Network:
    """Return the network to look into.

    Raises :class:`UsageError` for a fusion, whose trees have no activations.
    """
    if not isinstance(model, NetworkPredictor):
        raise UsageError(f"{method} looks into one network; for a fusion there is lime")
    return model.network


def check_model(model: Predictor, method: str) -> None:
    """Raise :class:`UsageError` when there is no feature map for ``method`` to look at."""
    network = network_of(model, method)
    size = model.run.backbones[0].input_size
    with torch.inference_mode():
        check_map(
            network.feature_map(torch.zeros(1, 3, *size, device=model.compute.device)), method
        )


def check_map(feature_map: torch.Tensor, method: str) -> torch.Tensor:
    """Return a feature map if it is (N, C, h, w), which class activation maps need."""
    if feature_map.ndim != 4:
        shape = tuple(feature_map.shape)
        raise UsageError(
            f"{method} needs a feature map (N, C, h, w), and this backbone's is {shape}; "
            "lime needs none"
        )
    return feature_map
