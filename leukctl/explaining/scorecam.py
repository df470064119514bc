"""Score-CAM: Wang et al., "Score-Weighted Visual Explanations for Convolutional Neural Networks",
CVPR Workshops 2020.
"""

from collections.abc import Callable

import numpy as np

from leukctl.explaining import maps
from leukctl.explaining.maps import Heatmap
from leukctl.images import Rgb
from leukctl.inference import Predictor
from leukctl.runtime import torch


def scorecam(
    model: Predictor,
    image: Rgb,
    target: int,
    batch_size: int = 32,
    on_progress: Callable[[int], None] = lambda step: None,
) -> Heatmap:
    """Return the Score-CAM map of class ``target`` for one prepared image, over all channels.

    Each channel of the last feature map, resized to the input and scaled to [0, 1], masks the
    input; the class's logits of the masked inputs, through a softmax over the channels, weight
    the channels. A channel that is constant masks everything, so that all of these share one
    forward pass.

    Args:
        image: uint8 (H, W, 3). target: index of the class.
        batch_size: masked inputs that are in memory at once.
    """
    predictor = maps.network_of(model, "scorecam")
    inputs = predictor.inputs([image])
    with torch.inference_mode():
        channels = maps.look(predictor, inputs, "scorecam")[0][0]
        live = torch.nonzero(channels.amax((1, 2)) > channels.amin((1, 2))).flatten()
        # The score of an input that is masked altogether; the live channels' follow.
        scores = predictor.logits(torch.zeros_like(inputs))[0, target].repeat(len(channels))
        for chosen in live.split(batch_size):
            masks = _masks(channels[chosen], (inputs.shape[2], inputs.shape[3]))
            masked = (inputs * masks).contiguous(memory_format=torch.channels_last)
            scores[chosen] = predictor.logits(masked)[:, target]
            on_progress(len(chosen))
        weights = torch.softmax(scores, 0)
        raw = (weights[:, None, None] * channels).sum(0).relu().cpu().numpy().astype(np.float32)
    layer = predictor.network.cam_layer
    return maps.from_activations(raw, (image.shape[0], image.shape[1]), layer)


def _masks(channels: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Return channels (n, h, w) as masks in [0, 1], (n, 1, H, W): resized first, then scaled."""
    resized = torch.nn.functional.interpolate(
        channels[:, None], size=size, mode="bilinear", align_corners=True
    )
    low = resized.amin((2, 3), keepdim=True)
    return resized.sub_(low).div_(resized.amax((2, 3), keepdim=True) + 1e-8)
