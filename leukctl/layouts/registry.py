"""The registry of layouts: by name, how to recognize one and how to read it."""

import os
from collections.abc import Iterable

from leukctl import files
from leukctl.errors import InputError
from leukctl.images import SUFFIXES
from leukctl.layouts import (
    all_idb,
    bloodmnist,
    cnmc,
    folders,
    multi_cancer,
    munich_aml,
    pbc,
    raabin,
    taleghani,
)
from leukctl.layouts.listing import Listing
from leukctl.layouts.reading import Found, Layout
from leukctl.tables import Table

FALLBACK = "folders"

READERS: dict[str, Layout] = {
    "folders": folders.LAYOUT,
    "cnmc": cnmc.LAYOUT,
    "all-idb": all_idb.LAYOUT,
    "taleghani": taleghani.LAYOUT,
    "taleghani-4class": taleghani.VARIANT,
    "pbc": pbc.LAYOUT,
    "raabin": raabin.LAYOUT,
    "munich-aml": munich_aml.LAYOUT,
    "multi-cancer": multi_cancer.LAYOUT,
    "bloodmnist": bloodmnist.LAYOUT,
}

# Data sets that were made from one another.
_KIN = (("pbc", "bloodmnist"), ("taleghani", "taleghani-4class", "multi-cancer"))


def recognize(listing: Listing) -> str:
    """Return the layout that the names speak for; folders, where they speak for none.

    A layout is taken when more than half of the images are named or placed as in it.

    Raises :class:`InputError` when they speak for several.
    """
    counts = {name: n for name, layout in READERS.items() if (n := layout.fits(listing))}
    if 2 * sum(counts.values()) <= len(listing.images):
        return FALLBACK
    if len(counts) > 1:
        raise InputError(
            f"several data sets in one (images as in {', '.join(counts)}); give each as a SRC of "
            "its own, or say which --layout it is",
            file=listing.given,
        )
    return next(iter(counts))


def read(listing: Listing, layout: str, source: str) -> Found:
    """Return the rows of a source, read as ``layout``, one of :data:`READERS`.

    Raises :class:`InputError` when there are no images, or none that fits the layout.
    """
    reader = READERS[layout]
    reading = reader.read(listing)
    if layout != FALLBACK and not any(reading.cells["label"]) and not reader.fits(listing):
        raise InputError(
            f"not laid out as {layout} (looked for {reader.looked_for}; found {listing.found()})",
            file=listing.given,
        )
    if not reading.images:
        hint = "; --layout bloodmnist reads an .npz of any name" if listing.skipped[".npz"] else ""
        raise InputError(
            f"no images here or below (looked for {' '.join(SUFFIXES)}; found {listing.found()})"
            + hint,
            file=listing.given,
        )
    if reading.archive:
        paths = [f"{reading.archive}#{image}" for image in reading.images]
    else:
        paths = [os.path.join(listing.root, image) for image in reading.images]
    nothing = [""] * len(paths)
    columns = {"path": paths, "label": nothing, "subject": nothing, "source": [source] * len(paths)}
    columns |= reading.cells
    columns["label"] = list(map(files.utf8, columns["label"]))  # a folder's name may be any bytes
    rows = [list(row) for row in zip(*columns.values(), strict=True)]
    return Found(
        Table(str(listing.given), list(columns), rows),
        reading.images,
        reading.notes,
        dict.fromkeys(paths, reading.archive) if reading.archive else {},
    )


def kin(layouts: Iterable[str]) -> list[str]:
    """Return a warning for every group among ``layouts`` that shows the same cells."""
    named = set(layouts)
    together = ([name for name in group if name in named] for group in _KIN)
    return [
        f"{' and '.join(names)} hold the same cells: a split of them together leaks"
        for names in together
        if len(names) > 1
    ]
