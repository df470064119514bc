"""Optimizers, schedules, stages and the loss: what they do, worked by hand or by torch."""

import math
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file
from trainings import train

from leukctl import backbones, catalog, cli, files, manifest, runs, tables
from leukctl.balancing import weights as row_weights
from leukctl.cli import streams, training_runs
from leukctl.errors import UsageError
from leukctl.reporting import figures
from leukctl.runtime import torch
from leukctl.training import Options, Outcome, augment, choices, optimizers, schedules
from leukctl.training.loop import Trainer
from leukctl.training.loss import Split, accumulated, soft_targets
from leukctl.training.schedules import Schedule, Watch


@pytest.fixture(autouse=True)
def _no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the drawing, which takes most of such a short training's time."""
    for name in ("confusion", "roc", "curves"):
        monkeypatch.setattr(figures, name, lambda *_: None)


@pytest.mark.parametrize(
    ("registry", "names"),
    [
        (optimizers.OPTIMIZERS, catalog.OPTIMIZERS),
        (schedules.SCHEDULES, catalog.SCHEDULES),
        (schedules.MONITORS, catalog.MONITORS),
        (augment.AUGMENTATIONS, catalog.AUGMENTATIONS),
    ],
)
def test_registry_and_catalog_have_the_same_names(registry: dict, names: dict) -> None:
    assert list(registry) == list(names)


def test_a_name_is_read_with_its_parameters_and_the_defaults_of_the_others() -> None:
    choice = choices.read("--optimizer", "sgd:momentum=0.5", optimizers.PARAMETERS)
    assert (choice.name, choice.parameters) == ("sgd", {"momentum": 0.5, "nesterov": "no"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sdg", r"--optimizer 'sdg': unknown; did you mean sgd\? \(known: adam, adamw"),
        ("sgd:beta1=0.5", r"unknown parameter 'beta1=0.5' \(known: momentum=VALUE, nesterov"),
        ("sgd:momentum", r"unknown parameter 'momentum'"),
        ("sgd:momentum=2", r"momentum must be a number from 0 to below 1, not '2'"),
        ("sgd:momentum=nan", r"momentum must be a number"),
        ("sgd:nesterov=maybe", r"nesterov must be one of no, yes, not 'maybe'"),
        ("sgd:momentum=0:momentum=0", r"momentum is given twice"),
    ],
)
def test_a_choice_that_cannot_be_read_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        choices.read("--optimizer", text, optimizers.PARAMETERS)


def stepped(text: str, decay: float = 0.0, steps: int = 1) -> float:
    """Return where 1.0 gets by steps of rate 0.1 on a gradient of 0.5."""
    tensor = torch.nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
    choice = choices.read("--optimizer", text, optimizers.PARAMETERS)
    optimizer = optimizers.build(choice, [tensor], 0.1, decay)
    for _ in range(steps):
        tensor.grad = torch.tensor([0.5], dtype=torch.float64)
        optimizer.step()
    return tensor.item()


@pytest.mark.parametrize(
    ("text", "decay", "expected"),
    [
        # The first step of Adam goes by the rate, whatever the gradient.
        ("adam", 0.0, 1 - 0.1 * 0.5 / (0.5 + 1e-8)),
        ("adam", 0.2, 1 - 0.1 * 0.7 / (0.7 + 1e-8)),  # an L2 penalty adds to the gradient
        ("adamw", 0.2, 1 - 0.1 * 0.2 - 0.1 * 0.5 / (0.5 + 1e-8)),
        ("sgd", 0.2, 1 - 0.1 * (0.5 + 0.2)),
        ("sgd:momentum=0.9:nesterov=yes", 0.0, 1 - 0.1 * (0.5 + 0.9 * 0.5)),
        ("rmsprop", 0.0, 1 - 0.1 * 0.5 / (math.sqrt(0.01 * 0.25) + 1e-8)),
        ("rmsprop:alpha=0.9", 0.0, 1 - 0.1 * 0.5 / (math.sqrt(0.1 * 0.25) + 1e-8)),
        ("adadelta", 0.0, 1 - 0.1 * 0.5 * math.sqrt(1e-6) / math.sqrt(0.1 * 0.25 + 1e-6)),
    ],
)
def test_a_step_is_what_the_papers_say(text: str, decay: float, expected: float) -> None:
    assert stepped(text, decay) == pytest.approx(expected, rel=1e-9)


def test_momentum_carries_on() -> None:
    assert stepped("sgd:momentum=0.9", steps=2) == pytest.approx(1 - 0.05 - 0.1 * 0.95)


def test_nesterov_without_momentum_is_refused() -> None:
    with pytest.raises(UsageError, match="needs a momentum"):
        stepped("sgd:momentum=0:nesterov=yes")


def rates(text: str, losses: list[float]) -> list[float]:
    """Return the learning rate of every epoch, that of the start 1."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    choice = choices.read("--schedule", text, schedules.PARAMETERS)
    schedule = Schedule(choice, optimizer, len(losses), "val_loss")
    found = []
    for loss in losses:
        found.append(schedule.rate)
        optimizer.step()
        schedule.end_epoch({"loss": loss, "f1_macro": 0.5})
    return found


def test_learning_rates_follow_their_schedule() -> None:
    assert rates("constant", [1.0] * 3) == [1.0] * 3
    assert rates("cosine", [1.0] * 4) == pytest.approx([1, 0.5 + 0.5**1.5, 0.5, 0.5 - 0.5**1.5])
    # Two epochs without a lower loss, and the rate of the next is a tenth, as Keras has it.
    losses = [3.0, 2.0, 2.0, 2.5, 1.0, 1.0, 1.0, 1.0]
    assert rates("plateau:factor=0.1:patience=2", losses) == pytest.approx(
        [1, 1, 1, 1, 0.1, 0.1, 0.1, 0.01]
    )
    assert rates("plateau:patience=1:least=0.05", [1.0] * 4) == pytest.approx([1, 1, 0.1, 0.05])


def test_a_plateau_is_found_where_torch_finds_it() -> None:
    losses = np.random.default_rng(0).uniform(0.5, 1.5, 60).tolist()
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    # Torch counts the epochs that it bears; Keras, and we, the one at which it acts.
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.5, patience=2, threshold=0, threshold_mode="abs", min_lr=0.01
    )
    expected = []
    for loss in losses:
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step(loss)
    assert rates("plateau:factor=0.5:patience=3:least=0.01", losses) == pytest.approx(expected)
    assert len(set(expected)) > 5


def test_a_schedule_goes_on_from_its_state() -> None:
    for text in ("plateau:patience=2", "cosine", "constant"):
        choice = choices.read("--schedule", text, schedules.PARAMETERS)
        pair = [torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0) for _ in range(2)]
        first, second = (Schedule(choice, optimizer, 9, "val_loss") for optimizer in pair)
        for epoch in range(4):
            pair[0].step()
            first.end_epoch({"loss": 1.0 + epoch})
        pair[1].load_state_dict(pair[0].state_dict())
        second.load_state_dict(first.state_dict())
        found = []
        for optimizer, schedule in zip(pair, (first, second), strict=True):
            rest = []
            for _ in range(3):
                optimizer.step()
                schedule.end_epoch({"loss": 9.0})
                rest.append(schedule.rate)
            found.append(rest)
        assert found[0] == found[1]


def test_a_stage_ends_by_the_monitor_that_was_named() -> None:
    by_loss, by_f1, never = Watch("val_loss", 2), Watch("val_f1", 2), Watch("val_loss", 0)
    epochs = [(1.0, 0.5), (1.1, 0.6), (1.2, 0.7), (0.5, 0.7), (0.6, 0.7), (0.7, 0.6)]

    def ends(watch: Watch, loss: float, f1: float) -> bool:
        watch.count({"loss": loss, "f1_macro": f1})
        return watch.is_over()

    ended = [[ends(watch, *epoch) for epoch in epochs] for watch in (by_loss, by_f1, never)]
    assert ended[0] == [False, False, True, False, False, True]
    assert ended[1] == [False] * 5 + [True]  # at an F1 of 0.7 the lower loss was a gain
    assert ended[2] == [False] * 6


def test_smoothed_and_weighted_targets_give_the_loss_of_torch() -> None:
    labels = np.array([0, 2, 1, 2])
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    weights = np.array([0.5, 1.5, 1.0, 1.0])
    soft = soft_targets(Split(None, labels, weights), 3, 0.1)  # type: ignore[arg-type]
    ours = torch.nn.functional.cross_entropy(logits, soft)
    each = torch.nn.functional.cross_entropy(
        logits, torch.from_numpy(labels), label_smoothing=0.1, reduction="none"
    )
    assert ours.item() == pytest.approx((each * torch.from_numpy(weights)).mean().item(), rel=1e-6)
    # By hand: of two classes, smoothed by 0.2, the right one has 0.9 and the other 0.1.
    by_hand = soft_targets(Split(None, np.array([1])), 2, 0.2)  # type: ignore[arg-type]
    assert by_hand.tolist() == [pytest.approx([0.1, 0.9])]


def test_class_weights_are_those_of_scikit_learn() -> None:
    from sklearn.utils.class_weight import compute_sample_weight

    labels = np.array([0, 0, 0, 2, 2, 1])
    ours = row_weights.balanced(labels)
    assert ours == pytest.approx(compute_sample_weight("balanced", labels))
    assert ours.mean() == pytest.approx(1)


def test_balanced_classes_count_alike_in_the_loss(squares: Path, tmp_path: Path) -> None:
    table = manifest.read_path(squares)
    names = list(zip(table.column("label"), table.column("split"), strict=True))
    gone = [i for i, name in enumerate(names) if name == ("red", "train")][3:]
    uneven = table.select([i for i in range(len(table)) if i not in gone])
    # 12 are blue and 3 are red: 15 / (2 * 12) and 15 / (2 * 3).
    cells = [{"blue": "0.625", "red": "2.5"}[label] for label in uneven.column("label")]
    tables.write_path(uneven, tmp_path / "m.csv")
    tables.write_path(uneven.with_columns(weight=cells), tmp_path / "w.csv")
    train(tmp_path / "m.csv", tmp_path / "asked", class_weights="balanced")
    train(tmp_path / "w.csv", tmp_path / "given")
    asked, given = (tables.read_path(tmp_path / n / "history.csv") for n in ("asked", "given"))
    assert asked.rows == given.rows


def test_steps_share_their_batches_by_size() -> None:
    assert accumulated([4, 4, 4, 2, 3], 2) == [
        *((0.5, False), (0.5, True)),
        *((4 / 6, False), (2 / 6, True)),
        (1.0, True),
    ]


def test_small_batches_accumulated_are_a_large_one(squares: Path, tmp_path: Path) -> None:
    # On cached features, since BatchNorm would look at each batch alone.
    alike = {"augment": "none", "frozen_epochs": 3, "epochs": 0, "dropout": 0.0}
    train(squares, tmp_path / "large", batch_size=8, **alike)
    train(squares, tmp_path / "small", batch_size=2, accumulate=4, **alike)
    train(squares, tmp_path / "other", batch_size=2, **alike)
    heads = [
        load_file(tmp_path / name / "model.safetensors")["head.1.weight"]
        for name in ("large", "small", "other")
    ]
    assert torch.allclose(heads[0], heads[1], atol=1e-6)
    assert not torch.allclose(heads[0], heads[2], atol=1e-4)


def test_a_clipped_step_is_no_longer_than_the_norm(squares: Path, tmp_path: Path) -> None:
    start = {"frozen_epochs": 1, "epochs": 0, "augment": "none", "batch_size": 24}
    sgd = {"optimizer": "sgd:momentum=0", "frozen_lr": 1.0, "weight_decay": 0.0, "seed": 1}
    torch.manual_seed(1)
    backbone, spec = backbones.create("standard_cnn", backbones.Origin(), 32)
    head = backbones.Network(backbone, 2, {"hidden": 0, "dropout": 0.0}, spec.input_size).head
    before = [tensor.detach().clone() for tensor in head.parameters()]
    lengths = {}
    for clip in (None, 0.01):
        train(squares, tmp_path / str(clip), clip=clip, dropout=0.0, **start, **sgd)
        after = load_file(tmp_path / str(clip) / "model.safetensors")
        moved = [after["head.1.weight"] - before[0], after["head.1.bias"] - before[1]]
        lengths[clip] = math.sqrt(sum(float((part**2).sum()) for part in moved))
    assert lengths[None] > 0.02
    assert lengths[0.01] == pytest.approx(0.01, rel=1e-3)


def test_only_the_last_stages_learn_and_the_others_keep_their_statistics(
    squares: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    backbone, _ = backbones.create("standard_cnn", backbones.Origin(), 32)
    before = {f"backbone.{k}": v.clone() for k, v in backbone.state_dict().items()}
    last = {id(tensor) for tensor in backbones.stages(backbone)[-1].parameters}
    learns = {f"backbone.{k}" for k, v in backbone.named_parameters() if id(v) in last}
    train(squares, tmp_path / "run", unfreeze=1)
    after = load_file(tmp_path / "run" / "model.safetensors")
    moved = {name for name, tensor in before.items() if not torch.equal(after[name], tensor)}
    assert learns
    assert moved & {f"backbone.{k}" for k, _ in backbone.named_parameters()} == learns
    # And statistics move where tensors do: beside each that moved stands one that learns.
    assert {name.rsplit(".", 1)[0] for name in moved} == {n.rsplit(".", 1)[0] for n in learns}


def test_more_stages_than_there_are_cannot_be_unfrozen(squares: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--unfreeze 99: the backbone has \d+ stages \("):
        train(squares, tmp_path / "run", unfreeze=99, frozen_epochs=1)
    assert not (tmp_path / "run").exists() or not list((tmp_path / "run").glob("*.csv"))


def test_stages_have_their_own_rate_decay_and_schedule() -> None:
    options = Options(
        "x", frozen_epochs=3, frozen_lr=0.1, frozen_weight_decay=0.2, frozen_schedule="constant",
        epochs=4, lr=0.3, weight_decay=0.4, schedule="plateau", unfreeze=2,
    )  # fmt: skip
    first, second = options.stages()
    assert (first.learning_rate, first.weight_decay, first.schedule.name) == (0.1, 0.2, "constant")
    assert (second.learning_rate, second.weight_decay, second.schedule.name) == (
        *(0.3, 0.4),
        "plateau",
    )
    assert (first.unfreeze, second.unfreeze) == (None, 2)
    alike = Options("x", frozen_epochs=1, weight_decay=0.4, schedule="constant").stages()[0]
    assert (alike.weight_decay, alike.schedule.name) == (0.4, "constant")


@pytest.mark.parametrize("regime", [*catalog.AUGMENTATIONS])
def test_training_is_the_same_with_any_number_of_workers(
    squares: Path, tmp_path: Path, regime: str
) -> None:
    for workers in (1, 3):
        train(squares, tmp_path / f"{workers}/run", workers, augment=regime, epochs=1)
    for name in ("model.safetensors", "history.csv", "predictions.csv", "run.json"):
        digests = {files.sha256(tmp_path / f"{workers}/run" / name) for workers in (1, 3)}
        assert len(digests) == 1, name


@pytest.mark.slow
def test_regimes_differ_and_their_parameters_matter(squares: Path, tmp_path: Path) -> None:
    regimes = [*catalog.AUGMENTATIONS, "mixup:alpha=5", "augmix:severity=10", "basic:rotate=15"]
    regimes.append("randaugment:magnitude=25")
    for index, regime in enumerate(regimes):
        train(squares, tmp_path / str(index), augment=regime, epochs=1)
    digests = {files.sha256(tmp_path / str(i) / "model.safetensors") for i in range(len(regimes))}
    assert len(digests) == len(regimes)


def test_basic_of_no_change_changes_nothing() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 9, 9, 3), np.uint8)
    still = "basic:rotate=0:shift=0:scale=0:flip=none"
    choice = choices.read("--augment", still, augment.PARAMETERS)
    assert np.array_equal(augment.augment_batch(pixels, np.arange(2), choice, 0, 1), pixels)
    flips = choices.read("--augment", still.replace("none", "vertical"), augment.PARAMETERS)
    changed = augment.augment_batch(pixels[[0] * 20], np.arange(20), flips, 0, 1)
    kinds = {image.tobytes() for image in changed}
    assert kinds == {pixels[0].tobytes(), np.ascontiguousarray(pixels[0, ::-1]).tobytes()}


@pytest.mark.slow
def test_every_optimizer_trains(squares: Path, tmp_path: Path) -> None:
    for name in catalog.OPTIMIZERS:
        outcome = train(squares, tmp_path / name, optimizer=name, lr=0.01, epochs=1)
        assert math.isfinite(outcome.metrics["splits"]["val"]["log_loss"]["value"])


def test_run_json_holds_what_was_resolved(squares: Path, tmp_path: Path) -> None:
    arguments = ["train", str(squares), "--backbone", "standard_cnn", "--input-size", "32", "-q"]
    arguments += ["--recipe", "altalhi2026", "--epochs", "1", "--augment", "augmix:severity=2"]
    assert cli.main([*arguments, "-o", str(tmp_path / "run")]) in (0, 1)
    kept = runs.read(tmp_path / "run").options
    assert kept["recipe"] == "altalhi2026"
    assert (kept["augment"], kept["augment_parameters"]["severity"]) == ("augmix", 2)
    assert kept["augment_parameters"]["width"] == 3
    assert (kept["optimizer"], kept["schedule"]) == ("adam", "plateau")
    assert kept["schedule_parameters"]["factor"] == 0.1
    assert (kept["epochs"], kept["label_smoothing"], kept["frozen_weight_decay"]) == (1, 0.1, 1e-4)


@pytest.mark.parametrize(
    ("gap", "said"),
    [
        (0.15, "macro F1 is 15.0 points higher on train than on val"),
        (-0.01, "macro F1 is 1.0 point lower on train than on val"),
        (0.0, None),
        (-0.0004, None),
        (None, None),
    ],
)
def test_a_gap_between_train_and_val_is_told_where_there_is_one(
    gap: float | None, said: str | None, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    from leukctl import results

    document = {"splits": {name: {"f1_macro": {"value": v}} for name, v in
                           (("train", 0.9), ("val", 0.75))}}  # fmt: skip
    assert results.gap(document) == pytest.approx(0.15)
    assert results.gap({"splits": {"train": document["splits"]["train"]}}) is None
    monkeypatch.setattr(results, "gap", lambda document: gap)
    monkeypatch.setattr(streams.verbosity, "quiet", False)
    outcome = Outcome({"splits": {}}, 1, 1, None, None, 10.0)
    assert training_runs.say(outcome, Path("run"), calibrate=False) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if "macro F1 is" in line]
    assert len(lines) == int(said is not None)
    assert said is None or said in lines[0]


def test_a_loss_that_breaks_later_keeps_the_last_good_state_and_ends_with_status_1(
    squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    whole = Trainer._step

    def breaks(self: Trainer, learning: object) -> None:
        whole(self, learning)  # type: ignore[arg-type]
        if self.best.epoch == 2:
            with torch.no_grad():
                next(self.network.parameters()).fill_(math.nan)

    monkeypatch.setattr(Trainer, "_step", breaks)
    arguments = ["train", str(squares), "--backbone", "standard_cnn", "--input-size", "32"]
    arguments += ["--epochs", "15", "--batch-size", "8", "--patience", "0", "--seed", "3"]
    assert cli.main([*arguments, "-o", str(tmp_path / "run")]) == 1
    assert "loss became nan in epoch 3; the last good state is kept" in capsys.readouterr().err
    state = load_file(tmp_path / "run" / "model.safetensors")
    assert all(torch.isfinite(tensor.float()).all() for tensor in state.values())
