"""The rows that prep reads and writes: jobs out of a manifest, a manifest out of outcomes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from leukctl import files
from leukctl.preparing import naming
from leukctl.preparing.work import Job, Outcome
from leukctl.tables import Table

_FIRST = ("path", "label", "subject", "source", "split", "fold", "mask", "sha256")
_OWN = ("prep", "prep_note", "original")


def make_jobs(
    table: Table,
    relative: Sequence[str],
    folder: Path,
    archives: Mapping[str, str] | None = None,
) -> list[Job]:
    """Return the job of every row of ``table``; rows of one image share it.

    Args:
        relative: the path of each image inside its source.
        folder: where the prepared images go.
        archives: the archive of each path that lies in one.

    Raises :class:`InputError` for two rows of one image that name different masks.
    """
    names = naming.targets(relative, table.column("source", ""))
    known = ("path", "mask", "sha256", "prep")
    jobs: dict[str, Job] = {}
    order = []
    for index, (name, path, mask, digest, before) in enumerate(
        zip(names, *(table.column(column, "") for column in known), strict=True)
    ):
        target = naming.image_path(folder, name)
        mask_target = naming.mask_path(folder, name) if mask else ""
        job = Job(path, target, mask, mask_target, digest, before, (archives or {}).get(path, ""))
        if jobs.setdefault(target, job) != job:
            raise table.error(index, "mask", f"{path!r} stands above with another mask or chain")
        order.append(jobs[target])
    return order


def manifest_of(table: Table, jobs: Sequence[Job], outcomes: Sequence[Outcome]) -> Table:
    """Return the manifest of the prepared images: the rows not rejected, in their order.

    The columns of a manifest come first, then ``prep``, ``prep_note`` and ``original``, then all
    others as they were. An image that was prepared before keeps its first original.
    """
    kept = [index for index, outcome in enumerate(outcomes) if not outcome.rejected]
    earlier = table.column("original", "")
    columns = {
        "path": [jobs[i].target for i in kept],
        "sha256": [outcomes[i].sha256 for i in kept],
        "prep": [outcomes[i].prep for i in kept],
        "prep_note": [outcomes[i].note for i in kept],
        "original": [(jobs[i].before and earlier[i]) or files.utf8(jobs[i].source) for i in kept],
    }
    if "mask" in table:
        columns["mask"] = [jobs[i].mask_target for i in kept]
    prepared = table.select(kept).with_columns(**columns)
    present = [name for name in (*_FIRST, *_OWN) if name in prepared]
    order = [*present, *(name for name in prepared.columns if name not in present)]
    rows = zip(*(prepared.column(name) for name in order), strict=True)
    return Table(table.name, order, [list(row) for row in rows])


def rejected_of(jobs: Sequence[Job], outcomes: Sequence[Outcome]) -> Table:
    """Return the table of the images that could not be prepared, each once."""
    rejected = {
        files.utf8(job.source): outcome.rejected
        for job, outcome in zip(jobs, outcomes, strict=True)
        if outcome.rejected
    }
    return Table(naming.REJECTED, ["path", "reason"], [[*item] for item in rejected.items()])
