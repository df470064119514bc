"""Copies among images: what is found, how it is described, and what is let alone."""

import itertools
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from slides import Rgb, slide, window, write

from leukctl import images
from leukctl.auditing import alignment, candidates, copies, fingerprints, survey
from leukctl.auditing.alignment import View
from leukctl.auditing.copies import Copy


def ignore(step: int) -> None:
    """Take no notice of progress."""


def found(*pictures: Rgb, folder: Path) -> list[Copy]:
    files = [write(folder / f"{place:03}.png", rgb) for place, rgb in enumerate(pictures)]
    examined = survey.examine(files, 1, ignore)
    near = copies.confirmed(files, examined, copies.suspects(examined), 1, ignore)
    return [*copies.exact(examined), *near]


def jpeg(rgb: Rgb, quality: int, folder: Path) -> Rgb:
    path = folder / "copy.jpg"
    Image.fromarray(rgb).save(path, quality=quality)
    return images.read_rgb(path)


def turned(rgb: Rgb, angle: float) -> Rgb:
    middle = (rgb.shape[1] - 1) / 2, (rgb.shape[0] - 1) / 2
    matrix = cv2.getRotationMatrix2D(middle, angle, 1.0)
    return np.asarray(cv2.warpAffine(rgb, matrix, rgb.shape[1::-1]), np.uint8)


def test_a_mirrored_descriptor_is_that_of_the_mirrored_picture() -> None:
    grey = cv2.cvtColor(window(slide(0), 0, 0), cv2.COLOR_RGB2GRAY)
    _, descriptors = fingerprints.find_points(grey)
    _, of_mirrored = fingerprints.find_points(np.ascontiguousarray(grey[:, ::-1]))
    nearest = (fingerprints.mirror(descriptors) @ of_mirrored.T).max(axis=1)
    assert np.median(nearest) > 0.99
    assert np.median((descriptors @ of_mirrored.T).max(axis=1)) < 0.95


WAYS: dict[str, Callable[[Rgb], Rgb]] = {
    "half the size": lambda rgb: np.asarray(cv2.resize(rgb, (112, 112)), np.uint8),
    "another aspect": lambda rgb: np.asarray(cv2.resize(rgb, (320, 240)), np.uint8),
    "darker": lambda rgb: (rgb * 0.7).astype(np.uint8),
    "channels swapped": lambda rgb: np.ascontiguousarray(rgb[..., ::-1]),
    "mirrored": lambda rgb: np.ascontiguousarray(rgb[:, ::-1]),
    "upside down": lambda rgb: np.ascontiguousarray(rgb[::-1]),
    "a quarter turn": lambda rgb: np.ascontiguousarray(np.rot90(rgb)),
    "37 degrees": lambda rgb: turned(rgb, 37),
    "mirrored, 200 degrees": lambda rgb: turned(np.ascontiguousarray(rgb[:, ::-1]), 200),
    "central four fifths": lambda rgb: np.ascontiguousarray(rgb[22:202, 22:202]),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_changed_picture_is_a_near_duplicate(way: str, tmp_path: Path) -> None:
    rgb, other = window(slide(1), 0, 0), window(slide(2), 0, 0)
    (copy,) = found(rgb, WAYS[way](rgb), other, folder=tmp_path)
    assert (copy.a, copy.b, copy.kind) == (0, 1, copies.NEAR_DUPLICATE)
    assert copy.score > 0.85
    assert copy.mirrored == ("mirrored" in way or "upside" in way)


def test_a_recompressed_picture_is_a_near_duplicate(tmp_path: Path) -> None:
    rgb = window(slide(1), 0, 0)
    (copy,) = found(rgb, jpeg(rgb, 30, tmp_path), folder=tmp_path)
    assert copy.kind == copies.NEAR_DUPLICATE


@pytest.mark.parametrize("angle", [0.0, 37.0, 90.0, 180.0, 251.0])
@pytest.mark.parametrize("mirrored", [False, True])
def test_whole_frames_tell_by_what_angle_they_are_turned(angle: float, mirrored: bool) -> None:
    rgb = window(slide(3), 0, 0)
    source = np.ascontiguousarray(rgb[:, ::-1]) if mirrored else rgb
    laid = alignment.by_turning(View(rgb), View(turned(source, angle)))
    assert laid is not None
    assert laid.mirrored == mirrored
    assert abs((laid.angle - angle + 180) % 360 - 180) < 0.5
    assert laid.score > 0.9


@pytest.mark.parametrize(("shift", "kind"), [(28, "near-duplicate"), (112, "overlap")])
def test_frames_of_one_field_overlap_by_what_they_share(
    shift: int, kind: str, tmp_path: Path
) -> None:
    field = slide(4)
    (copy,) = found(window(field, 0, 0), window(field, shift, 0), folder=tmp_path)
    assert copy.kind == kind
    assert copy.shared == pytest.approx(1 - shift / 224, abs=0.02)
    assert copy.scale == pytest.approx(1, abs=0.01)
    assert min(copy.angle, 360 - copy.angle) < 1


def test_a_frame_enlarged_tells_by_how_much(tmp_path: Path) -> None:
    field = slide(5)
    inner = np.asarray(cv2.resize(field[50:350, 50:350], (224, 224)), np.uint8)
    outer = np.asarray(cv2.resize(field[:450, :450], (224, 224)), np.uint8)
    (copy,) = found(inner, outer, folder=tmp_path)
    assert copy.scale == pytest.approx(300 / 450, rel=0.02)


def test_frames_that_touch_share_nothing(tmp_path: Path) -> None:
    field = slide(6)
    assert found(window(field, 0, 0), window(field, 230, 0), folder=tmp_path) == []


def test_different_slides_are_no_copies(tmp_path: Path) -> None:
    pictures = [window(slide(seed, 224), 0, 0) for seed in range(100, 130)]
    assert found(*pictures, folder=tmp_path) == []


def test_round_cells_of_one_kind_are_no_copies(tmp_path: Path) -> None:
    pictures = []
    for seed in range(12):  # a dark disk in a pale one, each with a grain of its own
        draw = np.random.default_rng(seed)
        rgb = np.full((224, 224, 3), (235, 220, 180), np.uint8)
        middle = (112 + int(draw.integers(-3, 4)), 112 + int(draw.integers(-3, 4)))
        cv2.circle(rgb, middle, 70 + int(draw.integers(-3, 4)), (190, 170, 200), -1)
        cv2.circle(rgb, middle, 48 + int(draw.integers(-3, 4)), (90, 40, 120), -1)
        grain = cv2.GaussianBlur(draw.normal(0, 25, (224, 224)), (0, 0), 2)
        rgb = cv2.GaussianBlur(np.clip(rgb + grain[..., None], 0, 255), (0, 0), 1.5)
        pictures.append(rgb.astype(np.uint8))
    scores = [
        laid.score
        for a, b in itertools.combinations(map(View, pictures), 2)
        if (laid := alignment.by_turning(a, b)) is not None
    ]
    assert len(scores) == 66
    assert max(scores) > 0.6  # their outlines alone agree that much
    assert found(*pictures, folder=tmp_path) == []


def test_a_mark_that_all_share_makes_no_copies(tmp_path: Path) -> None:
    pictures = [window(slide(seed, 224), 0, 0) for seed in range(200, 206)]
    for rgb in pictures:
        cv2.putText(rgb, "10 um", (130, 210), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (0, 0, 0), 2)
        cv2.line(rgb, (120, 216), (215, 216), (0, 0, 0), 3)
    assert found(*pictures, folder=tmp_path) == []


@pytest.mark.parametrize("level", [0, 128, 255])
def test_blank_frames_are_copies_only_when_equal(level: int, tmp_path: Path) -> None:
    blank = np.full((64, 64, 3), level, np.uint8)
    (copy,) = found(blank, blank, np.full((64, 48, 3), level, np.uint8), folder=tmp_path)
    assert (copy.a, copy.b, copy.kind) == (0, 1, copies.SAME_BYTES)


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 300, 3), (300, 1, 3), (3, 2, 3)])
def test_the_smallest_frames_are_looked_at_too(shape: tuple[int, int, int], tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    pictures = [draw.integers(0, 255, shape, np.uint8) for _ in range(3)]
    assert all(copy.kind == copies.SAME_BYTES for copy in found(*pictures, folder=tmp_path))


def test_another_file_of_the_same_pixels_is_told_from_the_same_file(tmp_path: Path) -> None:
    rgb = window(slide(7), 0, 0)
    files = [tmp_path / name for name in ("a.png", "b.png", "c.bmp")]
    for path in files:
        Image.fromarray(rgb).save(path)
    kinds = [(c.a, c.b, c.kind) for c in copies.exact(survey.examine(files, 1, ignore))]
    assert kinds == [(0, 1, copies.SAME_BYTES), (0, 2, copies.SAME_PIXELS)]


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    good = write(tmp_path / "good.png", window(slide(8), 0, 0))
    bad = tmp_path / "bad.png"
    bad.write_bytes(good.read_bytes()[:2000])
    _, why = survey.examine([good, bad], 1, ignore)
    assert why == "truncated"


def test_workers_and_order_change_nothing(tmp_path: Path) -> None:
    field = slide(9)
    pictures = [window(field, 90 * place, 0) for place in range(3)]
    pictures += [window(slide(seed, 224), 0, 0) for seed in (20, 21)]
    files = [write(tmp_path / f"{place}.png", rgb) for place, rgb in enumerate(pictures)]
    names, kinds = [], []
    for order, workers in itertools.product((files, files[::-1]), (1, 2)):
        examined = survey.examine(order, workers, ignore)
        near = copies.confirmed(order, examined, copies.suspects(examined), workers, ignore)
        groups = copies.group_names(order, examined, near)
        names.append(dict(zip(order, groups, strict=True)))
        kinds.append({(frozenset((order[c.a], order[c.b])), c.kind) for c in near})
    assert kinds[0]
    assert all(item == names[0] for item in names)
    assert all(item == kinds[0] for item in kinds)


def test_groups_are_what_copies_join_directly_or_not(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{p}.png", window(slide(30 + p, 64), 0, 0, 64)) for p in range(5)]
    examined = survey.examine(files, 1, ignore)
    pairs = [Copy(0, 3, copies.OVERLAP), Copy(3, 4, copies.OVERLAP)]
    names = copies.group_names(files, examined, pairs)
    assert names[0] == names[3] == names[4]
    assert len({*names}) == 3


def test_nothing_is_suspected_among_fewer_than_two() -> None:
    assert candidates.find([]) == []
    assert candidates.find([fingerprints.fingerprint(window(slide(0), 0, 0))]) == []


@pytest.mark.slow
def test_the_copies_in_a_public_set_are_found_and_nothing_else(shared: Path) -> None:
    files = sorted((shared / "wbc-masks").glob("*.bmp"))
    examined = survey.examine(files, 2, ignore)
    near = copies.confirmed(files, examined, copies.suspects(examined), 2, ignore)
    pairs = {(files[c.a].stem, files[c.b].stem) for c in [*copies.exact(examined), *near]}
    # Each was looked at: the same cell, enlarged by a tenth or photographed once more.
    assert pairs == {
        *(("019", "075"), ("021", "082"), ("026", "089"), ("030", "086"), ("051", "073")),
        *(("054", "091"), ("056", "092"), ("060", "090"), ("070", "072"), ("071", "084")),
        *(("112", "139"), ("157", "158"), ("166", "171"), ("167", "169")),
    }
