"""``leukctl synth``: draw a labelled set of blood cells."""

from pathlib import Path
from typing import Annotated

import typer

from leukctl.cli import options, streams
from leukctl.errors import ExitStatus


def synth(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to make.")],
    images: Annotated[int, typer.Option("--images", metavar="N", help="Images to draw.")] = 500,
    classes: Annotated[
        str,
        typer.Option(
            "--classes", metavar="NAME,NAME…", help="Two or more, the least mature first."
        ),
    ] = "ALL,healthy",
    subjects: Annotated[
        int, typer.Option("--subjects", metavar="N", help="Patients, each of one class.")
    ] = 40,
    sources: Annotated[
        int,
        typer.Option("--sources", metavar="N", help="Laboratories, each with its stain and light."),
    ] = 2,
    size: Annotated[
        int, typer.Option("--size", metavar="PIXELS", help="Width and height of an image.")
    ] = 128,
    seed: options.Seed = 0,
    workers: options.Workers = None,
    force: options.Force = False,
) -> int:
    """Draw a labelled, deterministic set of stained blood cells.

    Each image shows one white cell among red ones. The classes differ in size, nucleus, chromatin
    and cytoplasm of the white cell, from the least mature (the first name) to the most mature, and
    overlap; stain, light and noise differ by source and by subject and tell nothing of the class.
    The cells are drawn, of nobody: they are for trying and testing, not for findings.

    Writes OUT/images/CLASS/, OUT/masks/CLASS/ (nucleus 255, cytoplasm 128, else 0) and, last,
    OUT/manifest.csv. The same options and seed give the same bytes.

    \b
    Example:
      leukctl synth build/cells --images 500 --classes ALL,healthy --seed 7
      leukctl split build/cells/manifest.csv --by subject -o build/split.csv
    """
    import time

    from leukctl.synthesis import dataset

    recipe = dataset.Recipe(
        images=images,
        classes=tuple(name.strip() for name in classes.split(",")),
        subjects=subjects,
        sources=sources,
        size=size,
        seed=seed,
    )
    started = time.monotonic()
    with streams.progress("synth", images) as advance:
        dataset.write(recipe, out, workers=workers, force=force, on_progress=advance)
    seconds = time.monotonic() - started
    streams.note(
        f"drew {images} images of {len(recipe.classes)} classes and {subjects} subjects into "
        f"{out} in {seconds:.1f} s ({images / seconds:.0f} images/s)"
    )
    return ExitStatus.DONE
