"""A backbone's name → a network, ready to train or to load weights into."""

import contextlib
import io
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leukctl import catalog
from leukctl.backbones import dinobloom, hub, relu6

# These register their networks with timm.
from leukctl.backbones import nasnet_mobile as nasnet_mobile
from leukctl.backbones import standard_cnn as standard_cnn
from leukctl.backbones import torchvision_nets as torchvision_nets
from leukctl.backbones.layers import Stage, cam_layer, stages
from leukctl.backbones.network import Head, Network, Trunk
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
    "Trunk",
    "build",
    "cam_layer",
    "create",
    "origin_of",
    "resolve",
    "stages",
]

_LOCAL = "local-dir:"
_REFERENCES = (hub.PREFIX, _LOCAL)


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
    """Return timm's name for a backbone; any timm name or reference stands for itself.

    Raises :class:`UsageError` with the nearest names for one that nobody knows.
    """
    architecture = catalog.BACKBONES.get(name, name)
    if architecture.startswith(_REFERENCES) or timm.is_model(architecture.split(".")[0]):
        return architecture
    import difflib

    known = [*catalog.BACKBONES, *timm.list_models()]
    near = difflib.get_close_matches(name, known, n=3)
    hint = f"; did you mean {', '.join(near)}?" if near else ""
    raise UsageError(f"unknown backbone {name!r}{hint}")


def origin_of(name: str | None, weights: Path | None, pretrained: bool) -> Origin:
    """Return where the weights of a backbone come from, by what a user asked for.

    ``local-dir:FOLDER`` names both a network and its weights. Raises :class:`UsageError` where it
    is given beside other weights.
    """
    if name is None or not name.startswith(_LOCAL):
        return Origin(weights, pretrained)
    if weights is not None or pretrained:
        raise UsageError(f"{name} has weights of its own; no other go with it")
    return Origin(Path(name.removeprefix(_LOCAL)))


def create(name: str, origin: Origin, input_size: int | None = None) -> tuple[Any, BackboneSpec]:
    """Build a backbone without a head, its weights as ``origin`` says.

    Args:
        name: of the catalogue, of timm, ``hf-hub:OWNER/MODEL`` or ``local-dir:FOLDER``.
        origin: of :func:`origin_of`.
        input_size: pixels a side; by default what its weights were trained with.

    Returns:
        the network, whose output is the pooled features (N, D), and what it takes to build it
        again. The weights are drawn from torch's current random state where they are random.

    Raises:
        UsageError: an unknown name, or a size that the network does not take.
        WeightsError: weights that are missing or do not fit.
    """
    architecture = resolve(name)
    source = _source(architecture, origin)
    if architecture.startswith(_REFERENCES):
        architecture = (source.architecture if source is not None else None) or ""
        if not timm.is_model(architecture.split(".")[0]):
            raise WeightsError(f"{name}: its config.json names no architecture of timm")
    _check_architecture(name, architecture, source)
    arguments = dict(source.model_args) if source is not None else {}
    config = source.config if source is not None else {}
    size = _pair(input_size or arguments.get("img_size") or config.get("input_size"))
    backbone = _sized(architecture, arguments, size)
    config = {**backbone.pretrained_cfg, **config}
    if source is not None:
        load_strictly(backbone, source, config.get("classifier"))
    spec = BackboneSpec(
        name,
        architecture,
        arguments,
        size or _pair(config["input_size"]) or (0, 0),
        tuple(config["mean"]),
        tuple(config["std"]),
        source.sha256 if source is not None else None,
    )
    return backbone, spec


def _pair(size: Any) -> tuple[int, int] | None:
    """Return pixels, (H, W) or (C, H, W) as (H, W)."""
    if not size:
        return None
    height, width = (size, size) if isinstance(size, int) else tuple(size)[-2:]
    return int(height), int(width)


def _check_architecture(name: str, architecture: str, source: WeightsFile | None) -> None:
    """Raise :class:`WeightsError` for weights whose config names another network."""
    given = source.architecture if source is not None else None
    fits = (None, architecture.split(".")[0], dinobloom.LAYOUTS.get(architecture))
    if source is not None and given not in fits:
        raise WeightsError(f"{source.path}: weights of {given}, not of {architecture} ({name})")


def _sized(architecture: str, arguments: dict[str, Any], size: tuple[int, int] | None) -> Any:
    """Build a network for images of a size, and add to ``arguments`` what that took.

    Most networks take images of any size; a transformer has to be told.
    """
    own = dinobloom.LAYOUTS.get(architecture)
    config = timm.get_pretrained_cfg(own or architecture)
    told = _pair(config.input_size) if config is not None and config.fixed_input_size else None
    if size and told and (own is not None or size != told or "img_size" in arguments):
        arguments["img_size"] = list(size)
    return _timm_model(architecture, num_classes=0, **arguments)


def _source(architecture: str, origin: Origin) -> WeightsFile | None:
    """Return the weights that ``origin`` asks for, None where they are drawn at random."""
    if origin.weights is not None:
        return read_weights(origin.weights)
    if architecture.startswith(_LOCAL):
        return read_weights(Path(architecture.removeprefix(_LOCAL)))
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
            network = timm.create_model(architecture, **arguments)
        except (AssertionError, TypeError, ValueError, RuntimeError) as error:
            raise WeightsError(f"{architecture}: {first_line(error)}") from None
    relu6.put_in(network)
    return network
