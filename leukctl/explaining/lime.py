"""LIME: Ribeiro et al., "Why Should I Trust You?", KDD 2016, by the lime package."""

from collections.abc import Callable
from typing import Any

import numpy as np
from lime.lime_image import LimeImageExplainer
from numpy.typing import NDArray

from leukctl.explaining import maps
from leukctl.explaining.maps import Heatmap
from leukctl.images import Rgb
from leukctl.inference import Predictor, Probabilities

SEGMENTS = 50


class BatchExplainer(LimeImageExplainer):
    """lime's explainer, with its perturbed images made a batch at a time.

    The library fills each image superpixel by superpixel and draws a progress bar of its own; the
    samples and their order are the same here, and so are the weights.
    """

    def data_labels(
        self,
        image: Rgb,
        fudged_image: Rgb,
        segments: NDArray[np.int64],
        classifier_fn: Callable[[Rgb], Probabilities],
        num_samples: int,
        batch_size: int = 10,
    ) -> tuple[NDArray[np.int64], Probabilities]:
        """Return which superpixels each sample shows, (S, n), and its probabilities, (S, K)."""
        count = int(segments.max()) + 1
        shown = self.random_state.randint(0, 2, num_samples * count).reshape(num_samples, count)
        shown[0, :] = 1
        answers = []
        for start in range(0, num_samples, batch_size):
            visible = shown[start : start + batch_size].astype(bool)[:, segments]
            answers.append(classifier_fn(np.where(visible[..., None], image, fudged_image)))
        return shown, np.concatenate(answers)


def lime(
    model: Predictor,
    image: Rgb,
    target: int,
    samples: int = 1000,
    batch_size: int = 32,
    seed: int = 0,
) -> Heatmap:
    """Return LIME's weights of the superpixels that speak for class ``target``.

    About fifty SLIC superpixels are switched off at random, to their own mean color, and a ridge
    regression tells what each is worth in probability. The heatmap shows the positive weights,
    scaled by the largest; raw_min and raw_max keep the range of all of them.

    Args:
        image: uint8 (H, W, 3). target: index of the class.
        samples: perturbed images. seed: of the sampling; the superpixels are not random.
    """
    explanation = fit(model, image, target, samples, batch_size, seed)
    weights = np.zeros(explanation.segments.max() + 1, np.float32)
    for superpixel, weight in explanation.local_exp[target]:
        weights[superpixel] = weight
    return maps.from_pixels(np.maximum(weights, 0)[explanation.segments], weights)


def fit(model: Predictor, image: Rgb, target: int, samples: int, batch_size: int, seed: int) -> Any:
    """Return lime's own explanation: ``segments`` (H, W), ``local_exp``, ``score`` (R²)."""
    return BatchExplainer(random_state=seed).explain_instance(
        image,
        lambda perturbed: model.probabilities(list(perturbed)),
        labels=(target,),
        top_labels=None,
        num_samples=samples,
        batch_size=batch_size,
        segmentation_fn=superpixels,
        random_seed=seed,
    )


def superpixels(image: Rgb) -> NDArray[np.int64]:
    """Return the number of the superpixel of every pixel, (H, W), from 0 without gaps, by SLIC."""
    from skimage.segmentation import slic

    segments = slic(image, n_segments=SEGMENTS, compactness=10, sigma=1, start_label=0)
    return np.unique(segments, return_inverse=True)[1].reshape(segments.shape)
