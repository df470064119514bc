"""A training that is small enough for a test."""

from pathlib import Path

from leukctl import files, manifest, runtime, training
from leukctl.tables import Table
from leukctl.training import Options

SMALL: dict[str, object] = {
    "backbone": "standard_cnn",
    "input_size": 32,
    "epochs": 2,
    "batch_size": 8,
    "lr": 1e-3,
}


def train(
    given: Table | Path, folder: Path, workers: int = 2, **changes: object
) -> training.Outcome:
    """Train the small network on a manifest, with :data:`SMALL` but for ``changes``."""
    return training.train(
        manifest.read_path(given) if isinstance(given, Path) else given,
        Options(**(SMALL | changes)),  # type: ignore[arg-type]
        folder,
        runtime.compute("cpu", "fp32", workers),
        root=None,
        manifest_sha256=files.sha256(given) if isinstance(given, Path) else "",
    )
