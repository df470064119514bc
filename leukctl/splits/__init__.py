"""Splits and folds that keep what belongs together in one part, with even class proportions.

A :class:`Plan` is what the options ask for. Rows become groups (a subject, a source, images that
look alike, or the copies of one image), groups become integer class counts, and :func:`assign`
gives each group to a part.
"""

from leukctl.splits.assignment import Assignment, assign
from leukctl.splits.lookalikes import check_groups_free, find_groups
from leukctl.splits.plan import Plan, parse
from leukctl.splits.summary import crossing, grid, notes, warnings
from leukctl.splits.units import UNITS, Unit, choose
from leukctl.splits.validation import cut_val

__all__ = [
    "UNITS",
    "Assignment",
    "Plan",
    "Unit",
    "assign",
    "check_groups_free",
    "choose",
    "crossing",
    "cut_val",
    "find_groups",
    "grid",
    "notes",
    "parse",
    "warnings",
]
