"""The run folder: what ``train`` and ``fuse`` write and every later command reads.

``run.json`` is written last, so a folder that has one is complete. While ``train`` works, the
folder holds ``checkpoint/`` (:mod:`leukctl.checkpoints`), beside the results of an earlier run
where there are any; these stay until the new ones are whole.
"""

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from leukctl import files, predictions
from leukctl.errors import InputError, UsageError
from leukctl.predictions import Predictions
from leukctl.wording import counted

SCHEMA = 1
RUN = "run.json"
PREDICTIONS = "predictions.csv"
METRICS = "metrics.json"
HISTORY = "history.csv"
ENVIRONMENT = "environment.json"
WEIGHTS = "model.safetensors"
TREES = "model.ubj"  # of a fusion: XGBoost's, LightGBM's or scikit-learn's
LIGHTGBM = "model.txt"
SKOPS = "model.skops"
CLASSIFIERS = (TREES, LIGHTGBM, SKOPS)
STEPS = "steps.safetensors"  # between the features of a fusion and its classifier
CALIBRATION = "calibration.json"  # where a temperature was fitted
CHECKPOINT = "checkpoint"
TENSORBOARD = "tensorboard"
FOLDS = "folds.csv"  # of a cross-validation, whose runs are in folders of their own
FOLD_CLASSES = "folds-classes.csv"
FIGURES = ("curves.png", "confusion.png", "roc.png")
FILES = (
    *(RUN, WEIGHTS, *CLASSIFIERS, STEPS, PREDICTIONS, METRICS, CALIBRATION),
    *(HISTORY, ENVIRONMENT, FOLDS, FOLD_CLASSES, *FIGURES),
)

_UNFINISHED = re.compile(r"\.new\.[0-9a-f]{8}\.tmp")


@dataclass(slots=True)
class BackboneSpec:
    """A network without its head, as it can be built again.

    Attributes:
        name: what the user called it.
        architecture: its name in timm.
        model_args: further arguments of ``timm.create_model`` (padding, say).
        input_size: height and width in pixels.
        mean, std: of the normalisation, for RGB in [0, 1].
        weights_sha256: of the file its weights started from, None when drawn at random.
    """

    name: str
    architecture: str
    model_args: dict[str, Any]
    input_size: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    weights_sha256: str | None = None


@dataclass(slots=True)
class Run:
    """The content of ``run.json``.

    Attributes:
        kind: ``network`` (``train``) or ``fusion`` (``fuse``).
        classes: in the order of the model's outputs.
        backbones: one for a network, several for a fusion.
        head: the arguments that the head is built with.
        prep: the chain that prepared the training images, None where none is known.
        options: as resolved, for the record.
        manifest_sha256: of the manifest as read.
        collapsed: the one class that the model calls every val image, None where it does not.
        diverged: why training stopped before its end, None where it did not.
        files: the SHA-256 of each file that holds weights, checked when they are loaded.
        folder: where it was read from; not stored.
    """

    kind: str
    classes: list[str]
    backbones: list[BackboneSpec]
    head: dict[str, Any]
    prep: str | None
    options: dict[str, Any]
    manifest_sha256: str
    seed: int
    collapsed: str | None = None
    diverged: str | None = None
    files: dict[str, str] = field(default_factory=dict)
    folder: Path = field(default=Path())

    @property
    def name(self) -> str:
        """The folder's own name, which tables call the model by."""
        return self.folder.resolve().name

    @property
    def backbone_names(self) -> list[str]:
        """What each backbone is called where it is one of several, no two alike."""
        plain = [
            spec.architecture.split(".")[0] if {*spec.name} & {*":/,@"} else spec.name
            for spec in self.backbones
        ]
        return [
            f"{name}-{plain[: place + 1].count(name)}" if plain.count(name) > 1 else name
            for place, name in enumerate(plain)
        ]


def check_free(folder: Path, force: bool) -> None:
    """Raise :class:`UsageError` unless a new run may go into ``folder``; change nothing.

    It may not when ``folder`` holds a finished or an interrupted run and ``force`` is not given, or
    other things.
    """
    if folder.is_file():
        raise UsageError(f"{folder} is a file; a run needs a folder")
    if (folder / RUN).exists() and not force:
        raise UsageError(f"{folder} holds a finished run; --force replaces it")
    if not force and (epochs := interrupted(folder)):
        raise UsageError(
            f"{folder} holds a run that was interrupted after {counted(epochs, 'epoch')}; "
            f"--resume {folder} goes on with it, --force starts anew"
        )
    there = {item.name for item in folder.iterdir()} if folder.exists() else set()
    there = {name for name in there if not name.startswith(".")}
    # Weights are written first: what was interrupted has them, a folder of loose results has not.
    if there and not there & {RUN, WEIGHTS, CHECKPOINT, TENSORBOARD}:
        raise UsageError(f"{folder} holds {min(there)!r} and is no run folder; name a new one")
    if (others := there - {*FILES, CHECKPOINT, TENSORBOARD}) and RUN not in there:
        stranger = min(others)
        raise UsageError(f"{folder} holds {stranger!r} and is no run folder; name a new one")
    # Hours of training should not end with a folder that nobody may write to.
    home = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not home.is_dir() or not os.access(home, os.W_OK | os.X_OK):
        raise UsageError(f"{folder} cannot be made: no permission to write in {home}")


def interrupted(folder: Path) -> int:
    """Return after how many epochs the training in ``folder`` was cut off; 0 where none was."""
    path = folder / CHECKPOINT / "state.json"
    if not path.is_file():
        return 0
    content = files.read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("epochs"), list):
        raise InputError("damaged; --force starts anew", file=path)
    return 0 if content.get("finished") else len(content["epochs"])


def clear_leftovers(folder: Path) -> None:
    """Remove what :func:`fresh` leaves when the process is killed at the very end.

    Another process must not be writing a run into ``folder``.
    """
    for path in folder.iterdir() if folder.is_dir() else ():
        if _UNFINISHED.fullmatch(path.name):
            shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def fresh(folder: Path, keep_checkpoint: bool = False) -> Iterator[Path]:
    """Give a folder to write a run into; put its files into ``folder`` when it is whole.

    It is inside of ``folder``, which may be a link, a mount or the only place to write to: so the
    files need but new names in the end.

    An old run stays as it is until then, so that an error, an interruption or a full disk costs
    nothing of it. Its ``run.json`` goes first and the new one comes last, so that no half-old run
    can be read. A checkpoint and TensorBoard's files go too, unless they are the new run's.
    """
    there = folder.exists()
    new = folder / f".new.{secrets.token_hex(4)}.tmp"
    try:
        new.mkdir(parents=True)
        yield new
        (folder / RUN).unlink(missing_ok=True)
        for name in FILES:
            if not (new / name).exists():
                (folder / name).unlink(missing_ok=True)
        if not keep_checkpoint:
            for name in (CHECKPOINT, TENSORBOARD):
                shutil.rmtree(folder / name, ignore_errors=True)
        for path in sorted(new.iterdir(), key=lambda path: path.name == RUN):
            os.replace(path, folder / path.name)
        there = True
    finally:
        shutil.rmtree(new, ignore_errors=True)
        if not there:
            with contextlib.suppress(OSError):  # something else may be in it by now
                folder.rmdir()


def write(run: Run, folder: Path) -> None:
    """Write ``run.json``, after everything else of the run."""
    run.files = {
        name: files.sha256(folder / name)
        for name in (WEIGHTS, *CLASSIFIERS, STEPS)
        if (folder / name).exists()
    }
    content = asdict(run)
    del content["folder"]
    files.write_json(folder / RUN, {"schema": SCHEMA, **content})


def read(folder: Path, verify: bool = True) -> Run:
    """Read the run in ``folder``; without ``verify`` its weights are not looked at.

    Raises :class:`InputError` for a folder that is no run, a file of it that is missing, or a
    ``run.json`` that is damaged or of another schema.
    """
    if not folder.is_dir():
        raise InputError("no such run folder", file=folder)
    path = folder / RUN
    if not path.exists() and is_folds(folder):
        raise InputError("a cross-validation; each fold in it is a run: fold-0 …", file=folder)
    if not path.exists():
        raise InputError(
            f"no {RUN} in it: no run folder, or a run that did not finish", file=folder
        )
    content = files.read_json(path)
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        found = content.get("schema") if isinstance(content, dict) else None
        raise InputError(f"schema {found!r}, where this leukctl reads {SCHEMA}", file=path)
    try:
        del content["schema"]
        content["backbones"] = [backbone(spec) for spec in content["backbones"]]
        run = Run(**content, folder=folder)
        _check(run)
    except (TypeError, LookupError, ValueError, InputError) as error:
        raise InputError(f"damaged ({error})", file=path) from None
    for name, digest in run.files.items() if verify else ():
        _check_file(folder / name, digest)
    return run


def _check_file(path: Path, digest: str) -> None:
    if not path.is_file():
        raise InputError(f"missing, and {RUN} needs it", file=path)
    if files.sha256(path) != digest:
        raise InputError(f"damaged: its SHA-256 is not the one in {RUN}", file=path)


def backbone(spec: dict[str, Any]) -> BackboneSpec:
    """Return the backbone that ``run.json`` describes.

    Raises ``TypeError``, ``LookupError`` or ``ValueError`` for what describes none.
    """
    built = BackboneSpec(**spec)
    if not isinstance(built.architecture, str) or not isinstance(built.model_args, dict):
        raise TypeError("a backbone without an architecture")
    built.input_size = (int(built.input_size[0]), int(built.input_size[1]))
    built.mean = (float(built.mean[0]), float(built.mean[1]), float(built.mean[2]))
    built.std = (float(built.std[0]), float(built.std[1]), float(built.std[2]))
    if min(built.input_size) < 1 or not all(deviation > 0 for deviation in built.std):
        raise ValueError("an input size or a std that is not above 0")
    return built


_KINDS: dict[str, Any] = {
    "kind": str,
    "classes": list,
    "head": dict,
    "prep": (str, type(None)),
    "options": dict,
    "manifest_sha256": str,
    "seed": int,
    "collapsed": (str, type(None)),
    "diverged": (str, type(None)),
    "files": dict,
}


def _check(run: Run) -> None:
    if run.kind not in ("network", "fusion"):
        raise ValueError(f"kind {run.kind!r}")
    for name, kind in _KINDS.items():
        if not isinstance(getattr(run, name), kind):
            raise TypeError(f"{name} is {getattr(run, name)!r}")
    for name in run.files:
        files.inside(run.folder, name)
    if WEIGHTS not in run.files or (run.kind == "fusion" and not {*CLASSIFIERS} & {*run.files}):
        raise ValueError("no digest of its weights")
    if not all(isinstance(name, str) and name for name in run.classes):
        raise ValueError("a class without a name")
    if not run.backbones or not run.classes or len(set(run.classes)) != len(run.classes):
        raise ValueError("no backbones, or classes that are missing or doubled")


def is_run(path: Path) -> bool:
    """Tell whether ``path`` is a folder with a finished run in it."""
    return (path / RUN).is_file()


def is_folds(path: Path) -> bool:
    """Tell whether ``path`` is a folder with a finished cross-validation in it."""
    return (path / FOLDS).is_file()


def read_predictions(folder: Path, key: str = "path") -> Predictions:
    """Read the predictions that a run left on its own splits, named after its folder."""
    path = folder / PREDICTIONS
    if not path.exists():
        raise InputError(f"no {PREDICTIONS} in it", file=folder)
    return predictions.read_path(path, folder.resolve().name, key)
