from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import color, draw, filters

from leukctl import images
from leukctl.preparing import masks

GROUND, RED, PALE, PURPLE = (240, 232, 205), (205, 165, 150), (190, 170, 205), (90, 45, 130)


def overlap(found: np.ndarray | None, truth: np.ndarray) -> float:
    shown = np.zeros(truth.shape, bool) if found is None else found.astype(bool)
    return float((shown & truth).sum() / (shown | truth).sum())


def smear(side: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a picture, its nucleus and its cell: one white cell that a red cell touches."""
    picture = np.full((side, side, 3), GROUND, np.uint8)
    unit = side / 200
    for center, radius in (((40, 40), 25), ((160, 60), 25), ((100, 167), 25), ((30, 150), 25)):
        picture[draw.disk((center[0] * unit, center[1] * unit), radius * unit)] = RED
    shown = np.zeros((2, side, side), bool)
    shown[1][draw.disk((100 * unit, 100 * unit), 43 * unit)] = True
    shown[0][draw.disk((95 * unit, 105 * unit), 24 * unit)] = True
    picture[shown[1]], picture[shown[0]] = PALE, PURPLE
    return picture, shown[0], shown[1]


@pytest.mark.parametrize("side", [120, 200, 700])
def test_a_drawn_nucleus_and_its_cell_are_found_without_the_red_cells(side: int) -> None:
    picture, inner, outer = smear(side)
    assert overlap(masks.nucleus(picture), inner) > 0.9
    assert overlap(masks.cell(picture), outer) > 0.9


def test_the_color_of_the_ground_does_not_matter() -> None:
    picture, inner, outer = smear()
    yellow = (picture * np.array([1.0, 0.97, 0.6])).astype(np.uint8)
    assert overlap(masks.nucleus(yellow), inner) > 0.9
    assert overlap(masks.cell(yellow), outer) > 0.9


def test_on_black_ground_the_cell_is_what_is_not_black() -> None:
    picture, inner, outer = smear()
    picture[~outer] = 3
    assert overlap(masks.cell(picture), outer) > 0.98
    assert overlap(masks.nucleus(picture), inner) > 0.9
    picture[outer] = PURPLE
    assert overlap(masks.nucleus(picture), outer) > 0.98


def test_red_cells_alone_hold_no_nucleus() -> None:
    picture, _, outer = smear()
    picture[outer] = GROUND
    assert masks.nucleus(picture) is None
    assert masks.cell(picture) is None


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (2, 300), (1, 5000), (30, 40)])
@pytest.mark.parametrize("value", [0, 128, 255])
def test_nothing_stands_out_of_one_color(shape: tuple[int, int], value: int) -> None:
    picture = np.full((*shape, 3), value, np.uint8)
    assert masks.nucleus(picture) is None
    assert masks.cell(picture) is None


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (3, 900), (64, 48)])
def test_masks_of_noise_are_bits_of_the_pictures_size(shape: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    for found in (masks.nucleus(picture), masks.cell(picture)):
        if found is not None:
            assert found.dtype == np.uint8
            assert found.shape == shape
            assert set(np.unique(found)) <= {0, 1}


def test_the_two_thresholds_are_those_of_scikit_image() -> None:
    values = np.random.default_rng(0).normal([0, 40, 90], 9, (500, 3)).astype(np.float32).ravel()
    truth = filters.threshold_multiotsu(values, classes=3, nbins=256)
    found = masks._two_thresholds(values)
    np.testing.assert_allclose(found, truth, atol=2)


def test_nuclei_and_cells_agree_with_the_experts(shared: Path) -> None:
    nuclei, cells = [], []
    for path in sorted((shared / "wbc-masks").glob("*.bmp")):
        truth = cv2.imread(str(path.with_suffix(".png")), cv2.IMREAD_GRAYSCALE)
        picture = images.read_rgb(path)
        nuclei.append(overlap(masks.nucleus(picture), truth == 255))
        cells.append(overlap(masks.cell(picture), truth > 0))
    assert len(nuclei) == 300
    assert np.mean(nuclei) >= 0.9
    assert np.mean(cells) >= 0.93


def test_every_barcelona_cell_holds_a_purple_nucleus(shared: Path) -> None:
    for folder in sorted((shared / "pbc" / "PBC_dataset_normal_DIB").iterdir()):
        for path in sorted(folder.iterdir())[:6]:
            picture = images.read_rgb(path)
            found, whole = masks.nucleus(picture), masks.cell(picture)
            assert found is not None, path
            assert whole is not None, path
            assert (whole >= found).all()
            lab = color.rgb2lab(picture)
            assert lab[found == 1, 1].mean() > lab[whole == 0, 1].mean() + 5, path
