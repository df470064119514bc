"""Whether the images that a training will need can be read, found out before it begins."""

from collections.abc import Callable, Sequence
from pathlib import Path

from leukctl import distributed, images, manifest, tensors
from leukctl.errors import ImageError, InputError
from leukctl.tables import Table
from leukctl.tensors import Reader
from leukctl.training.data import ImageStore


def check(
    table: Table,
    stores: Sequence[ImageStore],
    read: Reader,
    root: Path | None,
    on_progress: Callable[[int], None],
) -> None:
    """Read what of the images with a split has not been read yet, and keep nothing.

    Those that are kept in memory have been. What only the end will ask for, test above all, is
    decoded as it will be then. Of a train or val that is too large for the memory the headers are
    read: all of 1,200 JPEG files take 0.05 s so and 0.8 s decoded, which is 3 % of an epoch.

    Several processes share the work.

    Args:
        stores: of train and val.

    Raises :class:`InputError` naming the first image that cannot be read.
    """
    kept = {path for store in stores if store.in_memory for path in store.paths}
    later = {path for store in stores if not store.in_memory for path in store.paths}
    chosen = dict.fromkeys(manifest.image_paths(manifest.with_split(table), root))

    def look(path: Path) -> tuple[Path, ImageError | None]:
        try:
            if path in later:
                images.check_header(path)
            else:
                read(path)
        except ImageError as error:
            return path, error
        return path, None

    paths = distributed.own([path for path in chosen if path not in kept])
    for path, problem in tensors.ordered_map(look, paths, stores[0].workers):
        if problem is not None:
            raise InputError(str(problem), file=path)
        on_progress(1)
