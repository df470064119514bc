from itertools import product

import cv2
import numpy as np
import pytest
from scipy import ndimage
from skimage import color, draw, exposure, restoration

from leukctl import catalog
from leukctl.errors import UsageError
from leukctl.preparing import Chain, recipes
from leukctl.preparing.chain import Step
from leukctl.preparing.operations import OPERATIONS
from leukctl.preparing.region import find_box

PURPLE, PINK, GROUND = (90, 40, 140), (225, 190, 195), (240, 235, 230)
NEEDED = {"resize": ["9x7"], "zoom": ["0.5"]}


def every_step() -> list[str]:
    """Return each operation with each of its choices, once."""
    steps = []
    for name, operation in OPERATIONS.items():
        choices = [p for p in operation.parameters if p.known and p.only is None]
        for picked in product(*(p.known for p in choices)):
            named = [f"{p.name}={value}" for p, value in zip(choices, picked, strict=True)]
            steps.append(":".join([name, *NEEDED.get(name, []), *named]))
    return steps


def smooth_noise(height: int = 60, width: int = 80) -> np.ndarray:
    rng = np.random.default_rng(0)
    return ndimage.gaussian_filter(
        rng.integers(0, 256, (height, width, 3)).astype(float), (2, 2, 0)
    ).astype(np.uint8)


def run(steps: str, picture: np.ndarray) -> np.ndarray:
    out, _, notes = Chain.parse(steps).apply(picture)
    assert notes == []
    return out


def cell() -> np.ndarray:
    picture = np.full((120, 160, 3), GROUND, np.uint8)
    picture[draw.disk((40, 40), 20)] = PINK
    picture[draw.ellipse(70, 100, 24, 30)] = PURPLE
    return picture


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("step", every_step())
def test_any_picture_comes_out_as_a_picture_and_its_mask_with_it(step: str) -> None:
    shapes = [(1, 1), (1, 9), (9, 1), (2, 3), (40, 30)]
    pictures = [np.full((*shape, 3), value, np.uint8) for shape in shapes for value in (0, 99, 255)]
    pictures += [np.random.default_rng(0).integers(0, 256, (*s, 3), np.uint8) for s in shapes]
    for picture in [*pictures, cell()]:
        before = picture.copy()
        out, mask, notes = Chain.parse(step).apply(picture, picture[:, :, 0])
        assert mask is not None
        assert out.dtype == mask.dtype == np.uint8
        assert out.shape == (*mask.shape, 3)
        assert out.flags.c_contiguous
        assert all("\n" not in note for note in notes)
        np.testing.assert_array_equal(picture, before)


@pytest.mark.parametrize("step", every_step())
def test_every_step_reads_back_from_its_canonical_text(step: str) -> None:
    chain = Chain.parse(step)
    assert Chain.parse(str(chain)) == chain
    assert str(Chain.parse(str(chain))) == str(chain)
    assert str(chain).isascii()


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("denoise:median", "denoise:median:size=3"),
        ("denoise:median:5", "denoise:median:size=5"),
        ("denoise:size=5:method=median", "denoise:median:size=5"),
        ("denoise:nlm:h=10", "denoise:nlm:h=10:hcolor=3:template=7:search=21"),
        ("resize:224:fit=exact", "resize:224"),
        ("resize:224:pad", "resize:224:fit=pad"),
        ("resize:9x8:fit=pad:fill=black", "resize:9x8:fit=pad:fill=black"),
        ("square:pad", "square"),
        ("roi:mask=black:level=9", "roi:margin=0.1:minarea=0.01:mask=black:level=9"),
        (
            "segment:hsv:hue=300-20+40.50-60",
            "segment:hsv:hue=300-20+40.5-60:saturation=0.4-1:value=0-0.75",
        ),
        ("contrast:stretch:high=99.5", "contrast:stretch:low=1:high=99.5"),
    ],
)
def test_choices_decide_which_parameters_are_written(text: str, canonical: str) -> None:
    assert str(Chain.parse(text)) == canonical


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("denoise", "lacks its method: write denoise:median or denoise:gaussian or denoise:nlm"),
        ("denoise:mean", "method must be one of median, gaussian, nlm, not 'mean'"),
        ("denoise:median:sigma=1", r"unknown parameter 'sigma' \(known: method, size\)"),
        ("denoise:median:size=4", "size must be a whole number that is odd"),
        ("denoise:median:5:7", "more parameters than 2"),
        ("resize:9:fill=black", r"unknown parameter 'fill' \(known: size, fit\)"),
        ("roi:hue=1-2", r"unknown parameter 'hue' \(known: margin, minarea, mask\)"),
        ("segment:hsv:hue=10", "hue must be LOW-HIGH between 0 and 360"),
        ("segment:hsv:hue=0-361", "hue must be"),
        ("segment:hsv:value=0.9-0.1", "value must be LOW-HIGH between 0 and 1, LOW first"),
        ("contrast:stretch:low=50", "low must be a number from 0 up to 50"),
        ("stain:macenko:reference=1/2", "reference must be an image file, or 11 numbers"),
    ],
)
def test_a_parameter_of_another_choice_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Chain.parse(text)


def test_padding_keeps_the_aspect_and_stands_in_the_middle() -> None:
    picture = np.full((40, 80, 3), GROUND, np.uint8)
    picture[10:30, 20:60] = PURPLE
    mask = np.full((40, 80), 7, np.uint8)
    out, around, _ = Chain.parse("resize:160:fit=pad").apply(picture, mask)
    assert out.shape == (160, 160, 3)
    assert around is not None
    np.testing.assert_array_equal(around[:, 0] == 7, (np.arange(160) // 40) % 3 > 0)
    np.testing.assert_array_equal(out[0, 0], GROUND)
    np.testing.assert_array_equal(out[80, 80], PURPLE)
    ys, xs = np.nonzero((np.abs(out.astype(int) - PURPLE) < 60).all(axis=2))
    np.testing.assert_allclose([ys.min(), ys.max(), xs.min(), xs.max()], [60, 99, 40, 119], atol=1)
    for fill, value in (("black", 0), ("white", 255)):
        assert (run(f"resize:160:fit=pad:fill={fill}", picture)[0] == value).all()


def test_square_pads_or_crops_around_the_middle() -> None:
    picture = np.arange(4 * 7 * 3, dtype=np.uint8).reshape(4, 7, 3)
    mask = picture[:, :, 0] + np.uint8(1)
    np.testing.assert_array_equal(run("square:crop", picture), picture[:, 1:5])
    out, around, _ = Chain.parse("square:fill=white").apply(picture, mask)
    np.testing.assert_array_equal(out[1:5], picture)
    assert (out[[0, 5, 6]] == 255).all()
    assert around is not None
    assert (around[[0, 5, 6]] == 0).all()
    np.testing.assert_array_equal(run("square", picture[:, :4]), picture[:, :4])


def test_median_is_scipys() -> None:
    picture = smooth_noise()
    truth = ndimage.median_filter(picture, (5, 5, 1), mode="nearest")
    np.testing.assert_array_equal(run("denoise:median:5", picture), truth)


def test_gaussian_is_scipys() -> None:
    picture = smooth_noise()
    truth = ndimage.gaussian_filter(picture.astype(float), (2, 2, 0), mode="mirror")
    np.testing.assert_allclose(run("denoise:gaussian:2", picture), truth, atol=2)


def test_non_local_means_removes_noise_and_keeps_edges_as_scikit_images_does() -> None:
    clean = cell()[20:110, 40:150]
    noise = np.random.default_rng(0).normal(0, 8, clean.shape)
    noisy = np.clip(clean + noise, 0, 255).astype(np.uint8)
    quiet = run("denoise:nlm:h=8:hcolor=8", noisy)
    truth = restoration.denoise_nl_means(
        noisy, patch_size=7, patch_distance=10, h=8, sigma=8, channel_axis=2, preserve_range=True
    )

    def error(picture: np.ndarray) -> float:
        return float(np.sqrt(np.mean((picture.astype(float) - clean) ** 2)))

    assert error(quiet) < 0.5 * error(noisy)
    assert error(quiet) < 2 * error(truth)


def test_equalization_works_on_lightness_alone() -> None:
    flat = (90 + smooth_noise() * 0.2).astype(np.uint8)
    out = run("contrast:clahe", flat)
    before, after = color.rgb2lab(flat), color.rgb2lab(out)
    assert after[..., 0].std() > 1.3 * before[..., 0].std()
    np.testing.assert_allclose(after[..., 1:], before[..., 1:], atol=5)


def test_stretch_is_scikit_images_rescaling() -> None:
    picture = (60 + smooth_noise() * 0.4).astype(np.uint8)
    low, high = np.percentile(picture, [2, 95])
    truth = exposure.rescale_intensity(picture, (low, high), (0, 255))
    np.testing.assert_allclose(run("contrast:stretch:2:95", picture), truth, atol=1)


def test_without_contrast_nothing_is_stretched_and_it_is_said() -> None:
    picture = np.full((9, 9, 3), 77, np.uint8)
    out, _, notes = Chain.parse("contrast:stretch").apply(picture)
    np.testing.assert_array_equal(out, picture)
    assert notes == ["contrast: no contrast to stretch, picture kept"]


def test_emboss_lights_the_slopes_and_keeps_flats() -> None:
    picture = np.full((9, 9, 3), 100, np.uint8)
    picture[:, 5:] = 110
    out = run("emboss", picture)
    # By hand, next to the step: -1 -2 and +1 +2 from the columns beside it, 10 brighter by 3.
    row = [100, 100, 100, 100, 100 + 3 * 10, 110 + 3 * 10, 110, 110, 110]
    np.testing.assert_array_equal(out[4, :, 0], row)
    np.testing.assert_array_equal(run("emboss:0.5", picture)[4, 4], [115] * 3)


def test_segmentation_keeps_the_colors_inside_the_interval() -> None:
    picture = np.zeros((1, 6, 3), np.uint8)
    for place, (hue, saturation, value) in enumerate(
        [(300, 0.8, 0.6), (20, 0.8, 0.6), (350, 0.8, 0.6), (300, 0.1, 0.6), (300, 0.8, 0.9)]
    ):
        hsv = np.array([[[hue / 360, saturation, value]]])
        picture[0, place] = np.rint(color.hsv2rgb(hsv)[0, 0] * 255)
    kept = (run("segment:hsv:hue=280-320", picture) > 0).any(axis=2)[0]
    np.testing.assert_array_equal(kept, [True, False, False, False, False, False])
    kept = (run("segment:hsv:hue=340-30", picture) > 0).any(axis=2)[0]
    np.testing.assert_array_equal(kept, [False, True, True, False, False, False])
    kept = (run("segment:hsv:hue=10-30+290-310:saturation=0-1", picture) > 0).any(axis=2)[0]
    np.testing.assert_array_equal(kept, [True, True, False, True, False, False])


@pytest.mark.parametrize("by", ["hsv", "nucleus", "cell"])
def test_segmentation_leaves_the_cell_on_black_and_without_one_the_picture(by: str) -> None:
    picture = cell()
    shown = (run(f"segment:{by}", picture) > 0).any(axis=2)
    truth = (picture == PURPLE).all(axis=2)
    assert (shown & truth).sum() / (shown | truth).sum() > 0.9
    ground = np.full((30, 40, 3), GROUND, np.uint8)
    out, _, notes = Chain.parse(f"segment:{by}").apply(ground)
    np.testing.assert_array_equal(out, ground)
    said = "nothing of that color" if by == "hsv" else f"no {by} found"
    assert notes == [f"segment: {said}, picture kept"]


@pytest.mark.parametrize("mask", ["auto", "otsu", "hsv", "nucleus", "cell"])
def test_every_mask_finds_the_box_of_the_cell(mask: str) -> None:
    picture = cell()
    values = Chain.parse(f"roi:mask={mask}").steps[0].values
    masking = {key: value for key, value in values.items() if key not in ("margin", "minarea")}
    box = find_box(picture, 0.01, **masking)
    np.testing.assert_allclose(box, (71, 47, 130, 94), atol=3)


def test_on_black_ground_the_box_is_that_of_what_is_brighter_than_the_level() -> None:
    picture = np.zeros((100, 100, 3), np.uint8)
    picture[20:80, 30:70] = 30
    picture[40:60, 40:60] = 120
    for steps, box in (("roi:0:mask=black", (60, 40)), ("roi:0:mask=black:level=50", (20, 20))):
        assert run(steps, picture).shape[:2] == box
    assert run("roi:0:mask=otsu", picture).shape[:2] == (20, 20)


def test_noise_goes_after_the_crop_where_a_region_follows_non_local_means() -> None:
    noise = np.random.default_rng(0).normal(0, 6, cell().shape)
    picture = np.clip(cell() + noise, 0, 255).astype(np.uint8)
    quiet = {"h": 3, "hColor": 3, "templateWindowSize": 7, "searchWindowSize": 21}

    def nlm(rgb: np.ndarray) -> np.ndarray:
        bgr = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2BGR)
        return cv2.cvtColor(cv2.fastNlMeansDenoisingColored(bgr, None, **quiet), cv2.COLOR_BGR2RGB)

    crop = picture_in_box(picture)
    np.testing.assert_array_equal(run("denoise:nlm,roi", picture), nlm(crop))
    large = cv2.resize(nlm(crop), (200, 200), interpolation=cv2.INTER_CUBIC)
    np.testing.assert_array_equal(run("denoise:nlm,roi,resize:200", picture), large)
    small = nlm(cv2.resize(crop, (32, 32), interpolation=cv2.INTER_AREA))
    np.testing.assert_array_equal(run("denoise:nlm,roi,resize:32", picture), small)
    # Where something stands between, the order is as written.
    np.testing.assert_array_equal(
        run("denoise:nlm,resize:32", picture),
        cv2.resize(nlm(picture), (32, 32), interpolation=cv2.INTER_AREA),
    )


def picture_in_box(picture: np.ndarray) -> np.ndarray:
    """Return what ``roi`` cuts out of the picture's median."""
    height, width = picture.shape[:2]
    across = np.tile(np.arange(width, dtype=np.uint8), (height, 1))
    down = np.tile(np.arange(height, dtype=np.uint8)[:, None], (1, width))
    _, columns, _ = Chain.parse("denoise:median,roi").apply(picture, across)
    _, rows, _ = Chain.parse("denoise:median,roi").apply(picture, down)
    assert rows is not None
    assert columns is not None
    return picture[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def test_without_a_region_the_whole_frame_is_denoised_and_it_is_said() -> None:
    picture = np.full((30, 40, 3), GROUND, np.uint8)
    out, mask, notes = Chain.parse("denoise:nlm,roi,resize:16").apply(picture, picture[:, :, 0])
    assert notes == ["roi: no stained region, whole frame kept"]
    assert mask is not None
    assert mask.shape == out.shape[:2] == (16, 16)


@pytest.mark.parametrize("key", catalog.RECIPES)
def test_every_recipe_is_a_chain_and_says_what_it_chose(key: str) -> None:
    chain = Chain.parse(catalog.RECIPES[key])
    assert all(isinstance(step, Step) for step in chain.steps)
    assert catalog.RECIPES[key] in recipes.describe(key)
    out, _, _ = chain.apply(cell())
    assert out.shape[:2] == ((600, 700) if key == "khan2024" else (224, 224))


def test_what_recipes_chose_belongs_to_recipes() -> None:
    assert set(recipes.CHOSEN) <= set(catalog.RECIPES)
