"""C-NMC 2019: class and subject from the names, or from the label file of a renamed phase.

Gupta et al., Med. Eng. Phys. 103 (2022) 103793; as TCIA and as Kaggle pack it.
"""

import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from leukctl import tables
from leukctl.errors import InputError
from leukctl.layouts.listing import Listing
from leukctl.layouts.reading import Layout, Reading, absent, without_labels

LABEL_COLUMNS = ("Patient_ID", "new_names", "labels")

_NAME = re.compile(r"UID_(H?\d+)_\d+_\d+_(all|hem)", re.IGNORECASE)
_CLASSES = {"0": "hem", "1": "all"}
# A phase whose images are all renamed, so that nothing else tells whose they are.
_RENAMED = re.compile(r"C-NMC_test_\w+_phase_data", re.IGNORECASE)
_PHASES = (
    ("training", re.compile(r"(C-NMC_)?training_data|fold_\d", re.IGNORECASE)),
    ("preliminary", re.compile(r"validation_data|[\w-]*test_prelim[\w-]*|phase_2", re.IGNORECASE)),
    ("final", re.compile(r"testing_data|[\w-]*test_final[\w-]*|phase_3", re.IGNORECASE)),
)


def _fits(listing: Listing) -> int:
    files = _label_files(listing)
    # Images of a renamed phase say nothing themselves, but beside named ones their folder does.
    known = any(_match(path) for path in listing.images)
    return sum(
        bool(
            _match(parts[-1])
            or os.path.dirname(path) in files
            or _RENAMED.fullmatch(parts[-2])
            or (known and _phase(parts[:-1]))
        )
        for path, parts in zip(listing.images, listing.parts(), strict=True)
    )


def _read(listing: Listing) -> Reading:
    names = {path: _match(path) for path in listing.images}
    label_files = _label_files(listing)
    given = {folder: _read_labels(file) for folder, file in label_files.items()}
    labels, subjects = [], []
    for path, match in names.items():
        folder, name = os.path.split(path)
        if match:
            _check_folder(listing.root / path, match)
            label, subject = match[2].lower(), match[1].upper()
        else:
            label, subject = given.get(folder, {}).get(name, ("", ""))
        labels.append(label)
        subjects.append(subject)
    notes = without_labels(listing.images, labels)
    bare = {os.path.dirname(path) for path, label in zip(names, labels, strict=True) if not label}
    notes += _strangers(listing, sorted(bare - given.keys()))
    for folder, entries in given.items():
        missing = [name for name in entries if os.path.join(folder, name) not in names]
        notes += absent(label_files[folder], missing)
    parts = [_phase(parts[:-1]) for parts in listing.parts()]
    cells = {"label": labels, "subject": subjects, "part": parts}
    return Reading(listing.images, cells, notes)


def _match(path: str) -> re.Match[str] | None:
    return _NAME.fullmatch(PurePosixPath(path).stem)


def _phase(folders: Sequence[str]) -> str:
    for folder in reversed(folders):
        for name, pattern in _PHASES:
            if pattern.fullmatch(folder):
                return name
    return ""


def _check_folder(path: Path, match: re.Match[str]) -> None:
    folder = path.parent.name.lower()
    if folder in _CLASSES.values() and folder != match[2].lower():
        raise InputError(f"named {match[2]!r} but lies in a folder {folder!r}", file=path)


def _label_files(listing: Listing) -> dict[str, Path]:
    """Return the label file of each folder that holds renamed images and has one."""
    folders = sorted({os.path.dirname(p) for p in listing.images if not _match(p)})
    parents = Counter((listing.root / folder).absolute().parent for folder in folders)
    found = {}
    for folder in folders:
        place = (listing.root / folder).absolute()
        beside = _label_csvs(place.parent)
        named = [file for file in beside if file.stem.startswith(place.name)]
        # One file beside two folders may belong to either, so it labels neither.
        choice = _label_csvs(place) or named or (beside if parents[place.parent] == 1 else [])
        if len(choice) > 1:
            raise InputError(f"as good as {choice[1].name} as label file; keep one", file=choice[0])
        if choice:
            found[folder] = choice[0]
    return found


def _strangers(listing: Listing, folders: Sequence[str]) -> list[str]:
    """Return a note on each CSV that the label file of a folder could be, but for its columns."""
    found = set()
    for folder in folders:
        place = (listing.root / folder).absolute()
        beside = [path for path in place.parent.glob("*.csv") if path.stem.startswith(place.name)]
        found |= {path for path in (*place.glob("*.csv"), *beside) if not _has_labels(path)}
    columns = ",".join(LABEL_COLUMNS)
    return [f"{path} is no label file: it has not the columns {columns}" for path in sorted(found)]


def _label_csvs(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("*.csv")) if _has_labels(path)]


def _has_labels(path: Path) -> bool:
    try:
        with open(path, encoding="utf-8-sig", errors="surrogateescape") as stream:
            header = stream.readline(1000).strip().split(",")
    except OSError:
        return False
    return set(LABEL_COLUMNS) <= {cell.strip(' "') for cell in header}


def _read_labels(path: Path) -> dict[str, tuple[str, str]]:
    """Return new name → (label, subject)."""
    table = tables.read_path(path)
    table.require(*LABEL_COLUMNS)
    found: dict[str, tuple[str, str]] = {}
    for index, (old, new, code) in enumerate(
        zip(*(table.column(name) for name in LABEL_COLUMNS), strict=True)
    ):
        match = _match(old)
        if match is None:
            raise table.error(index, "Patient_ID", f"{old!r} is no name of C-NMC")
        if _CLASSES.get(code) != match[2].lower():
            raise table.error(index, "labels", f"{code!r} does not fit {old!r} (1 = all, 0 = hem)")
        if new in found:
            raise table.error(index, "new_names", f"{new!r} stands there twice")
        found[new] = (match[2].lower(), match[1].upper())
    return found


LAYOUT = Layout(
    f"UID_SUBJECT_IMAGE_CELL_CLASS.bmp, a CSV with {','.join(LABEL_COLUMNS)}, or folders "
    "C-NMC_test_…_phase_data",
    _fits,
    _read,
)
