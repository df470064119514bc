"""Grad-CAM: Selvaraju et al., "Visual Explanations from Deep Networks via Gradient-based
Localization", ICCV 2017.
"""

import numpy as np

from leukctl import runtime
from leukctl.explaining import maps
from leukctl.explaining.maps import Heatmap
from leukctl.images import Rgb
from leukctl.inference import NetworkPredictor, Predictor
from leukctl.runtime import torch


def gradcam(model: Predictor, image: Rgb, target: int) -> Heatmap:
    """Return the Grad-CAM map of class ``target`` for one prepared image.

    Channels of the last feature map are weighted by the mean gradient of the class's logit and
    summed, and what is negative is dropped. The gradient is taken through pooling and head alone:
    nothing before the feature map matters to it, so the backbone runs forward only.

    Args:
        image: uint8 (H, W, 3). target: index of the class.
    """
    network = maps.network_of(model, "gradcam")
    assert isinstance(model, NetworkPredictor)
    inputs = model.inputs([image])
    with torch.no_grad(), runtime.autocast(model.compute):
        feature_map = maps.check_map(network.feature_map(inputs), "gradcam")
    feature_map = feature_map.float().requires_grad_()
    # A copy goes on, since some heads start with an activation in place.
    logits = network.head(network.pool(feature_map.clone()))
    (gradient,) = torch.autograd.grad(logits[0, target], feature_map)
    weights = gradient.mean((2, 3), keepdim=True)
    raw = (weights * feature_map.detach()).sum(1)[0].relu().cpu().numpy().astype(np.float32)
    return maps.from_activations(raw, (image.shape[0], image.shape[1]), maps.LAYER)
