"""Backbones: every name builds, weights load whole or not at all."""

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from leukctl import backbones, catalog
from leukctl.backbones import Network, Origin
from leukctl.backbones.network import Head
from leukctl.errors import UsageError, WeightsError
from leukctl.runtime import timm, torch

SMALL = "mobilenetv3_small_050"


def hub_folder(folder: Path, pad: str = "") -> Path:
    """Make a folder in the hub's layout with random weights of a small network of ten classes."""
    arguments = {"pad_type": pad} if pad else {}
    model = timm.create_model(SMALL, num_classes=10, **arguments)
    folder.mkdir()
    save_file(model.state_dict(), folder / "model.safetensors")
    config = {
        "architecture": SMALL,
        "num_classes": 10,
        "model_args": arguments,
        "pretrained_cfg": {
            "input_size": [3, 64, 64],
            "mean": [0.1, 0.2, 0.3],
            "std": [0.4, 0.5, 0.6],
            "classifier": "classifier",
        },
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("name", catalog.BACKBONES)
def test_every_name_of_the_catalog_is_a_model_of_timm(name: str) -> None:
    assert timm.is_model(backbones.resolve(name))


@pytest.mark.parametrize("name", ["mobilenet", "mobilenetv2", "standard_cnn", "efficientnet_b0"])
def test_a_backbone_gives_a_map_pooled_features_and_logits(name: str) -> None:
    backbone, spec = backbones.create(name, Origin(), 64)
    network = Network(backbone, 3, {"hidden": 8, "dropout": 0.1}, spec.input_size).eval()
    images = torch.zeros(2, 3, 64, 64)
    with torch.inference_mode():
        feature_map = network.feature_map(images)
        pooled = network.pool(feature_map)
        assert feature_map.ndim == 4
        assert pooled.shape == (2, network.features)
        assert torch.equal(network(images), network.head(pooled))
        assert network(images).shape == (2, 3)


def test_any_other_name_of_timm_stands_for_itself() -> None:
    assert backbones.resolve("resnet10t") == "resnet10t"
    assert backbones.resolve("resnet10t.c3_in1k") == "resnet10t.c3_in1k"


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="mobilenetv2"):
        backbones.resolve("mobilnetv2")


def test_the_standard_cnn_has_the_parameters_of_its_layers() -> None:
    by_hand = sum(9 * a * b + 2 * b for a, b in ((3, 32), (32, 64), (64, 128), (128, 256)))
    model = timm.create_model("leukctl_standard_cnn", num_classes=5)
    assert sum(p.numel() for p in model.parameters()) == by_hand + 256 * 5 + 5


def test_the_head_is_dropout_dense_relu_dropout_linear() -> None:
    kinds = [type(layer).__name__ for layer in Head(16, 4, hidden=8, dropout=0.3)]
    assert kinds == ["Dropout", "Linear", "ReLU", "Dropout", "Linear"]
    assert [type(layer).__name__ for layer in Head(16, 4)] == ["Dropout", "Linear"]


def test_images_too_small_for_a_network_are_refused() -> None:
    with pytest.raises(UsageError, match="8, 8"):
        Network(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 9)), 2, {}, (8, 8))


def test_hub_weights_give_the_features_that_timm_computes_from_them(tmp_path: Path) -> None:
    folder = hub_folder(tmp_path / "hub", pad="same")
    backbone, spec = backbones.create(SMALL, Origin(folder))
    oracle = timm.create_model(f"local-dir:{folder}", pretrained=True, num_classes=0)
    images = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(backbone.eval()(images), oracle.eval()(images))
    assert (spec.input_size, spec.mean, spec.std) == ((64, 64), (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert spec.model_args == {"pad_type": "same"}


def test_a_lone_safetensors_file_loads_as_the_folder_does(tmp_path: Path) -> None:
    folder = hub_folder(tmp_path / "hub")
    lone = tmp_path / "lone.safetensors"
    lone.write_bytes((folder / "model.safetensors").read_bytes())
    a, _ = backbones.create(SMALL, Origin(folder))
    b, spec = backbones.create(SMALL, Origin(lone))
    assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))
    assert spec.model_args == {}


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    folder = hub_folder(tmp_path / "hub")
    with pytest.raises(WeightsError, match=f"weights of {SMALL}, not of mobilenetv2_100"):
        backbones.create("mobilenetv2", Origin(folder))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: state.pop("conv_stem.weight"), "missing tensors: conv_stem.weight"),
        (lambda state: state.update(other=torch.ones(1)), "no place for: other"),
        (lambda state: state.update({"bn1.bias": torch.ones(3)}), r"bn1.bias \(3,\) for \(16,\)"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_the_names_of_their_tensors(
    tmp_path: Path, change, said: str
) -> None:
    folder = hub_folder(tmp_path / "hub")
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors")
    with pytest.raises(WeightsError, match=said):
        backbones.create(SMALL, Origin(folder))


@pytest.mark.parametrize("name", ["model.pth", "model.bin", "model.pkl"])
def test_a_pickle_is_never_opened(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"cos\nsystem\n(S'touch /tmp/owned'\ntR.")
    with pytest.raises(WeightsError, match="run code"):
        backbones.create(SMALL, Origin(tmp_path / name))


def test_a_torn_or_missing_weights_file_is_one_line(tmp_path: Path) -> None:
    folder = hub_folder(tmp_path / "hub")
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match="no whole safetensors file") as caught:
        backbones.create(SMALL, Origin(folder))
    assert "\n" not in str(caught.value)
    (folder / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match="no such weights file"):
        backbones.create(SMALL, Origin(folder))


def cache_of_the_hub(cache: Path, repo: str) -> None:
    """Make the hub's cache hold a repository with a small network's weights."""
    revision = "0" * 40
    home = cache / f"models--{repo.replace('/', '--')}"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text(revision)
    (home / "snapshots").mkdir()
    hub_folder(home / "snapshots" / revision)


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache of the hub, and a hub that answers nobody."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    return tmp_path / "cache"


@pytest.mark.parametrize("name", [SMALL, f"hf-hub:timm/{SMALL}.lamb_in1k"])
def test_pretrained_weights_come_from_the_hub_and_build_again_without_it(
    cache: Path, name: str
) -> None:
    cache_of_the_hub(cache, f"timm/{SMALL}.lamb_in1k")
    backbone, spec = backbones.create(name, Origin(pretrained=True))
    saved = next(cache.rglob("model.safetensors"))
    assert torch.equal(backbone.conv_stem.weight, load_file(saved)["conv_stem.weight"])
    assert spec.architecture == SMALL
    assert spec.weights_sha256 is not None
    (again,) = backbones.build([spec])
    again.load_state_dict(backbone.state_dict())


def test_a_hub_out_of_reach_is_one_line(cache: Path) -> None:
    with pytest.raises(WeightsError, match="--weights takes a folder") as caught:
        backbones.create("resnet10t", Origin(pretrained=True))
    assert "\n" not in str(caught.value)


def test_the_hub_is_asked_only_when_the_user_does(cache: Path) -> None:
    with pytest.raises(UsageError, match="--pretrained fetches it"):
        backbones.create("hf-hub:timm/resnet10t.c3_in1k", Origin())


def test_weights_that_the_hub_lacks_are_said(cache: Path) -> None:
    with pytest.raises(WeightsError, match="the hub has no weights of legacy_xception"):
        backbones.create("xception", Origin(pretrained=True))
