"""Random affine pictures: the geometry against libraries and slices, and the ranges of draws."""

import math

import cv2
import numpy as np
import pytest
from scipy import ndimage

from leukctl.balancing import warping
from leukctl.balancing.warping import Ranges, Warp
from leukctl.errors import ImageError, UsageError

FILLS = list(warping.FILLS)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def smooth(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / 9 + shift) * np.cos(y / 7 - shift) for shift in (0.0, 1.0, 2.0)]
    return np.round(127 + 120 * np.stack(waves, axis=2)).astype(np.uint8)


@pytest.mark.parametrize("side", [16, 15])
@pytest.mark.parametrize(("degrees", "turns"), [(0, 0), (90, 1), (180, 2), (-90, -1)])
@pytest.mark.parametrize("fill", FILLS)
def test_quarter_turns_are_those_of_numpy(side: int, degrees: int, turns: int, fill: str) -> None:
    rgb = noise(side, side)
    turned, mask = warping.apply(Warp(rotate=degrees), rgb, rgb[:, :, 0].copy(), fill)
    assert np.array_equal(turned, np.rot90(rgb, turns))
    assert np.array_equal(mask, np.rot90(rgb[:, :, 0], turns))


@pytest.mark.parametrize("flip", [(True, False), (False, True), (True, True)])
def test_flips_are_reversed_slices(flip: tuple[bool, bool]) -> None:
    rgb = noise(17, 20)
    made, _ = warping.apply(Warp(flip=flip), rgb)
    assert np.array_equal(made, rgb[:: -1 if flip[1] else 1, :: -1 if flip[0] else 1])


@pytest.mark.parametrize(("fill", "color"), [("black", 0), ("white", 255)])
def test_a_shift_by_whole_pixels_is_a_slice_on_the_fill(fill: str, color: int) -> None:
    rgb = noise(20, 30)
    made, mask = warping.apply(Warp(shift=(0.2, -0.1)), rgb, np.full((20, 30), 9, np.uint8), fill)
    expected = np.full_like(rgb, color)
    expected[:-2, 6:] = rgb[2:, :-6]
    assert np.array_equal(made, expected)
    assert np.array_equal(np.unique(mask[:-2, 6:]), [9])
    assert not mask[-2:].any()  # outside, no cell is known of
    assert not mask[:, :6].any()


@pytest.mark.parametrize(("fill", "mode"), [("reflect", "reflect"), ("edge", "edge")])
def test_what_comes_into_the_frame_is_that_of_numpy_s_padding(fill: str, mode: str) -> None:
    rgb = noise(20, 30)
    made, mask = warping.apply(Warp(shift=(0.2, -0.1)), rgb, rgb[:, :, 1].copy(), fill)
    padded = np.pad(rgb, ((0, 2), (6, 0), (0, 0)), mode=mode)
    assert np.array_equal(made, padded[2:, :30])
    assert np.array_equal(mask, padded[2:, :30, 1])


@pytest.mark.parametrize(("degrees", "zoom"), [(30, 1.0), (-40, 0.6), (12.5, 1.4)])
def test_rotation_and_zoom_are_opencv_s(degrees: float, zoom: float) -> None:
    oracle = cv2.getRotationMatrix2D((24.5, 14.5), degrees, zoom)
    assert np.allclose(warping.matrix(Warp(rotate=degrees, zoom=zoom), 50, 30), oracle)


def test_a_shear_slides_rows_by_their_distance_from_the_center() -> None:
    rgb = noise(9, 21)
    made, _ = warping.apply(Warp(shear=0.5), rgb, None, "black")
    for row in (0, 2, 4, 6, 8):  # those that slide by whole pixels
        slide = (row - 4) // 2
        expected = np.zeros((21, 3), np.uint8)
        expected[max(0, slide) : 21 + min(0, slide)] = rgb[row, max(0, -slide) : 21 - max(0, slide)]
        assert np.array_equal(made[row], expected)


@pytest.mark.parametrize(
    ("fill", "mode", "color"),
    [
        ("reflect", "mirror", 0),
        ("edge", "nearest", 0),
        ("black", "grid-constant", 0),
        ("white", "grid-constant", 255),
    ],
)
@pytest.mark.parametrize("seed", range(4))
def test_a_composition_takes_each_pixel_from_where_scipy_finds_it(
    fill: str, mode: str, color: int, seed: int
) -> None:
    rgb = smooth(60, 80)
    warp = warping.draw(Ranges(flip="both"), np.random.default_rng(seed))
    made, _ = warping.apply(warp, rgb, None, fill)
    # Back from the result to the picture: the last change is undone first.
    y, x = np.mgrid[:60, :80].astype(float)
    x, y = x - 39.5 - 80 * warp.shift[0], y - 29.5 - 60 * warp.shift[1]
    x, y = (-x if warp.flip[0] else x) / warp.zoom, (-y if warp.flip[1] else y) / warp.zoom
    turn = math.radians(warp.rotate)
    x, y = x * math.cos(turn) - y * math.sin(turn), x * math.sin(turn) + y * math.cos(turn)
    x = x - warp.shear * y
    where = np.stack([y + 29.5, x + 39.5])
    oracle = np.stack(
        [
            ndimage.map_coordinates(
                rgb[:, :, c].astype(float), where, order=1, mode=mode, cval=color
            )
            for c in range(3)
        ],
        axis=2,
    )
    assert np.abs(made.astype(float) - oracle).max() <= 2


def test_a_mask_goes_where_its_picture_goes() -> None:
    mask = np.zeros((90, 70), np.uint8)
    cv2.circle(mask, (30, 50), 18, 128, -1)
    cv2.circle(mask, (30, 50), 9, 255, -1)
    for seed in range(20):
        warp = warping.draw(Ranges(), np.random.default_rng(seed))
        rgb, made = warping.apply(warp, np.repeat(mask[:, :, None], 3, axis=2), mask)
        assert made is not None
        assert set(np.unique(made)) <= {0, 128, 255}
        differ = np.abs(rgb[:, :, 0].astype(int) - made) > 0
        assert differ.mean() < 0.08  # along the borders of the cell, which the picture blends


def test_draws_stay_in_their_ranges_and_use_them() -> None:
    ranges = Ranges(rotate=30, shear=0.2, zoom=0.3, shift=0.1, flip="both")
    random = np.random.default_rng(0)
    drawn = [warping.draw(ranges, random) for _ in range(20_000)]
    for values, low, high in (
        ([warp.rotate for warp in drawn], -30, 30),
        ([warp.shear for warp in drawn], -0.2, 0.2),
        ([warp.zoom for warp in drawn], 0.7, 1.3),
        ([warp.shift[0] for warp in drawn], -0.1, 0.1),
        ([warp.shift[1] for warp in drawn], -0.1, 0.1),
    ):
        assert low <= min(values) < low + 0.001 * (high - low)
        assert high - 0.001 * (high - low) < max(values) <= high
        # Uniform: its standard deviation is the width over the root of 12.
        assert np.std(values) == pytest.approx((high - low) / 12**0.5, rel=0.02)
    for axis in (0, 1):
        assert np.mean([warp.flip[axis] for warp in drawn]) == pytest.approx(0.5, abs=0.02)


def test_the_defaults_are_the_ranges_of_muduli_and_others() -> None:
    assert Ranges() == Ranges(40.0, 0.4, 0.4, 0.4, "horizontal", "reflect")
    drawn = [warping.draw(Ranges(), np.random.default_rng(seed)) for seed in range(200)]
    assert {warp.flip for warp in drawn} == {(False, False), (True, False)}


def test_one_range_can_be_changed_alone() -> None:
    one, other = (warping.draw(Ranges(shear=s), np.random.default_rng(1)) for s in (0.4, 0))
    assert other.shear == 0
    assert (one.rotate, one.zoom, one.flip, one.shift) == (
        *(other.rotate, other.zoom, other.flip, other.shift),
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"rotate": -1}, "--rotate -1: from 0 to 180"),
        ({"rotate": 181}, "--rotate 181"),
        ({"zoom": 1.0}, "--zoom 1: from 0 to 0.9"),
        ({"shear": math.nan}, "--shear nan"),
        ({"shift": math.inf}, "--shift inf"),
        (dict.fromkeys(("rotate", "shear", "zoom", "shift"), 0) | {"flip": "none"}, "nothing"),
    ],
)
def test_ranges_that_are_none_are_refused(given: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Ranges(**given)


def test_the_smallest_and_the_widest_pictures() -> None:
    for shape in ((1, 1, 3), (1, 40, 3), (40, 1, 3)):
        for fill in FILLS:
            made, _ = warping.apply(Warp(0.3, 33, 0.7), np.full(shape, 7, np.uint8), None, fill)
            assert made.shape == shape
    with pytest.raises(ImageError, match="40000x1 pixels"):
        warping.apply(Warp(rotate=3), np.zeros((1, 40_000, 3), np.uint8))
