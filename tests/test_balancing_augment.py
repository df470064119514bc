"""Augmentation from a manifest to new images: whose they are, when they stay, what is refused."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leukctl import balancing, cli, files, images, manifest, tables
from leukctl.balancing import Augmentation, Balanced, Ranges, Request, warping, work
from leukctl.errors import InputError, UsageError
from leukctl.preparing import Chain
from leukctl.tables import Table

COLUMNS = ["path", "label", "subject", "source", "split", "group", "age"]


def picture(path: Path, seed: int, size: tuple[int, int] = (20, 24)) -> str:
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, "PNG")
    return str(path)


def cells(folder: Path, train: dict[str, int], others: int = 2) -> Table:
    """Return a manifest of noise: these train images of each class, and some of val and test."""
    rows = []
    for label, count in train.items():
        for i in range(count + 2 * others):
            split = "train" if i < count else "val" if i < count + others else "test"
            path = picture(folder / label / f"{i}.png", len(rows))
            rows.append([path, label, f"{label}-s{i // 3}", "lab", split, f"g{i // 2}", str(i)])
    return Table("all.csv", list(COLUMNS), rows, list(range(2, len(rows) + 2)))


def augment(table: Table, folder: Path, to: str = "max", **more: object) -> Balanced:
    wish = {name: more.pop(name) for name in ("ranges", "root", "workers", "force") if name in more}
    request = Request(to, augmentation=Augmentation(folder, **wish), **more)  # type: ignore[arg-type]
    return balancing.balance(table, "augment", request)


def added(made: Balanced) -> list[dict[str, str]]:
    table = made.made.table
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    return [row for row in rows if row["parent"]]


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_new_row_is_its_parent_s_but_for_what_is_its_own(tmp_path: Path) -> None:
    table = cells(tmp_path / "cells", {"a": 9, "b": 4, "c": 2})
    made = augment(table, tmp_path / "new")
    assert made.after == {"a": 9, "b": 9, "c": 9}
    assert list(made.made.table.rows)[: len(table)] == [
        [*row, "", "0", ""] for row in table.rows
    ]  # the new columns are sha256, copy and parent
    parents = dict(zip(table.column("path"), table.rows, strict=True))
    new = added(made)
    assert Counter(row["label"] for row in new) == {"b": 5, "c": 7}
    for row in new:
        parent = dict(zip(COLUMNS, parents[row["parent"]], strict=True))
        assert parent["split"] == "train"
        assert {**row, "path": parent["path"]} == {
            **parent,
            "sha256": files.sha256(Path(row["path"])),
            "copy": row["copy"],
            "parent": parent["path"],
        }
        assert images.read_rgb(Path(row["path"])).shape == (20, 24, 3)
    manifest.check(made.made.table)
    # All images serve alike, and are numbered from 1.
    for label, least in (("b", 1), ("c", 3)):
        times = Counter(row["parent"] for row in new if row["label"] == label)
        assert set(times.values()) == {least, least + 1}
        for parent, count in times.items():
            numbers = [row["copy"] for row in new if row["parent"] == parent]
            assert numbers == [str(number) for number in range(1, count + 1)]


def test_the_pixels_are_a_warp_of_the_parent_that_the_ranges_allow(tmp_path: Path) -> None:
    table = cells(tmp_path / "cells", {"a": 6, "b": 3})
    shifts = Ranges(rotate=0, shear=0, zoom=0, shift=0, flip="both")
    new = added(augment(table, tmp_path / "new", "40", ranges=shifts))
    seen = set()
    for row in new:
        rgb, parent = (images.read_rgb(Path(row[name])) for name in ("path", "parent"))
        flips = [(x, y) for x in (1, -1) for y in (1, -1)]
        which = [flip for flip in flips if np.array_equal(rgb, parent[:: flip[1], :: flip[0]])]
        assert len(which) == 1
        seen.update(which)
    assert len(seen) == 4


def test_two_workers_write_the_bytes_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "_LEAST_IMAGES", 16)
    table = cells(tmp_path / "cells", {"a": 70, "b": 40}, others=0)
    made = [
        augment(table, tmp_path / name, "120", workers=workers, seed=3)
        for name, workers in (("one", 1), ("two", 2))
    ]
    assert made[0].made.written == 130
    assert content(tmp_path / "one") == content(tmp_path / "two")
    rows = [
        [[cell.replace(str(tmp_path / name), "") for cell in row] for row in one.made.table.rows]
        for name, one in zip(("one", "two"), made, strict=True)
    ]
    assert rows[0] == rows[1]


def test_the_order_of_rows_changes_nothing_and_the_seed_does(tmp_path: Path) -> None:
    table = cells(tmp_path / "cells", {"a": 12, "b": 5, "c": 3})
    turned = table.select(reversed(range(len(table))))
    for name, given, seed in (("a", table, 1), ("b", turned, 1), ("c", table, 2)):
        augment(given, tmp_path / name, seed=seed)
    assert content(tmp_path / "a") == content(tmp_path / "b")
    assert content(tmp_path / "a") != content(tmp_path / "c")


def test_the_content_of_an_image_decides_and_not_its_name(tmp_path: Path) -> None:
    pixels = []
    for name in ("x", "elsewhere/y"):
        rows = [[picture(tmp_path / f"{name}.png", 5), "a", "train"]]
        made = augment(Table("m", ["path", "label", "split"], rows), tmp_path / "new", "3")
        pixels.append([images.read_rgb(Path(row["path"])) for row in added(made)])
    assert np.array_equal(pixels[0], pixels[1])
    assert not np.array_equal(pixels[0][0], pixels[0][1])


def test_every_image_is_changed_in_its_own_way(tmp_path: Path) -> None:
    # All but alike, so that what they become would be alike too if they were changed alike.
    y, x = np.mgrid[:40, :40]
    rows = []
    for i in range(4):
        rgb = np.stack([3 * x + y, 2 * y + x, 100 + x - y], axis=2).astype(np.uint8)
        rgb[0, 0] = i
        Image.fromarray(rgb).save(tmp_path / f"{i}.png")
        rows.append([str(tmp_path / f"{i}.png"), "a", "train"])
    new = added(augment(Table("m", ["path", "label", "split"], rows), tmp_path / "new", "16"))
    made = [images.read_rgb(Path(row["path"])).astype(int) for row in new]
    assert len(made) == 12
    for i, one in enumerate(made):
        assert all(np.abs(one - other).mean() > 1 for other in made[:i])


def test_subjects_fill_up_evenly_where_that_is_asked_for(tmp_path: Path) -> None:
    rows = [
        [picture(tmp_path / f"{name}{i}.png", 10 * i + count), "a", "train", name]
        for name, count in (("s", 6), ("t", 2), ("u", 1))
        for i in range(count)
    ]
    table = Table("m", ["path", "label", "split", "subject"], rows)
    counts = Counter(
        augment(table, tmp_path / "new", "15", even="subject").made.table.column("subject")
    )
    assert counts["s"] == 6
    assert sorted([counts["t"], counts["u"]]) == [4, 5]


def test_masks_go_through_the_same_warp(tmp_path: Path) -> None:
    rows = []
    for i in range(3):
        mask = np.zeros((40, 40), np.uint8)
        mask[10:25, 12 + 3 * i : 30] = 128
        mask[14:20, 18:25] = 255
        Image.fromarray(mask).save(tmp_path / f"m{i}.png")
        Image.fromarray(np.repeat(mask[:, :, None], 3, axis=2)).save(tmp_path / f"{i}.png")
        rows.append([str(tmp_path / f"{i}.png"), "a", "train", str(tmp_path / f"m{i}.png")])
    rows.append([picture(tmp_path / "3.png", 3, (40, 40)), "a", "train", ""])
    table = Table("m", ["path", "label", "split", "mask"], rows)
    new = added(augment(table, tmp_path / "new", "20", ranges=Ranges(shift=0.1)))
    assert {bool(row["mask"]) for row in new} == {True, False}
    for row in new:
        if row["mask"]:
            assert Path(row["mask"]).parent == tmp_path / "new" / "masks" / "a"
            rgb, mask = (images.read_rgb(Path(row[name]))[:, :, 0] for name in ("path", "mask"))
            assert set(np.unique(mask)) <= {0, 128, 255}
            assert ((rgb > 64) != (mask > 64)).mean() < 0.03
        else:
            assert row["parent"] == rows[3][0]


def test_what_is_done_is_left_and_what_is_torn_is_made_anew(tmp_path: Path) -> None:
    table = cells(tmp_path / "cells", {"a": 8, "b": 3})
    first = augment(table, tmp_path / "new")
    before = content(tmp_path / "new")
    gone, torn, empty, whole, last = sorted((tmp_path / "new" / "b").iterdir())
    gone.unlink()
    torn.write_bytes(torn.read_bytes()[:150])
    empty.write_bytes(b"")
    times = {path: path.stat().st_mtime_ns for path in (whole, last)}
    again = augment(table, tmp_path / "new")
    assert (first.made.written, first.made.skipped) == (5, 0)
    assert (again.made.written, again.made.skipped) == (5, 2)
    assert content(tmp_path / "new") == before
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert list(again.made.table.rows) == list(first.made.table.rows)


@pytest.mark.parametrize("given", [{"ranges": Ranges(rotate=3)}, {"seed": 4}, {}])
def test_what_was_made_otherwise_is_replaced_only_by_force(tmp_path: Path, given: dict) -> None:
    rows = [[picture(tmp_path / "x.png", 1), "a", "train"]]
    table = Table("m", ["path", "label", "split"], rows)
    augment(table, tmp_path / "new", "3")
    before = content(tmp_path / "new")
    if not given:
        picture(tmp_path / "x.png", 2)
    with pytest.raises(
        InputError, match=r"a/x-.*-1\.png: made of another image or by other options"
    ):
        augment(table, tmp_path / "new", "3", **given)
    assert content(tmp_path / "new") == before
    made = augment(table, tmp_path / "new", "3", force=True, **given)
    after = content(tmp_path / "new")
    assert after.keys() == before.keys()
    assert not set(after.values()) & set(before.values())
    assert [row["sha256"] for row in added(made)] == [
        images.sha256(after[n]) for n in sorted(after)
    ]


def test_a_stranger_s_file_is_never_replaced(tmp_path: Path) -> None:
    table = cells(tmp_path / "cells", {"a": 4, "b": 3})
    augment(table, tmp_path / "new")
    (target,) = (tmp_path / "new" / "b").iterdir()
    target.write_bytes(images.encode_png(np.zeros((3, 3, 3), np.uint8)))
    with pytest.raises(InputError, match="balance did not write it"):
        augment(table, tmp_path / "new", force=True)
    assert images.read_rgb(target).shape == (3, 3, 3)


def test_the_folder_of_the_manifest_s_own_images_is_refused(tmp_path: Path) -> None:
    table = cells(tmp_path / "cells", {"a": 4, "b": 3})
    before = content(tmp_path)
    for folder in (tmp_path / "cells", tmp_path, tmp_path / "cells" / ".." / "cells" / "a"):
        with pytest.raises(UsageError, match="need a folder of their own"):
            augment(table, folder)
    assert content(tmp_path) == before


@pytest.mark.parametrize("workers", [1, 2])
def test_an_image_that_cannot_be_read_is_left_out_and_others_fill_its_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setattr(work, "_LEAST_IMAGES", 16)
    table = cells(tmp_path / "cells", {"a": 60, "b": 40})
    train_b = [
        p
        for p, label in zip(table.column("path"), table.column("label"), strict=True)
        if label == "b"
    ][:40]
    for path in (train_b[3], train_b[7]):
        Path(path).write_bytes(Path(path).read_bytes()[:60])
    digests = [files.sha256(Path(path)) for path in table.column("path")]
    digests[table.column("path").index(train_b[9])] = "0" * 64
    made = augment(table.with_columns(sha256=digests), tmp_path / "new", "100", workers=workers)
    assert made.after == {"a": 100, "b": 100}
    assert set(made.made.rejected) == {train_b[3], train_b[7], train_b[9]}
    assert "truncated" in made.made.rejected[train_b[3]]
    assert "SHA-256" in made.made.rejected[train_b[9]]
    paths = made.made.table.column("path")
    assert not set(made.made.rejected) & set(paths)
    assert not set(made.made.rejected) & set(made.made.table.column("parent"))
    assert made.made.written == 100 - 60 + 100 - 37
    assert sum(path.is_file() for path in (tmp_path / "new").rglob("*.png")) == made.made.written


def test_a_class_without_one_readable_image_is_an_error(tmp_path: Path) -> None:
    table = cells(tmp_path / "cells", {"a": 4, "b": 2})
    for i in (0, 1):
        (tmp_path / "cells" / "b" / f"{i}.png").write_bytes(b"none")
    with pytest.raises(InputError, match=r"no train image of class 'b' can be used .*b/\d\.png: "):
        augment(table, tmp_path / "new")


def test_a_mask_that_does_not_fit_rejects_its_image(tmp_path: Path) -> None:
    names = ["missing.png", "small.png", "broken.png"]
    picture(tmp_path / "small.png", 0, (5, 5))
    (tmp_path / "broken.png").write_bytes(b"GIF89a")
    rows = [
        [picture(tmp_path / f"{i}.png", i), "a", "train", str(tmp_path / name)]
        for i, name in enumerate(names)
    ]
    rows.append([picture(tmp_path / "x.png", 9), "a", "train", ""])
    made = augment(Table("m", ["path", "label", "split", "mask"], rows), tmp_path / "new", "9")
    reasons = [made.made.rejected[row[0]] for row in rows[:3]]
    assert all(f"its mask {row[3]!r}: " in why for row, why in zip(rows, reasons, strict=False))
    assert "No such file" in reasons[0]
    assert "not of the image's size" in reasons[1]
    assert made.after == {"a": 9}


def test_paths_start_at_the_root_where_one_is_given(tmp_path: Path) -> None:
    picture(tmp_path / "root" / "x.png", 1)
    picture(tmp_path / "root" / "m.png", 2)
    rows = [["x.png", "a", "train", "m.png"]]
    table = Table("m", ["path", "label", "split", "mask"], rows)
    root = tmp_path / "root"
    (inside,) = added(augment(table, root / "new", "2", root=root))
    assert inside["path"].startswith("new/a/x-")
    assert inside["mask"].startswith("new/masks/a/x-")
    (outside,) = added(augment(table, tmp_path / "apart", "2", root=root))
    assert outside["path"].startswith(str(tmp_path / "apart" / "a"))
    for row in (inside, outside):
        assert row["parent"] == "x.png"
        assert (root / row["path"]).is_file()
        assert (root / row["mask"]).is_file()


@pytest.mark.parametrize(
    "label", ["../../x", "/etc", "masks", "rejected.csv", "[Malignant] Pre-B", "a\nb", "..", 'ä,"']
)
def test_no_label_or_name_leads_out_of_the_folder(tmp_path: Path, label: str) -> None:
    rows = []
    for i, name in enumerate(["x.png", "X.png", "sub/x.png", "..png", "\udcff.png", "é" * 120]):
        rows.append([picture(tmp_path / "in" / name, i), label, "train"])
    made = augment(Table("m", ["path", "label", "split"], rows), tmp_path / "new", "12")
    written = [row["path"] for row in added(made)]
    assert len({path.casefold() for path in written}) == 6
    for path in written:
        assert os.path.isfile(path)
        assert len(Path(path).relative_to(tmp_path / "new").parts) == 2
        assert path.isprintable()
    assert {path.name for path in tmp_path.iterdir()} == {"in", "new"}


def test_a_second_augmentation_starts_from_the_same_images_and_numbers_on(tmp_path: Path) -> None:
    table = cells(tmp_path / "cells", {"a": 3, "b": 2})
    half = augment(table, tmp_path / "new", "4")
    whole = augment(half.made.table, tmp_path / "new", "9")
    assert whole.after == {"a": 9, "b": 9}
    new = added(whole)
    assert {row["parent"] for row in new} <= set(table.column("path"))
    assert len({(row["parent"], row["copy"]) for row in new}) == len(new) == 13
    assert len({row["sha256"] for row in new}) == 13
    assert max(Counter(row["parent"] for row in new).values()) <= 5


def test_repetitions_of_a_row_count_but_serve_once(tmp_path: Path) -> None:
    table = cells(tmp_path / "cells", {"a": 9, "b": 2}, others=0)
    repeated = balancing.balance(table, "oversample", Request("3")).made.table
    made = augment(repeated, tmp_path / "new")
    assert made.before == {"a": 9, "b": 3}
    new = added(made)
    assert sorted(Counter(row["parent"] for row in new).values()) == [3, 3]
    # The numbers of the one that is there twice go on above its repetition's.
    assert sorted(row["copy"] for row in new) == ["1", "2", "2", "3", "3", "4"]


def test_a_class_of_augmented_images_alone_is_refused(tmp_path: Path) -> None:
    made = augment(cells(tmp_path / "cells", {"a": 3, "b": 2}), tmp_path / "new").made.table
    parents = zip(made.column("label"), made.column("parent"), made.column("split"), strict=True)
    kept = [
        i for i, (b, parent, split) in enumerate(parents) if b == "a" or parent or split != "train"
    ]
    with pytest.raises(InputError, match="class 'b' has augmented images alone in train"):
        augment(made.select(kept), tmp_path / "more")


def prepared(tmp_path: Path, steps: str) -> Table:
    """Return the manifest of an image that prep prepared, in train."""
    picture(tmp_path / "raw" / "a" / "x.png", 1)
    arguments = ["prep", str(tmp_path / "raw"), "--layout", "folders", "--steps", steps, "-q"]
    arguments += ["--images", str(tmp_path / "img"), "-o", str(tmp_path / "all.csv")]
    assert cli.main(arguments) == 0
    table = manifest.read_path(tmp_path / "all.csv")
    return table.with_columns(split=["train"])


def test_an_augmented_image_is_not_prepared_once_more(tmp_path: Path) -> None:
    from leukctl.tensors import Reader

    (row,) = added(augment(prepared(tmp_path, "zoom:0.5,resize:16"), tmp_path / "new", "2"))
    assert row["prep"] == "zoom:0.5,resize:16"
    read = Reader(Chain.parse(row["prep"]))
    assert np.array_equal(read(Path(row["path"])), images.read_rgb(Path(row["path"])))


def test_prep_does_not_take_augmented_images_for_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = prepared(tmp_path, "resize:16")
    (row,) = added(augment(table, tmp_path / "new", "2"))
    Path(table.column("path")[0]).write_bytes(Path(row["path"]).read_bytes())
    with pytest.raises(AssertionError):
        prepared(tmp_path, "resize:16")
    assert "prep did not write it" in capsys.readouterr().err


def test_a_sixteen_bit_image_of_grey_with_alpha_is_augmented_as_what_it_shows(
    tmp_path: Path,
) -> None:
    grey = np.random.default_rng(0).integers(0, 65536, (9, 9), np.uint16)
    Image.fromarray(grey).save(tmp_path / "deep.png")
    table = Table("m", ["path", "label", "split"], [[str(tmp_path / "deep.png"), "a", "train"]])
    flips = Ranges(rotate=180, shear=0, zoom=0, shift=0, flip="none")
    (row,) = added(augment(table, tmp_path / "new", "2", ranges=flips))
    rgb = images.read_rgb(Path(row["path"]))
    assert rgb.dtype == np.uint8
    assert np.array_equal(rgb[:, :, 0], rgb[:, :, 1])


def test_the_fill_reaches_the_images(tmp_path: Path) -> None:
    rows = [[str(tmp_path / "x.png"), "a", "train"]]
    Image.fromarray(np.full((30, 30, 3), 100, np.uint8)).save(rows[0][0])
    table = Table("m", ["path", "label", "split"], rows)
    for fill, extreme in (("reflect", 100), ("edge", 100), ("black", 0), ("white", 255)):
        new = added(augment(table, tmp_path / fill, "9", ranges=Ranges(fill=fill)))
        values = {int(v) for row in new for v in np.unique(images.read_rgb(Path(row["path"])))}
        assert (min(values), max(values)) == (min(100, extreme), max(100, extreme))
    assert set(warping.FILLS) == {"reflect", "edge", "black", "white"}


def families(table: Table) -> list[str]:
    columns = (table.column("path"), table.column("parent"))
    return [parent or path for path, parent in zip(*columns, strict=True)]


def test_a_split_afterwards_keeps_new_images_with_their_parents(tmp_path: Path) -> None:
    table = cells(tmp_path / "cells", {"a": 12, "b": 12}, others=0)
    made = augment(table, tmp_path / "new", "36").made.table
    tables.write_path(made, tmp_path / "made.csv")
    for seed in ("0", "1", "2"):
        arguments = ["split", str(tmp_path / "made.csv"), "--by", "image", "--force", "-q"]
        arguments += ["--no-audit", "--ratios", "50,25,25", "--seed", seed]
        assert cli.main([*arguments, "-o", str(tmp_path / "split.csv")]) == 0
        split = manifest.read_path(tmp_path / "split.csv")
        sides = set(zip(families(split), split.column("split"), strict=True))
        assert len(sides) == 24
        assert {side for _, side in sides} == {"train", "val", "test"}


def test_groups_of_lookalikes_take_new_images_in_with_their_parents(tmp_path: Path) -> None:
    from leukctl.splits import find_groups

    table = cells(tmp_path / "cells", {"a": 4, "b": 3}, others=0)
    # Without subjects, and as if nobody saw the likeness, which warps of 40 % may well hide.
    table = table.with_columns(subject=[""] * len(table), group=[""] * 7)
    made = augment(table, tmp_path / "new", "9").made.table
    grouped = find_groups(made, None, lambda paths: {path: str(path) for path in paths})
    pairs = set(zip(families(grouped), grouped.column("group"), strict=True))
    assert len(pairs) == len({group for _, group in pairs}) == 7
