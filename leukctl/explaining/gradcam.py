"""Grad-CAM: Selvaraju et al., "Visual Explanations from Deep Networks via Gradient-based
Localization", ICCV 2017.
"""

import numpy as np

from leukctl.explaining import maps
from leukctl.explaining.maps import Heatmap
from leukctl.images import Rgb
from leukctl.inference import Predictor


def gradcam(model: Predictor, image: Rgb, target: int) -> Heatmap:
    """Return the Grad-CAM map of class ``target`` for one prepared image.

    Channels of the network's last feature map (:func:`leukctl.backbones.cam_layer`) are weighted
    by the mean gradient of the class's logit and summed, and what is negative is dropped.

    Args:
        image: uint8 (H, W, 3). target: index of the class.
    """
    predictor = maps.network_of(model, "gradcam")
    activations, gradient = maps.look(predictor, predictor.inputs([image]), "gradcam", target)
    weights = gradient.mean((2, 3), keepdim=True)
    raw = (weights * activations).sum(1)[0].relu().cpu().numpy().astype(np.float32)
    layer = predictor.network.cam_layer
    return maps.from_activations(raw, (image.shape[0], image.shape[1]), layer)
