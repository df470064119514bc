from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import color, draw

from leukctl import catalog, images
from leukctl.errors import UsageError
from leukctl.preparing import DEFAULT_STEPS, Chain
from leukctl.preparing.operations import OPERATIONS
from leukctl.preparing.region import find_box

PURPLE, PINK, GROUND = (90, 40, 140), (225, 190, 195), (240, 235, 230)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def field(ground: tuple[int, int, int] = GROUND) -> np.ndarray:
    """Return a field with a purple nucleus at x 90..129, y 60..99, and red cells around."""
    picture = np.full((200, 240, 3), ground, np.uint8)
    for center in ((30, 30), (150, 60), (40, 200), (160, 190)):
        picture[draw.disk(center, 24)] = PINK
    picture[60:100, 90:130] = PURPLE
    return picture


def test_operations_and_catalog_name_the_same_steps() -> None:
    assert set(OPERATIONS) == set(catalog.STEPS)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("", ""),
        ("resize:256,zoom:0.6,resize:224", "resize:256,zoom:0.6,resize:224"),
        (" resize:224x224 , zoom:0.60", "resize:224,zoom:0.6"),
        ("resize:size=32x64,zoom:1.0", "resize:32x64,zoom:1"),
        ("roi", "roi:margin=0.1:minarea=0.01"),
        ("roi:0:0.5", "roi:margin=0:minarea=0.5"),
        ("roi:minarea=1e-3", "roi:margin=0.1:minarea=0.001"),
    ],
)
def test_canonical_text_reads_back_to_the_same_chain(text: str, canonical: str) -> None:
    assert str(Chain.parse(text)) == canonical
    assert Chain.parse(canonical) == Chain.parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("resize:8,zom:0.6", r"unknown step 'zom:0.6' .*did you mean zoom\?"),
        ("resize:8,,zoom:1", "unknown step ''"),
        ("resize", "lacks its size"),
        ("resize:0", "'resize:0': size must be .* not '0'"),
        ("resize:99999", "size must be"),
        ("resize:2x", "size must be"),
        ("zoom:0", "factor must be a number above 0"),
        ("zoom:1.01", "factor must be"),
        ("zoom:nan", "factor must be"),
        ("zoom:half", "factor must be"),
        ("zoom:0.5:0.5", "more parameters than 1"),
        ("zoom:0.5:factor=0.5", "factor is given twice"),
        ("roi:edge=1", r"unknown parameter 'edge' \(known: margin, minarea, mask\)"),
    ],
)
def test_a_wrong_step_is_named_in_one_line(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        Chain.parse(text)
    assert "\n" not in str(caught.value)


def test_the_default_can_be_read() -> None:
    assert str(Chain.parse(DEFAULT_STEPS)) == DEFAULT_STEPS


def test_shrinking_averages_areas() -> None:
    picture = noise(8, 12)
    blocks = picture.reshape(4, 2, 4, 3, 3).mean(axis=(1, 3))
    small, _, notes = Chain.parse("resize:4x4").apply(picture)
    np.testing.assert_allclose(small, blocks, atol=0.51)
    assert notes == []


def test_enlarging_is_close_to_pillows_bicubic() -> None:
    picture = np.asarray(Image.fromarray(noise(6, 6)).resize((24, 24), Image.Resampling.BILINEAR))
    large, _, _ = Chain.parse("resize:48").apply(picture)
    truth = np.asarray(Image.fromarray(picture).resize((48, 48), Image.Resampling.BICUBIC), float)
    assert np.abs(large - truth).mean() < 1.5


def test_zoom_keeps_the_middle() -> None:
    picture = noise(10, 20)
    middle, mask, _ = Chain.parse("zoom:0.5").apply(picture, picture[:, :, 0])
    np.testing.assert_array_equal(middle, picture[2:7, 5:15])
    np.testing.assert_array_equal(mask, picture[2:7, 5:15, 0])
    assert Chain.parse("zoom:0.001").apply(picture)[0].shape == (1, 1, 3)


def test_masks_follow_their_pictures_and_gain_no_values() -> None:
    picture = field()
    mask = np.where((picture == PURPLE).all(axis=2), 255, 0).astype(np.uint8)
    mask[70:90, 100:120] = 128
    out, cut, _ = Chain.parse("roi:0.2,resize:100x80,zoom:0.9,resize:64").apply(picture, mask)
    assert cut is not None
    assert out.shape[:2] == cut.shape == (64, 64)
    assert set(np.unique(cut)) == {0, 128, 255}
    purple = np.abs(out.astype(int) - PURPLE).sum(axis=2) < 217  # half way to the ground
    for seen, drawn in zip(np.nonzero(purple), np.nonzero(cut), strict=True):
        np.testing.assert_allclose([drawn.min(), drawn.max()], [seen.min(), seen.max()], atol=1)
        assert drawn.mean() == pytest.approx(seen.mean(), abs=0.1)


@pytest.mark.parametrize("light", [1.0, 0.6])
def test_region_is_the_nucleus_among_red_cells(light: float) -> None:
    picture = (field() * light).astype(np.uint8)
    box = find_box(picture, 0.01)
    np.testing.assert_allclose(box, (90, 60, 130, 100), atol=3)
    cropped, _, notes = Chain.parse("roi:0.5").apply(picture)
    assert notes == []
    np.testing.assert_allclose(cropped.shape[:2], (80, 80), atol=6)


def test_region_on_black_ground_is_the_cell() -> None:
    picture = np.zeros((200, 240, 3), np.uint8)
    picture[draw.ellipse(90, 100, 40, 30)] = (150, 100, 160)
    picture[draw.disk((90, 100), 12)] = PURPLE
    np.testing.assert_allclose(find_box(picture, 0.01), (71, 51, 130, 130), atol=2)


def test_margin_stops_at_the_frame() -> None:
    picture = np.full((60, 60, 3), GROUND, np.uint8)
    picture[:30, :30] = PURPLE
    cropped, _, _ = Chain.parse("roi:2").apply(picture)
    assert cropped.shape == (60, 60, 3)


@pytest.mark.parametrize(
    "picture",
    [
        np.full((50, 60, 3), GROUND, np.uint8),
        np.zeros((50, 60, 3), np.uint8),
        np.repeat(noise(50, 60)[:, :, :1], 3, axis=2),
        np.full((1, 1, 3), PURPLE, np.uint8),
        np.full((1, 300, 3), PURPLE, np.uint8),
    ],
    ids=["ground", "black", "grey", "pixel", "line"],
)
def test_without_a_region_the_whole_frame_is_kept_and_said(picture: np.ndarray) -> None:
    out, _, notes = Chain.parse("roi").apply(picture)
    np.testing.assert_array_equal(out, picture)
    assert notes == ["roi: no stained region, whole frame kept"]


def test_a_region_below_the_smallest_area_does_not_count() -> None:
    picture = field()  # its nucleus fills a thirtieth
    assert find_box(picture, 0.03) is not None
    assert find_box(picture, 0.05) is None


def test_region_holds_the_nuclei_that_experts_drew(shared: Path) -> None:
    whole = 0
    cells = sorted((shared / "wbc-masks").glob("*.bmp"))
    for path in cells:
        mask = images.read_rgb(path.with_suffix(".png"))[:, :, 0]
        _, cut, notes = Chain.parse("roi").apply(images.read_rgb(path), mask)
        assert cut is not None
        whole += not notes and (cut == 255).sum() >= 0.99 * (mask == 255).sum()
    assert len(cells) == 300
    assert whole >= 297


def test_region_finds_something_smaller_than_the_frame_in_real_fields(shared: Path) -> None:
    for folder in sorted((shared / "pbc" / "PBC_dataset_normal_DIB").iterdir()):
        for path in sorted(folder.iterdir())[:3]:
            rgb = images.read_rgb(path)
            cropped, _, notes = Chain.parse("roi").apply(rgb)
            lab = color.rgb2lab(cropped)
            assert notes == []
            assert cropped.size < 0.5 * rgb.size
            # What was cut to is more purple than the frame it was cut from.
            frame = color.rgb2lab(rgb)
            assert (lab[..., 1] - lab[..., 2]).mean() > (frame[..., 1] - frame[..., 2]).mean()
