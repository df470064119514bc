"""A backbone's name → a network, ready to train or to load weights into."""

import contextlib
import io
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leukctl import catalog
from leukctl.backbones import hub
from leukctl.backbones import standard_cnn as standard_cnn  # registers itself with timm
from leukctl.backbones.layers import Stage, cam_layer, stages
from leukctl.backbones.network import Head, Network
from leukctl.backbones.weights import (
    WeightsFile,
    first_line,
    load_strictly,
    read_weights,
)
from leukctl.errors import UsageError, WeightsError
from leukctl.runs import BackboneSpec
from leukctl.runtime import timm, torch

__all__ = [
    "Head",
    "Network",
    "Origin",
    "Stage",
    "build",
    "cam_layer",
    "create",
    "resolve",
    "stages",
]


@dataclass(slots=True)
class Origin:
    """Where a backbone's first weights come from.

    Attributes:
        weights: a hub-layout folder or a .safetensors file, or None.
        pretrained: fetch them from timm's hub.
    """

    weights: Path | None = None
    pretrained: bool = False

    @property
    def is_random(self) -> bool:
        """Whether the weights are drawn at random."""
        return self.weights is None and not self.pretrained


def resolve(name: str) -> str:
    """Return timm's name for a backbone; any timm name stands for itself.

    Raises :class:`UsageError` with the nearest names for one that nobody knows.
    """
    architecture = catalog.BACKBONES.get(name, name)
    if architecture.startswith("hf-hub:") or timm.is_model(architecture.split(".")[0]):
        return architecture
    import difflib

    known = [*catalog.BACKBONES, *timm.list_models()]
    near = difflib.get_close_matches(name, known, n=3)
    hint = f"; did you mean {', '.join(near)}?" if near else ""
    raise UsageError(f"unknown backbone {name!r}{hint}")


def create(name: str, origin: Origin, input_size: int | None = None) -> tuple[Any, BackboneSpec]:
    """Build a backbone without a head, its weights as ``origin`` says.

    Args:
        name: of the catalogue, of timm, or ``hf-hub:OWNER/MODEL``.
        input_size: pixels a side; by default what its weights were trained with.

    Returns:
        the network, whose output is the pooled features (N, D), and what it takes to build it
        again. The weights are drawn from torch's current random state where they are random.

    Raises:
        UsageError: an unknown name. WeightsError: weights that are missing or do not fit.
    """
    architecture = resolve(name)
    source = _source(architecture, origin)
    if architecture.startswith(hub.PREFIX):
        architecture = (source.architecture if source is not None else None) or ""
        if not timm.is_model(architecture):
            raise WeightsError(f"{name}: its config.json names no architecture of timm")
    if source is not None and source.architecture not in (None, architecture.split(".")[0]):
        raise WeightsError(
            f"{source.path}: weights of {source.architecture}, not of {architecture} ({name})"
        )
    if source is not None:
        backbone = _from_file(architecture, source)
    else:
        backbone = _timm_model(architecture, num_classes=0)
    config = {**backbone.pretrained_cfg, **(source.config if source is not None else {})}
    size = (input_size, input_size) if input_size else tuple(config["input_size"][1:])
    spec = BackboneSpec(
        name,
        architecture,
        dict(source.model_args) if source is not None else {},
        (int(size[0]), int(size[1])),
        tuple(config["mean"]),
        tuple(config["std"]),
        source.sha256 if source is not None else None,
    )
    return backbone, spec


def _source(architecture: str, origin: Origin) -> WeightsFile | None:
    """Return the weights that ``origin`` asks for, None where they are drawn at random."""
    if origin.weights is not None:
        return read_weights(origin.weights)
    if origin.pretrained:
        return read_weights(hub.fetch(hub.repository(architecture)))
    if architecture.startswith(hub.PREFIX):
        raise UsageError(f"{architecture} is on the hub; --pretrained fetches it")
    return None


def build(specs: list[BackboneSpec]) -> list[torch.nn.Module]:
    """Build the backbones of a run again, with weights to be loaded into them.

    Raises :class:`UsageError` or :class:`WeightsError` for a spec that nothing can be built from.
    """
    return [
        _timm_model(resolve(spec.architecture), num_classes=0, **spec.model_args) for spec in specs
    ]


def _timm_model(architecture: str, **arguments: Any) -> Any:
    # inception_v3 prints a warning about its initialization, and timm logs; neither is for users.
    logging.getLogger("timm").setLevel(logging.ERROR)
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            return timm.create_model(architecture, **arguments)
        except (TypeError, ValueError, RuntimeError) as error:
            raise WeightsError(f"{architecture}: {first_line(error)}") from None


def _from_file(architecture: str, source: WeightsFile) -> Any:
    model = _timm_model(architecture, num_classes=0, **source.model_args)
    classifier = source.config.get("classifier") or model.pretrained_cfg.get("classifier")
    load_strictly(model, source, classifier)
    return model
