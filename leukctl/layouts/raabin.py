"""Raabin-WBC: ``{Train,TestA,TestB}/CLASS/``, five classes of white blood cells.

Kouzehkanan et al., Scientific Reports 12 (2022) 1123. TestA is of the same microscope and camera
as Train, and becomes the split test. TestB is of others: it is a second test set, and to add it
to the first would blur both, so it gets no split; the column ``part`` tells it.
"""

import re
from collections.abc import Sequence

from leukctl.layouts.listing import Listing
from leukctl.layouts.reading import Layout, Reading, by_place, counted

_CLASSES = {
    name.lower(): name
    for name in ("Basophil", "Eosinophil", "Lymphocyte", "Monocyte", "Neutrophil")
}
_PART = re.compile(r"(train)|test[-_ ]?([ab])", re.IGNORECASE)
_SPLITS = {"Train": "train", "TestA": "test", "TestB": ""}


def _place(parts: Sequence[str]) -> tuple[str, str, str] | None:
    match = _PART.fullmatch(parts[-3]) if len(parts) > 2 else None
    label = _CLASSES.get(parts[-2].lower())
    if match is None or label is None:
        return None
    part = "Train" if match[1] else f"Test{match[2].upper()}"
    return label, _SPLITS[part], part


def _fits(listing: Listing) -> int:
    # Train may be anyone's; TestA and TestB are not.
    return _count(listing) if counted(_is_test)(listing) else 0


def _is_test(parts: Sequence[str]) -> bool:
    cells = _place(parts)
    return cells is not None and cells[2] != "Train"


def _read(listing: Listing) -> Reading:
    reading = by_place(("label", "split", "part"), _place)(listing)
    if other := reading.cells["part"].count("TestB"):
        reading.notes.append(
            f"{other} images of TestB, which other equipment took, get no split; part tells them"
        )
    return reading


_count = counted(_place)
LAYOUT = Layout(f"{{Train,TestA,TestB}}/{{{','.join(_CLASSES.values())}}}/IMAGE", _fits, _read)
