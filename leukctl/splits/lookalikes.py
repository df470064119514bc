"""Groups of images that look alike, for sets that name no subjects."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from leukctl import joining, manifest
from leukctl.errors import UsageError
from leukctl.splits import units
from leukctl.tables import Table


def find_groups(
    table: Table, root: Path | None, name_groups: Callable[[Sequence[Path]], Mapping[Path, str]]
) -> Table:
    """Return ``table`` with the column ``group`` filled on every row that has a label.

    Near-duplicates are of one group, and so are the images of one subject, where some rows name
    theirs, and what was made of one image by augmentation.

    Args:
        name_groups: files → the name of the group of near-duplicates that each is of.

    Raises :class:`InputError` for a row whose image is no file.
    """
    used = [index for index, label in enumerate(table.column("label")) if label]
    chosen = table.select(used)
    files = manifest.image_paths(chosen, root)
    for index, file in enumerate(files):
        if not file.is_file():
            raise chosen.error(
                index,
                "path",
                f"no such image: {str(file)!r}, and images are looked at to find near-duplicates; "
                "--root says where paths start, --by image splits without looking",
            )
    name_of = name_groups(files)
    names = join([name_of[file] for file in files], chosen.column("subject", ""))
    if "parent" in chosen:  # an augmented image may look like anything but the one it is made of
        pairs = zip(chosen.column("parent"), chosen.column("path"), strict=True)
        names = join(names, [parent or path for parent, path in pairs])
    groups = [""] * len(table)
    for index, name in zip(used, names, strict=True):
        groups[index] = name
    return table.with_columns(**{units.GROUP: groups})


def check_groups_free(table: Table) -> None:
    """Raise an error where new groups would replace those that the column ``group`` has."""
    if any(table.column(units.GROUP, "")):
        lacking = units.first_lacking(table, units.GROUP)
        if lacking is not None:
            raise table.error(
                lacking, units.GROUP, "empty, unlike others; fill it, or --force finds all anew"
            )
        raise UsageError(
            f"{table.name}: the column {units.GROUP} is filled already; --by group:group takes it, "
            "--force finds the groups anew"
        )


def join(names: Sequence[str], subjects: Sequence[str]) -> list[str]:
    """Return names of groups, those merged that share a subject; "" is no subject.

    A merged group bears the first of its names in the alphabet.
    """
    distinct = sorted(set(names))
    place = {name: index for index, name in enumerate(distinct)}
    first_of: dict[str, int] = {}
    pairs = [
        (place[name], first_of.setdefault(subject, place[name]))
        for name, subject in zip(names, subjects, strict=True)
        if subject
    ]
    leader = joining.leaders(len(distinct), pairs)
    return [distinct[leader[place[name]]] for name in names]
