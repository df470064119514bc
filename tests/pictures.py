"""Images as files of many kinds, whole and hostile."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image


def encoded(picture: Image.Image | np.ndarray, kind: str, **options: object) -> bytes:
    """Return a picture as a file of Pillow's ``kind``."""
    buffer = io.BytesIO()
    image = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def tiff(values: np.ndarray, **options: object) -> bytes:
    """Return a TIFF of these very values."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, **options)
    return buffer.getvalue()


def bomb() -> bytes:
    """Return a PNG of a few bytes that says it has 3.6 billion pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def write_noise(path: Path, seed: int = 0, mode: str = "RGB", **options: object) -> Path:
    """Write 30 x 20 pixels of noise as a file of the name's kind, and return its path."""
    pixels = np.random.default_rng(seed).integers(0, 256, (20, 30, 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).convert(mode).save(path, **options)
    return path


def write_bloodmnist(path: Path, train: int = 40) -> dict[str, np.ndarray]:
    """Write an archive as BloodMNIST's, of noise; return its arrays."""
    rng = np.random.default_rng(3)
    arrays = {}
    for split, number in (("train", train), ("val", 8), ("test", 8)):
        arrays[f"{split}_images"] = rng.integers(0, 256, (number, 12, 12, 3), np.uint8)
        arrays[f"{split}_labels"] = (np.arange(number) % 8).astype(np.uint8)[:, None]
    np.savez_compressed(path, **arrays)
    return arrays
