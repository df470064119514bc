"""``leukctl prep``: images in any known layout to prepared PNG images and a manifest."""

import contextlib
import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from leukctl import files
from leukctl.cli import inputs, options, outcomes, prep_sources, streams
from leukctl.errors import ExitStatus, UsageError

if TYPE_CHECKING:
    from leukctl.preparing import Chain
    from leukctl.preparing.results import Plan, Summary
    from leukctl.preparing.work import Task
    from leukctl.processes import Runner

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
    allow_rejected: options.AllowRejected = 0,
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

    from leukctl import layouts
    from leukctl.preparing import naming, results, work

    chain = _chain(steps, recipe)
    found = layouts.combine(prep_sources.gather(sources, layout, source, images, root))
    if labels is not None:
        found.table = prep_sources.relabel(found.table, labels)
    started = time.monotonic()
    plan = results.plan(found.table, found.relative, images, found.archives)
    task = work.Task(chain, force, os.getcwd() if scheduler is not None else "")
    with _runner(plan, workers, scheduler) as run:
        summary = _prepare(plan, task, run, output)
    _say(summary, images / naming.REJECTED, time.monotonic() - started)
    return ExitStatus.DONE if summary.rejected <= allow_rejected else ExitStatus.FOUND


def _chain(steps: str | None, recipe: str | None) -> "Chain":
    from leukctl import catalog
    from leukctl.preparing import DEFAULT_STEPS, Chain, recipes

    if recipe is None:
        return Chain.parse(DEFAULT_STEPS if steps is None else steps)
    if steps is not None:
        raise UsageError("--recipe and --steps are two chains; give one")
    streams.note(recipes.describe(recipe))
    return Chain.parse(catalog.RECIPES[recipe])


@contextlib.contextmanager
def _runner(plan: "Plan", workers: int | None, scheduler: str | None) -> "Iterator[Runner]":
    """Yield what runs the jobs: processes of this machine, or a cluster."""
    from leukctl import processes

    if scheduler is None:
        # A process takes some tenths of a second to start.
        few = min(workers or processes.processors(), max(1, len(plan) // _FEW))
        yield functools.partial(processes.in_order, workers=few)
        return
    if inputs.asked("workers", workers):
        raise UsageError("--workers is for this machine; with --scheduler its cluster has its own")
    from leukctl import cluster

    plan.folder.mkdir(parents=True, exist_ok=True)
    with cluster.connected(scheduler, [plan.folder.absolute(), *plan.source_folders()]) as run:
        yield run


def _prepare(plan: "Plan", task: "Task", run: "Runner", output: Path | None) -> "Summary":
    """Prepare every image, and write the manifest and the table of those rejected."""
    from leukctl.preparing import naming, results, work

    with (
        streams.open_whole_output(output) as stream,
        files.atomic_writer(plan.folder / naming.REJECTED) as rejected,
        contextlib.closing(work.prepare_all(plan.jobs(), task, run)) as prepared,
        streams.progress("prep", len(plan)) as advance,
    ):
        return results.write(
            plan, prepared, stream, rejected, lambda so_far: advance(1, _refused(so_far.rejected))
        )


def _refused(count: int) -> str:
    return f"{count} rejected" if count else ""


def _say(summary: "Summary", refused: Path, seconds: float) -> None:
    outcomes.say_rejected(summary.reasons, summary.rejected, refused)
    if summary.noted:
        streams.warn(
            f"{summary.noted} images could not be prepared in full; see the column prep_note"
        )
    prepared = summary.images - summary.rejected
    outcomes.say_made(
        "prepared", prepared, summary.skipped, summary.rejected, seconds, summary.images
    )
