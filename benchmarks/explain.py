"""Heatmaps of one image: leukctl against grad-cam and lime as a user calls them.

    python benchmarks/explain.py IMAGE BACKBONE [WEIGHTS_FOLDER] [--methods NAMES] [--pairs N]
                                 [--samples N] [--channels K]

The weights and the input are the same for both, and the maps are compared before they are timed.
Beside the library stands the least that the method needs: the forward passes alone, of the same
network and in the same batches. bf16 is leukctl's in bf16 against the library in float32. For
fewer channels, the MR-SSIM to the exact map is told.
LEUKCTL_MALLOC=default runs both sides with glibc's own allocator, as grad-cam's users have it.
"""

import argparse
import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pairs import compare, say

from leukctl import comparing, images, runtime, tensors
from leukctl.backbones import Network, Origin, create
from leukctl.explaining import Explainer, Settings, lime
from leukctl.inference import NetworkPredictor
from leukctl.runs import Run
from leukctl.runtime import torch

MANY = 16  # images that gradient methods take at once


def network(name: str, weights: Path | None) -> tuple[Network, Run]:
    """Return a network with a head of eight classes, drawn at random but always the same."""
    torch.manual_seed(0)
    backbone, spec = create(name, Origin(weights))
    made = Network(backbone, 8, {"hidden": 0, "dropout": 0.0}, spec.input_size)
    return made.eval(), Run("network", list("abcdefgh"), [spec], {}, None, {}, "", 0)


def explainer(
    name: str, weights: Path | None, method: str, settings: Settings, precision: str = "fp32"
) -> Explainer:
    """Return ours, as the command has it."""
    made, run = network(name, weights)
    found = Explainer(
        NetworkPredictor(run, made, runtime.compute("cpu", precision)), [method], settings
    )
    found.fold()
    return found


def forwards(ours: Explainer, images_: int, batch_size: int) -> Callable[[], None]:
    """Return what runs the tuned network on so many images and does nothing else."""
    model = ours.model
    assert isinstance(model, NetworkPredictor)
    size = model.spec.input_size
    layout = torch.channels_last
    batch = torch.randn(batch_size, 3, *size).contiguous(memory_format=layout)

    def run() -> None:
        for start in range(0, images_, batch_size):
            model.logits(batch[: min(batch_size, images_ - start)])

    return run


def quietly(call: Callable[[], Any]) -> Any:
    """Call without the library's progress bar."""
    with contextlib.redirect_stderr(io.StringIO()):
        return call()


def cam(given: argparse.Namespace, method: str, kind: str) -> None:
    """Measure a class activation map."""
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    settings = Settings(batch_size=given.batch_size)
    ours = explainer(given.backbone, given.weights, method, settings)
    theirs, run = network(given.backbone, given.weights)
    image = tensors.fit(images.read_rgb(given.image), run.backbones[0].input_size)
    many = [image] * (1 if method == "scorecam" else MANY)
    questions = [(place, 0) for place in range(len(many))]
    inputs = ours.model.inputs(many).contiguous()
    layer = theirs.layer(theirs.cam_layer)
    library = getattr(runtime.pytorch_grad_cam, kind)(theirs, [layer])
    targets = [ClassifierOutputTarget(0)] * len(many)

    def call(own: Explainer) -> np.ndarray:
        return own.explain(own.see(many), questions)[method][0].values

    def call_theirs() -> np.ndarray:
        return quietly(lambda: library(inputs, targets))

    exact = call(ours)
    apart = float(np.abs(exact - call_theirs()[0]).max())
    title = f"{given.backbone} {method}, {len(many)} images (apart by {apart:.0e})"
    say(title, compare(lambda: call(ours), call_theirs, given.pairs))
    if method != "scorecam":
        say("  the forward pass alone", compare(
            lambda: call(ours), forwards(ours, MANY, MANY), given.pairs))  # fmt: skip
        return
    count = ours.see(many).look.activations.shape[1]
    bare = forwards(ours, count, given.batch_size)
    say(f"  {count} forward passes alone", compare(lambda: call(ours), bare, given.pairs))
    half = explainer(given.backbone, given.weights, method, settings, "bf16")
    same = comparing.mr_ssim(exact, call(half))
    say(f"  ours in bf16 (MR-SSIM {same:.3f})", compare(
        lambda: call(half), call_theirs, given.pairs))  # fmt: skip
    fewer = explainer(given.backbone, given.weights, method, Settings(
        batch_size=given.batch_size, channels=given.channels))  # fmt: skip
    same = comparing.mr_ssim(exact, call(fewer))
    say(f"  {given.channels} channels, ours exact (MR-SSIM {same:.3f})", compare(
        lambda: call(fewer), lambda: call(ours), given.pairs))  # fmt: skip


def perturbed(given: argparse.Namespace) -> None:
    """Measure LIME."""
    from lime.lime_image import LimeImageExplainer

    settings = Settings(batch_size=given.batch_size, samples=given.samples)
    ours = explainer(given.backbone, given.weights, "lime", settings)
    theirs, run = network(given.backbone, given.weights)
    spec = run.backbones[0]
    image = tensors.fit(images.read_rgb(given.image), spec.input_size)
    seed = lime.seed_of(image, 0)

    def probabilities(batch: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            normalized = tensors.normalize(np.ascontiguousarray(batch), spec, torch.device("cpu"))
            return torch.softmax(theirs(normalized.contiguous()), 1).numpy()

    def library() -> object:
        return quietly(lambda: LimeImageExplainer(random_state=seed).explain_instance(
            image, probabilities, labels=(0,), top_labels=None, num_samples=given.samples,
            segmentation_fn=lambda image: lime.SEGMENTATIONS["slic"](image, seed),
            random_seed=seed))  # fmt: skip

    def call(own: Explainer) -> np.ndarray:
        return own.explain(own.see([image]), [(0, 0)])["lime"][0].superpixels.weights

    wanted = dict(library().local_exp[0])
    given_weights = call(ours)
    apart = max(abs(given_weights[place] - weight) for place, weight in wanted.items())
    title = f"{given.backbone} lime, {given.samples} samples (apart by {apart:.0e})"
    say(title, compare(lambda: call(ours), library, given.pairs))
    bare = forwards(ours, given.samples, given.batch_size)
    say(f"  {given.samples} forward passes alone", compare(lambda: call(ours), bare, given.pairs))
    half = explainer(given.backbone, given.weights, "lime", settings, "bf16")
    apart = float(np.abs(call(half) - given_weights).max() / np.ptp(given_weights))
    say(f"  ours in bf16 (apart by {apart:.2f} of range)", compare(
        lambda: call(half), library, given.pairs))  # fmt: skip


CAMS = {"gradcam": "GradCAM", "gradcam++": "GradCAMPlusPlus", "scorecam": "ScoreCAM"}


def main() -> None:
    """Print lines for each method."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image", type=Path)
    parser.add_argument("backbone")
    parser.add_argument("weights", type=Path, nargs="?")
    parser.add_argument("--methods", default="gradcam,gradcam++,scorecam,lime")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--channels", type=int, default=100)
    parser.add_argument("--batch-size", type=int, default=32)
    given = parser.parse_args()
    for method in given.methods.split(","):
        if method in CAMS:
            cam(given, method, CAMS[method])
        else:
            perturbed(given)


if __name__ == "__main__":
    main()
