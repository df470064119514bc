"""``leukctl train``: manifest → run folder."""

import itertools
from pathlib import Path
from typing import Annotated

import typer

from leukctl.checkpoints import Source
from leukctl.cli import (
    backbone_list,
    folding,
    grids,
    inputs,
    learning,
    options,
    resuming,
    streams,
    training_runs,
)
from leukctl.errors import UsageError


def train(
    context: typer.Context,
    manifest: Annotated[
        Path | None,
        typer.Argument(
            metavar="MANIFEST",
            help="CSV with path, label and split; - is stdin.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="RUN", help="The run folder to make."),
    ] = None,
    resume: resuming.Resume = None,
    cross_validate: folding.CrossValidate = False,
    backbone: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[,…]",
            help="A name of --list-backbones, any name of timm, hf-hub:OWNER/MODEL with "
            "--pretrained, or local-dir:FOLDER.",
            show_default="what --weights says it is, else mobilenetv2",
        ),
    ] = None,
    list_backbones: backbone_list.ListBackbones = False,
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Weights to start from: a folder as on the Hugging Face hub, or a .safetensors "
            "file.",
        ),
    ] = None,
    pretrained: Annotated[
        bool, typer.Option("--pretrained", help="Download the weights to start from.")
    ] = False,
    input_size: Annotated[
        int | None,
        typer.Option(
            metavar="PIXELS",
            min=16,
            max=1024,
            help="Width and height of the network's input. Cells are pictured at 120 to 600 "
            "pixels, and memory grows with the square.",
            show_default="what its weights are for",
        ),
    ] = None,
    recipe: learning.Recipe = None,
    augment: learning.Augment = None,
    optimizer: learning.OptimizerName = None,
    frozen_epochs: learning.FrozenEpochs = None,
    epochs: learning.Epochs = None,
    unfreeze: learning.Unfreeze = None,
    frozen_lr: learning.FrozenRate = None,
    lr: learning.Rate = None,
    frozen_schedule: learning.FrozenSchedule = None,
    schedule: learning.ScheduleName = None,
    frozen_weight_decay: learning.FrozenWeightDecay = None,
    weight_decay: learning.WeightDecay = None,
    monitor: learning.Monitor = None,
    patience: learning.Patience = None,
    batch_size: learning.BatchSize = None,
    accumulate: learning.Accumulate = None,
    clip: learning.Clip = None,
    hidden: learning.Hidden = None,
    dropout: learning.Dropout = None,
    label_smoothing: learning.LabelSmoothing = None,
    class_weights: learning.ClassWeights = None,
    val_from_train: learning.ValFromTrain = None,
    calibrate: learning.Calibrate = False,
    compile: learning.Compile = False,
    tensorboard: learning.Tensorboard = False,
    seed: options.Seed = 0,
    root: options.Root = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    workers: options.Workers = None,
    force: options.Force = False,
) -> int:
    """Train a classifier on a manifest's splits.

    First the head alone on a frozen backbone, then head and backbone. The state with the best macro
    F1 on val is kept, and test is looked at once, at the end. The run folder holds the model, its
    predictions, metrics and figures; run.json has every option as it was resolved. Exit status 1:
    the model collapsed to one class, its loss became NaN (2 in the first epoch, when there is
    nothing to keep), or --calibrate found no temperature.

    A column weight, as balance writes it, weighs train rows in the loss; a row of weight 0 is not
    learned from. --val-from-train keeps subjects together, or what the column group has together.

    After every epoch all that it takes to go on is kept in RUN/checkpoint. --resume goes on from
    the last epoch that was complete, with the options and the manifest of the beginning; the result
    is that of a training that was never interrupted. A finished run goes on when --epochs is
    raised: the rates that remain are those of the longer schedule, and what patience ended stays
    ended. Deleting RUN/checkpoint costs nothing but this.

    --precision auto times some steps in fp32 and in bf16 and takes bf16 on a CPU, or fp32 on a GPU,
    only where it is at least 1.2 times as fast, so that a busy machine hardly decides; trainings of
    fewer than 100 steps are not timed. The choice is kept for --resume and written to run.json.
    Name a precision to have no doubt. After an auto the answers at the end are computed as predict
    computes them.

    Where the memory has no room for a batch, it is learned from in halves, quarters and so on, to
    the same step, and so to the end, after --resume too; only BatchNorm then sees smaller parts. Of
    several processes all do so where one has to; on several GPUs the training ends.

    --compile is for learning alone: val and the answers at the end are computed without. What
    cannot be compiled whole, or finds no compiler, is refused with exit status 2.

    Several backbones, augmentations or optimizers, with commas between them, make a run each in
    RUN/BACKBONE-AUGMENT-OPTIMIZER. The same line again leaves out what is finished and goes on with
    what was interrupted; what fails is named at the end, with exit status 2.

    --cross-validate takes each fold in turn as test and a tenth of the others' rows, or
    --val-from-train, as val; RUN itself gets the predictions of all test folds, their scores, and
    folds.csv. The same line again trains what is missing.

    torchrun --nproc-per-node N -m leukctl train … divides every batch among N processes, each with
    a GPU or some threads of its own (OMP_NUM_THREADS); images, losses and what is written are those
    of one process but for the last digits. predict and fuse divide their images likewise. Several
    machines need the images, and --resume needs RUN, in folders that all of them see.

    \b
    Names with parameters, and their defaults:
      basic        rotate=180:shift=0.1:scale=0.1:flip=both (also of those below)
      mixup        alpha=0.2
      cutmix       alpha=1
      augmix       severity=3:width=3:alpha=1
      randaugment  operations=2:magnitude=9
      adam, adamw  beta1=0.9:beta2=0.999:eps=1e-8
      sgd          momentum=0.9:nesterov=no
      rmsprop      alpha=0.99:momentum=0:eps=1e-8
      adadelta     rho=0.9:eps=1e-6
      plateau      factor=0.1:patience=3:least=0

    \b
    Example:
      leukctl train balanced.csv --backbone mobilenetv2 \\
          --weights weights/mobilenetv2_100 --epochs 5 -o runs/mnv2
      leukctl train split.csv --recipe altalhi2026 --backbone densenet121 \\
          --weights weights/densenet121 --augment augmix:severity=3 -o runs/dn
      leukctl train folds.csv --cross-validate --recipe muduli2025 -o runs/cv
      leukctl train split.csv --backbone densenet121,resnet50 --pretrained \\
          --augment mixup,augmix --optimizer adam,sgd -o runs
      leukctl train split.csv --tensorboard -o runs/watched
      leukctl train --resume runs/dn
      leukctl train --resume runs/dn --epochs 40
    """
    if list_backbones:
        return backbone_list.show()
    if resume is not None:
        return resuming.resume(resume, resuming.explicit(context), root, workers, tensorboard)
    if manifest is None or output is None:
        missing = "argument 'MANIFEST'" if manifest is None else "option '--output' / '-o'"
        raise UsageError(f"Missing {missing}; only --resume RUN goes without")
    if weights is not None and pretrained:
        raise UsageError("--weights or --pretrained, not both")
    axes = {"backbone": backbone, "augment": augment, "optimizer": optimizer}
    combinations = grids.combinations(axes, weights)
    several = len(combinations) > 1
    needed = ("label", "fold" if cross_validate else "split")
    table, digest = inputs.read_manifest(manifest, needed)
    source = Source(str(manifest), str(root) if root is not None else None, digest)
    from leukctl import crossvalidation, runs

    if several:
        grids.check_free(output)
    elif cross_validate:
        crossvalidation.check_free(output, crossvalidation.folds(table))
    else:
        runs.check_free(output, force)
    if not cross_validate:
        table = training_runs.prepared(table, val_from_train, class_weights, seed, root)
    # What can be refused has been; now torch, which takes its time.
    from leukctl import runtime, training
    from leukctl.backbones import origin_of

    given = {
        "input_size": input_size,
        "val_from_train": val_from_train,
        "frozen_epochs": frozen_epochs,
        "epochs": epochs,
        "unfreeze": unfreeze,
        "frozen_lr": frozen_lr,
        "lr": lr,
        "frozen_schedule": frozen_schedule,
        "schedule": schedule,
        "frozen_weight_decay": frozen_weight_decay,
        "weight_decay": weight_decay,
        "monitor": monitor,
        "patience": patience,
        "batch_size": batch_size,
        "accumulate": accumulate,
        "clip": clip,
        "hidden": hidden,
        "dropout": dropout,
        "label_smoothing": label_smoothing,
        "class_weights": class_weights,
        "calibrate": calibrate,
        "compile": compile,
        "seed": seed,
    }
    planned = []
    for own in combinations:
        origin = origin_of(own["backbone"], own.pop("weights"), pretrained)
        planned.append(training.resolve(given | own, origin, recipe))
    for remark in dict.fromkeys(itertools.chain(*map(training.remarks, planned))):
        streams.warn(remark)
    compute = runtime.compute(device, precision, workers)
    if tensorboard:
        runtime.summary_writer()
    job = training_runs.Job(
        table, source, output, compute, root, prepared=not cross_validate, tensorboard=tensorboard
    )
    if several:
        return grids.run(job, planned, cross_validate, force)
    if cross_validate:
        folding.check(job, planned[0], force)
        return folding.run(job, planned[0], force)
    return training_runs.say(training_runs.run(job, planned[0]), output, calibrate)
