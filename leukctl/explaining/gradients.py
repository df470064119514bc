"""Class activation maps out of a layer's activations and the gradient of a class's logit.

All are maps of the layer's size, summed over its channels; what is negative is dropped.
"""

from collections.abc import Sequence

from leukctl.explaining import looking, maps
from leukctl.explaining.looking import Question, View
from leukctl.explaining.maps import Heatmap
from leukctl.explaining.settings import Settings
from leukctl.runtime import torch


def gradcam(activations: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
    """Weight each channel by its mean gradient.

    Selvaraju et al., "Visual Explanations from Deep Networks via Gradient-based Localization",
    ICCV 2017.
    """
    return (gradients.mean((2, 3), keepdim=True) * activations).sum(1)


def gradcam_plusplus(activations: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
    """Weight each channel by its positive gradients, each as much as Equation 19 says.

    Chattopadhay et al., "Grad-CAM++: Generalized Gradient-Based Visual Explanations for Deep
    Convolutional Networks", WACV 2018.
    """
    squares = gradients.square()
    total = activations.sum((2, 3), keepdim=True)
    share = squares / (2 * squares + total * squares * gradients + 1e-6)
    share = torch.where(gradients != 0, share, 0.0)
    return ((gradients.relu() * share).sum((2, 3), keepdim=True) * activations).sum(1)


def layercam(activations: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
    """Weight each place of each channel by its own gradient where that is positive.

    Jiang et al., "LayerCAM: Exploring Hierarchical Class Activation Maps for Localization", IEEE
    Transactions on Image Processing 30 (2021).
    """
    return (gradients.relu() * activations).sum(1)


def hirescam(activations: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
    """Weight each place of each channel by its own gradient.

    Draelos & Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional
    neural networks", arXiv:2011.08891.
    """
    return (gradients * activations).sum(1)


_RAW = {
    "gradcam": gradcam,
    "gradcam++": gradcam_plusplus,
    "layercam": layercam,
    "hirescam": hirescam,
}


def explain(
    name: str, view: View, questions: Sequence[Question], settings: Settings
) -> list[Heatmap]:
    """Return the map of each question by one of these methods."""
    look = view.look
    assert look is not None
    activations = look.activations[[index for index, _ in questions]]
    raw = looking.numpy(_RAW[name](activations, look.gradients(questions)).relu())
    sizes = [view.images[index].shape for index, _ in questions]
    return [
        maps.from_activations(one, (height, width), look.layer)
        for one, (height, width, _) in zip(raw, sizes, strict=True)
    ]
