"""What our own networks need to stand among timm's."""

from typing import Any

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)
Color = tuple[float, float, float]


def own_arguments(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of ``timm.create_model`` that are a network's own."""
    for_timm = ("pretrained_cfg", "pretrained_cfg_overlay", "cache_dir")
    return {name: value for name, value in kwargs.items() if name not in for_timm}


def cfg(
    classifier: str, mean: Color = _IMAGENET_MEAN, std: Color = _IMAGENET_STD
) -> dict[str, Any]:
    """Return what timm keeps as ``pretrained_cfg``, for images of 224 x 224.

    Args:
        classifier: the module of a weights file that is left out where there is no head.
        mean, std: of RGB in [0, 1].
    """
    return {
        "input_size": (3, 224, 224),
        "mean": mean,
        "std": std,
        "num_classes": 1000,
        "classifier": classifier,
    }
