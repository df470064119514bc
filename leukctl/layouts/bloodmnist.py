"""BloodMNIST: an archive ``bloodmnist*.npz`` with its own train, val and test.

Yang et al., Scientific Data 10 (2023) 41.
"""

import os

from leukctl import archives
from leukctl.errors import InputError
from leukctl.layouts.listing import Listing
from leukctl.layouts.reading import Layout, Reading

CLASSES = (
    *("basophil", "eosinophil", "erythroblast", "ig"),
    *("lymphocyte", "monocyte", "neutrophil", "platelet"),
)


def _named(listing: Listing) -> list[str]:
    names = [(path, os.path.basename(path).lower()) for path in listing.others]
    return [p for p, name in names if name.startswith("bloodmnist") and name.endswith(".npz")]


def _fits(listing: Listing) -> int:
    return len(_named(listing)) if not listing.images else 0


def _read(listing: Listing) -> Reading:
    """Read the labels; the pixels stay in the archive until they are prepared."""
    found = [path for path in listing.others if path.lower().endswith(".npz")]
    if not found:
        return Reading([], {"label": []})
    if len(found) > 1:
        names = ", ".join(found)
        raise InputError(
            f"several archives ({names}); they hold the same cells in several sizes: give one",
            file=listing.given,
        )
    archive = str(listing.root / found[0])
    codes = archives.read_labels(archive, len(CLASSES))
    images = [f"{split}/{index}" for split, own in codes.items() for index in range(len(own))]
    cells = {
        "label": [CLASSES[code] for own in codes.values() for code in own],
        "split": [split for split, own in codes.items() for _ in own],
    }
    return Reading(images, cells, archive=archive)


LAYOUT = Layout("an archive bloodmnist*.npz", _fits, _read)
