"""Fields of view of 640 x 480, as JPEG, drawn by synth: what a camera on a microscope gives."""

from pathlib import Path

from PIL import Image

from leukctl import cli

WIDTH, HEIGHT = 640, 480


def draw(folder: Path, count: int) -> list[Path]:
    """Write ``count`` fields, the middle of square ones, into ``folder``; return their paths."""
    square = folder / "square"
    arguments = ["--images", str(count), "--subjects", "10", "--size", str(WIDTH), "-q"]
    cli.main(["synth", str(square), *arguments])
    paths = []
    top = (WIDTH - HEIGHT) // 2
    for source in sorted((square / "images").rglob("*.png")):
        path = folder / f"{source.stem}.jpg"
        with Image.open(source) as image:
            image.crop((0, top, WIDTH, top + HEIGHT)).save(path, quality=90)
        paths.append(path)
    return paths
