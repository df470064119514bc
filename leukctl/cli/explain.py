"""``leukctl explain``: run + images → heatmaps."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from leukctl import catalog
from leukctl.cli import details, heatmaps, inputs, options, streams
from leukctl.errors import UsageError

_STEPS = 64
_SAMPLES = 1000


def explain(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder of train or fuse.")],
    input: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="INPUT", help="Images, folders of images, or one manifest; - is stdin."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="PATH", help="A .png for one image, else a folder to make."
        ),
    ] = None,
    methods: Annotated[
        str,
        typer.Option(metavar="NAME,NAME", help=f"Any of {', '.join(catalog.METHODS)}."),
    ] = "gradcam",
    target: Annotated[
        str,
        typer.Option(
            metavar="CLASS",
            help="The class to explain: predicted, label, all of them, or one's name "
            "(class:NAME in case of doubt).",
        ),
    ] = "predicted",
    layer: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Layer that class activation maps look at.",
            show_default="the backbone's last map",
        ),
    ] = None,
    list_layers: Annotated[
        bool, typer.Option("--list-layers", help="Show the layers of RUN that --layer can name.")
    ] = False,
    colormap: Annotated[
        Literal["viridis", "jet", "turbo", "magma"], typer.Option(help="Colors of the heatmap.")
    ] = "viridis",
    channels: Annotated[
        int | None,
        typer.Option(
            metavar="K",
            min=1,
            help="Let Score-CAM ask the model K times, for clusters of like channels.",
            show_default="once a channel, which is exact",
        ),
    ] = None,
    steps: Annotated[
        int, typer.Option(metavar="N", min=1, help="Steps of integrated gradients.")
    ] = _STEPS,
    samples: Annotated[
        int, typer.Option(metavar="N", min=10, help="Perturbed images that LIME fits to.")
    ] = _SAMPLES,
    superpixels: Annotated[
        Literal["slic", "quickshift"], typer.Option(help="How LIME divides an image.")
    ] = "slic",
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
    .npy in [0, 1]; maps that are there and right are not made again. An image that cannot be read
    is named and left out, with exit status 1, or 2 where it was to be the one picture. The column
    status tells of maps that are blank, constant or nan, have more than half of their sum on the
    outer tenth of each side (border), or come from a LIME fit with an R² below 0.5 (low-r2).

    A fusion with dense layers (fuse --project) has a map for each backbone and method, the other
    backbones' features staying what they are. All but lime explain the dense layers' own softmax,
    and not the classifier after it: status says other-answer where it calls the image another class
    than the run does. --layer is BACKBONE:LAYER there. For other fusions there is lime.

    \b
    Examples:
      leukctl explain runs/mnv2 cell.bmp -o why.png
      leukctl explain runs/mnv2 test.csv --methods gradcam,lime -o maps
      leukctl explain runs/mnv2 --list-layers
    """
    chosen = heatmaps.methods_of(methods)
    heatmaps.check_used(
        chosen,
        [
            ("--layer", layer is not None, catalog.METHODS_AT_A_LAYER),
            ("--channels", channels is not None, ("scorecam",)),
            ("--steps", steps != _STEPS, ("integrated-gradients",)),
            ("--samples", samples != _SAMPLES, ("lime",)),
            ("--superpixels", superpixels != "slic", ("lime",)),
        ],
    )
    from leukctl import explanations, images, manifest

    described = inputs.read_run(run)
    if list_layers:
        return heatmaps.show_layers(described, device, precision)
    if not input or output is None:
        raise UsageError("INPUT and -o PATH are missing; --list-layers alone needs neither")
    inputs.check_raw(raw, described)
    table = manifest.originals(inputs.gather(input, root))
    manifest.check_labels(table, described.classes)
    single = output.suffix.lower() == ".png"
    if str(output) == "-" or (not single and output.suffix.lower() in images.SUFFIXES):
        raise UsageError(f"-o {output}: a picture is NAME.png, anything else a folder")
    if single and len(table) != 1:
        raise UsageError(f"{output} is one picture, and there are {len(table)} images; -o FOLDER")
    if not single:
        explanations.check_free(output, force, described.name, table.column("path"), chosen)
    pick = heatmaps.picker(target, described.classes, table)
    # What can be refused has been; now torch, which takes its time.
    from leukctl import inference, runtime
    from leukctl.explaining import Explainer, Settings
    from leukctl.explaining.many import Job

    model = inference.load(
        described, runtime.compute(device, precision, workers), on_note=streams.warn
    )
    details.answering(described, raw, model.compute)
    settings = Settings(batch_size, channels, steps, superpixels, samples, seed)
    job = Job(
        Explainer(model, chosen, settings, layer),
        manifest.image_paths(table, root),
        inference.reader(described, raw),
        pick,
        colormap,
    )
    if single:
        return heatmaps.write_picture(job, output)
    return heatmaps.write_folder(job, output, table, target, force)
