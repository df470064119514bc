"""Archives of images: in order, an image at a time, and nothing hostile gets in."""

import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from leukctl import archives
from leukctl.errors import InputError


def save(path: Path, **changed: np.ndarray | None) -> str:
    arrays: dict[str, np.ndarray | None] = {}
    for seed, (split, count) in enumerate((("train", 5), ("val", 2), ("test", 3))):
        rng = np.random.default_rng(seed)
        arrays[f"{split}_images"] = rng.integers(0, 256, (count, 6, 6, 3), np.uint8)
        arrays[f"{split}_labels"] = np.arange(count, dtype=np.uint8)[:, None]
    arrays |= changed
    np.savez_compressed(path, **{k: array for k, array in arrays.items() if array is not None})
    return str(path)


def test_every_image_comes_once_and_as_it_was_stored(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz")
    found = dict(archives.read_images(path))
    assert list(found) == [
        *(f"train/{i}" for i in range(5)),
        *(f"val/{i}" for i in range(2)),
        *(f"test/{i}" for i in range(3)),
    ]
    with np.load(path, allow_pickle=False) as truth:
        np.testing.assert_array_equal(
            [found[f"train/{i}"] for i in range(5)], truth["train_images"]
        )
        np.testing.assert_array_equal([found[f"test/{i}"] for i in range(3)], truth["test_images"])
        labels = archives.read_labels(path, 5)
        assert labels == {s: truth[f"{s}_labels"][:, 0].tolist() for s in ("train", "val", "test")}


def test_archives_that_are_not_compressed_are_read_too(tmp_path: Path) -> None:
    with np.load(save(tmp_path / "a.npz"), allow_pickle=False) as arrays:
        np.savez(tmp_path / "b.npz", **arrays)
    assert len(list(archives.read_images(str(tmp_path / "b.npz")))) == 10


def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path) -> None:
    many = np.zeros((400, 100, 100, 3), np.uint8)  # 12 MB
    path = save(tmp_path / "a.npz", train_images=many, train_labels=np.zeros((400, 1), np.int64))
    tracemalloc.start()
    archives.read_labels(path, 5)
    assert sum(1 for _ in archives.read_images(path)) == 405
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def objects(shape: tuple[int, ...]) -> np.ndarray:
    return np.full(shape, None, object)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"val_images": None}, "no array val_images in it .there are: test_images.npy"),
        ({"train_labels": None}, "no array train_labels"),
        ({"test_images": objects((3, 6, 6, 3))}, "test_images holds Python objects"),
        ({"test_labels": objects((3, 1))}, "test_labels holds Python objects"),
        ({"train_images": np.zeros((5, 6, 6), np.uint8)}, r"train_images is uint8 \(5, 6, 6\)"),
        ({"train_images": np.zeros((5, 6, 7, 3), np.uint8)}, r"where uint8 \(N, S, S, 3\)"),
        ({"train_images": np.zeros((5, 6, 6, 3), np.float32)}, "train_images is float32"),
        ({"train_images": np.zeros((5, 0, 0, 3), np.uint8)}, "train_images is uint8"),
        ({"train_images": np.zeros((4, 6, 6, 3), np.uint8)}, r"train_labels is .*numbers \(4, 1\)"),
        ({"val_labels": np.zeros((2,), np.uint8)}, r"val_labels is uint8 \(2,\)"),
        ({"val_labels": np.zeros((2, 1), np.float64)}, "val_labels is float64"),
        ({"val_labels": np.full((2, 1), 5, np.uint8)}, "val_labels holds 5 to 5, where 0 to 4"),
        ({"val_labels": np.full((2, 1), -1, np.int8)}, "val_labels holds -1 to -1"),
        (
            {"train_images": np.asfortranarray(np.ones((5, 6, 6, 3), np.uint8))},
            "train_images is damaged, or stored by columns",
        ),
    ],
)
def test_what_is_no_such_archive_is_one_line(
    tmp_path: Path, changed: dict[str, np.ndarray | None], message: str
) -> None:
    with pytest.raises(InputError, match=f"a.npz: .*{message}") as caught:
        archives.read_labels(save(tmp_path / "a.npz", **changed), 5)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"hello", b"PK\x03\x04" + bytes(50)])
def test_what_is_no_zip_is_one_line(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(InputError, match=r"a.npz: no .npz archive, or a damaged one"):
        archives.read_labels(str(tmp_path / "a.npz"), 5)


@pytest.mark.parametrize(
    "array",
    [b"", b"hello", b"\x93NUMPY\x09\x00\x01\x00", b"\x93NUMPY\x01\x00\x09\x00__import"],
)
def test_a_member_that_is_no_array_is_one_line(tmp_path: Path, array: bytes) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("train_images.npy", array)
    with pytest.raises(InputError, match=r"a.npz: no .npz archive, or a damaged one"):
        archives.read_labels(str(tmp_path / "a.npz"), 5)


def test_a_header_that_promises_more_than_there_is_is_refused(tmp_path: Path) -> None:
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (9999999, 6, 6, 3), }"
    size = len(header).to_bytes(2, "little")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("train_images.npy", b"\x93NUMPY\x01\x00" + size + header + bytes(500))
    with pytest.raises(InputError, match="train_images is damaged"):
        archives.read_labels(str(tmp_path / "a.npz"), 5)


def test_damage_behind_the_header_is_found_while_reading(tmp_path: Path) -> None:
    path = Path(save(tmp_path / "a.npz"))
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("test_images.npy")
    data = bytearray(path.read_bytes())
    middle = info.header_offset + info.compress_size // 2 + 60
    data[middle : middle + 30] = bytes(30)
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"a.npz: no .npz archive, or a damaged one"):
        list(archives.read_images(str(path)))
