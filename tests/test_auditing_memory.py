"""Copies that were found before: the same to the byte, and only of the very same images."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from slides import slide, window, write

from leukctl import auditing
from leukctl.auditing import Look, memory, survey
from leukctl.cli import main


@contextlib.contextmanager
def silent(what: str, total: int, unit: str) -> Iterator[object]:
    yield lambda step: None


@pytest.fixture
def cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with twelve photographs of which four overlap, and a cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    field = slide(1)
    pictures = [window(field, 80 * place, 0, 160) for place in range(3)]
    pictures += [window(slide(seed, 160), 0, 0, 160) for seed in range(2, 10)]
    for place, rgb in enumerate([*pictures, pictures[0]]):
        write(tmp_path / "img" / f"{place}.png", rgb)
    lines = [f"img/{place}.png,{'ab'[place % 2]}" for place in range(12)]
    (tmp_path / "all.csv").write_text("\n".join(["path,label", *lines]) + "\n")
    return tmp_path


def look(cells: Path, features: bool = False) -> Look:
    return auditing.look_at(sorted((cells / "img").iterdir()), 1, features, silent)


def entries(cells: Path) -> list[Path]:
    return sorted((cells / "cache/leukctl/copies").glob("*"))


def never(*given: object, **named: object) -> None:
    raise AssertionError("images are looked at again")


def test_a_second_audit_says_the_same_to_the_byte_without_looking(
    cells: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    split = ["split", "all.csv", "--by", "image", "--ratios", "50,50"]
    assert main([*split, "--no-audit", "-q", "-o", "s.csv"]) == 0
    said = []
    for name in ("first", "second"):
        out = ["--json", "-o", f"{name}.json", "--pairs", f"{name}.csv", "--workers", "1"]
        assert main(["split", "--audit", "s.csv", "--no-shortcuts", *out]) == 1
        said.append(capsys.readouterr().err)
        monkeypatch.setattr(survey, "examine", never)
    assert (cells / "first.json").read_bytes() == (cells / "second.json").read_bytes()
    assert (cells / "first.csv").read_bytes() == (cells / "second.csv").read_bytes()
    assert len((cells / "first.csv").read_text().splitlines()) > 3
    assert said[1].replace(", whose copies were found before", "") == said[0]
    assert said[1] != said[0]


def test_splits_in_a_pipe_look_once(cells: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["split", "all.csv", "--ratios", "60,40", "-q", "-o", "s.csv"]) == 0
    folds = ["split", "s.csv", "--folds", "2", "-q", "-o"]
    with monkeypatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cells / "empty"))
        assert main([*folds, "fresh.csv"]) == 0
    monkeypatch.setattr(survey, "examine", never)
    assert main([*folds, "remembered.csv"]) == 0
    assert (cells / "fresh.csv").read_bytes() == (cells / "remembered.csv").read_bytes()


def test_what_is_remembered_is_what_was_found_features_included(cells: Path) -> None:
    fresh, again = look(cells, features=True), look(cells, features=True)
    assert (fresh.remembered, again.remembered) == (False, True)
    assert again.copies == fresh.copies
    assert len(again.copies) >= 3
    assert again.groups() == fresh.groups()
    for before, after in zip(fresh.examined, again.examined, strict=True):
        assert before.sha256 == after.sha256
        assert {kind: v.tobytes() for kind, v in before.features.items()} == {
            kind: v.tobytes() for kind, v in after.features.items()
        }
    assert look(cells).examined[0].features is None


@pytest.mark.parametrize("change", ["byte", "swap", "fewer", "code"])
def test_other_images_are_looked_at(
    cells: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    assert not look(cells).remembered
    first, second = (cells / "img" / name for name in ("0.png", "3.png"))
    if change == "byte":
        first.write_bytes(first.read_bytes() + b"\0")
    elif change == "swap":  # the order decides which of two is called the copy of which
        first.rename(cells / "x")
        second.rename(first)
        (cells / "x").rename(second)
    elif change == "fewer":
        first.unlink()
    else:
        monkeypatch.setattr(memory, "_maker", lambda: "another version")
    assert not look(cells).remembered
    assert look(cells).remembered
    assert len(entries(cells)) == 2


@pytest.mark.parametrize("content", ["", "[[1]]", "[1]", "{", '{"a": 1}', "[[0,1,2,3,4,5,6,7,8]]"])
def test_a_damaged_entry_is_mended(cells: Path, content: str) -> None:
    look(cells)
    (entry,) = entries(cells)
    whole = entry.read_bytes()
    entry.write_text(content)
    assert not look(cells).remembered
    assert entry.read_bytes() == whole
    assert json.loads(whole)


def test_nothing_is_kept_of_a_set_with_an_unreadable_image(cells: Path) -> None:
    (cells / "img" / "4.png").write_bytes(b"no image")
    for _ in range(2):
        found = look(cells)
        assert not found.remembered
        assert [*found.unread()] == [cells / "img" / "4.png"]
    assert entries(cells) == []


def test_a_cache_that_cannot_be_written_to_changes_nothing(cells: Path) -> None:
    (cells / "cache").write_text("a file where the folder goes")
    assert look(cells).copies == look(cells).copies


def test_the_oldest_are_forgotten(cells: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_MOST_KEPT", 2)
    for name in "abcd":
        monkeypatch.setattr(memory, "_maker", lambda name=name: name)
        look(cells)
    assert len(entries(cells)) == 2
    assert look(cells).remembered
