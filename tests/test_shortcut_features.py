"""What is measured of an image without its cells."""

import io

import cv2
import numpy as np
import pytest
from pictures import encoded
from PIL import Image
from skimage.color import rgb2lab

from leukctl import catalog, images
from leukctl.auditing import shortcut_features
from leukctl.auditing.shortcut_features import FILE_NUMBERS, describe, file_facts

RED_CELLS = np.array([(14, 20), (80, 16), (16, 78), (82, 80)])


def smear(ground=(235, 225, 210), nucleus=(95, 45, 140), radius=16, size=96, seed=0, shifts=0):
    """Return a drawn cell among pale ones, which lie about by ``shifts``, (4, 2)."""
    noise = np.random.default_rng(seed)
    picture = np.full((size, size, 3), ground, np.uint8)
    for x, y in (RED_CELLS + shifts).tolist():
        cv2.circle(picture, (x, y), 9, (220, 180, 175), -1, cv2.LINE_AA)
    cv2.circle(picture, (size // 2, size // 2), radius + 5, (190, 165, 205), -1, cv2.LINE_AA)
    cv2.circle(picture, (size // 2, size // 2), radius, nucleus, -1, cv2.LINE_AA)
    return np.clip(picture + noise.normal(0, 2, picture.shape), 0, 255).astype(np.uint8)


def facts(data, rgb=None):
    pixels = images.decode(data) if rgb is None else rgb
    return dict(zip(FILE_NUMBERS, file_facts(data, pixels).tolist(), strict=True))


def test_every_kind_of_the_catalog_but_the_source_is_described():
    found = describe(b"", smear())
    assert {*found, "source"} == set(catalog.SHORTCUTS)
    assert {values.dtype for values in found.values()} == {np.dtype(np.float32)}
    assert [len(found[kind]) for kind in ("color", "background")] == [18, 18]


def test_colors_are_the_moments_and_percentiles_of_lab():
    rgb = smear()
    lab = rgb2lab(rgb).reshape(-1, 3) * [2.55, 1, 1] + [0, 128, 128]
    expected = [
        np.concatenate([[channel.mean(), channel.std()], np.percentile(channel, [5, 25, 75, 95])])
        for channel in lab.T
    ]
    np.testing.assert_allclose(describe(b"", rgb)["color"], np.concatenate(expected), atol=1.2)


def test_the_background_does_not_know_the_cell():
    small, large = smear(), smear(nucleus=(40, 30, 120), radius=24)
    one, other = describe(b"", small), describe(b"", large)
    assert np.abs(one["background"] - other["background"]).max() <= 1.5
    assert np.abs(one["color"] - other["color"]).max() > 10


def test_the_background_is_what_lies_far_from_the_cell():
    # Red cells stand aside for a white one: what is near it tells its size.
    plain = smear()
    rows, columns = np.indices(plain.shape[:2])
    far = np.hypot(rows - 47.5, columns - 47.5)
    near = plain.copy()
    near[(far > 19) & (far < 31)] -= 12
    same = [describe(encoded(rgb, "PNG"), rgb)["background"] for rgb in (plain, near)]
    np.testing.assert_allclose(same[1], same[0], atol=1)


def test_the_background_knows_its_color():
    one, other = (describe(b"", smear(ground=ground)) for ground in ((235, 225, 210), (215,) * 3))
    # Only the last of L*, a* and b* tells yellow.
    assert one["background"][12] - other["background"][12] > 5


@pytest.mark.parametrize(
    "rgb",
    [
        np.full((96, 96, 3), 230, np.uint8),
        np.zeros((96, 96, 3), np.uint8),
        smear()[44:52, 44:52],
        smear()[:, :1],
    ],
    ids=["flat", "black", "tiny", "line"],
)
def test_where_no_cell_is_found_the_background_is_not_known(rgb):
    found = describe(b"", rgb)
    assert np.isnan(found["background"]).all()
    assert np.isfinite(found["color"]).all()
    assert np.isfinite(found["file"]).all()


def test_the_background_of_a_cell_on_black_is_black():
    rgb = smear()
    inside = cv2.circle(np.zeros((96, 96), np.uint8), (48, 48), 22, 1, -1)
    found = describe(b"", rgb * inside[..., None])["background"]
    assert found[:6].tolist() == [0] * 6


def test_a_large_frame_has_the_colors_of_its_small_self():
    rgb = smear()
    large = cv2.resize(rgb, (960, 960), interpolation=cv2.INTER_CUBIC)
    one, other = describe(b"", rgb), describe(b"", large)
    for kind in ("color", "background"):
        assert np.abs(one[kind] - other[kind]).max() < 3, kind


def test_quantization_of_a_jpeg_is_a_fact_of_the_file():
    rgb = smear()
    found = {quality: facts(encoded(rgb, "JPEG", quality=quality)) for quality in (60, 95)}
    with Image.open(io.BytesIO(encoded(rgb, "JPEG", quality=60))) as image:
        assert found[60]["luma"] == np.float32(np.mean(image.quantization[0]))
        assert found[60]["chroma"] == np.float32(np.mean(image.quantization[1]))
    assert found[60]["luma"] > 2 * found[95]["luma"]
    full = facts(encoded(rgb, "JPEG", quality=60, subsampling=0, progressive=True))
    assert (found[60]["subsampling"], found[60]["progressive"]) == (4, 0)
    assert (full["subsampling"], full["progressive"]) == (1, 1)


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM"])
def test_the_format_is_a_fact_of_the_file(format_):
    found = facts(encoded(smear(), format_))
    assert [name for name in shortcut_features.FORMATS if found[name]] == [format_]
    assert (found["width"], found["height"], found["aspect"], found["bits"]) == (96, 96, 1, 8)


def test_metadata_are_facts_of_the_file():
    exif = Image.Exif()
    exif[0x0110] = "microscope"
    plain, full = (
        facts(encoded(smear(), "JPEG", **options))
        for options in ({}, {"exif": exif, "dpi": (300, 300), "icc_profile": b"profile"})
    )
    names = ("exif", "dpi", "profile")
    assert [plain[name] for name in names] == [0, 0, 0]
    assert [full[name] for name in names] == [1, 300, 1]


def test_a_file_of_one_grey_channel_of_16_bits_is_told():
    found = facts(encoded(np.full((20, 30), 30000, np.uint16), "PNG"))
    assert (found["channels"], found["bits"], found["aspect"]) == (1, 16, 1.5)


def test_pixels_without_a_file_have_their_size_alone():
    found = facts(b"", smear()[:48])
    assert (found["width"], found["height"], found["aspect"]) == (96, 48, 2)
    assert not any(found[name] for name in shortcut_features.FORMATS)


def test_a_scale_bar_is_a_mark_at_its_border():
    rgb = smear(size=200)
    rgb[185:190, 150:190] = 255
    found = facts(b"", rgb)
    assert found["white bottom"] == pytest.approx(5 * 40 / (20 * 200))
    assert found["white right"] == pytest.approx(5 * 10 / (20 * 200))
    assert not any(value for name, value in found.items() if name.startswith("black"))
    rgb[185:190, 150:190] = (255, 0, 0)
    found = facts(b"", rgb)
    assert found["pure bottom"] == pytest.approx(5 * 40 / (20 * 200))
    assert found["white bottom"] == 0


def test_black_ground_is_no_mark_however_large_the_cell():
    found = []
    for radius in (30, 48):
        disk = cv2.circle(np.zeros((96, 96), np.uint8), (48, 48), radius, 1, -1)
        found.append(facts(b"", np.full((96, 96, 3), 150, np.uint8) * disk[..., None]))
    assert found[0] == found[1]
    assert found[0]["black ground"] == 1
    assert found[0]["black top"] == 0


def test_the_background_of_real_smears_is_what_experts_left_black(shared):
    photos = sorted((shared / "wbc-masks").glob("*.bmp"))[::15]
    assert len(photos) == 20
    for photo in photos:
        rgb = images.read_rgb(photo)
        ground = images.read_rgb(photo.with_suffix(".png"))[..., 0] == 0
        lightness = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)[..., 0]
        found = describe(b"", rgb)["background"][0]
        assert found == pytest.approx(lightness[ground].mean(), abs=4)
        assert found > lightness[~ground].mean() + 50
