"""A run → probabilities and features of images."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from leukctl import backbones, calibration, distributed, lanes, processes, runs, runtime, tensors
from leukctl.backbones import Network, Trunk
from leukctl.backbones.folding import fold
from leukctl.backbones.weights import check_fit, read_safetensors
from leukctl.errors import ImageError, InputError, UsageError, WeightsError
from leukctl.images import Rgb
from leukctl.portions import Portion
from leukctl.preparing import Chain
from leukctl.runs import BackboneSpec, Run
from leukctl.runtime import Compute, torch
from leukctl.tensors import Reader
from leukctl.wording import counted

Probabilities = NDArray[np.float64]


class Predictor(Protocol):
    """Whatever answers for images: a network, or a classifier on fused features."""

    run: Run
    compute: Compute

    def probabilities(self, images: Sequence[Rgb]) -> Probabilities:
        """Return float64 (N, K), each row summing to 1, for prepared images of any sizes."""
        ...


class FeatureExtractor:
    """Pooled features of one backbone.

    Args:
        backbone: a network without a head; moved to the device.
        spec: its input size and normalization.
        portion: of a batch that goes through at once, where the memory is small.
    """

    def __init__(
        self,
        backbone: torch.nn.Module,
        spec: BackboneSpec,
        compute: Compute,
        portion: Portion | None = None,
    ) -> None:
        self.portion = portion or Portion()
        self.backbone = backbone.eval()
        runtime.place(self.backbone, compute.device)
        self.spec = spec
        self.compute = compute

    def __call__(self, images: Sequence[Rgb]) -> NDArray[np.float32]:
        """Return the features (N, D) of prepared uint8 images (H, W, 3)."""
        pixels = tensors.batch(images, self.spec.input_size)
        return np.concatenate(self.portion.each(self._features, pixels))

    def _features(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        inputs = tensors.normalize(pixels, self.spec, self.compute.device)
        with torch.inference_mode(), runtime.autocast(self.compute):
            return self.backbone(inputs).float().cpu().numpy()


class NetworkPredictor:
    """A run of ``train``: one backbone and its head."""

    def __init__(
        self, run: Run, network: Trunk, compute: Compute, portion: Portion | None = None
    ) -> None:
        self.run = run
        self.portion = portion or Portion()
        self.spec = run.backbones[0]
        self.network = network.eval()
        runtime.place(self.network, compute.device)
        self.compute = compute

    def inputs(self, images: Sequence[Rgb]) -> torch.Tensor:
        """Return prepared uint8 images as the network's input, float32 (N, 3, H, W)."""
        pixels = tensors.batch(images, self.spec.input_size)
        return tensors.normalize(pixels, self.spec, self.compute.device)

    def logits(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return float32 logits (N, K) of normalized inputs, without gradients."""
        with torch.inference_mode(), runtime.autocast(self.compute):
            return torch.cat(self.portion.each(lambda x: self.network(x).float(), inputs))

    def probabilities(self, images: Sequence[Rgb]) -> Probabilities:
        """Return float64 (N, K), each row summing to 1."""
        return softmax(self.logits(self.inputs(images)))


def _flips(image: Rgb) -> list[Rgb]:
    return [image, image[:, ::-1], image[::-1], image[::-1, ::-1]]


def _turns(image: Rgb) -> list[Rgb]:
    return [np.rot90(view, turns) for view in (image, image[:, ::-1]) for turns in range(4)]


# The copies of a prepared image (H, W, 3) that stand for it, by what catalog.TTA calls them.
COPIES: dict[str, Callable[[Rgb], list[Rgb]]] = {"flips": _flips, "d4": _turns}


class AveragingPredictor:
    """Answers for an image with the mean of a model's answers for its mirrored and turned copies.

    Args:
        kind: of :data:`COPIES`. The copies are made of the prepared image, before it is resized.
    """

    def __init__(self, model: Predictor, kind: str) -> None:
        self.model = model
        self.run = model.run
        self.compute = model.compute
        self.copies = COPIES[kind]

    def probabilities(self, images: Sequence[Rgb]) -> Probabilities:
        """Return float64 (N, K), each row summing to 1."""
        views = zip(*map(self.copies, images), strict=True)
        return np.mean([self.model.probabilities(view) for view in views], axis=0)


class CalibratedPredictor:
    """Answers as a model does, but as sure as its temperature says; the answers are the same.

    Args:
        model: may be an :class:`AveragingPredictor`: its means are scaled, and not each copy's
            answer, so that the likeliest class stays what it is.
        temperature: of :mod:`leukctl.calibration`.
    """

    def __init__(self, model: Predictor, temperature: float) -> None:
        self.model = model
        self.run = model.run
        self.compute = model.compute
        self.temperature = temperature

    def probabilities(self, images: Sequence[Rgb]) -> Probabilities:
        """Return float64 (N, K), each row summing to 1."""
        return calibration.scaled(self.model.probabilities(images), self.temperature)


def softmax(logits: torch.Tensor) -> Probabilities:
    """Return the probabilities of logits (N, K), computed in float64 so that rows sum to 1."""
    return torch.softmax(logits.cpu().double(), dim=1).numpy()


def load(
    run: Run,
    compute: Compute,
    folded: bool = False,
    on_note: Callable[[str], None] = lambda text: None,
    padded: bool = False,
) -> Predictor:
    """Build the model of a run and load its weights.

    ``folded`` makes a network faster that is only asked for answers (:mod:`.backbones.folding`).
    Fused features are taken as they were when the classifier learned from them.
    ``padded`` fills batches up to the size of those (:mod:`.fusion.predictor`).
    ``on_note`` is told where the memory is too small for a batch, which then goes through in parts.

    Raises :class:`InputError` when the weights in the folder are not those of ``run.json``.
    """
    portion = Portion(
        lambda size: on_note(f"out of memory: {counted(size, 'image')} at a time from here on")
    )
    if run.kind == "fusion":
        from leukctl.fusion.predictor import FusionPredictor

        return FusionPredictor(run, fused_networks(run), compute, portion, padded)
    state = _state(run)
    size = run.backbones[0].input_size
    try:
        network = Network(_built(run)[0], len(run.classes), run.head, size)
    except (TypeError, ValueError, UsageError) as error:
        raise InputError(f"damaged ({error})", file=run.folder / runs.RUN) from None
    _load_into(network, state, "", run)
    if folded:
        fold(network.backbone.eval(), size)
    return NetworkPredictor(run, network, compute, portion)


def fused_networks(run: Run) -> list[torch.nn.Module]:
    """Return the backbones of a run of ``fuse``, with their weights and nothing folded.

    Raises :class:`InputError` when the weights in the folder are not those of ``run.json``.
    """
    state, networks = _state(run), _built(run)
    for place, network in enumerate(networks):
        _load_into(network, state, f"{place}.", run)
    return networks


def _built(run: Run) -> list[torch.nn.Module]:
    try:
        return backbones.build(run.backbones)
    except (UsageError, WeightsError) as error:
        raise InputError(f"damaged ({error})", file=run.folder / runs.RUN) from None


def _state(run: Run) -> dict[str, torch.Tensor]:
    try:
        return read_safetensors(run.folder / runs.WEIGHTS)
    except WeightsError as error:
        raise InputError(str(error)) from None


def _load_into(
    network: torch.nn.Module, state: dict[str, torch.Tensor], prefix: str, run: Run
) -> None:
    own = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    try:
        check_fit(network.state_dict(), own, str(run.folder / runs.WEIGHTS))
    except WeightsError as error:
        raise InputError(str(error)) from None
    network.load_state_dict(own)


def reader(run: Run, raw: bool | None = None) -> Reader:
    """Return the reader that prepares images as the run's were; ``raw`` as in :class:`Reader`."""
    return Reader(Chain.parse(run.prep) if run.prep else None, raw)


def predict(
    predictor: Predictor,
    paths: Iterable[Path],
    read: Reader,
    batch_size: int,
    on_progress: Callable[[int], None] = lambda step: None,
) -> Iterator[tuple[Path, NDArray[np.float64] | ImageError]]:
    """Yield each path with its probabilities (K,), or the reason why it has none, in order.

    Images are read by threads ahead of the network, a few batches at most, so that memory does
    not grow with their number. In a job of several processes (:mod:`leukctl.distributed`) each
    answers for some of the batches, and all of them yield all answers.
    """
    batch_size = _at_once(predictor, batch_size)
    if distributed.size() > 1:
        yield from _predict_together(predictor, list(paths), read, batch_size, on_progress)
        return
    images = tensors.read_many(paths, read, predictor.compute.workers)
    for chunk in processes.chunks(images, batch_size):
        good = [image for _, image in chunk if not isinstance(image, ImageError)]
        answers = iter(predictor.probabilities(good) if good else ())
        for path, image in chunk:
            yield path, image if isinstance(image, ImageError) else next(answers)
        on_progress(len(chunk))


def _at_once(predictor: Predictor, batch_size: int) -> int:
    """Return how many images a model is asked about at a time: a fusion, a batch for each lane."""
    run = predictor.run
    own = run.options.get("batch_size") if run.kind == "fusion" else None
    return batch_size if own is None else max(batch_size, lanes.most(predictor.compute) * own)


def _predict_together(
    predictor: Predictor,
    paths: list[Path],
    read: Reader,
    batch_size: int,
    on_progress: Callable[[int], None],
) -> Iterator[tuple[Path, NDArray[np.float64] | ImageError]]:
    """Do what :func:`predict` does, for the same batches, by all processes of a job."""
    batches = list(processes.chunks(paths, batch_size))
    own = [path for batch in distributed.own(batches) for path in batch]
    images = tensors.read_many(own, read, predictor.compute.workers)
    reasons: list[str] = []  # why images of this process's last batch have no answer

    def answer(batch: list[Path]) -> NDArray[np.float64]:
        """Return (n, 1 + K): whether there is an answer, and which."""
        read_now = [next(images)[1] for _ in batch]
        good = [image for image in read_now if not isinstance(image, ImageError)]
        reasons[:] = [str(image) for image in read_now if isinstance(image, ImageError)]
        rows = np.zeros((len(batch), 1 + len(predictor.run.classes)))
        if good:
            places = [not isinstance(image, ImageError) for image in read_now]
            rows[places] = np.insert(predictor.probabilities(good), 0, 1.0, axis=1)
        return rows

    found = zip(batches, distributed.dealt(answer, batches), strict=True)
    for place, (batch, rows) in enumerate(found):
        why: Iterator[str] = iter(())
        if not rows[:, 0].all():
            why = iter(distributed.gather_texts(reasons)[place % distributed.size()])
        for path, row in zip(batch, rows, strict=True):
            yield path, row[1:] if row[0] else ImageError(next(why))
        on_progress(len(batch))
