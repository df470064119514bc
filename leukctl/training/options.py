"""What a user decides about training."""

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from leukctl.backbones import Origin
from leukctl.backbones.weights import read_config
from leukctl.errors import UsageError
from leukctl.runtime import Compute
from leukctl.training.loop import Stage


@dataclass(slots=True)
class Options:
    """The options of ``leukctl train``; its help says what each means."""

    backbone: str
    origin: Origin = field(default_factory=Origin)
    input_size: int | None = None
    augment: str = "basic"
    frozen_epochs: int = 0
    epochs: int = 20
    frozen_lr: float = 1e-3
    lr: float = 1e-4
    batch_size: int = 32
    hidden: int = 0
    dropout: float = 0.2
    weight_decay: float = 1e-4
    label_smoothing: float = 0.0
    patience: int = 5
    seed: int = 0

    def plain(self, compute: Compute) -> dict[str, Any]:
        """Return the options as run.json keeps them."""
        content = asdict(self)
        origin = content.pop("origin")
        weights = origin["weights"]
        return {
            **content,
            "device": compute.device.type,
            "precision": compute.precision,
            "pretrained": origin["pretrained"],
            "weights": str(weights) if weights is not None else None,
        }

    def stages(self) -> list[Stage]:
        """Return the stages that have epochs; raise :class:`UsageError` where none has."""
        both = (
            Stage("frozen", self.frozen_epochs, self.frozen_lr),
            Stage("finetune", self.epochs, self.lr),
        )
        rates = (self.frozen_lr, self.lr, self.weight_decay)
        if not all(math.isfinite(rate) for rate in rates):
            raise UsageError("learning rates and weight decay must be numbers")
        chosen = [stage for stage in both if stage.epochs > 0]
        if not chosen:
            raise UsageError("no epochs at all; --epochs or --frozen-epochs must be above 0")
        return chosen


def architecture_of(weights: Path | None) -> str | None:
    """Return the architecture that the ``config.json`` of a weights folder names, if it does."""
    return read_config(weights).get("architecture") if weights is not None else None
