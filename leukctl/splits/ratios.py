"""What ``--ratios`` asks for."""

from collections.abc import Collection

from leukctl import catalog
from leukctl.errors import UsageError

WHOLE = "80,10,10"
REST = "90,10"  # of the rows that are left where test is there already


def parse_ratios(text: str | None, filled: Collection[str] = ()) -> list[float]:
    """Return the shares of train, val and test, in percent, of the rows to be divided.

    Two numbers are train and test, or, where test has rows already, train and val.

    Args:
        text: None for the default, :data:`WHOLE`, or :data:`REST` where test is filled.
        filled: the splits that have rows already, held out or kept.

    Raises :class:`UsageError` unless they are numbers of zero or more that sum to 100, and train
    and at least one other split end with rows.
    """
    if text is None:
        text = REST if "test" in filled else WHOLE
    try:
        ratios = [float(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--ratios {text!r}: not numbers such as 80,10,10") from None
    if len(ratios) not in (2, 3):
        raise UsageError(f"--ratios {text!r}: give train,val,test or train,test")
    if not all(0 <= ratio <= 100 for ratio in ratios):
        raise UsageError(f"--ratios {text!r}: each is a share from 0 to 100")
    if abs(sum(ratios) - 100) > 1e-6:
        raise UsageError(f"--ratios {text!r}: they sum to {sum(ratios):g}, not to 100")
    if len(ratios) == 2:
        ratios.insert(2 if "test" in filled else 1, 0.0)
    shares = zip(catalog.SPLITS, ratios, strict=True)
    populated = {name for name, ratio in shares if ratio > 0} | set(filled)
    if "train" not in populated or len(populated) < 2:
        raise UsageError(f"--ratios {text!r}: train and one other need a share")
    return ratios
