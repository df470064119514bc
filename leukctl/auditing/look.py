"""A set of images that was looked at: each read once, and copies found among them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from leukctl.auditing import copies
from leukctl.auditing.copies import Copy
from leukctl.auditing.survey import Examined


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of some files.

    Attributes:
        files: no file twice.
        examined: what there is to know of each, or why it cannot be read.
        copies: pairs of the files, by their places.
    """

    files: Sequence[Path]
    examined: Sequence[Examined | str]
    copies: Sequence[Copy]

    def groups(self) -> dict[Path, str]:
        """Return the name of each file's group of copies."""
        names = copies.group_names(self.files, self.examined, self.copies)
        return dict(zip(self.files, names, strict=True))

    def unread(self) -> Mapping[Path, str]:
        """Return why files cannot be read."""
        pairs = zip(self.files, self.examined, strict=True)
        return {file: item for file, item in pairs if isinstance(item, str)}
