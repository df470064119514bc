"""ALL-IDB1 and ALL-IDB2: ``ImNNN_Y``, where Y is 1 for leukemia and 0 for healthy.

Labati et al., ICIP 2011. The ``.xyc`` files of ALL-IDB1 (centers of the blasts) are passed over.
"""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from leukctl.layouts.listing import Listing
from leukctl.layouts.reading import Layout, Reading, by_place, counted

_NAME = re.compile(r"Im\d{3}_([01])", re.IGNORECASE)
_CLASSES = {"0": "healthy", "1": "ALL"}


def _place(parts: Sequence[str]) -> tuple[str] | None:
    match = _NAME.fullmatch(PurePosixPath(parts[-1]).stem)
    return (_CLASSES[match[1]],) if match else None


def _read(listing: Listing) -> Reading:
    reading = by_place(("label",), _place)(listing)
    kinds = {PurePosixPath(path).suffix.lower()[:4] for path in listing.images}
    if {".jpg", ".tif"} <= kinds:
        reading.notes.append(
            "ALL-IDB2 (.tif) is cropped from ALL-IDB1 (.jpg): a split of both together leaks"
        )
    return reading


LAYOUT = Layout("ImNNN_0 and ImNNN_1 with .jpg or .tif", counted(_place), _read)
