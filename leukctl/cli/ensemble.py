"""``leukctl ensemble``: predictions of several models → predictions of their ensemble."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from leukctl.cli import ensemble_notes, ensemble_wishes, ensembles, options, streams


def ensemble(
    models: Annotated[
        list[Path],
        typer.Argument(
            metavar="PRED", help="Two or more predictions files or run folders; - is stdin."
        ),
    ],
    output: options.Output = None,
    method: Annotated[
        Literal["mean", "weighted", "vote", "stack"] | None,
        typer.Option(
            "--method",
            help="What is made of the models: the mean of their probabilities, the weighted mean, "
            "their answers as votes, or a logistic regression over their probabilities.",
            show_default="weighted with weights, else mean",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="W,W,...",
            help="A weight for each model in the order given; they count by their shares.",
            show_default="equal",
        ),
    ] = None,
    threshold: Annotated[
        str | None,
        typer.Option(
            metavar="G[,G...]",
            help="A likeliest class below this probability is no confident prediction; --search "
            "tries several, and none.",
            show_default="none; 0.7,0.8 for --search patel2025",
        ),
    ] = None,
    below: Annotated[
        str | None,
        typer.Option(
            metavar="abstain|next|class:NAME",
            help="What is predicted below the threshold: nothing, the second likeliest class, or "
            "this class.",
            show_default="abstain",
        ),
    ] = None,
    search: Annotated[
        str | None,
        typer.Option(
            metavar="SETS",
            help="Choose weights and threshold on val: grid:STEP (all multiples of STEP that sum "
            "to 1), patel2025, sets as in '0.5,0.5 0.7,0.3', or a CSV with a column w:MODEL for "
            "each model.",
        ),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            metavar="METRIC",
            help="What --search chooses by; a metric of leukctl report, or selective_accuracy.",
            show_default="f1_macro",
        ),
    ] = None,
    min_coverage: Annotated[
        float | None,
        typer.Option(
            metavar="C",
            min=0,
            max=1,
            help="Share of val that the chosen setting must answer.",
            show_default="0",
        ),
    ] = None,
    search_table: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write all that --search tried, as CSV."),
    ] = None,
    fit_on: Annotated[
        Literal["val", "folds"] | None,
        typer.Option(
            "--fit-on",
            help="What stack is fitted on: val, or for each fold the others (predictions that "
            "cross-validation left).",
            show_default="val",
        ),
    ] = None,
    split: Annotated[
        Literal["train", "val", "test", "unsplit"] | None,
        typer.Option(
            "--split",
            help="Images that figures and corrections are of; unsplit are those without a split.",
            show_default="test, else val, else unsplit, else train",
        ),
    ] = None,
    corrections: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write the images that the ensemble corrects or spoils, as CSV."
        ),
    ] = None,
    positive: Annotated[
        str | None,
        typer.Option(
            metavar="CLASS",
            help="The positive class of the corrections.",
            show_default="each against the rest",
        ),
    ] = None,
    copy_images: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Copy these images into folders by kind."),
    ] = None,
    summary_json: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write choice, fit and figures as JSON."),
    ] = None,
    key: Annotated[
        str,
        typer.Option(metavar="COLUMN", help="Match rows by this column."),
    ] = "path",
    root: options.Root = None,
    force: options.Force = False,
) -> int:
    """Make one prediction of several models' predictions.

    Rows are matched by path and classes by name, never by their order. Weights and a threshold
    that --search chooses, and what stack fits, come from the labeled rows of val alone and are then
    applied to all rows. Scores, diversity and corrections are told on standard error, for each
    model and the ensemble.

    \b
    Example:
      leukctl ensemble runs/densenet201 runs/resnet50 \\
          --weights 0.7,0.3 --threshold 0.7 -o ensemble.csv
      leukctl ensemble runs/densenet201 runs/resnet50 --search patel2025 \\
          --corrections corrections.csv --copy-images corrected -o ensemble.csv
      leukctl ensemble a.csv b.csv c.csv --search grid:0.1 \\
          --threshold none,0.7,0.9 --metric selective_accuracy \\
          --min-coverage 0.9 --search-table search.csv > ensemble.csv
    """
    from leukctl import ensembling, predictions, tables

    wishes = ensemble_wishes.Wishes(
        method, weights, threshold, below, search, metric, min_coverage, fit_on
    )
    extras = ensemble_wishes.Extras(corrections, copy_images, search_table, summary_json)
    ensemble_wishes.check(models, wishes, extras, output, positive, key, root, force)
    aligned = ensembles.read(models, key)
    plan = ensembles.plan(wishes, aligned)
    with streams.progress("search", len(plan.sets or ()), "weight sets") as advance:
        made = ensembling.make(aligned, plan, advance)
    found = ensembles.figures(aligned, made, plan, extras, split, positive)
    ensemble_notes.tell(aligned, plan, made, found)
    status = ensembles.write_extras(extras, plan, made, found, aligned, root)
    with streams.open_output(output) as stream:
        tables.write(predictions.to_table(made.predictions), stream)
    return status
