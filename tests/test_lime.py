"""LIME: the weights of the lime package, repeatable, and the three views of them."""

import numpy as np
import pytest
from lime.lime_image import LimeImageExplainer
from test_explaining import heatmaps, model_of, picture

from leukctl.explaining import Settings, lime
from leukctl.explaining.maps import Superpixels


@pytest.mark.parametrize("kind", ["slic", "quickshift"])
def test_the_weights_and_r2_are_those_of_the_lime_package_on_the_same_samples(kind: str) -> None:
    model = model_of("standard_cnn", 64)
    image = picture(64)
    settings = Settings(batch_size=16, superpixels=kind, samples=60, seed=4)
    (heatmap,) = heatmaps(model, [image], "lime", [2], settings)
    found = heatmap.superpixels
    assert found is not None
    seed = lime.seed_of(image, 4)
    # Left to itself, the package segments by quick shift.
    more = {"segmentation_fn": lambda image: found.segments} if kind == "slic" else {}
    library = LimeImageExplainer(random_state=seed).explain_instance(
        image,
        lambda batch: model.probabilities(list(batch)),
        labels=(2,),
        top_labels=None,
        num_samples=60,
        batch_size=16,
        random_seed=seed,
        **more,
    )
    assert np.array_equal(found.segments, library.segments)
    wanted = dict(library.local_exp[2])
    near = 1e-5 * np.ptp(found.weights)
    assert np.allclose(found.weights, [wanted[i] for i in range(len(wanted))], rtol=0, atol=near)
    assert found.r2 == pytest.approx(library.score, abs=1e-6)
    assert heatmap.raw_max == pytest.approx(max(wanted.values()), abs=near)
    assert heatmap.raw_min == pytest.approx(min(wanted.values()), abs=near)
    assert heatmap.values.max() == 1.0


def test_an_image_has_one_explanation_whatever_else_is_explained_and_another_seed_another() -> None:
    model = model_of("standard_cnn", 64)
    images = [picture(64), picture(64)[:, ::-1].copy()]
    settings = Settings(samples=30)
    together = heatmaps(model, images, "lime", [0, 0], settings)
    (alone,) = heatmaps(model, images[1:], "lime", [0], settings)
    assert np.array_equal(alone.values, together[1].values)
    (other,) = heatmaps(model, images[1:], "lime", [0], Settings(samples=30, seed=1))
    assert not np.array_equal(other.values, alone.values)


def test_a_network_is_asked_about_the_size_it_takes_and_the_map_is_of_the_image() -> None:
    model = model_of("standard_cnn", 64)
    (heatmap,) = heatmaps(model, [picture(100)], "lime", [0], Settings(samples=20))
    assert heatmap.values.shape == (100, 100)
    assert heatmap.superpixels is not None
    assert set(np.unique(heatmap.superpixels.segments)) == set(
        range(len(heatmap.superpixels.weights))
    )


def test_a_fit_that_explains_little_is_flagged() -> None:
    model = model_of("standard_cnn", 64)
    random = np.random.default_rng(0)

    def noise(inputs: object) -> object:
        import torch

        return torch.from_numpy(random.normal(size=(len(inputs), 3))).float()

    (good,) = heatmaps(model, [picture(64)], "lime", [2], Settings(samples=300))
    assert good.superpixels is not None
    assert ("low-r2" in good.status) == (good.superpixels.r2 < 0.5)
    model.logits = noise  # type: ignore[method-assign]
    (bad,) = heatmaps(model, [picture(64)], "lime", [2], Settings(samples=300))
    assert bad.superpixels is not None
    assert bad.superpixels.r2 < 0.5
    assert bad.status.split("+")[-1] == "low-r2"


def test_an_image_of_one_color_has_an_answer_too() -> None:
    model = model_of("standard_cnn", 64)
    flat = np.full((64, 64, 3), 90, np.uint8)
    (heatmap,) = heatmaps(model, [flat], "lime", [0], Settings(samples=20))
    assert "blank" in heatmap.status
    assert np.isfinite(heatmap.raw_max)


def test_the_three_views_show_what_speaks_for_and_against() -> None:
    image = np.full((60, 60, 3), 100, np.uint8)
    image[0, 0] = 200  # lime colors with the largest value of the image
    segments = np.arange(9).reshape(3, 3).repeat(20, 0).repeat(20, 1)
    weights = np.array([0, 0.3, 0, -0.4, 0, 0, 0, 0, 0.1])
    hidden, positive, signed = lime.views(image, Superpixels(segments, weights, 0.9))
    at = {number: (10 + 20 * (number // 3), 10 + 20 * (number % 3)) for number in range(9)}
    assert [hidden[at[n]].tolist() for n in (1, 8)] == [[100] * 3] * 2
    assert [hidden[at[n]].tolist() for n in (0, 3, 4)] == [[0] * 3] * 3
    assert [positive[at[n]].tolist() for n in (1, 3, 4)] == [[100] * 3] * 3
    assert (positive != image).any()  # the outlines
    assert signed[at[1]].tolist() == [100, 200, 100]
    assert signed[at[3]].tolist() == [200, 100, 100]
