"""``predict`` by several processes: each answers for some of the batches."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from leukctl import distributed, inference, runs, runtime
from leukctl.errors import ImageError
from leukctl.inference import Predictor, Probabilities
from leukctl.runs import Run
from leukctl.runtime import Compute

JOB = "predict"


@dataclass(frozen=True, slots=True)
class Question:
    """How a run is to be asked about images.

    Attributes:
        raw: as in :class:`leukctl.tensors.Reader`.
        tta: of :data:`leukctl.inference.COPIES`, None for the image alone.
        temperature: to calibrate with, None for none.
        batch_size: images at once, of a fusion at least those that it computes at once.
    """

    raw: bool | None
    tta: str | None
    temperature: float | None
    batch_size: int

    def model(
        self, run: Run, compute: Compute, on_note: Callable[[str], None] = lambda text: None
    ) -> Predictor:
        """Return what answers; takes and raises what :func:`leukctl.inference.load` does."""
        model = inference.load(run, compute, folded=True, on_note=on_note, padded=True)
        if self.tta is not None:
            model = inference.AveragingPredictor(model, self.tta)
        if self.temperature is not None:
            model = inference.CalibratedPredictor(model, self.temperature)
        return model


def answers(
    question: Question,
    model: Predictor,
    paths: Sequence[Path],
    on_progress: Callable[[int], None] = lambda step: None,
) -> Generator[tuple[Path, Probabilities | ImageError], None, None]:
    """Yield what :func:`leukctl.inference.predict` does, by all processes that there are."""
    content = {
        "run": str(model.run.folder),
        "question": asdict(question),
        "paths": [str(path) for path in paths],
        "compute": compute_content(model.compute),
    }
    read = inference.reader(model.run, question.raw)
    with distributed.together(JOB, content, model.compute.device.type):
        yield from inference.predict(model, paths, read, question.batch_size, on_progress)


def follow(content: Any) -> None:
    """Do the part of :func:`answers` that is left to this process."""
    question = Question(**content["question"])
    run = runs.read(Path(content["run"]), verify=False)
    model = question.model(run, compute_of(content["compute"]))
    paths = [Path(path) for path in content["paths"]]
    read = inference.reader(run, question.raw)
    for _ in inference.predict(model, paths, read, question.batch_size):
        pass


def compute_content(compute: Compute) -> dict[str, Any]:
    """Return how a network computes, for a process that follows."""
    return {
        "device": compute.device.type,
        "precision": compute.precision,
        "workers": compute.workers,
    }


def compute_of(content: dict[str, Any]) -> Compute:
    """Return what :func:`compute_content` was given, on this process's own device."""
    return runtime.compute(content["device"], content["precision"], content["workers"])
