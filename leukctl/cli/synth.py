"""``leukctl synth``: draw a labelled set of blood cells."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from leukctl.cli import options, streams
from leukctl.errors import ExitStatus, UsageError


def synth(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to make.")],
    layout: Annotated[
        Literal[
            "cnmc",
            "all-idb",
            "taleghani",
            "taleghani-4class",
            "pbc",
            "raabin",
            "munich-aml",
            "multi-cancer",
            "bloodmnist",
        ]
        | None,
        typer.Option(
            "--layout",
            metavar="LAYOUT",
            help="Draw in the layout of a public data set, one of those below.",
        ),
    ] = None,
    images: Annotated[int, typer.Option("--images", metavar="N", help="Images to draw.")] = 500,
    classes: Annotated[
        str | None,
        typer.Option(
            "--classes",
            metavar="NAME,NAME…",
            help="Two or more, the least mature first.",
            show_default="ALL,healthy, or those of the layout",
        ),
    ] = None,
    subjects: Annotated[
        int, typer.Option("--subjects", metavar="N", help="Patients, each of one class.")
    ] = 40,
    sources: Annotated[
        int,
        typer.Option("--sources", metavar="N", help="Laboratories, each with its stain and light."),
    ] = 2,
    size: Annotated[
        int | None,
        typer.Option(
            "--size",
            metavar="PIXELS",
            help="Width and height of an image.",
            show_default="128, or that of the layout",
        ),
    ] = None,
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

    With --layout OUT gets folders, names, formats and label files as a public data set has them,
    with its classes and size of images, and nothing else, for prep to read in the place of the
    real one. OUT must not be there yet, and appears when it is whole.

    \b
    Layouts:
      cnmc              C-NMC 2019 as on Kaggle: cells on black, three folds, two
                        renamed phases, labels of the first
      all-idb           ALL-IDB2, at most 999 images
      taleghani         Original and Segmented
      taleghani-4class  the variant with folders named [Malignant] …
      pbc               Barcelona's eight classes
      raabin            Train, TestA, TestB
      munich-aml        15 classes, annotations.dat
      multi-cancer      its folder ALL
      bloodmnist        bloodmnist.npz, or bloodmnist_SIZE.npz with --size

    \b
    Example:
      leukctl synth build/cells --images 500 --classes ALL,healthy --seed 7
      leukctl split build/cells/manifest.csv --by subject -o build/split.csv
      leukctl synth build/C-NMC --layout cnmc --images 200
    """
    import time

    from leukctl.synthesis import dataset, public_layouts, public_sets

    if layout is not None and (classes is not None or force):
        raise UsageError(f"{'--classes' if classes else '--force'} does not go with --layout")
    size = size or (public_layouts.SETS[layout].size if layout else 128)
    names = (classes or "ALL,healthy").split(",")
    recipe = dataset.Recipe(
        images=images,
        classes=public_layouts.SETS[layout].classes if layout else tuple(n.strip() for n in names),
        subjects=subjects,
        sources=sources,
        size=public_sets.drawn_size(size) if layout else size,
        seed=seed,
    )
    started = time.monotonic()
    with streams.progress("synth", images) as advance:
        if layout is None:
            dataset.write(recipe, out, workers=workers, force=force, on_progress=advance)
        else:
            public_sets.write(layout, recipe, out, size=size, workers=workers, on_progress=advance)
    seconds = time.monotonic() - started
    streams.note(
        f"drew {images} images of {len(recipe.classes)} classes and {subjects} subjects into "
        f"{out} in {seconds:.1f} s ({images / seconds:.0f} images/s)"
    )
    return ExitStatus.DONE
