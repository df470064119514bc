"""Training from image files: leukctl against the loop that a user would write.

    python benchmarks/train.py IMAGES_FOLDER WEIGHTS_FOLDER
    python benchmarks/train.py IMAGES_FOLDER TIMM_NAME finetune 3

The loop: timm's model, a DataLoader with Pillow and torchvision's transforms, float32, glibc's
allocator as it is, Adam, batches of 32. The folder holds a folder of images per class. Two ways of
training, which an argument may choose:

    frozen    10 epochs of the head on the frozen backbone, 300 images, no augmentation; leukctl
              passes each image through the backbone once. ``passes`` is leukctl with a forward
              pass of each image in each epoch.
    finetune  2 epochs of all weights, 192 images, flips, rotation, shift and scale. ``bare`` is the
              same network, tuned alike, on inputs that lie in memory before the clock starts.

Each side runs in a process of its own, reads the same files, looks at the same 16 images of
validation after each epoch, and reports the seconds of all epochs, from the first file on and
without imports and building the model, those of the last epoch alone, by when memory and cache are
there, its own peak memory (without that of a DataLoader's workers), and the seconds of processor of
all its processes from the first file on. With all weights it reports the median step from end to
end, too: from the end of one step to that of the next, of the epochs after the first, in which
files are read, by leukctl into memory and by the system into its own, and memory is had.
"""

import itertools
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

PLANS = {"frozen": (10, 300), "finetune": (2, 192)}
VAL = 16
BATCH = 32
RATE = 1e-4


def chosen(folder: Path, count: int) -> tuple[list[str], list[tuple[Path, int]]]:
    """Return the classes and ``count`` images with their labels, spread over all of them."""
    files = [path for path in sorted(folder.rglob("*.*")) if path.suffix != ".csv"]
    classes = sorted({path.parent.name for path in files})
    if len(files) < count:
        raise SystemExit(f"{folder}: {len(files)} images, where {count} are needed")
    picked = [files[place * len(files) // count] for place in range(count)]
    return classes, [(path, classes.index(path.parent.name)) for path in picked]


class Times:
    """When the first file was begun, each epoch ended, and every step did, in seconds."""

    def __init__(self) -> None:
        self.processor = _processor_seconds()
        self.epochs = [time.perf_counter()]
        self.steps: list[list[float]] = [[]]

    def step(self, images: int) -> None:
        """Note the end of a step, or of something else of fewer images."""
        if images == BATCH:
            self.steps[-1].append(time.perf_counter())

    def end_epoch(self) -> None:
        self.epochs.append(time.perf_counter())
        self.steps.append([])

    def figures(self) -> dict[str, float]:
        later = [pair for steps in self.steps[1:] for pair in itertools.pairwise(steps)]
        return {
            "all": self.epochs[-1] - self.epochs[0],
            "last": self.epochs[-1] - self.epochs[-2],
            "step": statistics.median(b - a for a, b in later) if later else math.nan,
            "processor": _processor_seconds() - self.processor,
        }


def _processor_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def tuned(weights: str, classes: list[str]) -> tuple[Any, Any, Any, Any]:
    """Return leukctl's network, what its inputs are like, what reads them, and how it computes."""
    from leukctl import inference, runtime
    from leukctl.backbones import Network, create, origin_of
    from leukctl.runs import Run

    name = f"local-dir:{weights}" if Path(weights).is_dir() else weights
    backbone, spec = create(name, origin_of(name, None, False))
    network = Network(backbone, len(classes), {"hidden": 0, "dropout": 0.0}, spec.input_size)
    compute = runtime.compute("cpu", "fp32")
    runtime.place(network, compute.device)
    read = inference.reader(Run("network", classes, [spec], {}, None, {}, "", 0))
    return network, spec, read, compute


def ours(folder: Path, weights: str, plan: str, passes: bool = False) -> Times:
    """Train as leukctl does."""
    import numpy as np

    from leukctl.training import Options
    from leukctl.training.data import ImageStore
    from leukctl.training.loop import Settings, Trainer
    from leukctl.training.loss import Split

    epochs, count = PLANS[plan]
    frozen = plan == "frozen"
    classes, rows = chosen(folder, count + VAL)
    network, spec, read, compute = tuned(weights, classes)
    options = Options(
        backbone=weights,
        frozen_epochs=epochs if frozen else 0,
        epochs=0 if frozen else epochs,
        augment="none" if frozen else "basic",
        lr=RATE,
        frozen_lr=RATE,
        batch_size=BATCH,
        patience=0,
    )
    if passes:
        Trainer._cache_features = lambda self: {}  # type: ignore[method-assign]
    times = Times()
    splits = []
    for part in (rows[VAL:], rows[:VAL]):
        store = ImageStore([path for path, _ in part], read, spec.input_size, compute.workers)
        store.preload()
        splits.append(Split(store, np.array([label for _, label in part])))
    choice = options.choice("augment")
    settings = Settings(BATCH, 1, None, choice, 0.0, 0, compute, spec)
    trainer = Trainer(network, *splits, settings, (lambda images: None) if frozen else times.step)
    for _ in trainer.run(options.stages()):
        times.end_epoch()
    return times


def bare(folder: Path, weights: str, plan: str) -> Times:
    """Train the network of :func:`ours` on inputs in memory: steps, and nothing else to do."""
    from leukctl import tensors
    from leukctl.runtime import torch

    epochs, count = PLANS[plan]
    classes, rows = chosen(folder, count + VAL)
    network, spec, read, compute = tuned(weights, classes)

    def ready(part: list[tuple[Path, int]]) -> tuple[torch.Tensor, torch.Tensor]:
        pixels = tensors.batch([read(path) for path, _ in part], spec.input_size)
        labels = torch.tensor([label for _, label in part])
        return tensors.normalize(pixels, spec, compute.device), labels

    val = ready(rows[:VAL])
    learned = [rows[place : place + BATCH] for place in range(VAL, len(rows), BATCH)]
    train = [ready(part) for part in learned]
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
    loss_of = torch.nn.functional.cross_entropy
    times = Times()
    for _ in range(epochs):
        network.train()
        for inputs, labels in train:
            loss = loss_of(network(inputs), labels)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            times.step(len(inputs))
        network.eval()
        with torch.inference_mode():
            loss_of(network(val[0]), val[1]).item()
        times.end_epoch()
    return times


def theirs(folder: Path, weights: str, plan: str) -> Times:
    """Train as the plain loop does."""
    os.environ["LEUKCTL_MALLOC"] = "default"
    from PIL import Image

    from leukctl import runtime

    timm, torch = runtime.timm, runtime.torch  # the door only makes torchvision importable here
    from torchvision.transforms import v2

    epochs, count = PLANS[plan]
    frozen = plan == "frozen"
    classes, rows = chosen(folder, count + VAL)
    is_folder = Path(weights).is_dir()
    name = f"local-dir:{weights}" if is_folder else weights
    model = timm.create_model(name, pretrained=is_folder, num_classes=len(classes))
    config = model.pretrained_cfg
    resize = [v2.Resize(config["input_size"][1:])]
    augment = [
        v2.RandomHorizontalFlip(),
        v2.RandomVerticalFlip(),
        v2.RandomAffine(180, (0.1, 0.1), (0.9, 1.1), interpolation=v2.InterpolationMode.BILINEAR),
    ]
    last = [
        v2.PILToTensor(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(config["mean"], config["std"]),
    ]

    class Files(torch.utils.data.Dataset):
        def __init__(self, part: list[tuple[Path, int]], transform: Any) -> None:
            self.part, self.transform = part, transform

        def __len__(self) -> int:
            return len(self.part)

        def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
            path, label = self.part[index]
            return self.transform(Image.open(path).convert("RGB")), label

    plain = v2.Compose(resize + last)
    train = Files(rows[VAL:], plain if frozen else v2.Compose(resize + augment + last))
    loader = torch.utils.data.DataLoader(train, batch_size=BATCH, shuffle=True, num_workers=2)
    val = torch.utils.data.DataLoader(Files(rows[:VAL], plain), batch_size=BATCH)
    head = model.get_classifier()
    if frozen:
        model.requires_grad_(False)
        head.requires_grad_(True)
    learning = [tensor for tensor in model.parameters() if tensor.requires_grad]
    optimizer = torch.optim.Adam(learning, lr=RATE)
    loss_of = torch.nn.CrossEntropyLoss()
    times = Times()
    for _ in range(epochs):
        model.train(not frozen)
        head.train()
        for inputs, labels in loader:
            optimizer.zero_grad()
            loss = loss_of(model(inputs), labels)
            loss.backward()
            optimizer.step()
            times.step(0 if frozen else len(inputs))
        model.eval()
        with torch.no_grad():
            for inputs, labels in val:
                loss_of(model(inputs), labels).item()
        times.end_epoch()
    return times


def run_side(side: str, folder: Path, weights: str, plan: str) -> dict[str, float]:
    """Return the seconds of all epochs, the last, a step and processors, and the peak in MiB."""
    sides = {"ours": ours, "theirs": theirs, "bare": bare, "passes": partial(ours, passes=True)}
    times = sides[side](folder, weights, plan)
    assert len(times.epochs) == 1 + PLANS[plan][0]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {**times.figures(), "peak": peak}


def main(folder: str, weights: str, plan: str, pairs: int) -> None:
    """Print the medians of paired runs, each in a fresh process."""
    epochs, count = PLANS[plan]
    sides = ["ours", "theirs", "passes" if plan == "frozen" else "bare"]
    found: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
    for _ in range(pairs):
        for side in sides:
            command = [sys.executable, __file__, folder, weights, plan, side]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            found[side].append(json.loads(done.stdout))
            print(plan, side, done.stdout.strip(), f"load {os.getloadavg()[0]:.1f}", flush=True)
    for side in sides:
        peak = statistics.median(run["peak"] for run in found[side])
        print(f"{plan} {side}: peak {peak:.0f} MiB", end="")
        spans = {"all": epochs * count, "last": count, "step": BATCH, "processor": epochs * count}
        if plan == "frozen":
            del spans["step"]
        if side == "bare":
            del spans["all"], spans["processor"]
        for span, images in spans.items():
            rate = images / statistics.median(run[span] for run in found[side])
            both = zip(found["ours"], found[side], strict=True)
            ratio = statistics.median(other[span] / own[span] for own, other in both)
            print(f"; {span} {rate:.1f} images/s, {ratio:.2f} of leukctl's time", end="")
        print()


if __name__ == "__main__":
    images, network, *more = sys.argv[1:]
    if len(more) == 2 and not more[1].isdigit():
        print(json.dumps(run_side(more[1], Path(images), network, more[0])))
    else:
        for way in more[:1] or list(PLANS):
            main(images, network, way, int(more[1]) if len(more) == 2 else 3)
