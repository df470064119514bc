"""Why a model answered as it did: heatmaps, a method a file, in one registry."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from leukctl.explaining import maps
from leukctl.explaining.gradcam import gradcam
from leukctl.explaining.maps import Heatmap
from leukctl.explaining.scorecam import scorecam
from leukctl.images import Rgb
from leukctl.inference import Predictor

__all__ = ["METHODS", "Heatmap", "Settings", "check"]


@dataclass(slots=True)
class Settings:
    """What a user decides about the methods.

    Attributes:
        batch_size: images that go through the network at once.
        samples: perturbed images that LIME fits to.
        seed: of LIME's two random sources.
    """

    batch_size: int = 32
    samples: int = 1000
    seed: int = 0


def _lime(model: Predictor, image: Rgb, target: int, settings: Settings) -> Heatmap:
    # lime and what it imports cost a second, which the other methods need not pay.
    from leukctl.explaining.lime import lime

    return lime(model, image, target, settings.samples, settings.batch_size, settings.seed)


def check(model: Predictor, methods: Sequence[str]) -> None:
    """Raise :class:`UsageError` when one of ``methods`` cannot explain this model."""
    for name in methods:
        if name != "lime":
            maps.check_model(model, name)


Method = Callable[[Predictor, Rgb, int, Settings], Heatmap]

METHODS: dict[str, Method] = {
    "gradcam": lambda model, image, target, settings: gradcam(model, image, target),
    "scorecam": lambda model, image, target, settings: scorecam(
        model, image, target, settings.batch_size
    ),
    "lime": _lime,
}
