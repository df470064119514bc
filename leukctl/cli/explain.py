"""``leukctl explain``: run + images → heatmaps."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from leukctl import catalog
from leukctl.cli import inputs, options, streams
from leukctl.errors import ExitStatus, ImageError, UsageError
from leukctl.tables import Table

if TYPE_CHECKING:
    from leukctl.explaining.many import Explained
    from leukctl.runs import Run

    Results = Iterator[tuple[Path, Explained | ImageError]]


def explain(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder of train or fuse.")],
    input: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT", help="Images, folders of images, or one manifest; - is stdin."
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="PATH", help="A .png for one image, else a folder to make."
        ),
    ],
    methods: Annotated[
        str,
        typer.Option(metavar="NAME,NAME", help=f"Any of {', '.join(catalog.METHODS)}."),
    ] = "gradcam",
    target: Annotated[
        str,
        typer.Option(metavar="CLASS", help="The class to explain: predicted, label, or a name."),
    ] = "predicted",
    colormap: Annotated[
        Literal["viridis", "jet", "turbo", "magma"], typer.Option(help="Colors of the heatmap.")
    ] = "viridis",
    samples: Annotated[
        int, typer.Option(metavar="N", min=10, help="Perturbed images that LIME fits to.")
    ] = 1000,
    raw: options.Raw = None,
    batch_size: options.BatchSize = 32,
    seed: options.Seed = 0,
    root: options.Root = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    workers: options.Workers = None,
    force: options.Force = False,
) -> int:
    """Show what in an image made a model answer as it did.

    For one image and -o NAME.png, one picture: input, heatmap and overlay, a row for each method.
    Else a folder: a table, and for every image and method a picture and the heatmap as float32
    .npy in [0, 1]. An image that cannot be read is named and left out, with exit status 1.

    \b
    Examples:
      leukctl explain runs/mnv2 cell.bmp -o why.png
      leukctl explain runs/mnv2 test.csv --methods gradcam,lime -o maps
    """
    chosen = _methods(methods)
    from leukctl import explanations, images, manifest, runs

    described = runs.read(run)
    table = manifest.originals(inputs.gather(input, root))
    manifest.check_labels(table, described.classes)
    single = output.suffix.lower() == ".png"
    if str(output) == "-" or (not single and output.suffix.lower() in images.SUFFIXES):
        raise UsageError(f"-o {output}: a picture is NAME.png, anything else a folder")
    if single and len(table) != 1:
        raise UsageError(f"{output} is one picture, and there are {len(table)} images; -o FOLDER")
    if not single:
        explanations.check_free(output, force)
    pick = _picker(target, described.classes, table)
    # What can be refused has been; now torch, which takes its time.
    from leukctl import explaining, inference, runtime
    from leukctl.explaining import Settings, many

    model = inference.load(described, runtime.compute(device, precision, workers))
    explaining.check(model, chosen)
    results = many.explain_many(
        model,
        manifest.image_paths(table, root),
        inference.reader(described, raw),
        pick,
        chosen,
        Settings(batch_size, samples, seed),
    )
    if single:
        return _write_picture(results, output, described, colormap)
    return _write_folder(results, output, described, table, colormap)


def _methods(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in catalog.METHODS:
            raise UsageError(f"unknown method {name!r} (known: {', '.join(catalog.METHODS)})")
    return list(dict.fromkeys(names))


def _picker(target: str, classes: list[str], table: Table) -> Callable[[int, int], int]:
    """Return what tells the class to explain from an image's place and its predicted class."""
    if target == "predicted":
        return lambda index, predicted: predicted
    if target == "label":
        labels = table.column("label")
        for index, label in enumerate(labels):
            if not label:
                raise table.error(index, "label", "empty, and --target label needs it")
        return lambda index, predicted: classes.index(labels[index])
    if target not in classes:
        raise UsageError(f"--target {target!r}: the model's classes are {', '.join(classes)}")
    return lambda index, predicted: classes.index(target)


def _write_picture(results: "Results", output: Path, run: "Run", colormap: str) -> int:
    from leukctl import files
    from leukctl.explaining import many

    path, explained = next(results)
    if isinstance(explained, ImageError):
        inputs.reject(path, explained)
        return ExitStatus.FOUND
    caption = explained.caption(path.name, run.classes)
    files.write_bytes(output, many.picture(explained, caption, colormap))
    for method, heatmap in explained.heatmaps.items():
        if heatmap.status != "ok":
            streams.warn(f"the {method} map is {heatmap.status}")
    streams.note(f"{caption} -> {output}")
    return ExitStatus.DONE


def _write_folder(results: "Results", output: Path, run: "Run", table: Table, colormap: str) -> int:
    from leukctl import explanations, files, tables
    from leukctl.explaining import many

    paths, labels = table.column("path"), table.column("label", "")
    names = explanations.names(paths)
    rejected = odd = 0
    old = explanations.files_of(output)
    with (
        files.atomic_writer(output / explanations.TABLE) as stream,
        streams.progress("explain", len(table)) as advance,
    ):
        writer = tables.writer(stream)
        writer.writerow(explanations.COLUMNS)
        for index, (path, explained) in enumerate(results):
            advance(1)
            if isinstance(explained, ImageError):
                rejected += 1
                inputs.reject(path, explained)
                continue
            identity = (run.name, paths[index], labels[index])
            writer.writerows(
                many.write_files(explained, output, names[index], identity, run.classes, colormap)
            )
            odd += sum(heatmap.status != "ok" for heatmap in explained.heatmaps.values())
    for path in old - explanations.files_of(output):
        path.unlink(missing_ok=True)
    streams.note(f"{output}: {len(table) - rejected} images explained, {rejected} left out")
    if odd:
        streams.warn(f"{odd} heatmaps are blank or not finite; see the column status")
    return ExitStatus.FOUND if rejected else ExitStatus.DONE
