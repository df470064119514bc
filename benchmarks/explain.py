"""Heatmaps of one image: leukctl against grad-cam and lime as a user calls them.

    python benchmarks/explain.py IMAGE WEIGHTS_FOLDER

The model and the input are the same for both, and the maps are compared before they are timed.
LEUKCTL_MALLOC=default runs both sides with glibc's own allocator, as grad-cam's users have it.
"""

import contextlib
import io
import sys
from pathlib import Path

import numpy as np
from pairs import compare, say

from leukctl import explaining, images, runtime, tensors
from leukctl.backbones import Network, Origin, create
from leukctl.explaining import lime
from leukctl.inference import NetworkPredictor
from leukctl.runs import Run
from leukctl.runtime import torch

SAMPLES = 200


def main(image_path: Path, weights: Path) -> None:
    """Print a line a method."""
    from lime.lime_image import LimeImageExplainer
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    torch.manual_seed(0)
    backbone, spec = create("mobilenetv2", Origin(weights))
    network = Network(backbone, 8, {"hidden": 0, "dropout": 0.0}, spec.input_size)
    run = Run("network", list("abcdefgh"), [spec], {}, None, {}, "", 0)
    model = NetworkPredictor(run, network, runtime.compute("cpu", "fp32"))
    image = tensors.fit(images.read_rgb(image_path), spec.input_size)
    inputs = model.inputs([image])
    # What grad-cam's users have: a network as timm builds it, in torch's own memory format.
    plain, _ = create("mobilenetv2", Origin(weights))
    theirs = Network(plain, 8, {"hidden": 0, "dropout": 0.0}, spec.input_size).eval()
    theirs.load_state_dict(network.state_dict())
    target = [ClassifierOutputTarget(0)]
    library = runtime.pytorch_grad_cam
    settings = explaining.Settings(samples=SAMPLES)
    for name, kind, pairs in (
        ("gradcam", library.GradCAM, 9),
        ("scorecam", library.ScoreCAM, 3),
    ):
        cam = kind(theirs, [plain.bn2])

        def call_theirs(cam=cam) -> np.ndarray:
            with contextlib.redirect_stderr(io.StringIO()):  # its progress bar
                return cam(inputs.contiguous(), target)[0]

        def call_ours(name=name) -> np.ndarray:
            return explaining.METHODS[name](model, image, 0, settings).values

        apart = float(np.abs(call_ours() - call_theirs()).max())
        say(f"{name} (apart by {apart:.0e})", compare(call_ours, call_theirs, pairs))

    def plain_probabilities(batch: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            normalized = tensors.normalize(np.ascontiguousarray(batch), spec, torch.device("cpu"))
            return torch.softmax(theirs(normalized.contiguous()), 1).numpy()

    def lime_theirs() -> None:
        with contextlib.redirect_stderr(io.StringIO()):
            LimeImageExplainer(random_state=0).explain_instance(
                image, plain_probabilities, labels=(0,), top_labels=None, num_samples=SAMPLES,
                segmentation_fn=lime.superpixels, random_seed=0,
            )  # fmt: skip

    say(f"lime, {SAMPLES} samples", compare(
        lambda: explaining.METHODS["lime"](model, image, 0, settings), lime_theirs, 3))  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
