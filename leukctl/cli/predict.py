"""``leukctl predict``: run + images or manifest → predictions."""

import contextlib
from pathlib import Path
from typing import Annotated, Literal

import typer

from leukctl.cli import details, inputs, options, streams
from leukctl.errors import ExitStatus


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder of train or fuse.")],
    input: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT", help="Images, folders of images, or one manifest; - is stdin."
        ),
    ],
    output: options.Output = None,
    raw: options.Raw = None,
    tta: Annotated[
        Literal["flips", "d4"] | None,
        typer.Option(
            "--tta",
            help="Answer with the mean probabilities of an image and its mirrored copies "
            "(flips, 4 in all) or its mirrored and turned ones (d4, 8).",
            show_default="the image alone",
        ),
    ] = None,
    calibrated: Annotated[
        bool,
        typer.Option(
            "--calibrated",
            help="Scale the probabilities by the run's temperature, which report RUN --calibrate "
            "or train --calibrate fitted.",
        ),
    ] = False,
    batch_size: options.BatchSize = 32,
    root: options.Root = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    workers: options.Workers = None,
) -> int:
    """Say what a trained model makes of images.

    Writes a CSV with a row for each image, in the order of the input: path and label, the
    predicted class, its confidence, and the probability of every class. Images that cannot be
    read are named on standard error and left out, with exit status 1. A cell has no upright
    position, so --tta asks the model about turned copies too, at 4 or 8 times the time.
    --calibrated changes how sure the answers are, and none of the answers. A fusion fills each
    batch up to the --batch-size that it was made with, so that its answers are those of fuse,
    whatever --batch-size is here.

    \b
    Examples:
      leukctl predict runs/mnv2 cell.png | head -2
      leukctl predict runs/mnv2 all.csv -o predictions.csv
      leukctl predict runs/mnv2 cells/ --tta d4 -o averaged.csv
    """
    from leukctl import calibration, manifest, predictions, tables
    from leukctl.errors import ImageError

    described = inputs.read_run(run)
    temperature = calibration.read(described).temperature if calibrated else None
    inputs.check_raw(raw, described)
    table = manifest.originals(inputs.gather(input, root))
    manifest.check_labels(table, described.classes)
    # What can be refused has been; now torch, which takes its time.
    from leukctl import runtime
    from leukctl.distributed import predicting

    question = predicting.Question(raw, tta, temperature, batch_size)
    model = question.model(described, runtime.compute(device, precision, workers), streams.warn)
    details.answering(described, raw, model.compute)
    identities = zip(*(table.column(name, "") for name in predictions.IDENTITY), strict=True)
    rejected = 0
    with (
        streams.open_output(output) as stream,
        streams.progress("predict", len(table)) as advance,
        contextlib.closing(
            predicting.answers(question, model, manifest.image_paths(table, root), advance)
        ) as answers,
    ):
        writer = tables.writer(stream)
        writer.writerow(predictions.header(described.classes))
        for identity, (path, answer) in zip(identities, answers, strict=True):
            if isinstance(answer, ImageError):
                rejected += 1
                inputs.reject(path, answer)
            else:
                writer.writerow(
                    predictions.row(
                        identity, described.classes, answer.tolist(), int(answer.argmax())
                    )
                )
    if rejected:
        streams.note(f"{rejected} of {streams.counted(len(table), 'image')} left out")
    return ExitStatus.FOUND if rejected else ExitStatus.DONE
