from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import color

from leukctl import images
from leukctl.errors import InputError
from leukctl.preparing import Chain, masks, stain

AZURE, EOSIN = np.array([0.70, 0.64, 0.32]), np.array([0.20, 0.90, 0.39])


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def smear(
    first: np.ndarray = AZURE,
    second: np.ndarray = EOSIN,
    light: tuple[float, float, float] = (250, 240, 230),
    strength: float = 1.0,
) -> np.ndarray:
    """Return a picture of known amounts of two stains: each alone, all mixtures, and ground."""
    across, down = np.meshgrid(np.linspace(0, 1, 60), np.linspace(0, 1, 60))
    amounts = strength * np.stack([across * 1.2, down * 1.6])
    amounts[:, :20] = 0
    amounts[1, 20:32], amounts[0, 32:44] = 0, 0
    stains = np.stack([unit(first), unit(second)], axis=1)
    density = np.einsum("cs,shw->hwc", stains, amounts)
    # As the operation counts light: one more than the value, so that black has a density.
    return np.clip(np.rint((np.array(light) + 1) * np.exp(-density) - 1), 0, 255).astype(np.uint8)


def by_singular_vectors(rgb: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Return the two stains, (2, 3), found another way: SVD, and angles measured by cosine."""
    density = np.log(light + 1) - np.log(rgb.reshape(-1, 3) + 1.0)
    tissue = density[density.mean(axis=1) >= 0.15]
    _, _, axes = np.linalg.svd(tissue - tissue.mean(axis=0), full_matrices=False)
    plane = axes[:2] * np.sign(axes[:2].sum(axis=1))[:, None]
    flat = tissue @ plane.T
    middle = flat.sum(axis=0) / np.linalg.norm(flat.sum(axis=0))
    side = np.array([-middle[1], middle[0]])
    turn = np.sign(flat @ side) * np.arccos(
        np.clip(flat @ middle / np.linalg.norm(flat, axis=1), -1, 1)
    )
    ends = [np.cos(t) * middle + np.sin(t) * side for t in np.percentile(turn, [1, 99])]
    found = np.array(ends) @ plane
    return found[np.argsort(-found[:, 0])]


def test_known_stains_amounts_and_ground_are_found() -> None:
    reference = np.array(stain.fit_macenko(smear()))
    np.testing.assert_allclose(reference[:3], unit(AZURE), atol=0.02)
    np.testing.assert_allclose(reference[3:6], unit(EOSIN), atol=0.02)
    np.testing.assert_allclose(reference[6:8], [1.2, 1.6], atol=0.06)
    np.testing.assert_allclose(reference[8:], [250, 240, 230], atol=1)


def test_the_stains_of_real_cells_are_those_that_singular_vectors_give(shared: Path) -> None:
    for folder in sorted((shared / "pbc" / "PBC_dataset_normal_DIB").iterdir()):
        rgb = images.read_rgb(sorted(folder.iterdir())[0])
        reference = np.array(stain.fit_macenko(rgb))
        truth = by_singular_vectors(rgb, reference[8:])
        np.testing.assert_allclose(reference[:6].reshape(2, 3), truth, atol=2e-3)


def test_a_picture_is_kept_by_its_own_reference() -> None:
    picture = smear()
    out = stain.macenko(picture, stain.fit_macenko(picture), beta=0.15, alpha=1.0)
    np.testing.assert_allclose(out, picture, atol=4)


def test_two_laboratories_stains_become_one() -> None:
    other = smear(
        np.array([0.6, 0.7, 0.4]), np.array([0.1, 0.95, 0.3]), light=(210, 225, 235), strength=0.7
    )
    reference = stain.fit_macenko(smear())
    out = stain.macenko(other, reference, beta=0.15, alpha=1.0)
    assert np.abs(other.astype(int) - smear()).mean() > 15
    assert np.abs(out.astype(int) - smear()).mean() < 1


def test_real_nuclei_and_grounds_of_two_stains_come_closer(shared: Path) -> None:
    cells = sorted((shared / "wbc-masks").glob("*.bmp"))[::12]
    chain = Chain.parse("stain:macenko")
    spread = []
    for prepare in (lambda rgb: rgb, lambda rgb: chain.apply(rgb)[0]):
        seen = []
        for path in cells:
            rgb = images.read_rgb(path)
            truth = images.read_rgb(path.with_suffix(".png"))[:, :, 0]
            lab = color.rgb2lab(prepare(rgb))
            seen.append([*lab[truth == 255].mean(axis=0), *lab[truth == 0].mean(axis=0)])
        spread.append(np.std(seen, axis=0)[[1, 2, 4, 5]])  # a* and b* of nuclei and of ground
    assert (spread[1] < spread[0]).all()
    assert spread[1].sum() < 0.4 * spread[0].sum()


def test_reinhard_gives_the_references_moments() -> None:
    picture = (80 + smear(light=(200, 190, 180)) * 0.3).astype(np.uint8)
    reference = (60.0, 8.0, -6.0, 7.0, 4.0, 5.0)
    lab = color.rgb2lab(stain.reinhard(picture, reference))
    np.testing.assert_allclose(lab.mean(axis=(0, 1)), reference[:3], atol=0.3)
    np.testing.assert_allclose(lab.std(axis=(0, 1)), reference[3:], atol=0.3)


@pytest.mark.parametrize("method", ["macenko", "reinhard"])
def test_black_ground_stays_black_and_counts_for_nothing(method: str) -> None:
    inner = smear()
    framed = np.zeros((120, 120, 3), np.uint8)
    framed[30:90, 30:90] = inner
    larger = np.zeros((200, 200, 3), np.uint8)
    larger[70:130, 70:130] = inner
    out, _, notes = Chain.parse(f"stain:{method}").apply(framed)
    assert notes == []
    assert not out[:30].any()
    assert masks.on_black(out)
    again, _, _ = Chain.parse(f"stain:{method}").apply(larger)
    np.testing.assert_array_equal(out[30:90, 30:90], again[70:130, 70:130])


@pytest.mark.parametrize(
    ("picture", "macenko", "reinhard"),
    [
        (np.full((30, 30, 3), 255, np.uint8), "no tissue", "one color alone"),
        (np.zeros((30, 30, 3), np.uint8), "nothing but black", "nothing but black"),
        (smear()[30:32, :], "one stain alone", None),
    ],
    ids=["white", "black", "one stain"],
)
def test_what_has_no_stains_is_kept_and_said(
    picture: np.ndarray, macenko: str, reinhard: str | None
) -> None:
    for method, reason in (("macenko", macenko), ("reinhard", reinhard)):
        out, _, notes = Chain.parse(f"stain:{method}").apply(picture)
        if reason is not None:
            assert notes == [f"stain: {reason}, picture kept"]
            np.testing.assert_array_equal(out, picture)


@pytest.mark.parametrize("method", ["macenko", "reinhard"])
def test_a_chain_carries_its_reference_without_the_file(method: str, tmp_path: Path) -> None:
    file = tmp_path / "reference.png"
    Image.fromarray(smear(light=(200, 210, 220))).save(file)
    chain = Chain.parse(f"stain:{method}:reference={file}")
    file.unlink()
    text = str(chain)
    assert str(tmp_path) not in text
    assert Chain.parse(text) == chain
    np.testing.assert_array_equal(
        Chain.parse(text).apply(smear())[0], chain.apply(smear())[0], strict=True
    )
    assert str(Chain.parse(f"stain:{method}")) != text


def test_a_reference_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.png: no reference for stain:macenko"):
        Chain.parse("stain:macenko:reference=nowhere.png")
    white = tmp_path / "white.png"
    Image.new("RGB", (20, 20), "white").save(white)
    with pytest.raises(InputError, match=r"white\.png: .*\(no tissue\)"):
        Chain.parse(f"stain:macenko:reference={white}")
