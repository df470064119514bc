"""``leukctl prep``: images in any known layout to prepared PNG images and a manifest."""

import contextlib
import functools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from leukctl import files
from leukctl.cli import inputs, options, streams
from leukctl.errors import ExitStatus, UsageError

if TYPE_CHECKING:
    from leukctl.layouts import Found, Listing
    from leukctl.preparing import Chain
    from leukctl.preparing.results import Plan, Summary
    from leukctl.processes import Runner
    from leukctl.tables import Table

_MOST_CLASSES_SHOWN = 20
_FEW = 16  # images, for which one more process does not pay


def prep(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SRC", help="Folders of images, .npz archives, or manifests; - is stdin."
        ),
    ],
    images: Annotated[
        Path, typer.Option("--images", metavar="DIR", help="Where the prepared images go.")
    ],
    layout: Annotated[
        Literal[
            "auto",
            "folders",
            "cnmc",
            "all-idb",
            "taleghani",
            "taleghani-4class",
            "pbc",
            "raabin",
            "munich-aml",
            "multi-cancer",
            "bloodmnist",
            "manifest",
        ],
        typer.Option(
            "--layout", metavar="LAYOUT", help="What SRC is, of those above; auto tells by names."
        ),
    ] = "auto",
    steps: Annotated[
        str | None,
        typer.Option(
            "--steps",
            metavar="STEP,STEP…",
            help="Of those above, in the order given; '' changes the format alone.",
            show_default="resize:224",
        ),
    ] = None,
    recipe: Annotated[
        Literal["digiammarco2024", "altalhi2026", "muduli2025", "patel2025", "khan2024"] | None,
        typer.Option("--recipe", metavar="PAPER", help="The steps of a paper, as above."),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--source",
            metavar="NAME",
            help="What the manifest calls the data set.",
            show_default="the name of the folder or archive",
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels",
            metavar="MAP",
            help="CSV with source,from,to: other names for the labels; an empty source is any, an "
            "empty to takes the label away.",
        ),
    ] = None,
    output: options.Output = None,
    root: options.Root = None,
    force: options.Force = False,
    workers: options.Workers = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler",
            metavar="ADDRESS",
            help="Work on the Dask cluster of this scheduler, such as tcp://node1:8786.",
        ),
    ] = None,
    allow_rejected: Annotated[
        int,
        typer.Option(
            "--allow-rejected", metavar="N", min=0, help="Exit 0 with up to N images rejected."
        ),
    ] = 0,
) -> int:
    """Prepare images: PNG files of one form, and a manifest.

    Every image is read, goes through the steps, and is written as PNG. The manifest, the CSV that
    the other commands take, gets a row for each.

    \b
    Layouts:
      auto              recognize the layout from the names
      folders           one folder a class: SRC/CLASS/**/IMAGE
      cnmc              C-NMC 2019, with subjects and its renamed phases
      all-idb           ALL-IDB1 and ALL-IDB2: ImNNN_Y.jpg or .tif
      taleghani         {Original,Segmented}/{Benign,Early,Pre,Pro}/WBC-*.jpg
      taleghani-4class  {Benign,[Malignant] Pre-B,…}/IMAGE
      pbc               Barcelona's eight classes, with their subtypes
      raabin            Raabin-WBC: {Train,TestA,TestB}/CLASS/IMAGE
      munich-aml        Munich AML Morphology, with annotations.dat
      multi-cancer      Multi Cancer: {ALL,Lymphoma,…}/CLASS/IMAGE
      bloodmnist        an archive bloodmnist*.npz, with its splits
      manifest          a CSV with a column path, and any others

    The column part names the part of a data set that an image comes from. The splits train, val
    and test of BloodMNIST and Raabin-WBC (not TestB, of other equipment) fill the column split. A
    manifest's columns are all kept, and its masks go through the same geometry. Images without a
    label are kept, for predict.

    \b
    Steps, each with its parameters and their defaults; NAME=VALUE names one:
      resize:SIZE         or resize:WIDTHxHEIGHT, exact; :fit=pad keeps the
                          aspect and pads with :fill=ground, black or white
      zoom:FACTOR         the central part of width and height, up to 1
      square              pads the shorter side, :fill=ground, black or white;
                          square:crop crops the longer one
      roi                 the box of a mask's largest contour, :margin=0.1 of
                          its sides wider, at least :minarea=0.01 of the frame;
                          :mask=auto (purple; on black ground not black), otsu,
                          hsv, black (:level=20), nucleus or cell
      segment:hsv         blackens all but :hue=230-350:saturation=0.4-1
                          :value=0-0.75 (two hues: 0-20+230-360); those are
                          parameters of roi:mask=hsv too
      segment:nucleus     blackens all but nuclei of white cells;
                          segment:cell all but white cells
      denoise:median      :size=3
      denoise:gaussian    :sigma=1
      denoise:nlm         :h=3:hcolor=3:template=7:search=21; right before roi
                          the box is found first, and then the crop denoised
      contrast:clahe      :clip=2:tiles=8, on lightness
      contrast:stretch    :low=1:high=99, percentiles
      emboss              :strength=1
      stain:macenko       :reference=IMAGE:beta=0.15:alpha=1
      stain:reinhard      :reference=IMAGE

    Without a reference image, stains go to a built-in one, of May-Grünwald-Giemsa; the manifest
    keeps the numbers fitted to it, so that predict and explain need no such file. What a step
    could not do (no contour, no tissue) leaves the picture as it was, and the column prep_note
    says so.

    \b
    Recipes:
      digiammarco2024  resize:256,zoom:0.6,resize:224
      altalhi2026      denoise:median,roi,resize:224
      muduli2025       resize:224
      patel2025        segment:hsv,resize:224
      khan2024         roi,contrast:stretch,emboss,resize:700x600

    Images go to DIR/SOURCE/, masks to DIR/masks/SOURCE/, and what cannot be read to
    DIR/rejected.csv with its reason (status 1). What is there already from the same bytes and the
    same steps is left as it is, so that an interrupted prep goes on; what was made of another
    image or by other steps is replaced only with --force.

    With --scheduler (pip install 'leukctl[dask]') the workers of a Dask cluster do it, with the
    same results: SRC and DIR must lie where every worker sees them under the same path.

    \b
    Example:
      leukctl prep data/C-NMC --layout cnmc --images build/img -o build/all.csv \\
          --steps resize:256,zoom:0.6,resize:224
      leukctl prep data/cells --images build/img | leukctl split - > split.csv
    """
    import time
    from contextlib import closing

    from leukctl import layouts
    from leukctl.preparing import naming, results, work

    chain = _chain(steps, recipe)
    found = layouts.combine(_gather(sources, layout, source, images, root))
    if labels is not None:
        found.table = _relabel(found.table, labels)
    started = time.monotonic()
    plan = results.plan(found.table, found.relative, images, found.archives)
    refused = images / naming.REJECTED
    task = work.Task(chain, force, os.getcwd() if scheduler is not None else "")
    with (
        _runner(plan, workers, scheduler) as run,
        streams.open_whole_output(output) as stream,
        files.atomic_writer(refused) as rejected,
        closing(work.prepare_all(plan.jobs(), task, run)) as outcomes,
        streams.progress("prep", len(plan)) as advance,
    ):
        summary = results.write(
            plan, outcomes, stream, rejected, lambda so_far: advance(1, _rejected(so_far.rejected))
        )
    _say_rejected(summary, refused)
    _say_done(summary, time.monotonic() - started)
    return ExitStatus.DONE if summary.rejected <= allow_rejected else ExitStatus.FOUND


@contextlib.contextmanager
def _runner(plan: "Plan", workers: int | None, scheduler: str | None) -> "Iterator[Runner]":
    """Yield what runs the jobs: processes of this machine, or a cluster."""
    from leukctl import processes

    if scheduler is None:
        # A process takes some tenths of a second to start.
        few = min(workers or processes.processors(), max(1, len(plan) // _FEW))
        yield functools.partial(processes.in_order, workers=few)
        return
    if workers is not None and os.environ.get("LEUKCTL_WORKERS") != str(workers):
        raise UsageError("--workers is for this machine; with --scheduler its cluster has its own")
    from leukctl import cluster

    plan.folder.mkdir(parents=True, exist_ok=True)
    job = next(plan.jobs())
    source = [] if job.archive else [Path(job.source).absolute().parent]
    with cluster.connected(scheduler, [plan.folder.absolute(), *source]) as run:
        yield run


def _rejected(count: int) -> str:
    return f"{count} rejected" if count else ""


def _chain(steps: str | None, recipe: str | None) -> "Chain":
    from leukctl import catalog
    from leukctl.preparing import DEFAULT_STEPS, Chain, recipes

    if recipe is None:
        return Chain.parse(DEFAULT_STEPS if steps is None else steps)
    if steps is not None:
        raise UsageError("--recipe and --steps are two chains; give one")
    streams.note(recipes.describe(recipe))
    return Chain.parse(catalog.RECIPES[recipe])


def _gather(
    sources: Sequence[Path], layout: str, name: str | None, images: Path, root: Path | None
) -> "list[Found]":
    from leukctl import layouts

    if name is not None and len(sources) > 1:
        raise UsageError("--source names one data set; give one SRC, or let folders name theirs")
    found, named, layouts_read = [], set(), set()
    for given in sources:
        src = _own_manifest(given) if layout == "auto" else given
        if layout == "manifest" or (layout == "auto" and not _holds_images(src)):
            found.append(_read_manifest(src, layout, root, name))
            continue
        if root is not None and not inputs.from_environment(root):
            raise UsageError(f"--root is for paths in a manifest, and {src} is none")
        own = name if name is not None else _name_of(src)
        if own in named:
            raise UsageError(f"two SRC are called {own!r}; prepare them apart, with --source NAME")
        named.add(own)
        listing = _list(src, images)
        how = layouts.recognize(listing) if layout == "auto" else layout
        layouts_read.add(how)
        found.append(_read_layout(listing, how, own, layout == "auto"))
    for warning in layouts.kin(layouts_read):
        streams.warn(warning)
    return found


def _own_manifest(src: Path) -> Path:
    """Return the manifest.csv of a folder that has one, as synth's have, else ``src`` itself."""
    own = src / "manifest.csv"
    if not own.is_file():
        return src
    told = files.printable(str(src))
    streams.note(f"{told}: holds a manifest, which is read; --layout folders reads its folders")
    return own


def _holds_images(src: Path) -> bool:
    return src.is_dir() or (src.suffix.lower() == ".npz" and src.is_file())


def _name_of(src: Path) -> str:
    return files.utf8(src.resolve().name if src.is_dir() else src.stem)


def _read_manifest(src: Path, layout: str, root: Path | None, source: str | None) -> "Found":
    from leukctl import layouts, manifest

    if layout == "auto":
        layouts.check_is_table(src)
    with streams.open_input(src) as (stream, name):
        home = src.parent if src.is_file() and root is None else None
        found = layouts.from_manifest(manifest.read(stream, name), root, source, home)
    streams.note(f"{files.printable(name)}: manifest, {len(found.table)} images")
    return found


def _list(src: Path, images: Path) -> "Listing":
    from leukctl import layouts

    if images.resolve() == src.resolve():
        raise UsageError(f"--images {images} is SRC itself; the results need a folder of their own")
    return layouts.list_source(src, exclude=images)


def _read_layout(listing: "Listing", layout: str, source: str, recognized: bool) -> "Found":
    from leukctl import layouts

    src = files.printable(str(listing.given))
    found = layouts.read(listing, layout, source)
    took = "taken for " if recognized else ""
    streams.note(f"{src}: {took}{layout}, {len(found.table)} images, {_classes(found.table)}")
    for note in found.notes:
        streams.warn(f"{src}: {note}")
    for folder in listing.results:
        streams.warn(f"{src}: passed over {folder}, where prep put images before")
    for kind, count in sorted(listing.skipped.items()):
        streams.detail(f"{src}: {count} files are no images ({kind})")
    if listing.aliases:
        streams.detail(f"{src}: passed over {listing.aliases} links to folders read already")
    return found


def _relabel(table: "Table", path: Path) -> "Table":
    from leukctl import layouts, tables

    with streams.open_input(path) as (stream, name):
        relabeled = layouts.label_map.apply(table, tables.read(stream, name))
    streams.note(f"labels by {files.printable(name)}: {_classes(relabeled)}")
    return relabeled


def _classes(table: "Table") -> str:
    from collections import Counter

    counts = Counter(label for label in table.column("label") if label)
    shown = [files.printable(f"{label} {counts[label]}") for label in sorted(counts)][
        :_MOST_CLASSES_SHOWN
    ]
    more = f" and {len(counts) - len(shown)} more" if len(counts) > len(shown) else ""
    subjects = len(set(table.column("subject")) - {""})
    of = f", {subjects} subjects" if subjects else ""
    return f"{len(counts)} classes ({', '.join(shown)}{more}){of}" if counts else "no labels"


def _say_rejected(summary: "Summary", where: Path) -> None:
    for path, reason in summary.reasons:
        inputs.reject(path, reason)
    if summary.rejected > len(summary.reasons):
        streams.error(f"and {summary.rejected - len(summary.reasons)} more, all in {where}")


def _say_done(summary: "Summary", seconds: float) -> None:
    if summary.noted:
        streams.warn(
            f"{summary.noted} images could not be prepared in full; see the column prep_note"
        )
    streams.note(
        f"{summary.images - summary.rejected} images prepared, {summary.skipped} of them before "
        f"now; {summary.rejected} rejected; {seconds:.1f} s, "
        f"{summary.images / max(seconds, 1e-9):.0f} images/s"
    )
