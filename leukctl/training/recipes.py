"""The papers' trainings: what each says, and what is taken where it says nothing.

Data only; :func:`leukctl.training.options.resolve` merges them with what the user gives.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from leukctl import catalog

_UNTOUCHED = "rotate=0:shift=0:scale=0:flip=none"


@dataclass(frozen=True, slots=True)
class Recipe:
    """One paper's training.

    Attributes:
        says: options that the paper names.
        chosen: options that it leaves open, and what is taken.
        transfer: options for a network that starts from weights; one without them cannot be
            frozen, and learns as a whole.
        sizes: input sizes in pixels, by backbone; that of "" is all others'.
    """

    says: Mapping[str, Any]
    chosen: Mapping[str, Any]
    transfer: Mapping[str, Any] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=lambda: {"": 224})

    def settled(self, from_weights: bool) -> dict[str, Any]:
        """Return the options, but for the input size."""
        return {
            "frozen_epochs": 0,
            **self.chosen,
            **self.says,
            **(self.transfer if from_weights else {}),
        }

    def input_size(self, backbone: str) -> int:
        """Return the side of the images that a backbone, of either name, is given, in pixels."""
        own = [size for name, size in self.sizes.items() if backbone in (name, _of_timm(name))]
        return next(iter(own), self.sizes[""])


def _of_timm(name: str) -> str | None:
    return catalog.BACKBONES.get(name)


RECIPES = {
    # Neither the optimizer nor a schedule is named; MobileNet was among the two best.
    "digiammarco2024": Recipe(
        says={"epochs": 50, "batch_size": 8, "lr": 1e-4, "augment": "none"},
        chosen={
            "backbone": "mobilenet",
            "optimizer": "adam",
            "schedule": "constant",
            "weight_decay": 0.0,
            "patience": 0,
            "dropout": 0.0,
        },
    ),
    # "10-15 epochs", "the last 2-4 blocks", "dropout 0.3-0.5": the middle, and the larger of two.
    # The size of the dense layer is not given, nor how long a plateau is; it has to be shorter
    # than the patience, or it would never be seen. The custom CNN is not said to be otherwise.
    "altalhi2026": Recipe(
        says={
            "optimizer": "adam",
            "epochs": 100,
            "batch_size": 32,
            "weight_decay": 1e-4,
            "monitor": "val_loss",
            "patience": 10,
            "label_smoothing": 0.1,
        },
        chosen={
            "backbone": "mobilenetv2",
            "augment": f"mixup:alpha=0.2:{_UNTOUCHED}",
            "schedule": "plateau:factor=0.1:patience=5",
            "hidden": 256,
            "dropout": 0.4,
            "lr": 1e-3,
        },
        transfer={"frozen_epochs": 15, "frozen_lr": 1e-3, "unfreeze": 3, "lr": 1e-5},
    ),
    # Augmented beforehand, by balance. Neither patience nor factor is given.
    "muduli2025": Recipe(
        says={
            "optimizer": "adam",
            "lr": 1e-4,
            "batch_size": 32,
            "epochs": 30,
            "augment": "none",
        },
        chosen={
            "backbone": "densenet121",
            "schedule": "plateau:factor=0.1:patience=3",
            "monitor": "val_loss",
            "patience": 10,
            "weight_decay": 0.0,
        },
        sizes={"": 224, "xception": 299},
    ),
    # Rotated, shifted and scaled, but not flipped; how far is not given.
    "patel2025": Recipe(
        says={"optimizer": "adam", "lr": 1e-4, "epochs": 10, "batch_size": 32},
        chosen={
            "backbone": "densenet201",
            "augment": "basic:rotate=180:shift=0.1:scale=0.1:flip=none",
            "schedule": "constant",
            "weight_decay": 0.0,
            "patience": 0,
        },
        sizes={"": 224, "alexnet": 227},
    ),
    # One of the two frozen branches, with its head; leukctl fuse makes the whole. The optimizer
    # and its rate are not given. The paper's L2 penalty of 0.01 is of the last layer alone.
    "khan2024": Recipe(
        says={
            "augment": "basic:rotate=15:shift=0.2:scale=0.2:flip=horizontal",
            "hidden": 64,
            "epochs": 100,
        },
        chosen={
            "backbone": "inception_v3",
            "optimizer": "adam",
            "schedule": "constant",
            "lr": 1e-3,
            "weight_decay": 0.0,
            "dropout": 0.0,
            "patience": 0,
        },
        transfer={"frozen_epochs": 100, "epochs": 0, "frozen_lr": 1e-3},
    ),
}
