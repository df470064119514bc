"""What is asked for: the options of a split, checked before anything is read."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from leukctl.errors import UsageError
from leukctl.splits import fixed, ratios, units
from leukctl.splits.fixed import Condition
from leukctl.tables import Table


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for.

    Attributes:
        by: what stays together, as :mod:`leukctl.splits.units` names it, or auto.
        shares: of train, val and test, in percent, of the rows to be divided; without folds.
        folds: how many; 0 for splits.
        hold_out: rows that go into test.
        keep: splits whose rows stay as they are.
        seed: of the orders in which groups are given out.
    """

    by: str = "auto"
    shares: list[float] = field(default_factory=lambda: ratios.parse_ratios(None))
    folds: int = 0
    hold_out: Sequence[Condition] = ()
    keep: Sequence[str] = ()
    seed: int = 0

    @property
    def column(self) -> str:
        """The column that is written."""
        return "fold" if self.folds else "split"

    def check_column_free(self, table: Table) -> None:
        """Raise :class:`UsageError` where what the column holds would be lost unasked."""
        if not self.keep and any(table.column(self.column, "")):
            keep = "" if self.folds else ", --keep SPLIT,… keeps some of it"
            raise UsageError(
                f"{table.name}: the column {self.column} is filled already; --force replaces it"
                + keep
            )


def parse(
    share: str | None = None,
    folds: int | None = None,
    by: str = "auto",
    hold_out: Sequence[str] = (),
    keep: str | None = None,
    seed: int = 0,
) -> Plan:
    """Return the plan that the options make; raises :class:`UsageError` where they make none."""
    if folds is not None and share is not None:
        raise UsageError("--ratios or --folds, not both; a second split adds the other column")
    if folds is not None and (hold_out or keep):
        raise UsageError(
            "--hold-out and --keep do not go with --folds; split first, and give the result to "
            "--folds, which leaves its test rows out"
        )
    units.check_name(by)
    conditions, kept = fixed.parse_conditions(hold_out), fixed.parse_keep(keep)
    filled = {*kept, *(["test"] if conditions else [])}
    shares = ratios.parse_ratios(share, filled)
    return Plan(by, shares, folds or 0, conditions, kept, seed)
