"""Backbones: every name builds, weights load whole or not at all."""

import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from leukctl import backbones, catalog, cli, runtime
from leukctl.backbones import Network, Origin
from leukctl.backbones.network import Head
from leukctl.errors import UsageError, WeightsError
from leukctl.explaining import Explainer, Settings
from leukctl.inference import NetworkPredictor
from leukctl.runs import Run
from leukctl.runtime import timm, torch, torchvision

# Learned parameters with a head of 1000 classes, as torchvision's and Keras' documentation print
# them (Keras' without the statistics of BatchNorm; Inception without its auxiliary head).
PUBLISHED = {
    "alexnet": 61_100_840,
    "densenet121": 7_978_856,
    "densenet169": 14_149_480,
    "densenet201": 20_013_928,
    "efficientnet_b0": 5_288_548,
    "efficientnetv2_b0": 7_139_704,
    "googlenet": 6_624_904,
    "inception_v3": 23_834_568,
    "mobilenet": 4_231_976,
    "mobilenetv2": 3_504_872,
    "nasnet_mobile": 5_289_978,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "xception": 22_855_952,
}
# Pixels that are enough for a network and quick.
TINY = {"alexnet": 96, "inception_v3": 96, "xception": 96}
DINOV2 = "vit_small_patch14_dinov2"
SMALL = "mobilenetv3_small_050"


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Small images leave threads little to share, and much to wait for on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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


def explained(name: str, size: int):
    """Build a backbone, and a model of it; return the spec, the network and a Grad-CAM map."""
    torch.manual_seed(2)
    backbone, spec = backbones.create(name, Origin(), size)
    network = Network(backbone, 3, {}, spec.input_size)
    # Mostly positive, so that no class has a map that is negative everywhere.
    torch.nn.init.uniform_(network.head[-1].weight, -0.3, 1.0)
    run = Run("network", ["a", "b", "c"], [spec], {}, None, {}, "", 0)
    model = NetworkPredictor(run, network, runtime.compute("cpu", "fp32", 1))
    image = np.random.default_rng(1).integers(0, 256, (size, size, 3), np.uint8)
    explainer = Explainer(model, ["gradcam"], Settings())
    return model, explainer.explain(explainer.see([image]), [(0, 1)])["gradcam"][0]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if facts.parameters > 50e6 else ())
        for name, facts in catalog.BACKBONE_FACTS.items()
    ],
)
def test_every_backbone_is_what_the_catalog_says_and_can_be_explained(name: str) -> None:
    facts = catalog.BACKBONE_FACTS[name]
    size = TINY.get(name, 56)
    model, heatmap = explained(name, size)
    backbone = model.network.backbone
    assert len(backbones.stages(backbone)) == facts.stages
    assert model.network.cam_layer == heatmap.layer == facts.cam_layer
    assert heatmap.values.shape == (size, size)
    assert np.isfinite(heatmap.values).all()
    assert heatmap.status in ("ok", "border", "blank", "constant")
    if name in PUBLISHED:
        head = 1000 * (model.network.features + 1)
        assert facts.parameters + head == PUBLISHED[name]


@pytest.mark.parametrize("name", catalog.BACKBONES)
def test_the_sizes_of_the_catalog_are_those_of_the_networks(name: str) -> None:
    with torch.device("meta"):
        backbone, spec = backbones.create(name, Origin())
    parameters = sum(parameter.numel() for parameter in backbone.parameters())
    assert parameters == catalog.BACKBONE_FACTS[name].parameters
    assert spec.input_size == (catalog.BACKBONE_FACTS[name].input_size,) * 2
    assert all(0 < mean < 1 for mean in spec.mean)


def test_the_facts_are_of_the_backbones_of_the_catalog() -> None:
    assert list(catalog.BACKBONE_FACTS) == list(catalog.BACKBONES)


@pytest.mark.parametrize(
    "name", [*catalog.BACKBONES, "convnext_atto", "swin_tiny_patch4_window7_224"]
)
def test_stages_share_out_parameters_and_statistics_and_each_learns_something(name: str) -> None:
    with torch.device("meta"):
        backbone = timm.create_model(backbones.resolve(name), num_classes=0)
    stages = backbones.stages(backbone)
    assert all(stage.parameters for stage in stages)
    shared_out = [id(parameter) for stage in stages for parameter in stage.parameters]
    assert sorted(shared_out) == sorted(id(parameter) for parameter in backbone.parameters())
    kept = {id(module) for stage in stages for module in stage.modules}
    norms = [m for m in backbone.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    assert kept.issuperset(map(id, norms))


# What the last and the first stage are, by the names of modules.
@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("resnet50", ("conv1", "bn1"), ("layer4",)),
        (
            "mobilenetv2",
            ("conv_stem", "bn1", "blocks.0"),
            ("blocks.5", "blocks.6", "conv_head", "bn2"),
        ),
        (
            "vgg16",
            ("features.0", "features.2"),
            ("features.24", "features.26", "features.28", "pre_logits"),
        ),
        ("xception", ("conv1", "bn1", "conv2", "bn2"), ("conv3", "bn3", "conv4", "bn4")),
        (
            "densenet121",
            ("features.conv0", "features.norm0"),
            ("features.transition3", "features.denseblock4", "features.norm5"),
        ),
        (
            "vit_small_dino",
            ("cls_token", "pos_embed", "patch_embed", "blocks.0"),
            ("blocks.11", "norm"),
        ),
    ],
)
def test_the_first_and_last_stages_are_the_ones_a_reader_expects(name, first, last) -> None:
    with torch.device("meta"):
        backbone = timm.create_model(backbones.resolve(name), num_classes=0)
    stages = backbones.stages(backbone)
    for stage, expected in ((stages[0], first), (stages[-1], last)):
        own = set(map(id, stage.parameters))
        wanted = {
            id(parameter)
            for full, parameter in backbone.named_parameters()
            if any(f"{full}.".startswith(f"{prefix}.") for prefix in expected)
        }
        assert own == wanted


def test_nasnet_mobile_has_the_shapes_of_its_paper() -> None:
    model = timm.create_model("leukctl_nasnet_mobile").eval()
    shapes = {}
    for name in ("cell_stem_1", "cell_3", "cell_9", "cell_15"):
        model.get_submodule(name).register_forward_hook(
            lambda module, given, output, name=name: shapes.update({name: tuple(output.shape[1:])})
        )
    with torch.inference_mode():
        assert model(torch.zeros(1, 3, 224, 224)).shape == (1, 1000)
    # 4 @ 1056: six times 44 filters, doubled where the size is halved; a cell of the stem has 4.
    assert shapes == {
        "cell_stem_1": (88, 28, 28),
        "cell_3": (264, 28, 28),
        "cell_9": (528, 14, 14),
        "cell_15": (1056, 7, 7),
    }


@pytest.mark.parametrize("name", ["alexnet", "googlenet"])
def test_torchvisions_weights_give_the_answers_of_torchvision(tmp_path: Path, name: str) -> None:
    torch.manual_seed(3)
    more = {"transform_input": True, "init_weights": False} if name == "googlenet" else {}
    oracle = getattr(torchvision.models, name)(**more)  # GoogLeNet with its auxiliary heads
    file = tmp_path / "weights.safetensors"
    save_file(oracle.state_dict(), file)
    backbone, spec = backbones.create(name, Origin(file))
    oracle.eval()
    if name == "alexnet":
        oracle.classifier[6] = torch.nn.Identity()
    else:
        oracle.fc = torch.nn.Identity()
    rgb = torch.rand(2, 3, 96, 96)

    def normalized(mean, std):
        return (rgb - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)

    with torch.inference_mode():
        wanted = oracle(normalized((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
        given = backbone.eval()(normalized(spec.mean, spec.std))
    assert torch.allclose(given, wanted, atol=1e-5)
    assert wanted.std() > 0


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


def test_a_folder_stands_for_its_network_and_weights_as_it_does_for_timm(tmp_path: Path) -> None:
    name = f"local-dir:{hub_folder(tmp_path / 'hub', pad='same')}"
    backbone, spec = backbones.create(name, backbones.origin_of(name, None, False))
    oracle = timm.create_model(name, pretrained=True, num_classes=0)
    images = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(backbone.eval()(images), oracle.eval()(images))
    assert (spec.architecture, spec.model_args) == (SMALL, {"pad_type": "same"})
    with pytest.raises(UsageError, match="weights of its own"):
        backbones.origin_of(name, None, True)


def transformer_folder(folder: Path, architecture: str, size: int, **more: torch.Tensor) -> Path:
    """Make a folder in the hub's layout with a random transformer for images of ``size``."""
    model = timm.create_model(architecture, num_classes=0, img_size=size)
    torch.nn.init.normal_(model.pos_embed)
    folder.mkdir()
    save_file({**model.state_dict(), **more}, folder / "model.safetensors")
    config = {"architecture": architecture, "num_classes": 0, "model_args": {"img_size": size}}
    config["pretrained_cfg"] = {"input_size": [3, size, size], "num_classes": 0}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_dinobloom_loads_in_the_layout_of_dinov2(tmp_path: Path) -> None:
    folder = transformer_folder(tmp_path / "s", DINOV2, 224, mask_token=torch.zeros(1, 384))
    backbone, spec = backbones.create("dinobloom_s", Origin(folder))
    state = load_file(folder / "model.safetensors")
    assert torch.equal(backbone.pos_embed, state["pos_embed"])
    assert backbone.pos_embed.shape == (1, 1 + 16 * 16, 384)
    assert spec.input_size == (224, 224)
    (again,) = backbones.build([spec])
    again.load_state_dict(backbone.state_dict())


@pytest.mark.parametrize(
    ("name", "architecture", "old", "new"),
    [("test_vit", "test_vit", 96, 64), ("dinobloom_s", DINOV2, 112, 56)],
)
def test_positions_are_resampled_to_another_size_as_timm_does(
    tmp_path: Path, name: str, architecture: str, old: int, new: int
) -> None:
    folder = transformer_folder(tmp_path / "vit", architecture, old)
    backbone, spec = backbones.create(name, Origin(folder), new)
    oracle = timm.create_model(f"local-dir:{folder}", pretrained=True, num_classes=0, img_size=new)
    assert spec.input_size == (new, new)
    assert spec.model_args == {"img_size": [new, new]}
    images = torch.rand(2, 3, new, new)
    with torch.inference_mode():
        assert torch.allclose(backbone.eval()(images), oracle.eval()(images), atol=1e-6)
    assert backbones.build([spec])[0].pos_embed.shape == oracle.pos_embed.shape


def test_patches_of_another_size_are_refused(tmp_path: Path) -> None:
    folder = transformer_folder(tmp_path / "vit", "vit_small_patch16_224", 224)
    (folder / "config.json").unlink()
    with pytest.raises(WeightsError, match=r"patch_embed.proj.weight \(384, 3, 16, 16\) for"):
        backbones.create("dinobloom_s", Origin(folder))


@pytest.mark.parametrize("name", ["vit_small_dino", "swin_tiny_patch4_window7_224"])
def test_a_transformer_takes_the_size_that_it_is_told(name: str) -> None:
    backbone, spec = backbones.create(name, Origin(), 64)
    assert Network(backbone, 2, {}, spec.input_size)(torch.zeros(1, 3, 64, 64)).shape == (1, 2)


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


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_under_another_name_is_refused_as_one(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "model.safetensors"
    torch.save({"a": torch.zeros(3)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(WeightsError, match=r"model\.safetensors: a pickle under another name"):
        backbones.create("mobilenetv2", Origin(path))


def test_a_plain_pickle_of_python_is_refused_as_one(tmp_path: Path) -> None:
    import pickle

    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        (tmp_path / "x.safetensors").write_bytes(pickle.dumps({"a": [1, 2]}, protocol))
        with pytest.raises(WeightsError, match="a pickle under another name"):
            backbones.create("mobilenetv2", Origin(tmp_path / "x.safetensors"))


def test_a_damaged_file_whose_header_has_a_pickles_length_is_no_pickle(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes((0x0280).to_bytes(8, "little") + b'{"a"')
    with pytest.raises(WeightsError, match="no whole safetensors file"):
        backbones.create("mobilenetv2", Origin(path))


def test_a_folder_with_nothing_but_a_pickle_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(WeightsError, match=r"pytorch_model\.bin may run code when it is read"):
        backbones.create(SMALL, Origin(tmp_path))


def test_weights_that_do_not_fit_leave_the_network_as_it_was(tmp_path: Path) -> None:
    from leukctl.backbones.weights import load_strictly, read_weights

    folder = hub_folder(tmp_path / "hub")
    state = load_file(folder / "model.safetensors")
    state["conv_head.weight"] = torch.ones(1)
    save_file(state, folder / "model.safetensors")
    model = timm.create_model(SMALL, num_classes=0)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(WeightsError, match=r"conv_head\.weight"):
        load_strictly(model, read_weights(folder), "classifier")
    assert all(torch.equal(before[name], now) for name, now in model.state_dict().items())


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


@pytest.mark.parametrize("name", ["nasnet_mobile", "alexnet", "googlenet", "dinobloom_b"])
def test_our_own_networks_have_no_weights_on_the_hub(cache: Path, name: str) -> None:
    with pytest.raises(WeightsError, match=f"the hub has no weights of leukctl_{name}"):
        backbones.create(name, Origin(pretrained=True))


@pytest.fixture
def hub(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A stand-in of the hub on this machine, with one repository; gives what it was asked for."""
    folder = hub_folder(tmp_path / "served")
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            asked.append(self.path)
            name = self.path.rpartition("/")[2]
            known = self.path.startswith("/someone/small/resolve/") and (folder / name).exists()
            data = (folder / name).read_bytes() if known else b""
            self.send_response(200 if known or self.path == "/" else 404)
            self.send_header("ETag", f'"{name}"')
            self.send_header("X-Repo-Commit", "1" * 40)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if body:
                self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        monkeypatch.setattr(
            "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE",
            f"{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}",
        )
        yield asked
        server.shutdown()


def test_weights_are_fetched_over_the_network_once(hub: list[str], tmp_path: Path) -> None:
    name = "hf-hub:someone/small@v2"
    backbone, spec = backbones.create(name, Origin(pretrained=True))
    wanted = load_file(tmp_path / "served" / "model.safetensors")
    assert torch.equal(backbone.conv_stem.weight, wanted["conv_stem.weight"])
    assert spec.architecture == SMALL
    assert "/someone/small/resolve/v2/model.safetensors" in hub
    hub.clear()
    backbones.create(name, Origin(pretrained=True))
    assert hub == []


def test_a_repository_that_the_hub_lacks_is_one_line(hub: list[str]) -> None:
    with pytest.raises(WeightsError, match="someone/else could not be fetched") as caught:
        backbones.create("hf-hub:someone/else", Origin(pretrained=True))
    assert "\n" not in str(caught.value)


def test_training_from_the_hub_without_a_network_ends_with_one_line(
    cache: Path, squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["train", str(squares), "--backbone", "mobilenetv2", "--pretrained"]
    assert cli.main([*line, "-o", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert "could not be fetched" in said[0]
    assert not (tmp_path / "run").exists()


def test_the_list_of_backbones_needs_no_torch_and_goes_to_standard_output() -> None:
    code = (
        "import sys; from leukctl import cli; status = cli.main(['train', '--list-backbones']); "
        "sys.exit(status or any(name in sys.modules for name in ('torch', 'numpy', 'cv2')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(catalog.BACKBONES)
    assert lines[0].split()[0] == "name"
    mobile = next(line for line in lines if line.startswith("nasnet_mobile "))
    assert mobile.split()[1:] == ["leukctl_nasnet_mobile", "4.2", "M", "224", "5", "act"]
    assert done.stderr == ""
