"""Convolutions with their activation in one step: the same as one after the other."""

import copy
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from test_folding import _unlike_new

from leukctl.backbones import Origin, create
from leukctl.backbones.folding import fold
from leukctl.backbones.fused import ACTIVATIONS, FusedConv2d, operator
from leukctl.runtime import timm, torch

nn = torch.nn
SAME = timm.layers.Conv2dSame


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
@pytest.mark.parametrize(("kernel", "stride", "groups"), [(3, 1, 1), (3, 2, 4), (5, 2, 1)])
@pytest.mark.parametrize("kind", [nn.Conv2d, SAME])
def test_both_steps_in_one_give_what_they_give_in_turn(
    activation: type[nn.Module], kernel: int, stride: int, groups: int, kind: type[nn.Conv2d]
) -> None:
    torch.manual_seed(0)
    convolution = kind(4, 8, kernel, stride, groups=groups, padding=0 if kind is SAME else 1)
    fused = FusedConv2d(convolution, activation())
    for height, width in ((12, 17), (13, 10)):
        images = 3 * torch.randn(2, 4, height, width)
        with torch.inference_mode():
            wanted = activation()(convolution(images))
            assert wanted.min() < wanted.max()
            torch.testing.assert_close(fused(images), wanted, atol=1e-5, rtol=1e-5)
            with torch.autocast("cpu", torch.bfloat16):
                given, wanted = fused(images), activation()(convolution(images))
            assert given.dtype == wanted.dtype == torch.bfloat16
            torch.testing.assert_close(given, wanted, atol=0.05, rtol=0.02)


def test_a_dilated_kernel_is_padded_as_it_was() -> None:
    torch.manual_seed(0)
    convolution = SAME(4, 4, 3, 2, dilation=2)
    images = torch.randn(1, 4, 11, 12)
    with torch.inference_mode():
        given = FusedConv2d(convolution, nn.ReLU())(images)
        torch.testing.assert_close(given, convolution(images).relu())


def test_weights_that_change_are_taken_anew_and_copies_have_their_own() -> None:
    torch.manual_seed(0)
    fused = FusedConv2d(nn.Conv2d(3, 4, 3), nn.ReLU())
    images = torch.randn(1, 3, 8, 8)
    with torch.inference_mode():
        before = fused(images)
    other = copy.deepcopy(fused)
    with torch.no_grad():
        other.convolution.weight.neg_()
        other.convolution.bias.neg_()
        torch.testing.assert_close(other(images), other.convolution(images).relu())
        other.convolution.weight = nn.Parameter(torch.rand(4, 3, 3, 3))
        torch.testing.assert_close(other(images), other.convolution(images).relu())
        assert torch.equal(fused(images), before)


@pytest.mark.parametrize("build", ["without oneDNN", "without the operator", "without bf16"])
def test_without_the_operator_one_step_follows_the_other(
    build: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert operator(torch.float32) is not None
    if build == "without oneDNN":
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    else:
        there = {} if build == "without the operator" else {"_convolution_pointwise": print}
        monkeypatch.setattr(torch.ops, "mkldnn", SimpleNamespace(**there))
    kind = torch.bfloat16 if build == "without bf16" else torch.float32
    assert operator(kind) is None
    torch.manual_seed(0)
    convolution = SAME(3, 4, 3, 2)
    images = torch.randn(1, 3, 8, 8)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, kind == torch.bfloat16):
        given = FusedConv2d(convolution, nn.ReLU6())(images)
        assert torch.equal(given, convolution(images).clamp(0, 6))


def test_numbers_of_float64_stay_as_exact_as_they_are() -> None:
    torch.manual_seed(0)
    network = _unlike_new(timm.create_model("resnet18", num_classes=2)).double()
    images = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    folded = copy.deepcopy(network)
    fold(folded, (64, 64))
    with torch.inference_mode():
        torch.testing.assert_close(folded(images), network(images), atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"),
        lambda: nn.Conv2d(3, 4, 3, padding="same"),
    ],
)
def test_a_convolution_that_pads_otherwise_stays_apart(make: Callable[[], nn.Conv2d]) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(make(), nn.ReLU())
    images = torch.randn(1, 3, 8, 8)
    with torch.inference_mode():
        wanted = network(images)
    fold(network, (8, 8))
    with torch.inference_mode():
        assert torch.equal(network(images), wanted)


def test_a_gradient_passes_through() -> None:
    torch.manual_seed(0)
    convolution = SAME(3, 4, 3, 2)
    images = torch.randn(1, 3, 8, 8, requires_grad=True)
    (given,) = torch.autograd.grad(FusedConv2d(convolution, nn.ReLU6())(images).sum(), images)
    (wanted,) = torch.autograd.grad(convolution(images).clamp(0, 6).sum(), images)
    assert torch.equal(given, wanted)
    assert wanted.any()


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("mobilenetv2_100", 35),
        ("resnet18", 1 + 8),
        ("densenet121", 59),
        ("tf_efficientnetv2_b0", 39 + 16),  # with those of squeeze and excitation
    ],
)
def test_every_activation_that_follows_a_convolution_alone_is_taken_in(
    name: str, count: int
) -> None:
    for network in (timm.create_model(name, num_classes=2), create(name, Origin())[0]):
        fold(_unlike_new(network), (64, 64))
        assert sum(isinstance(module, FusedConv2d) for module in network.modules()) == count


class _Parts(nn.Module):
    """Convolutions with activations that can, and that cannot, be taken in."""

    def __init__(self) -> None:
        super().__init__()
        self.bare, self.after_bare = nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True)
        self.smooth, self.norm = (
            nn.Conv2d(4, 4, 1),
            timm.layers.BatchNormAct2d(4, act_layer=nn.GELU),
        )
        self.after_smooth = nn.ReLU()
        self.seen, self.after_seen = nn.Conv2d(4, 4, 1), nn.ReLU()
        self.added, self.after_added = nn.Conv2d(4, 4, 1), nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.after_smooth(self.norm(self.smooth(self.after_bare(self.bare(x)))))
        y = self.seen(x)
        y = self.after_seen(y) - y
        z = self.added(y)
        z += x
        return self.after_added(z)


def test_what_is_used_otherwise_too_stays_apart() -> None:
    torch.manual_seed(0)
    network = _unlike_new(_Parts())
    images = torch.randn(2, 3, 9, 9)
    with torch.inference_mode():
        wanted = network(images)
    assert fold(network, (9, 9)) == 1
    fused = [name for name, one in network.named_modules() if isinstance(one, FusedConv2d)]
    assert fused == ["bare"]
    with torch.inference_mode():
        torch.testing.assert_close(network(images), wanted)
