"""Why a model answered as it did: heatmaps, a method a file, in one registry."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from leukctl.backbones.folding import fold
from leukctl.explaining import eigencam, gradients, integrated_gradients, looking, scorecam
from leukctl.explaining.looking import Question, View
from leukctl.explaining.maps import Heatmap
from leukctl.explaining.settings import Settings
from leukctl.images import Rgb
from leukctl.inference import NetworkPredictor, Predictor

__all__ = ["METHODS", "Explainer", "Heatmap", "Settings"]


@dataclass(frozen=True, slots=True)
class Method:
    """A way to explain answers.

    Attributes:
        explain: a heatmap for each question, in their order.
        looks: at the activations of a layer.
        gradients: it needs the gradients there too.
        settings: the attributes of :class:`Settings` that its maps depend on.
    """

    explain: Callable[[View, Sequence[Question], Settings], list[Heatmap]]
    looks: bool = True
    gradients: bool = False
    settings: tuple[str, ...] = ()


def _lime(view: View, questions: Sequence[Question], settings: Settings) -> list[Heatmap]:
    # lime and what it imports cost a second, which the other methods need not pay.
    from leukctl.explaining import lime

    return lime.explain(view, questions, settings)


def _cam(name: str) -> Method:
    return Method(partial(gradients.explain, name), gradients=True)


METHODS: dict[str, Method] = {
    "gradcam": _cam("gradcam"),
    "gradcam++": _cam("gradcam++"),
    "scorecam": Method(scorecam.explain, settings=("channels", "seed")),
    "layercam": _cam("layercam"),
    "hirescam": _cam("hirescam"),
    "eigencam": Method(eigencam.explain),
    "integrated-gradients": Method(integrated_gradients.explain, looks=False, settings=("steps",)),
    "lime": Method(_lime, looks=False, settings=("superpixels", "samples", "seed")),
}


class Explainer:
    """Methods, ready to explain a model's answers.

    Args:
        layer: whose activations are looked at, None for the backbone's own.

    Raises :class:`UsageError` when one of ``methods`` cannot explain this model.
    """

    def __init__(
        self, model: Predictor, methods: Sequence[str], settings: Settings, layer: str | None = None
    ) -> None:
        self.model = model
        self.methods = list(methods)
        self.settings = settings
        looking_ones = [name for name in methods if METHODS[name].looks]
        if "integrated-gradients" in methods:
            looking.network_of(model, "integrated-gradients")
        self.layer = looking.layer_of(model, layer, looking_ones[0]) if looking_ones else None
        self._gradients = any(METHODS[name].gradients for name in methods)

    def fold(self) -> None:
        """Make a network faster that from now on only answers (:mod:`.backbones.folding`)."""
        if isinstance(self.model, NetworkPredictor):
            network = self.model.network
            kept = network.layer(self.layer) if self.layer is not None else None
            fold(network.backbone, self.model.spec.input_size, kept)

    def see(self, images: Sequence[Rgb]) -> View:
        """Ask the model about prepared images, uint8 (H, W, 3)."""
        return looking.see(self.model, images, self.layer, self._gradients)

    def explain(
        self, view: View, questions: Sequence[Question], methods: Sequence[str] | None = None
    ) -> dict[str, list[Heatmap]]:
        """Return the heatmaps of the questions, in their order, by all methods or some of them."""
        return {
            name: METHODS[name].explain(view, questions, self.settings)
            for name in (self.methods if methods is None else methods)
        }
