"""Eigen-CAM: Muhammad & Yeasin, "Eigen-CAM: Class Activation Map using Principal Components",
IJCNN 2020.
"""

from collections.abc import Sequence

import numpy as np

from leukctl.explaining import looking, maps
from leukctl.explaining.looking import Question, View
from leukctl.explaining.maps import Floats, Heatmap
from leukctl.explaining.settings import Settings


def explain(view: View, questions: Sequence[Question], settings: Settings) -> list[Heatmap]:
    """Return the first principal component of each image's activations.

    It looks at no class, so that all questions about an image have one map.
    """
    look = view.look
    assert look is not None
    activations = looking.numpy(look.activations)
    raw = {index: np.maximum(principal(activations[index]), 0) for index, _ in questions}
    return [
        maps.from_activations(raw[index], view.images[index].shape[:2], look.layer)
        for index, _ in questions
    ]


def principal(channels: Floats) -> Floats:
    """Project the places of a map (C, h, w) on their first principal direction, (h, w).

    The sign is what the decomposition gives, as in pytorch-grad-cam.
    """
    if not np.isfinite(channels).all():
        return np.full(channels.shape[1:], np.nan, np.float32)
    places = channels.reshape(len(channels), -1).T
    places = places - places.mean(0)
    direction = np.linalg.svd(places, full_matrices=False)[2][0]
    return (places @ direction).reshape(channels.shape[1:]).astype(np.float32, copy=False)
