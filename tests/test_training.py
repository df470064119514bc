"""Training: it learns, keeps the best state by val, repeats itself, and never looks at test."""

import math
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import draw_squares
from safetensors.torch import load_file
from sklearn.metrics import accuracy_score, f1_score
from trainings import train

from leukctl import cli, files, manifest, results, runs, runtime, tables, tensors
from leukctl.backbones import Origin
from leukctl.errors import InputError
from leukctl.predictions import Predictions
from leukctl.runtime import torch
from leukctl.training import Options, augment, choices, feeding, memory, mixing
from leukctl.training.data import ImageStore, batches
from leukctl.training.loop import Trainer
from leukctl.training.loss import DivergedError, Tally


def test_it_learns_what_can_be_learned(trained: Path) -> None:
    answers = runs.read_predictions(trained).of_split("test")
    assert accuracy_score(answers.labels, answers.predicted) >= 0.75


def test_a_run_folder_holds_what_the_plan_says(trained: Path) -> None:
    assert sorted(path.name for path in trained.iterdir()) == [
        "checkpoint",
        "confusion.png",
        "curves.png",
        "environment.json",
        "history.csv",
        "metrics.json",
        "model.safetensors",
        "predictions.csv",
        "roc.png",
        "run.json",
    ]
    run = runs.read(trained)
    assert (run.kind, run.classes, run.name) == ("network", ["blue", "red"], "small")
    assert run.options["epochs"] == 15
    assert run.options["lr"] == 1e-3


def test_the_state_kept_is_the_one_with_the_best_val_score(squares: Path, tmp_path: Path) -> None:
    outcome = train(squares, tmp_path / "run", epochs=5, seed=3)
    history = tables.read_path(tmp_path / "run" / "history.csv")
    scores = [float(cell) for cell in history.column("val_f1_macro")]
    losses = [float(cell) for cell in history.column("val_loss")]
    best = max(range(len(scores)), key=lambda i: (scores[i], -losses[i]))
    assert outcome.best_epoch == best + 1
    val = runs.read_predictions(tmp_path / "run").of_split("val")
    again = f1_score(val.labels, val.predicted, average="macro")
    assert again == pytest.approx(scores[best])


def test_equal_runs_are_equal_to_the_byte(squares: Path, tmp_path: Path) -> None:
    for name in ("a/run", "b/run"):
        train(squares, tmp_path / name, augment="mixup", epochs=2, seed=5)
    for name in (
        "model.safetensors",
        "history.csv",
        "predictions.csv",
        "metrics.json",
        "run.json",
        "curves.png",
        "confusion.png",
        "roc.png",
    ):
        assert files.sha256(tmp_path / "a/run" / name) == files.sha256(tmp_path / "b/run" / name)
    train(squares, tmp_path / "c/run", augment="mixup", epochs=2, seed=6)
    weights = [files.sha256(tmp_path / f"{name}/run/model.safetensors") for name in "ac"]
    assert weights[0] != weights[1]


def test_the_test_split_changes_nothing_in_the_model(squares: Path, tmp_path: Path) -> None:
    table = manifest.read_path(squares)
    rows = [i for i, split in enumerate(table.column("split")) if split != "test"]
    tables.write_path(table.select(rows), tmp_path / "without.csv")
    train(squares, tmp_path / "with", epochs=2)
    train(tmp_path / "without.csv", tmp_path / "without", epochs=2)
    digests = [files.sha256(tmp_path / name / "model.safetensors") for name in ("with", "without")]
    assert digests[0] == digests[1]


def test_the_frozen_stage_leaves_the_backbone_and_its_statistics_alone(
    squares: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    before = {
        f"backbone.{k}": v.clone()
        for k, v in runtime.timm.create_model("leukctl_standard_cnn", num_classes=0)
        .state_dict()
        .items()
    }
    for regime in ("none", "basic"):
        train(squares, tmp_path / regime, frozen_epochs=2, epochs=0, augment=regime)
        after = load_file(tmp_path / regime / "model.safetensors")
        assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
        assert not torch.equal(after["head.1.bias"], torch.zeros(2))


def test_cached_features_give_the_numbers_of_forward_passes(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes: dict[str, object] = {
        "backbone": "mobilenetv2",
        "frozen_epochs": 3,
        "epochs": 0,
        "frozen_lr": 0.01,
        "augment": "none",
        "hidden": 8,
        "dropout": 0.3,
        "label_smoothing": 0.1,
        "class_weights": "balanced",
    }
    train(squares, tmp_path / "cached", **changes)
    monkeypatch.setattr(Trainer, "_cache_features", lambda self: {})
    train(squares, tmp_path / "passes", **changes)
    a, b = (load_file(tmp_path / name / "model.safetensors") for name in ("cached", "passes"))
    for name, tensor in a.items():
        torch.testing.assert_close(tensor, b[name], rtol=0, atol=1e-6)
    a, b = (tables.read_path(tmp_path / name / "history.csv") for name in ("cached", "passes"))
    for column in ("train_loss", "val_loss"):
        ours, others = ([float(cell) for cell in each.column(column)] for each in (a, b))
        assert np.allclose(ours, others, rtol=0, atol=1e-6)
    assert a.column("train_accuracy") == b.column("train_accuracy")


@pytest.mark.parametrize("regime", ["basic", "mixup", "augmix"])
def test_a_device_that_warps_images_is_given_the_same_ones(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, regime: str
) -> None:
    inputs, seen = feeding.inputs, []

    def noted(*given: Any) -> Any:
        for batch in inputs(*given):
            seen.append(batch.clone())
            yield batch

    monkeypatch.setattr(feeding, "inputs", noted)
    train(squares, tmp_path / "threads", epochs=2, augment=regime)
    by_threads, seen = seen, []
    warped, images = feeding.warped, []

    def counted(levels: torch.Tensor, back: torch.Tensor) -> torch.Tensor:
        images.append(len(levels))
        return warped(levels, back)

    monkeypatch.setattr(feeding, "warps_on", lambda device: True)
    monkeypatch.setattr(feeding, "warped", counted)
    train(squares, tmp_path / "device", epochs=2, augment=regime)
    assert sum(images) == (0 if regime == "augmix" else sum(map(len, seen)))
    assert len(seen) == len(by_threads) > 2
    difference = torch.cat(seen).sub(torch.cat(by_threads)).abs()
    level = 1.01 / 255 / min(runs.read(tmp_path / "device").backbones[0].std)
    # Not all of it: OpenCV before its version 5 reads at 32nds of a pixel.
    assert (difference <= level).double().mean() > 0.95


def test_two_stages_follow_one_another(squares: Path, tmp_path: Path) -> None:
    train(squares, tmp_path / "run", frozen_epochs=2, epochs=3, frozen_lr=0.01, lr=0.001)
    history = tables.read_path(tmp_path / "run" / "history.csv")
    assert history.column("stage") == ["frozen"] * 2 + ["finetune"] * 3
    assert history.column("epoch") == ["1", "2", "3", "4", "5"]
    rates = [float(cell) for cell in history.column("learning_rate")]
    assert rates == pytest.approx([0.01, 0.005, 0.001, 0.00075, 0.00025])


def test_patience_ends_a_stage(squares: Path, tmp_path: Path) -> None:
    outcome = train(squares, tmp_path / "run", epochs=30, lr=1e-12, patience=2)
    assert outcome.epochs < 30


def test_a_loss_that_is_no_number_is_an_error_where_nothing_good_was_reached(
    squares: Path, tmp_path: Path
) -> None:
    with pytest.raises(DivergedError, match="smaller --lr"):
        train(squares, tmp_path / "run", lr=1e30)
    assert not (tmp_path / "run" / "run.json").exists()


def test_a_later_divergence_keeps_the_last_good_state(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Trainer._train_epoch

    def breaks(self: Trainer, learning: object, epoch: int, *rest: object) -> dict:
        if epoch == 3:
            raise DivergedError("the loss became nan")
        return whole(self, learning, epoch, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Trainer, "_train_epoch", breaks)
    outcome = train(squares, tmp_path / "run", epochs=5)
    assert (outcome.epochs, outcome.diverged) == (2, "the loss became nan in epoch 3")
    assert runs.read(tmp_path / "run").classes == ["blue", "red"]


def test_a_collapse_to_one_class_is_told() -> None:
    def answers(*predicted: int) -> Predictions:
        identity = {name: [""] * 3 for name in ("path", "subject", "source", "fold")}
        identity |= {"label": ["a", "b", "b"], "split": ["val"] * 3}
        return Predictions("x", ["a", "b"], identity, np.full((3, 2), 0.5), np.array(predicted))

    assert results.collapsed(answers(1, 1, 1)) == "b"
    assert results.collapsed(answers(1, 0, 1)) is None


def test_a_collapsed_model_ends_with_status_1(
    squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["train", str(squares), "--backbone", "standard_cnn", "--input-size", "32"]
    arguments += ["--epochs", "1", "--lr", "1e-12", "-o", str(tmp_path / "run")]
    assert cli.main(arguments) == 1
    assert "collapsed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("a.png,x,test", "no row of split train"),
        ("a.png,x,train\nb.png,y,train", "no row of split val"),
        ("a.png,x,train\nb.png,x,val", "only the class 'x'"),
        ("a.png,x,train\nb.png,y,train\nc.png,z,val", "line 4, column label: unknown label 'z'"),
        ("a.png,x,train\nb.png,,train\nc.png,x,val", "line 3, column label: empty"),
        ("a.png,x,train\nb.png,y,train\nc.png,x,val", "line 2, column path: no such image"),
    ],
)
def test_a_manifest_that_cannot_be_trained_on_is_refused(
    tmp_path: Path, rows: str, said: str
) -> None:
    path = tmp_path / "m.csv"
    path.write_text(f"path,label,split\n{rows}\n")
    with pytest.raises(InputError, match=said):
        manifest.learnable(manifest.read_path(path), ("train", "val"))


def test_an_image_that_became_unreadable_is_named(squares: Path, tmp_path: Path) -> None:
    broken = draw_squares(tmp_path, {"train": 2, "val": 2, "test": 2}, ("blue", "red"))
    victim = tmp_path / "train" / "red-1.png"
    victim.write_bytes(victim.read_bytes()[:200])
    with pytest.raises(InputError, match=r"red-1\.png: (truncated|damaged)"):
        train(broken, tmp_path / "run")


def test_oversampled_repeats_are_trained_on_and_predicted_once(
    squares: Path, tmp_path: Path
) -> None:
    table = manifest.read_path(squares)
    twice = table.with_columns(copy=["0"] * len(table))
    twice.rows.append([*table.rows[0], "1"])
    tables.write_path(twice, tmp_path / "twice.csv")
    outcome = train(tmp_path / "twice.csv", tmp_path / "run", epochs=1)
    assert outcome.metrics["splits"]["train"]["n"] == 24
    assert len(runs.read_predictions(tmp_path / "run")) == 40


def test_stages_without_epochs_are_left_out() -> None:
    chosen = Options("x", Origin(), frozen_epochs=0, epochs=3, lr=0.5).stages()
    assert [(stage.name, stage.epochs, stage.learning_rate) for stage in chosen] == [
        ("finetune", 3, 0.5)
    ]


def test_a_tally_has_the_scores_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    tally = Tally()
    labels, answers = [], []
    for size in (7, 5):
        given = random.integers(0, 3, size)
        batch = random.integers(0, 3, size)
        tally.add(float(size), given, batch)
        labels += batch.tolist()
        answers += given.tolist()
    figures = tally.figures()
    assert figures["accuracy"] == accuracy_score(labels, answers)
    assert figures["f1_macro"] == f1_score(labels, answers, average="macro")
    assert figures["loss"] == (7 * 7 + 5 * 5) / 12
    with pytest.raises(DivergedError):
        tally.add(math.nan, np.zeros(1, np.int64), np.zeros(1, np.int64))


def test_batches_cover_all_and_never_end_with_a_single_image() -> None:
    cut = batches(9, 4, np.random.default_rng(0))
    assert [len(part) for part in cut] == [4, 5]
    assert sorted(np.concatenate(cut).tolist()) == list(range(9))
    assert [len(part) for part in batches(10, 4, None)] == [4, 4, 2]
    assert [len(part) for part in batches(1, 4, None)] == [1]


def test_an_image_is_augmented_alike_in_any_batch() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 20, 20, 3), np.uint8)
    choice = choices.read("--augment", "basic", augment.PARAMETERS)
    whole = augment.augment_batch(pixels, np.arange(6), choice, seed=1, epoch=2)
    part = augment.augment_batch(pixels[4:], np.array([4, 5]), choice, seed=1, epoch=2)
    other = augment.augment_batch(pixels, np.arange(6), choice, seed=1, epoch=3)
    assert np.array_equal(whole[4:], part)
    assert not np.array_equal(whole, other)


class _Fixed:
    """A random stream that says what it is told."""

    def __init__(self, uniform: list[float], flips: tuple[float, float]) -> None:
        self._uniform = uniform
        self._flips = flips

    def uniform(self, low: float, high: float) -> float:
        return self._uniform.pop(0)

    def random(self, count: int) -> np.ndarray:
        return np.array(self._flips)


@pytest.mark.parametrize(
    ("angle", "flips", "expected"),
    [
        (0.0, (1, 1), lambda x: x),
        (0.0, (0, 1), np.fliplr),
        (0.0, (1, 0), np.flipud),
        (90.0, (1, 1), np.rot90),
        (90.0, (0, 1), lambda x: np.fliplr(np.rot90(x))),
    ],
)
def test_basic_augmentation_flips_and_turns(angle, flips, expected) -> None:
    image = np.random.default_rng(0).integers(0, 256, (15, 15, 3), np.uint8)
    stream = _Fixed([angle, 1.0, 0.0, 0.0], flips)
    how = {"rotate": 180.0, "shift": 0.1, "scale": 0.1, "flip": "both"}
    turned = augment.basic(image, stream, **how)  # type: ignore[arg-type]
    assert np.abs(turned.astype(int) - expected(image)).max() <= 1


def test_mixup_mixes_images_and_labels_by_one_share() -> None:
    inputs = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 2, 2).contiguous()
    targets = torch.eye(4)
    mix = mixing.mixup(4, (2, 2), np.random.default_rng(0), 0.2)
    mixed, soft = mix.mixed(inputs, targets, torch.from_numpy(mix.order))
    for row in range(4):
        assert mixed[row, 0, 0, 0].item() == pytest.approx(
            float((soft[row] * torch.arange(4.0)).sum()), abs=1e-5
        )
        assert soft[row].sum().item() == pytest.approx(1)


def test_images_too_many_for_memory_are_read_anew(
    squares: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from leukctl.tensors import Reader

    paths = manifest.image_paths(manifest.read_path(squares))[:5]
    kept, anew = (ImageStore(paths, Reader(), (16, 16), 2) for _ in range(2))
    kept.preload()
    monkeypatch.setattr("leukctl.training.data._memory_bytes", lambda: 0)
    anew.preload()
    assert anew._pixels is None
    assert kept._pixels is not None
    order = np.array([3, 0, 4])
    assert np.array_equal(kept.get(order), anew.get(order))


def test_images_too_many_for_memory_are_read_by_no_more_threads_than_there_are_workers(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, get = tensors.read_many, ImageStore.get
    pools, loaded = [], []

    def reads(paths: list[Path], reader: Any, workers: int) -> Any:
        if threading.current_thread() is not threading.main_thread():
            pools.append(workers)
        return read(paths, reader, workers)

    def gets(store: ImageStore, indices: np.ndarray, workers: int | None = None) -> np.ndarray:
        if workers is not None:
            loaded.append(len(indices))
        return get(store, indices, workers)

    ahead = []
    learn = memory.learn

    def learns(*given: Any) -> Any:
        time.sleep(0.02)  # time enough to load everything
        ahead.append(len(loaded) - len(ahead))
        return learn(*given)

    monkeypatch.setattr("leukctl.training.data._memory_bytes", lambda: 0)
    monkeypatch.setattr(tensors, "read_many", reads)
    monkeypatch.setattr(ImageStore, "get", gets)
    monkeypatch.setattr(memory, "learn", learns)
    train(squares, tmp_path / "run", workers=3, epochs=1, batch_size=2)
    assert pools == [1] * 12  # each a batch, in the thread that asks for it
    assert 1 < max(ahead) <= 3 + 2


def test_nothing_is_computed_in_float64_where_apples_gpus_have_none(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch, widen = torch.Tensor.cpu, torch.Tensor.double
    widened = []

    def fetches(tensor: torch.Tensor) -> torch.Tensor:
        found = fetch(tensor).clone()
        found.fetched = True  # type: ignore[attr-defined]
        return found

    def widens(tensor: torch.Tensor) -> torch.Tensor:
        assert hasattr(tensor, "fetched"), "float64 on a device"
        widened.append(tensor.shape)
        return widen(tensor)

    monkeypatch.setattr(torch.Tensor, "cpu", fetches)
    monkeypatch.setattr(torch.Tensor, "double", widens)
    train(squares, tmp_path / "run", epochs=1)
    assert widened


def test_bfloat16_trains_and_predicts_alike(squares: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    arguments = ["train", str(squares), "--backbone", "standard_cnn", "--input-size", "32"]
    arguments += ["--epochs", "15", "--batch-size", "8", "--precision", "bf16", "-q"]
    assert cli.main([*arguments, "-o", str(folder)]) == 0
    assert runs.read(folder).options["precision"] == "bf16"
    answers = runs.read_predictions(folder)
    assert accuracy_score(answers.labels, answers.predicted) > 0.8


@pytest.mark.parametrize("rate", ["-1", "nan"])
def test_learning_rates_that_are_none_are_refused(
    squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], rate: str
) -> None:
    assert cli.main(["train", str(squares), "--lr", rate, "-o", str(tmp_path / "run")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
