import io
from pathlib import Path

import numpy as np
import pytest
from pictures import bomb, encoded, tiff
from PIL import Image, PngImagePlugin

from leukctl import images
from leukctl.errors import ImageError


@pytest.fixture
def rgb() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "WEBP"])
def test_lossless_formats_give_back_the_pixels(rgb: np.ndarray, kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    decoded = images.decode(encoded(Image.fromarray(rgb), kind, **options))
    assert decoded.dtype == np.uint8
    assert decoded.flags.c_contiguous
    np.testing.assert_array_equal(decoded, rgb)


def test_every_format_is_read_in_a_fresh_process(tmp_path: Path) -> None:
    # Pillow knows only the commonest formats until it has read its plugins.
    import subprocess
    import sys

    Image.new("RGB", (3, 2), (7, 8, 9)).save(tmp_path / "x.bmp")
    code = "import sys, pathlib; from leukctl import images; "
    code += "print(images.read_rgb(pathlib.Path(sys.argv[1]))[0, 0].tolist())"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "x.bmp")], capture_output=True, text=True
    )
    assert done.stdout.strip() == "[7, 8, 9]", done.stderr


def test_sixteen_bit_grey_keeps_black_and_full_scale() -> None:
    values = np.array([[0, 257, 32896, 65535]], np.uint16)
    decoded = images.decode(tiff(values))
    assert decoded[0].tolist() == [[0] * 3, [1] * 3, [128] * 3, [255] * 3]


@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_sixteen_bit_color_keeps_its_high_bytes(byteorder: str) -> None:
    values = np.random.default_rng(1).integers(0, 65536, (5, 6, 3), np.uint16)
    decoded = images.decode(tiff(values, photometric="rgb", byteorder=byteorder))
    np.testing.assert_array_equal(decoded, values >> 8)


def test_planar_tiff_is_read_as_it_looks() -> None:
    values = np.random.default_rng(1).integers(0, 256, (3, 8, 9), np.uint8)
    decoded = images.decode(tiff(values, photometric="rgb", planarconfig="separate"))
    np.testing.assert_array_equal(decoded, values.transpose(1, 2, 0))


def test_first_page_of_a_stack_is_taken() -> None:
    pages = np.random.default_rng(1).integers(0, 256, (3, 8, 9, 3), np.uint8)
    np.testing.assert_array_equal(images.decode(tiff(pages, photometric="rgb")), pages[0])


def test_cmyk_jpeg_shows_its_color() -> None:
    # Full cyan ink on white paper.
    data = encoded(Image.new("CMYK", (16, 16), (255, 0, 0, 0)), "JPEG", quality=100)
    np.testing.assert_allclose(images.decode(data)[8, 8], [0, 255, 255], atol=3)


def test_transparency_lies_on_white() -> None:
    pixels = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 0, 0, 51]]], np.uint8)
    decoded = images.decode(encoded(Image.fromarray(pixels), "PNG"))
    assert decoded[0].tolist() == [[10, 20, 30], [255, 255, 255], [204, 204, 204]]


def test_palette_with_a_transparent_entry() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([1, 2, 3, 4, 5, 6])
    image.putdata([0, 1])
    decoded = images.decode(encoded(image, "PNG", transparency=1))
    assert decoded[0].tolist() == [[1, 2, 3], [255, 255, 255]]


def test_one_bit_and_grey_become_three_equal_channels() -> None:
    image = Image.new("1", (2, 1))
    image.putdata([0, 1])
    assert images.decode(encoded(image, "PNG"))[0].tolist() == [[0] * 3, [255] * 3]
    assert images.decode(encoded(Image.new("L", (1, 1), 77), "PNG"))[0, 0].tolist() == [77] * 3


def test_exif_rotation_is_applied(rgb: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    decoded = images.decode(encoded(Image.fromarray(rgb), "TIFF", exif=exif))
    np.testing.assert_array_equal(decoded, np.rot90(rgb, -1))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "GIF", "PPM"])
def test_truncated_images_are_refused(rgb: np.ndarray, kind: str) -> None:
    data = encoded(Image.fromarray(rgb), kind)
    with pytest.raises(ImageError, match="truncated"):
        images.decode(data[: len(data) * 2 // 3])


@pytest.mark.parametrize("kind", ["JPEG2000", "WEBP"])
def test_truncated_images_of_other_formats_are_refused(rgb: np.ndarray, kind: str) -> None:
    data = encoded(Image.fromarray(rgb), kind)
    with pytest.raises(ImageError):
        images.decode(data[: len(data) * 2 // 3])


def test_text_is_no_image() -> None:
    with pytest.raises(ImageError, match="not an image"):
        images.decode(b"hello\n" * 100)


def test_postscript_is_never_handed_to_another_program() -> None:
    with pytest.raises(ImageError, match="not an image"):
        images.decode(encoded(Image.new("RGB", (8, 8)), "EPS"))


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_pixels_of_unknown_scale_are_refused(kind: type) -> None:
    values = np.array([[0, 100000]], kind)
    with pytest.raises(ImageError, match="whose scale is unknown"):
        images.decode(tiff(values))


def test_decompression_bomb_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(ImageError, match="60000x60000 pixels, more than 100 million"):
        images.decode(bomb())


def test_reading_names_the_reason(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    for name, reason in (
        ("empty.png", "empty file"),
        ("absent.png", "No such file"),
        (".", "regu"),
    ):
        with pytest.raises(ImageError, match=reason):
            images.read_bytes(tmp_path / name)


@pytest.mark.parametrize("shape", [(30, 40, 3), (30, 40), (1, 1, 3)])
def test_png_reads_back_in_pillow_with_its_text(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    data = images.encode_png(pixels, {"leukctl:prep": "resize:224", "b": ""})
    with Image.open(io.BytesIO(data)) as image:
        np.testing.assert_array_equal(np.asarray(image), pixels)
        assert image.info == {"leukctl:prep": "resize:224", "b": ""}
    assert images.png_text(data) == {"leukctl:prep": "resize:224", "b": ""}
    assert data == images.encode_png(pixels, {"leukctl:prep": "resize:224", "b": ""})


def test_text_of_another_writer_is_read(rgb: np.ndarray) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Title", "cell")
    assert images.png_text(encoded(Image.fromarray(rgb), "PNG", pnginfo=info)) == {"Title": "cell"}


def test_a_png_that_is_not_whole_has_no_text(rgb: np.ndarray) -> None:
    data = images.encode_png(rgb, {"a": "b"})
    assert images.png_text(data) is not None
    for length in range(0, len(data), 97):
        assert images.png_text(data[:length]) is None
    for place in range(8, len(data), 97):
        assert images.png_text(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]) is None


def test_the_brightest_channel_is_taken(rgb: np.ndarray) -> None:
    np.testing.assert_array_equal(images.brightest(rgb), rgb.max(axis=2))
