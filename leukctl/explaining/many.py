"""Explanations of many images, one after the other, and the files they leave."""

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leukctl import files, images, tensors
from leukctl.errors import ImageError
from leukctl.explaining import METHODS, Heatmap, Settings, panels
from leukctl.images import Rgb
from leukctl.inference import Predictor

Pick = Callable[[int, int], int]


@dataclass(slots=True)
class Explained:
    """One image, what the model said of it, and why.

    Attributes:
        image: prepared, uint8 (H, W, 3).
        probabilities: float64 (K,).
        target: index of the class that the heatmaps speak of.
        heatmaps: by method.
    """

    image: Rgb
    probabilities: NDArray[np.float64]
    target: int
    heatmaps: dict[str, Heatmap]

    def caption(self, name: str, classes: Sequence[str]) -> str:
        """Return the line over a picture: the image, the answer, and the class explained."""
        answer = int(self.probabilities.argmax())
        line = f"{name}: {classes[answer]} ({self.probabilities[answer]:.1%})"
        return line if answer == self.target else f"{line}, explained: {classes[self.target]}"


def explain_many(
    model: Predictor,
    paths: Sequence[Path],
    read: tensors.Reader,
    pick: Pick,
    methods: Sequence[str],
    settings: Settings,
) -> Iterator[tuple[Path, Explained | ImageError]]:
    """Yield each path with its explanation, or the reason why it has none, in order.

    Args:
        pick: from an image's place and the index of the predicted class, the class to explain.
    """
    for index, (path, image) in enumerate(tensors.read_many(paths, read, model.compute.workers)):
        if isinstance(image, ImageError):
            yield path, image
            continue
        probabilities = model.probabilities([image])[0]
        target = pick(index, int(probabilities.argmax()))
        maps = {name: METHODS[name](model, image, target, settings) for name in methods}
        yield path, Explained(image, probabilities, target, maps)


def picture(explained: Explained, caption: str, colormap: str) -> bytes:
    """Return a PNG with a row a method: input, heatmap, overlay."""
    rows = [(name, heatmap.values) for name, heatmap in explained.heatmaps.items()]
    return images.encode_png(panels.panel(explained.image, rows, caption, colormap))


def write_files(
    explained: Explained,
    folder: Path,
    name: str,
    identity: tuple[str, str, str],
    classes: Sequence[str],
    colormap: str,
) -> list[list[str]]:
    """Write an image's heatmaps and pictures; return its rows of explanations.csv.

    Args:
        name: of the files, without extension. identity: the model's name, path, label.
    """
    answer = int(explained.probabilities.argmax())
    rows = []
    for method, heatmap in explained.heatmaps.items():
        array, panel = f"{name}.{method}.npy", f"{name}.{method}.png"
        files.write_bytes(files.inside(folder, array), _npy(heatmap.values))
        one = [(method, heatmap.values)]
        caption = explained.caption(Path(identity[1]).name, classes)
        drawn = panels.panel(explained.image, one, caption, colormap)
        files.write_bytes(files.inside(folder, panel), images.encode_png(drawn))
        rows.append(
            [
                *identity,
                classes[answer],
                repr(float(explained.probabilities[answer])),
                classes[explained.target],
                method,
                heatmap.layer,
                array,
                panel,
                repr(heatmap.raw_min),
                repr(heatmap.raw_max),
                heatmap.status,
            ]
        )
    return rows


def _npy(values: NDArray[np.float32]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values, allow_pickle=False)
    return stream.getvalue()
