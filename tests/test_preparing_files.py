"""From files to prepared files: naming, masks, going on, and what prep must not replace."""

import csv
import functools
import io
import os
import tracemalloc
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from pictures import write_noise
from PIL import Image

from leukctl import files, images, processes
from leukctl.errors import InputError
from leukctl.preparing import Chain, naming, results, work
from leukctl.preparing.work import Job, Outcome, Task
from leukctl.tables import Table

CHAIN = Chain.parse("resize:8")


def prepare(
    jobs: list[Job], chain: Chain = CHAIN, workers: int = 1, force: bool = False
) -> list[Outcome]:
    run = functools.partial(processes.in_order, workers=workers)
    done = list(work.prepare_all(jobs, Task(chain, force), run))
    assert [job for job, _ in done] == jobs
    return [outcome for _, outcome in done]


def job(tmp_path: Path, name: str = "a.bmp", **more: str) -> Job:
    return Job(str(tmp_path / name), str(tmp_path / "out" / f"{name}.png"), **more)


@pytest.mark.parametrize(
    ("relative", "target"),
    [
        ("a/x.jpg", "set/a/x"),
        ("./a//x.jpg", "set/a/x"),
        ("../../etc/x.jpg", "set/etc/x"),
        ("/abs/x.jpg", "set/abs/x"),
        ("a/../../../x.jpg", "set/x"),
        ("-x, [y] z.jpg", "set/-x, [y] z"),
        ("a\nb.jpg", "set/a%0Ab"),
        ("\udcff.jpg", "set/%FF"),
        ("x.png/y.jpg", "set/x.png_/y"),
        ("cell.v2", "set/cell"),
    ],
)
def test_targets_stay_inside_and_on_one_line(relative: str, target: str) -> None:
    assert naming.targets([relative], ["set"]) == [target]


def test_targets_differ_and_repeated_rows_share_theirs() -> None:
    relative = ["x.bmp", "x.jpg", "X.bmp", "../x.bmp", "x.bmp", "x.bmp"]
    names = naming.targets(relative, ["s", "s", "s", "s", "s", "t"])
    assert names[0] == names[4]
    assert len({name.casefold() for name in names}) == 5
    assert names[5] == "t/x"


@pytest.mark.parametrize("source", ["masks", "Masks", "rejected.csv", "", "..", "a/b", "\n"])
def test_no_source_lands_outside_or_among_the_masks(source: str, tmp_path: Path) -> None:
    (name,) = naming.targets(["x.png"], [source])
    path = Path(naming.image_path(tmp_path, name))
    assert len(path.relative_to(tmp_path).parts) == 2
    assert path.parent.name.casefold() not in ("masks", "rejected.csv", "..")


def test_long_names_fit_file_systems_and_stay_distinct() -> None:
    names = naming.targets(["漢" * 84 + "a.bmp", "漢" * 84 + "b.bmp", "\udcff" * 250], [""] * 3)
    assert len(set(names)) == 3
    assert all(len(name.rpartition("/")[2].encode()) <= 240 for name in names)


def test_prepared_image_says_where_it_comes_from(tmp_path: Path) -> None:
    source = write_noise(tmp_path / "a.bmp")
    (outcome,) = prepare([job(tmp_path)])
    data = (tmp_path / "out" / "a.bmp.png").read_bytes()
    assert outcome == Outcome(sha256=images.sha256(data), prep="resize:8")
    assert images.png_text(data) == {
        "leukctl:prep": "resize:8",
        "leukctl:source-sha256": files.sha256(source),
    }
    assert images.decode(data).shape == (8, 8, 3)


def test_what_is_done_and_right_is_left_alone(tmp_path: Path) -> None:
    write_noise(tmp_path / "a.bmp")
    (first,) = prepare([job(tmp_path)])
    target = tmp_path / "out" / "a.bmp.png"
    before = target.stat().st_mtime_ns
    (again,) = prepare([job(tmp_path)])
    assert again.skipped
    assert (again.sha256, again.prep) == (first.sha256, first.prep)
    assert target.stat().st_mtime_ns == before


@pytest.mark.parametrize("change", ["source", "chain", "torn", "empty"])
def test_what_is_not_right_is_made_again(tmp_path: Path, change: str) -> None:
    write_noise(tmp_path / "a.bmp")
    prepare([job(tmp_path)])
    target = tmp_path / "out" / "a.bmp.png"
    chain = Chain.parse("resize:9") if change == "chain" else CHAIN
    if change == "source":
        write_noise(tmp_path / "a.bmp", seed=1)
    elif change == "torn":
        target.write_bytes(target.read_bytes()[:-20])
    elif change == "empty":
        target.write_bytes(b"")
    if change in ("source", "chain"):  # an earlier manifest may name what is there
        with pytest.raises(InputError, match=r"prepared .* before"):
            prepare([job(tmp_path)], chain)
    (outcome,) = prepare([job(tmp_path)], chain, force=True)
    assert not outcome.skipped
    expected, _, _ = chain.apply(images.read_rgb(tmp_path / "a.bmp"))
    np.testing.assert_array_equal(images.read_rgb(target), expected)


def test_notes_survive_going_on(tmp_path: Path) -> None:
    Image.new("RGB", (30, 30)).save(tmp_path / "a.bmp")
    chain = Chain.parse("roi")
    outcomes = [prepare([job(tmp_path)], chain)[0] for _ in range(2)]
    assert [outcome.skipped for outcome in outcomes] == [False, True]
    assert {outcome.note for outcome in outcomes} == {"roi: no stained region, whole frame kept"}


def test_mask_goes_the_same_way(tmp_path: Path) -> None:
    write_noise(tmp_path / "a.bmp")
    Image.fromarray(np.pad(np.full((10, 15), 128, np.uint8), ((0, 10), (0, 15)))).save(
        tmp_path / "m.png"
    )
    with_mask = job(
        tmp_path,
        mask=str(tmp_path / "m.png"),
        mask_target=str(tmp_path / "out" / "masks" / "a.png"),
    )
    prepare([with_mask])
    cut = images.read_rgb(tmp_path / "out" / "masks" / "a.png")
    assert (cut[:4, :4] == 128).all()
    assert not cut[4:].any()
    assert not cut[:, 4:].any()
    (tmp_path / "out" / "masks" / "a.png").unlink()
    assert [outcome.skipped for outcome in prepare([with_mask])] == [False]
    assert [outcome.skipped for outcome in prepare([with_mask])] == [True]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"mask": "small.png"}, "small.png' has 5x4 pixels, the image 30x20"),
        ({"mask": "text.png"}, "text.png': not an image"),
        ({"sha256": "0" * 64}, "its SHA-256 is not the one in the manifest"),
    ],
)
def test_what_does_not_fit_is_rejected(tmp_path: Path, more: dict[str, str], reason: str) -> None:
    write_noise(tmp_path / "a.bmp")
    Image.new("L", (5, 4)).save(tmp_path / "small.png")
    (tmp_path / "text.png").write_text("hello")
    if "mask" in more:
        more = {
            "mask": str(tmp_path / more["mask"]),
            "mask_target": str(tmp_path / "out" / "m.png"),
        }
    (outcome,) = prepare([job(tmp_path, **more)])
    assert reason in outcome.rejected
    assert not (tmp_path / "out").exists()


def test_a_strangers_file_is_never_replaced(tmp_path: Path) -> None:
    write_noise(tmp_path / "a.bmp")
    target = write_noise(tmp_path / "out" / "a.bmp.png", seed=5)
    before = target.read_bytes()
    with pytest.raises(InputError, match="prep did not write it"):
        prepare([job(tmp_path)])
    assert target.read_bytes() == before


def test_an_input_is_never_replaced_by_its_result(tmp_path: Path) -> None:
    write_noise(tmp_path / "a.bmp")
    prepare([job(tmp_path)])
    target = str(tmp_path / "out" / "a.bmp.png")
    with pytest.raises(InputError, match="overwritten by its own result"):
        prepare([Job(target, target)])


def test_workers_make_the_same(tmp_path: Path) -> None:
    for index in range(70):
        write_noise(tmp_path / f"{index}.bmp", seed=index)
    (tmp_path / "33.bmp").write_text("no image")
    jobs = [job(tmp_path, f"{index}.bmp") for index in range(70)]
    alone = prepare(jobs)
    bytes_alone = [Path(one.target).read_bytes() for one in jobs if Path(one.target).exists()]
    for one in jobs:
        Path(one.target).unlink(missing_ok=True)
    assert prepare(jobs, workers=2) == alone
    assert [o.rejected != "" for o in alone] == [index == 33 for index in range(70)]
    assert bytes_alone == [Path(o.target).read_bytes() for o in jobs if Path(o.target).exists()]


def test_manifest_keeps_columns_and_order_and_drops_the_rejected(tmp_path: Path) -> None:
    table = Table(
        "m.csv",
        ["age", "label", "path", "sha256"],
        [["7", "x", "a.bmp", ""], ["8", "y", "b.bmp", ""], ["9", "x", "c.bmp", ""]],
    )
    plan = results.plan(table, ["a.bmp", "b.bmp", "c.bmp"], Path("out"))
    outcomes = [Outcome("s1", "p"), Outcome(rejected="why"), Outcome("s3", "p", "note")]
    assert written(plan, outcomes) == (
        "path,label,sha256,prep,prep_note,original,age\n"
        "out/images/a.png,x,s1,p,,a.bmp,7\n"
        "out/images/c.png,x,s3,p,note,c.bmp,9\n",
        "path,reason\nb.bmp,why\n",
    )


def written(plan: results.Plan, outcomes: list[Outcome]) -> tuple[str, str]:
    """Return the manifest and the table of the rejected."""
    manifest, rejected = io.StringIO(), io.StringIO()
    results.write(plan, zip(plan.jobs(), outcomes, strict=True), manifest, rejected)
    return manifest.getvalue(), rejected.getvalue()


def test_repeated_rows_share_what_became_of_their_image() -> None:
    rows = [["a", "", "1"], ["b", "", "2"], ["a", "1", "3"], ["b", "1", "4"], ["c", "", "5"]]
    table = Table("m.csv", ["path", "copy", "age"], rows)
    plan = results.plan(table, [row[0] for row in rows], Path("out"))
    assert len(plan) == 3
    assert [job.source for job in plan.jobs()] == ["a", "b", "c"]
    outcomes = [Outcome("s1", "p"), Outcome(rejected="why"), Outcome("s3", "p")]
    manifest, rejected = written(plan, outcomes)
    assert [line.split(",")[-1] for line in manifest.splitlines()] == ["age", "1", "3", "5"]
    assert [line.split(",")[1] for line in manifest.splitlines()] == ["sha256", "s1", "s1", "s3"]
    assert rejected == "path,reason\nb,why\n"


def test_preparing_again_composes_the_chains(tmp_path: Path) -> None:
    write_noise(tmp_path / "raw.bmp")
    columns = ["path", "prep", "original"]
    table = Table("m.csv", columns, [[str(tmp_path / "raw.bmp"), "zoom:0.5", "first.bmp"]])
    plan = results.plan(table, ["raw.bmp"], tmp_path / "out")
    manifest, _ = written(plan, prepare(list(plan.jobs())))
    (row,) = csv.DictReader(io.StringIO(manifest))
    assert (row["prep"], row["original"]) == ("zoom:0.5,resize:8", "first.bmp")


def test_two_rows_of_one_image_with_different_masks_are_refused() -> None:
    table = Table("m.csv", ["path", "mask"], [["a", "m"], ["a", "n"]], [2, 3])
    with pytest.raises(InputError, match="line 3, column mask"):
        results.plan(table, ["a", "a"], Path("out"))


def test_every_folder_that_is_read_from_is_known_and_no_archive(tmp_path: Path) -> None:
    read = ["a/x.bmp", "a/y.bmp", "b/x.bmp", f"{tmp_path}/c/x.bmp", "z.npz#0", "x.bmp"]
    table = Table("m", ["path", "mask"], [[path, ""] for path in read])
    plan = results.plan(table, read, Path("out"), {"z.npz#0": "z.npz"})
    here = Path.cwd()
    assert plan.source_folders() == sorted([here, here / "a", here / "b", tmp_path / "c"])
    masks = table.with_columns(mask=["", "m/x.png", "", "", "", ""])
    assert here / "m" in results.plan(masks, read, Path("out")).source_folders()


def test_memory_does_not_grow_with_the_number_of_images() -> None:
    count = 20_000
    rows = [[f"cells/{index}.png", ""] for index in range(count)]
    plan = results.plan(Table("m", ["path", "label"], rows), [row[0] for row in rows], Path("out"))

    def run(given: object, chunks: Iterable[Sequence[object]]) -> Iterator[object]:
        for chunk in chunks:
            yield 0.001, [Outcome(f"{number}" * 64, "resize:8") for number in range(len(chunk))]

    outcomes = work.prepare_all(plan.jobs(), Task(CHAIN), run)  # type: ignore[arg-type]
    with open(os.devnull, "w") as sink:
        tracemalloc.start()
        summary = results.write(plan, outcomes, sink, sink)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert summary.images == count
    assert peak < 1_000_000  # fifty bytes an image would be as much
