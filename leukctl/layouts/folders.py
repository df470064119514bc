"""ROOT/CLASS/**/IMAGE: the first folder is the label; no subjects."""

from leukctl.layouts.listing import Listing
from leukctl.layouts.reading import Layout, Reading


def _read(listing: Listing) -> Reading:
    parts = [path.split("/") for path in listing.images]
    labels = [part[0] if len(part) > 1 else "" for part in parts]
    classes = sorted(set(labels) - {""})
    notes = []
    if not classes:
        notes.append("no class folders: the images are kept without labels")
    elif loose := labels.count(""):
        notes.append(f"{loose} images lie outside the class folders: kept without labels")
    if len(classes) == 1 and any(len(part) > 2 for part in parts):
        inner = listing.root / classes[0]
        notes.append(
            f"only one class, {classes[0]!r}: if its folders are the classes, give {inner}"
        )
    return Reading(listing.images, {"label": labels}, notes)


# No name speaks for it: it is what is left when no other layout fits.
LAYOUT = Layout("CLASS/**/IMAGE", lambda listing: 0, _read)
