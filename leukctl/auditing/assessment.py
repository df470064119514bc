"""The shortcut audit of a manifest: which features, labels and groups it is made of."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leukctl import manifest
from leukctl.auditing import leaks, shortcuts
from leukctl.auditing.look import Look
from leukctl.auditing.shortcut_words import By
from leukctl.auditing.shortcuts import Shortcut
from leukctl.auditing.survey import Known
from leukctl.splits import lookalikes, units
from leukctl.tables import Table


def assess(table: Table, look: Look, root: Path | None, seed: int) -> list[Shortcut]:
    """Return how well the labels of a manifest can be told without the cells.

    What a subject has is of one group, where every row with a label names its subject; elsewhere
    what copies, a subject's name or augmentation join. An image that stands on several rows counts
    once.

    Args:
        look: at all its images, with features.
    """
    table = manifest.originals(table)
    files = manifest.image_paths(table, root)
    seen = dict(zip(look.files, look.examined, strict=True))
    features = _stacked([seen[file] for file in files])
    labels, subjects = table.column("label", ""), table.column("subject", "")
    by: By = "subject"
    groups = subjects
    if units.first_lacking(table, "subject") is not None:
        by = "group"
        names = look.groups()
        groups = lookalikes.join([names[file] for file in files], subjects)
        groups = lookalikes.join(groups, leaks.families(table))
    return shortcuts.assess(features, labels, groups, table.column("source", ""), seed, by)


def _stacked(examined: list[Known | str]) -> dict[str, NDArray[np.float32]]:
    """Return the features of all images by kind, (N, D); NaN for those that cannot be read."""
    known = [item.features for item in examined if not isinstance(item, str)]
    first = next((features for features in known if features is not None), {})
    stacked = {}
    for kind, example in first.items():
        values = np.full((len(examined), len(example)), np.nan, np.float32)
        for row, item in enumerate(examined):
            if not isinstance(item, str) and item.features is not None:
                values[row] = item.features[kind]
        stacked[kind] = values
    return stacked
