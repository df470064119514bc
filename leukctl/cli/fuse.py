r"""``leukctl fuse``: features of several backbones → classifiers."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from leukctl.cli import fusing, inputs, options, streams
from leukctl.errors import UsageError

if TYPE_CHECKING:
    from leukctl.fusion.sources import Source

_CLASSIFIER = "xgboost"


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
    input_size: Annotated[
        int | None,
        typer.Option(
            metavar="PIXELS",
            min=16,
            max=2048,
            help="Height and width of what --backbones see.",
            show_default="what the weights of each were trained with",
        ),
    ] = None,
    classifier: Annotated[
        str,
        typer.Option(
            metavar="NAME,NAME",
            help="What learns from the features: xgboost, svm, knn, adaboost, logreg, "
            "random-forest, lightgbm. Several are compared, with a run folder each.",
        ),
    ] = _CLASSIFIER,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A parameter of the classifiers that know it, or of one (svm.C=10), or of "
            "the dense layers (project.epochs=100). May be given several times.",
        ),
    ] = None,
    standardize: Annotated[
        bool,
        typer.Option(
            "--standardize/--no-standardize",
            help="Bring each feature to mean 0 and deviation 1 on the train rows.",
        ),
    ] = True,
    project: Annotated[
        Literal["relu", "gelu"] | None,
        typer.Option(
            help="Train khan2024's dense layers on the train rows, and classify by what they "
            "make of the features.",
            show_default="the features themselves",
        ),
    ] = None,
    pca: Annotated[
        str | None,
        typer.Option(
            metavar="N|SHARE",
            help="Keep N principal components, or those with this share of the variance.",
            show_default="all features",
        ),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            metavar="K",
            min=2,
            max=100,
            help="Divide the manifest into K folds, by subject where it has subjects, and fit "
            "once for each fold, with that fold as test, into RUN/fold-K.",
        ),
    ] = None,
    cross_validate: Annotated[
        bool, typer.Option("--cross-validate", help="The same with the folds of the manifest.")
    ] = False,
    features: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            envvar="LEUKCTL_FEATURES",
            help="Keep features here, and take from here those that are there.",
            show_default="leukctl/features in the user's cache",
        ),
    ] = None,
    features_only: Annotated[
        bool,
        typer.Option(
            "--features-only",
            help="Write nothing but features.npy, features.csv and features.json.",
        ),
    ] = False,
    batch_size: Annotated[
        int | None,
        typer.Option(
            "--batch-size",
            metavar="N",
            min=1,
            help="Images in a batch.",
            show_default="16 on a CPU, which computes two batches at a time; else 32",
        ),
    ] = None,
    seed: options.Seed = 0,
    root: options.Root = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    workers: options.Workers = None,
    force: options.Force = False,
) -> int:
    """Classify by the features of several backbones at once.

    Pools the last feature map of each backbone, sets the vectors side by side, and fits a
    classifier on the train rows, weighted by the column weight where there is one. Features are
    kept on disk by what they were made from, so that a second classifier needs no network. The run
    folder is one that predict, explain and report take. Trained backbones know what they learned
    from: folds, which test on every image, want --backbones.

    \b
    Parameters that --set knows, with their defaults:
      xgboost        n_estimators=150 learning_rate=0.15 max_depth=3
                     reg_lambda=1 reg_alpha=0 gamma=0 min_child_weight=1
                     subsample=1 colsample_bytree=0.1 max_bin=64
      svm            C=1 kernel=rbf gamma=scale degree=3 coef0=0
      knn            n_neighbors=5 weights=uniform metric=euclidean
      adaboost       n_estimators=50 learning_rate=1 max_depth=1
      logreg         C=1 max_iter=1000
      random-forest  n_estimators=300 max_depth=0 max_features=sqrt
                     min_samples_leaf=1
      lightgbm       n_estimators=200 learning_rate=0.1 num_leaves=15
                     reg_lambda=1 reg_alpha=0 min_child_samples=10
                     colsample_bytree=0.1 max_bin=63
      project        units=64 l2=0.01 epochs=50 learning_rate=0.001
                     batch_size=64

    \b
    Examples:
      leukctl fuse balanced.csv --runs runs/mnv2,runs/cnn -o runs/fused
      leukctl fuse balanced.csv --runs runs/mnv2,runs/cnn \\
        --classifier svm,knn,logreg --set svm.C=10 -o runs/compared
      leukctl fuse all.csv --backbones inception_v3,xception --pretrained \\
        --project relu --folds 10 -o runs/khan2024
      leukctl fuse folds.csv --runs runs/mnv2-folds,runs/cnn-folds \\
        --cross-validate -o runs/fused-folds
    """
    _check_sources(backbones, runs, weights, pretrained, input_size)
    names = _several(backbones or runs or "")
    from leukctl.fusion import choices, counts

    plans = choices.read(
        classifier, setting or (), standardize=standardize, project=project, pca=pca
    )
    if folds is not None and cross_validate:
        raise UsageError("--folds makes folds, --cross-validate takes those there are; one of them")
    trained = [Path(name) for name in names] if runs is not None else []
    crossed = fusing.are_folds(trained, folds, cross_validate)
    if features_only:
        _check_fits_nothing(
            {
                "--classifier": classifier != _CLASSIFIER,
                "--set": setting,
                "--no-standardize": not standardize,
                "--project": project,
                "--pca": pca,
                "--folds": folds,
                "--cross-validate": cross_validate,
            }
        )
    needs = () if features_only else ("label",) if folds or cross_validate else ("label", "split")
    table, digest = inputs.read_manifest(manifest, needs)
    numbers: list[int] = []
    if not features_only:
        table, numbers = fusing.prepared(table, folds, cross_validate, seed, root)
        counts.check(rows := counts.of(table, numbers), plans)
        fusing.check_free(output, [plan.classifier for plan in plans], numbers, force)
        if crossed:
            fusing.check_folds(table, numbers, trained)
    else:
        fusing.check_features(table, output, root, force)
    # What can be refused has been; now torch, which takes its time.
    from leukctl import runtime
    from leukctl.fusion import cache
    from leukctl.fusion.work import Job

    compute = runtime.compute(device, precision, workers)
    batch_size = batch_size or (16 if compute.device.type == "cpu" else 32)
    if runs is None:
        found = _backbones(names, weights, pretrained, input_size, seed)
    else:
        found = fusing.from_runs(table, trained, compute, numbers[0] if crossed else None)
        if not crossed and not features_only:
            fusing.warn_of_seen(table, numbers, trained)
    if not features_only:
        counts.check_width(rows, plans, sum(source.width for source in found))
    job = Job(
        table,
        found,
        compute,
        root,
        batch_size,
        digest,
        seed,
        {
            "backbones": backbones,
            "batch_size": batch_size,
            "classifier": classifier,
            "cross_validate": cross_validate,
            "device": compute.device.type,
            "folds": folds,
            "input_size": input_size,
            "pca": pca,
            "precision": compute.precision,
            "pretrained": pretrained,
            "project": project,
            "runs": runs,
            "set": setting or [],
            "standardize": standardize,
            "weights": weights,
        },
    )
    kept = features if features is not None else cache.default_folder()
    if features_only:
        return fusing.write_features(job, kept, output)
    if not numbers:
        return fusing.run(job, plans, kept, output)

    def sources(fold: int) -> "list[Source]":
        again = crossed and fold != numbers[0]
        return fusing.from_runs(table, trained, compute, fold) if again else found

    return fusing.run_folds(job, plans, numbers, sources, kept, output)


def _check_sources(
    backbones: str | None,
    runs: str | None,
    weights: str | None,
    pretrained: bool,
    input_size: int | None,
) -> None:
    if (backbones is None) == (runs is None):
        raise UsageError("--backbones or --runs, one of the two")
    if runs is not None and (weights is not None or pretrained):
        raise UsageError("--weights and --pretrained go with --backbones; runs have their own")
    if runs is not None and input_size is not None:
        raise UsageError("--input-size goes with --backbones; runs have their own")
    if weights is not None and pretrained:
        raise UsageError("--weights or --pretrained, not both")


def _check_fits_nothing(given: dict[str, object]) -> None:
    if asked := [name for name, value in given.items() if value]:
        raise UsageError(f"--features-only fits nothing, so it takes no {', '.join(asked)}")


def _backbones(
    names: list[str], weights: str | None, pretrained: bool, input_size: int | None, seed: int
) -> "list[Source]":
    from leukctl.fusion import sources

    paths = [Path(path) for path in _several(weights)] if weights is not None else []
    found = sources.from_backbones(names, paths, pretrained, seed, input_size)
    if any(source.spec.weights_sha256 is None for source in found):
        streams.warn("the backbones have random weights; --weights or --runs gives better ones")
    return found


def _several(text: str) -> list[str]:
    names = [part.strip() for part in text.split(",")]
    if not all(names):
        raise UsageError(f"{text!r}: names with commas between them")
    return names
