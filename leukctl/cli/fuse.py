"""``leukctl fuse``: features of several backbones → one classifier."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from leukctl.cli import inputs, options, streams
from leukctl.errors import ExitStatus, UsageError


def fuse(
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST", help="CSV with path, label and split; - is stdin.")
    ],
    output: options.RunOutput,
    backbones: Annotated[
        str | None, typer.Option(metavar="NAME,NAME", help="Backbones to take features from.")
    ] = None,
    runs: Annotated[
        str | None,
        typer.Option(metavar="RUN,RUN", help="Trained ones instead: run folders of train."),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(metavar="PATH,PATH", help="Weights of --backbones, one each, as for train."),
    ] = None,
    pretrained: Annotated[
        bool, typer.Option("--pretrained", help="Download the weights of --backbones.")
    ] = False,
    classifier: Annotated[
        Literal["xgboost"], typer.Option(help="What learns from the features.")
    ] = "xgboost",
    trees: Annotated[int, typer.Option(metavar="N", min=1, help="Boosting rounds.")] = 200,
    learning_rate: Annotated[
        float, typer.Option(metavar="ETA", min=1e-6, max=1, help="Shrinkage of each round.")
    ] = 0.1,
    reg_lambda: Annotated[
        float, typer.Option(metavar="L", min=0, help="L2 penalty on the leaves.")
    ] = 1.0,
    depth: Annotated[int, typer.Option(metavar="N", min=1, max=16, help="Depth of a tree.")] = 4,
    batch_size: options.BatchSize = 32,
    seed: options.Seed = 0,
    root: options.Root = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    workers: options.Workers = None,
    force: options.Force = False,
) -> int:
    """Classify by the features of several backbones at once.

    Pools the last feature map of each backbone, sets the vectors side by side, and fits XGBoost
    on the train rows, weighted by the column weight where there is one. The run folder is one
    that predict and report take.

    \b
    Example:
      leukctl fuse balanced.csv --runs runs/mnv2,runs/cnn -o runs/fused
    """
    if (backbones is None) == (runs is None):
        raise UsageError("--backbones or --runs, one of the two")
    if runs is not None and (weights is not None or pretrained):
        raise UsageError("--weights and --pretrained go with --backbones; runs have their own")
    if weights is not None and pretrained:
        raise UsageError("--weights or --pretrained, not both")
    names = _several(backbones or runs or "")
    table, digest = inputs.read_manifest(manifest, ("label", "split"))
    from leukctl import manifest as manifests
    from leukctl import runs as run_folders

    manifests.learnable(table, ("train",), root)
    inputs.check_weights(table)
    run_folders.check_free(output, force)
    # What can be refused has been; now torch, which takes its time.
    from leukctl import fusion, runtime

    compute = runtime.compute(device, precision, workers)
    if backbones is not None:
        paths = [Path(path) for path in _several(weights)] if weights is not None else []
        sources = fusion.from_backbones(names, paths, pretrained, seed)
        if any(spec.weights_sha256 is None for _, spec in sources):
            streams.warn("the backbones have random weights; --weights or --runs gives better ones")
    else:
        chain = manifests.prep_chain(table)
        sources = fusion.from_runs([Path(name) for name in names], compute, chain)
    with streams.progress("fuse", len(manifests.with_split(table))) as advance:
        document = fusion.fuse(
            table,
            sources,
            fusion.Trees(trees, learning_rate, reg_lambda, depth),
            output,
            compute,
            options={
                "backbones": backbones,
                "batch_size": batch_size,
                "classifier": classifier,
                "device": compute.device.type,
                "precision": compute.precision,
                "pretrained": pretrained,
                "runs": runs,
                "weights": weights,
            },
            seed=seed,
            root=root,
            batch_size=batch_size,
            manifest_sha256=digest,
            on_progress=advance,
        )
    streams.note_scores(document, output)
    return ExitStatus.DONE


def _several(text: str) -> list[str]:
    names = [part.strip() for part in text.split(",")]
    if not all(names):
        raise UsageError(f"{text!r}: names with commas between them")
    return names
