"""Heatmaps: the same as those of pytorch-grad-cam and lime on the same input."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leukctl import catalog, cli, explaining, explanations, runtime
from leukctl.backbones import Network, Origin, create
from leukctl.errors import UsageError
from leukctl.explaining import maps, panels
from leukctl.explaining.gradcam import gradcam
from leukctl.explaining.scorecam import scorecam
from leukctl.images import Rgb
from leukctl.inference import NetworkPredictor
from leukctl.runs import Run
from leukctl.runtime import torch


def model_of(name: str, size: int) -> NetworkPredictor:
    """Return a network with random weights whose answers depend on the image."""
    torch.manual_seed(1)
    backbone, spec = create(name, Origin(), size)
    network = Network(backbone, 3, {"hidden": 0, "dropout": 0.0}, spec.input_size)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.3, 0.3)
    # Mostly positive, so that no class has a map that is negative everywhere.
    torch.nn.init.uniform_(network.head[-1].weight, -0.3, 1.0)
    run = Run("network", ["a", "b", "c"], [spec], {}, None, {}, "", 0)
    return NetworkPredictor(run, network, runtime.compute("cpu", "fp32", 2))


def picture(size: int) -> Rgb:
    """Return an image with something to see."""
    random = np.random.default_rng(3)
    image = random.integers(150, 200, (size, size, 3), np.uint8)
    image[size // 4 : size // 2, size // 3 : size // 2] = (90, 30, 140)
    return image


# The module of each network that its maps look at.
LAST = {
    "mobilenetv2": lambda net: net.bn2,
    "resnet50": lambda net: net.layer4[-1],
    "densenet121": lambda net: net.features.norm5,
    "standard_cnn": lambda net: net.features[3][2],
    "alexnet": lambda net: net.features[11],
    "vit_small_dino": lambda net: net.blocks[-1].norm1,
}


def laid_out(name: str, size: int):
    """Return how the library is told to lay out the tokens of a transformer as a map."""
    if name != "vit_small_dino":
        return None
    return lambda x: x[:, 1:].reshape(1, size // 16, size // 16, -1).permute(0, 3, 1, 2)


# The library keeps every masked image's activations, so its Score-CAM is tried on the small ones.
@pytest.mark.parametrize(
    ("method", "name"),
    [
        *(("gradcam", name) for name in LAST),
        ("scorecam", "mobilenetv2"),
        ("scorecam", "standard_cnn"),
    ],
)
@pytest.mark.slow
def test_maps_are_those_of_grad_cam(method: str, name: str) -> None:
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    model = model_of(name, 96)
    image = picture(96)
    library = runtime.pytorch_grad_cam
    kind = {"gradcam": library.GradCAM, "scorecam": library.ScoreCAM}[method]
    layers = [LAST[name](model.network.backbone)]
    with kind(model.network, layers, reshape_transform=laid_out(name, 96)) as oracle:
        for target in (0, 2) if method == "gradcam" else (2,):
            wanted = oracle(model.inputs([image]), [ClassifierOutputTarget(target)])[0]
            given = explaining.METHODS[method](model, image, target, explaining.Settings(64))
            assert given.status == "ok"
            assert np.ptp(wanted) > 0.9
            assert np.abs(given.values - wanted).max() <= 1e-3


def test_a_map_with_its_channels_last_is_turned_around() -> None:
    model = model_of("swin_tiny_patch4_window7_224", 96)
    inputs = model.inputs([picture(96)])
    with torch.inference_mode():
        wanted = model.network.backbone.forward_features(inputs)  # (1, 3, 3, 768)
    given, gradient = maps.look(model, inputs, "gradcam", 0)
    assert given.shape == gradient.shape == (1, 768, 3, 3)
    assert torch.equal(given[0, :, 2, 0], wanted[0, 2, 0])


def test_looking_into_a_network_leaves_it_as_it_was() -> None:
    model = model_of("standard_cnn", 64)
    image = picture(64)
    before = model.probabilities([image])
    gradcam(model, image, 0)
    assert torch.is_grad_enabled()
    assert not any(module._forward_hooks for module in model.network.modules())
    assert all(parameter.grad is None for parameter in model.network.parameters())
    assert np.array_equal(model.probabilities([image]), before)


def test_a_map_has_the_size_of_the_prepared_image_and_its_range() -> None:
    model = model_of("standard_cnn", 64)
    image = np.ascontiguousarray(picture(150)[:, :90])
    heatmap = gradcam(model, image, 1)
    assert heatmap.values.shape == (150, 90)
    assert heatmap.values.dtype == np.float32
    assert (heatmap.values.min(), heatmap.values.max()) == pytest.approx((0, 1), abs=1e-6)
    assert heatmap.raw_max > heatmap.raw_min >= 0


def test_scorecam_does_not_depend_on_its_batches_and_counts_constant_channels() -> None:
    model = model_of("standard_cnn", 64)
    with torch.no_grad():  # half of the channels are dead, as after an unlucky training
        last = model.network.backbone.features[-1]
        last[1].weight[:128] = 0.0
        last[1].bias[:128] = -1.0
    image = picture(64)
    seen: list[int] = []
    whole = scorecam(model, image, 0, 256, seen.append)
    parts = scorecam(model, image, 0, 17)
    assert sum(seen) <= 128
    assert np.abs(whole.values - parts.values).max() < 1e-4


def test_a_blank_map_is_flagged_and_no_division_by_zero() -> None:
    blank = maps.from_activations(np.zeros((4, 4), np.float32), (8, 8), "x")
    assert (blank.status, float(blank.values.sum())) == ("blank", 0.0)
    broken = maps.from_activations(np.full((4, 4), np.nan, np.float32), (8, 8), "x")
    assert (broken.status, float(broken.values.sum())) == ("nan", 0.0)


def test_lime_weights_are_those_of_the_lime_package_on_the_same_samples() -> None:
    from lime.lime_image import LimeImageExplainer

    from leukctl.explaining import lime

    model = model_of("standard_cnn", 64)
    image = picture(64)
    ours = lime.fit(model, image, 1, samples=60, batch_size=16, seed=4)
    library = LimeImageExplainer(random_state=4).explain_instance(
        image,
        lambda batch: model.probabilities(list(batch)),
        labels=(1,),
        top_labels=None,
        num_samples=60,
        batch_size=16,
        segmentation_fn=lime.superpixels,
        random_seed=4,
    )
    assert np.array_equal(ours.segments, library.segments)
    assert [place for place, _ in ours.local_exp[1]] == [p for p, _ in library.local_exp[1]]
    weights, wanted = ([w for _, w in e.local_exp[1]] for e in (ours, library))
    assert np.allclose(weights, wanted, atol=1e-6)
    heatmap = lime.lime(model, image, 1, samples=60, batch_size=16, seed=4)
    assert heatmap.raw_max == pytest.approx(max(wanted), abs=1e-6)
    assert heatmap.raw_min == pytest.approx(min(wanted), abs=1e-6)
    assert heatmap.values.max() == 1.0


def test_the_registry_holds_the_methods_of_the_catalog() -> None:
    assert list(explaining.METHODS) == list(catalog.METHODS)
    assert list(panels._COLORMAPS) == list(catalog.COLORMAPS)


@pytest.mark.parametrize(("name", "size"), [("mixer_s32_224", 64), ("crossvit_tiny_240", 240)])
def test_a_network_without_a_map_points_to_lime(name: str, size: int) -> None:
    model = model_of(name, size)
    with pytest.raises(UsageError, match="lime needs none"):
        gradcam(model, picture(size), 0)


def test_colors_are_those_of_matplotlib() -> None:
    import matplotlib

    values = np.linspace(0, 1, 256, dtype=np.float32)[None]
    for name in ("viridis", "turbo", "magma"):
        wanted = matplotlib.colormaps[name](values, bytes=True)[:, :, :3]
        assert np.abs(panels.color(values, name).astype(int) - wanted).max() <= 2


def test_an_overlay_shows_the_image_where_the_map_is_zero() -> None:
    image = picture(64)
    values = np.zeros((64, 64), np.float32)
    values[:32] = 1
    shown = panels.overlay(image, values, "viridis")
    assert np.array_equal(shown[32:], image[32:])
    wanted = 0.4 * image[:32] + 0.6 * panels.color(values, "viridis")[:32]
    assert np.abs(shown[:32] - wanted).max() <= 0.5 + 1e-9


def explain(*arguments: object) -> int:
    """Run ``leukctl explain``."""
    return cli.main(["explain", *map(str, arguments)])


def test_one_image_gives_one_picture(trained: Path, squares: Path, tmp_path: Path) -> None:
    image = squares.parent / "test" / "red-0.png"
    output = tmp_path / "why [1].png"
    assert explain(trained, image, "--methods", "gradcam,scorecam", "-o", output) == 0
    shown = np.array(Image.open(output))
    assert shown.shape[1] > 3 * 224
    assert shown.shape[0] > 2 * 224
    assert list(tmp_path.iterdir()) == [output]


def test_a_manifest_gives_a_folder(trained: Path, squares: Path, tmp_path: Path) -> None:
    table = tmp_path / "m.csv"
    lines = squares.read_text().splitlines()
    table.write_text("\n".join([lines[0], *lines[-2:]]) + "\n")
    folder = tmp_path / "maps"
    assert explain(trained, table, "--methods", "gradcam,lime", "--samples", 20, "-o", folder) == 0
    with open(folder / "explanations.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["method"] for row in rows] == ["gradcam", "lime"] * 2
    assert {row["model"] for row in rows} == {"small"}
    for row, one in zip(rows, explanations.read(folder), strict=True):
        values = explanations.heatmap(one)
        assert values.shape == (40, 40)
        assert (folder / row["panel"]).is_file()
        assert float(row["raw_min"]) <= float(row["raw_max"])
    assert len(list(folder.iterdir())) == 1 + 2 * len(rows)


def test_images_of_one_name_do_not_overwrite_each_other(
    trained: Path, squares: Path, tmp_path: Path
) -> None:
    source = (squares.parent / "test" / "red-0.png").read_bytes()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cell.png").write_bytes(source)
    folder = tmp_path / "maps"
    assert explain(trained, tmp_path / "one", tmp_path / "two", "-o", folder) == 0
    assert len({one.file for one in explanations.read(folder)}) == 2


def test_explanations_are_not_replaced_unasked(
    trained: Path, squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "maps"
    one, two = (squares.parent / "test" / name for name in ("red-0.png", "blue-0.png"))
    assert explain(trained, one, "-o", folder) == 0
    assert explain(trained, two, "-o", folder) == 2
    assert "--force" in capsys.readouterr().err
    assert explain(trained, two, "-o", folder, "--force") == 0
    assert sorted(path.name for path in folder.iterdir()) == [
        "blue-0.gradcam.npy",
        "blue-0.gradcam.png",
        "explanations.csv",
    ]


def test_a_bad_image_among_many_is_named_and_the_rest_done(
    trained: Path, squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"")
    good = squares.parent / "test" / "red-0.png"
    assert explain(trained, bad, good, "-o", tmp_path / "maps") == 1
    assert "bad.png: empty file" in capsys.readouterr().err
    assert [Path(one.path).name for one in explanations.read(tmp_path / "maps")] == ["red-0.png"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--methods", "gradcamm"], "unknown method 'gradcamm'"),
        (["--target", "green"], "the model's classes are blue, red"),
        (["--target", "label"], "column label"),
    ],
)
def test_what_cannot_be_explained_is_one_line(
    trained: Path, squares: Path, tmp_path: Path, capsys, arguments: list[str], said: str
) -> None:
    image = squares.parent / "test" / "red-0.png"
    assert explain(trained, image, *arguments, "-o", tmp_path / "x.png") == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_several_images_are_no_single_picture(
    trained: Path, squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain(trained, squares.parent / "test", "-o", tmp_path / "x.png") == 2
    assert "8 images" in capsys.readouterr().err
