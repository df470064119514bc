"""What ``prep`` is given: folders in a known layout, archives, manifests."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from leukctl import files
from leukctl.cli import inputs, streams
from leukctl.errors import UsageError

if TYPE_CHECKING:
    from leukctl.layouts import Found, Listing
    from leukctl.tables import Table

_MOST_CLASSES_SHOWN = 20


def gather(
    sources: Sequence[Path], layout: str, name: str | None, images: Path, root: Path | None
) -> "list[Found]":
    """Return the rows of every SRC, and say what each was read as.

    Args:
        layout: of :data:`leukctl.catalog.LAYOUTS`.
        name: what the manifest calls the data set, None for the name of the folder or archive.
        images: where the prepared images go, which is passed over.
        root: where paths in a manifest start.
    """
    from leukctl import layouts

    if name is not None and len(sources) > 1:
        raise UsageError("--source names one data set; give one SRC, or let folders name theirs")
    found, named, layouts_read = [], set(), set()
    for given in sources:
        src = _own_manifest(given) if layout in ("auto", "manifest") else given
        if layout == "manifest" or (layout == "auto" and not _holds_images(src)):
            found.append(_read_manifest(src, layout, root, name))
            continue
        if inputs.asked("root", root):
            raise UsageError(f"--root is for paths in a manifest, and {src} is none")
        own = name if name is not None else _name_of(src)
        if own in named:
            raise UsageError(f"two SRC are called {own!r}; prepare them apart, with --source NAME")
        named.add(own)
        listing = _list(src, images)
        how = layouts.recognize(listing) if layout == "auto" else layout
        layouts_read.add(how)
        found.append(_read_layout(listing, how, own, layout == "auto"))
    for warning in layouts.kin(layouts_read):
        streams.warn(warning)
    return found


def _own_manifest(src: Path) -> Path:
    """Return the manifest.csv of a folder that has one, as synth's have, else ``src`` itself."""
    own = src / "manifest.csv"
    if not own.is_file():
        return src
    told = files.printable(str(src))
    streams.note(f"{told}: holds a manifest, which is read; --layout folders reads its folders")
    return own


def _holds_images(src: Path) -> bool:
    return src.is_dir() or (src.suffix.lower() == ".npz" and src.is_file())


def _name_of(src: Path) -> str:
    return files.utf8(src.resolve().name if src.is_dir() else src.stem)


def _read_manifest(src: Path, layout: str, root: Path | None, source: str | None) -> "Found":
    from leukctl import layouts, manifest

    layouts.check_is_table(src, by_name=layout == "auto")
    with streams.open_input(src) as (stream, name):
        home = src.parent if src.is_file() and root is None else None
        found = layouts.from_manifest(manifest.read(stream, name), root, source, home)
    streams.note(f"{files.printable(name)}: manifest, {len(found.table)} images")
    return found


def _list(src: Path, images: Path) -> "Listing":
    from leukctl import layouts

    if images.resolve() == src.resolve():
        raise UsageError(f"--images {images} is SRC itself; the results need a folder of their own")
    return layouts.list_source(src, exclude=images)


def _read_layout(listing: "Listing", layout: str, source: str, recognized: bool) -> "Found":
    from leukctl import layouts

    src = files.printable(str(listing.given))
    found = layouts.read(listing, layout, source)
    took = "taken for " if recognized else ""
    streams.note(f"{src}: {took}{layout}, {len(found.table)} images, {_classes(found.table)}")
    for note in found.notes:
        streams.warn(f"{src}: {note}")
    for folder in listing.results:
        streams.warn(f"{src}: passed over {folder}, where prep put images before")
    for kind, count in sorted(listing.skipped.items()):
        streams.detail(f"{src}: {count} files are no images ({kind})")
    if listing.aliases:
        streams.detail(f"{src}: passed over {listing.aliases} links to folders read already")
    return found


def relabel(table: "Table", path: Path) -> "Table":
    """Return the rows with the labels that the map at ``path`` gives them, and say which."""
    from leukctl import layouts, tables

    with streams.open_input(path) as (stream, name):
        relabeled = layouts.label_map.apply(table, tables.read(stream, name))
    streams.note(f"labels by {files.printable(name)}: {_classes(relabeled)}")
    return relabeled


def _classes(table: "Table") -> str:
    from collections import Counter

    counts = Counter(label for label in table.column("label") if label)
    shown = [files.printable(f"{label} {counts[label]}") for label in sorted(counts)][
        :_MOST_CLASSES_SHOWN
    ]
    more = f" and {len(counts) - len(shown)} more" if len(counts) > len(shown) else ""
    subjects = len(set(table.column("subject", "")) - {""})
    of = f", {subjects} subjects" if subjects else ""
    return f"{len(counts)} classes ({', '.join(shown)}{more}){of}" if counts else "no labels"
