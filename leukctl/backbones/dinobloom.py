"""DinoBloom: DINOv2's transformers, trained further on single blood cells.

Koch et al., "DinoBloom: A Foundation Model for Generalizable Cell Embeddings in Hematology",
MICCAI 2024. The networks are timm's ``vit_*_patch14_dinov2``, which expect 518 pixels; these see
224, as DinoBloom did. timm's hub has no weights of them: converted to safetensors with a
``config.json`` beside them, they are a folder for ``--weights``.
"""

from typing import Any

from leukctl.backbones.plumbing import cfg, own_arguments
from leukctl.runtime import timm, torch

# Our name → the architecture that a config.json may name as well.
LAYOUTS = {
    f"leukctl_dinobloom_{letter}": f"vit_{size}_patch14_dinov2"
    for letter, size in (("s", "small"), ("b", "base"), ("l", "large"))
}


def _build(name: str, kwargs: dict[str, Any]) -> torch.nn.Module:
    arguments = {"img_size": 224, **own_arguments(kwargs)}
    model: Any = timm.create_model(LAYOUTS[name], **arguments)
    model.pretrained_cfg = {**cfg("head"), "fixed_input_size": True}
    return model


@timm.models.register_model
def leukctl_dinobloom_s(pretrained: bool = False, **kwargs: Any) -> torch.nn.Module:
    """Build DinoBloom-S: 384 features, 22 million parameters."""
    return _build("leukctl_dinobloom_s", kwargs)


@timm.models.register_model
def leukctl_dinobloom_b(pretrained: bool = False, **kwargs: Any) -> torch.nn.Module:
    """Build DinoBloom-B: 768 features, 86 million parameters."""
    return _build("leukctl_dinobloom_b", kwargs)


@timm.models.register_model
def leukctl_dinobloom_l(pretrained: bool = False, **kwargs: Any) -> torch.nn.Module:
    """Build DinoBloom-L: 1024 features, 304 million parameters."""
    return _build("leukctl_dinobloom_l", kwargs)
