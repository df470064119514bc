"""The operations of AugMix and RandAugment, and mixing: torchvision is what they are held to."""

import importlib

import cv2
import numpy as np
import pytest

from leukctl.runtime import torch, torchvision
from leukctl.training import distortions, mixing

v2 = importlib.import_module(f"{torchvision.__name__}.transforms.v2")


def names(space) -> dict[str, str]:
    """Return torchvision's name of each of our operations."""
    return {name: "".join(part.capitalize() for part in name.split("_")) for name in space}


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    """A smooth picture, uint8 (48, 40, 3), so that how a warp interpolates hardly matters."""
    noise = np.random.default_rng(0).integers(0, 256, (48, 40, 3), np.uint8)
    smooth = cv2.GaussianBlur(noise, (0, 0), 5)
    return cv2.normalize(smooth, None, 20, 230, cv2.NORM_MINMAX)


SPACES = {
    "augmix": (distortions.AUGMIX, v2.AugMix, 10),
    "randaugment": (distortions.RANDAUGMENT, v2.RandAugment, 31),
}


@pytest.mark.parametrize("regime", SPACES)
def test_the_operations_and_their_ranges_are_those_of_torchvision(regime: str) -> None:
    ours, theirs, bins = SPACES[regime]
    named = names(ours)
    assert set(named.values()) == set(theirs._AUGMENTATION_SPACE)
    for name, (_, range_, signed) in ours.items():
        magnitudes, is_signed = theirs._AUGMENTATION_SPACE[named[name]]
        amounts = magnitudes(bins, 48, 40)
        assert signed == is_signed
        for level in range(bins) if amounts is not None else ():
            assert range_(level / (bins - 1), 48, 40) == pytest.approx(
                float(amounts[level]), abs=1e-4
            )


@pytest.mark.parametrize("name", distortions.RANDAUGMENT)
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_an_operation_does_what_torchvision_does(
    image: np.ndarray, name: str, sign: int, strength: float
) -> None:
    operation, range_, signed = distortions.RANDAUGMENT[name]
    if sign < 0 and not signed:
        pytest.skip("this operation has no sign")
    amount = sign * range_(strength, 48, 40)
    tensor = torch.from_numpy(image).permute(2, 0, 1)
    expected = v2.RandAugment(interpolation="bilinear")._apply_image_or_video_transform(
        tensor, names({name: 0})[name], amount, v2.InterpolationMode.BILINEAR, {}
    )
    off = np.abs(operation(image, amount).astype(int) - expected.permute(1, 2, 0).numpy())
    # Rounding differs by one; at the border of a warp so does how black is mixed in.
    assert np.quantile(off, 0.95) <= 2
    assert off.mean() <= 1


class _Scripted:
    """A random stream that says what it is told."""

    def __init__(self, share: float, weights: list[float]) -> None:
        self.share = share
        self.weights = weights

    def beta(self, a: float, b: float) -> float:
        return self.share

    def dirichlet(self, alphas: list[float]) -> np.ndarray:
        return np.array(self.weights)

    def integers(self, low: int, high: int | None = None) -> int:
        # Chains of one operation, posterize, at the least strength.
        return 1 if high is not None else list(distortions.AUGMIX).index("posterize") % low

    def random(self) -> float:
        return 1.0


def test_augmix_mixes_the_image_with_its_chains_by_their_weights() -> None:
    image = np.full((4, 4, 3), 100, np.uint8)
    stream = _Scripted(0.4, [0.5, 0.5])
    mixed = distortions.augmix(image, stream, severity=1, width=2, alpha=1.0)  # type: ignore[arg-type]
    # Posterized to four bits, 100 is 96: 0.6 of the one and 0.4 of the other.
    assert np.unique(mixed).tolist() == [round(0.6 * 100 + 0.4 * 96)]


def test_randaugment_of_no_strength_and_augmix_of_no_share_hardly_change(
    image: np.ndarray,
) -> None:
    stream = _Scripted(0.0, [1.0])
    unchanged = distortions.augmix(image, stream, severity=1, width=1, alpha=1.0)  # type: ignore[arg-type]
    assert np.array_equal(unchanged, image)


def test_cutmix_mixes_labels_by_the_area_that_it_cuts() -> None:
    inputs = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 20, 30).contiguous()
    targets = torch.eye(4)
    partly = 0
    for seed in range(20):
        mix = mixing.cutmix(4, (20, 30), np.random.default_rng(seed), 1.0)
        mixed, soft = mix.mixed(inputs, targets, torch.from_numpy(mix.order))
        for row in range(4):
            share = (mixed[row, 0] == row).float().mean().item()
            assert mixed[row].unique().numel() <= 2
            if soft[row, row] < 1:
                assert soft[row, row].item() == pytest.approx(share, abs=1e-6)
                partly += 0 < share < 1
            assert soft[row].sum().item() == pytest.approx(1, abs=1e-6)
    assert partly > 20


def test_a_rectangle_is_where_torchvision_would_put_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stream:
        def __init__(self, values: list[int]) -> None:
            self.values = values

        def integers(self, high: int) -> int:
            return self.values.pop(0)

    theirs = v2.CutMix(num_classes=2)
    for kept, x, y in ((0.1, 3, 18), (0.5, 15, 10), (0.9, 29, 0)):
        drawn = [torch.tensor([x]), torch.tensor([y])]
        monkeypatch.setattr(torch, "randint", lambda *_, size, drawn=drawn: drawn.pop(0))
        monkeypatch.setattr(
            theirs, "_dist", type("D", (), {"sample": lambda self, s, k=kept: torch.tensor(k)})()
        )
        expected = theirs.make_params([torch.zeros(2, 3, 20, 30)])
        rows, columns = mixing.box(20, 30, kept, Stream([x, y]))  # type: ignore[arg-type]
        assert (columns.start, rows.start, columns.stop, rows.stop) == expected["box"]
