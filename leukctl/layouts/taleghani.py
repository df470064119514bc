"""The Taleghani hospital's four classes of ALL, and the variant of 3,242 images.

Aria et al. 2021: ``{Original,Segmented}/{Benign,Early,Pre,Pro}/WBC-*.jpg``; the variant keeps its
classes in ``{Benign,[Malignant] early Pre-B,[Malignant] Pre-B,[Malignant] Pro-B}/``.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from leukctl.errors import InputError
from leukctl.layouts.listing import Listing
from leukctl.layouts.reading import Layout, Reading, by_place, counted

_NAME = re.compile(r"WBC-(Benign|Malignant-(Early|Pre|Pro))-\d+", re.IGNORECASE)
_CLASSES = {name.lower(): name for name in ("Benign", "Early", "Pre", "Pro")}
_MALIGNANT = {f"[malignant] {stage}": stage for stage in ("early pre-b", "pre-b", "pro-b")}
_SEGMENTED = "segmented"


def _place(parts: Sequence[str]) -> tuple[str] | None:
    match = _NAME.fullmatch(PurePosixPath(parts[-1]).stem)
    return (_CLASSES[(match[2] or match[1]).lower()],) if match else None


def _read(listing: Listing) -> Reading:
    """Read the names; of the original and the segmented images, where both are there, the first."""
    kept, notes = listing, []
    segmented = {path for path in listing.images if _SEGMENTED in path.lower().split("/")[:-1]}
    if segmented and len(segmented) < len(listing.images):
        kept = replace(listing, images=[p for p in listing.images if p not in segmented])
        notes.append(
            f"took Original and left out the {len(segmented)} images of Segmented; give the "
            "folder Segmented itself for those"
        )
    reading = by_place(("label",), _place)(kept)
    for path, label in zip(reading.images, reading.cells["label"], strict=True):
        folder = os.path.basename(os.path.dirname(path))
        if label and _CLASSES.get(folder.lower(), label) != label:
            raise InputError(
                f"named {label!r} but lies in a folder {folder!r}", file=listing.root / path
            )
    return replace(reading, notes=notes + reading.notes)


def _place_variant(parts: Sequence[str]) -> tuple[str] | None:
    folder = parts[-2]
    return (folder,) if folder.lower() in ("benign", *_MALIGNANT) else None


def _fits_variant(listing: Listing) -> int:
    # A folder Benign may be anyone's; one that begins with [Malignant] is not.
    folders = [parts[-2].lower() for parts in listing.parts()]
    return sum(map(("benign", *_MALIGNANT).count, folders)) if {*folders} & {*_MALIGNANT} else 0


LAYOUT = Layout(
    "WBC-Benign-NNN.jpg and WBC-Malignant-{Early,Pre,Pro}-NNN.jpg", counted(_place), _read
)
VARIANT = Layout(
    "the folders Benign and [Malignant] {early Pre-B,Pre-B,Pro-B}",
    _fits_variant,
    by_place(("label",), _place_variant),
)
