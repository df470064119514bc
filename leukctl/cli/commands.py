"""The commands in the order of work, by the names that users type."""

from collections.abc import Callable
from typing import Any

from leukctl.cli import (
    balance,
    compare_cams,
    ensemble,
    explain,
    fuse,
    predict,
    prep,
    report,
    report_diff,
    split,
    synth,
    train,
)

COMMANDS: dict[str, Callable[..., Any]] = {
    "synth": synth.synth,
    "prep": prep.prep,
    "split": split.split,
    "balance": balance.balance,
    "train": train.train,
    "predict": predict.predict,
    "ensemble": ensemble.ensemble,
    "fuse": fuse.fuse,
    "explain": explain.explain,
    "compare-cams": compare_cams.compare_cams,
    "report": report.report,
}

# Commands below a command, which its help tells of.
BELOW: dict[str, Callable[..., Any]] = {"report diff": report_diff.report_diff}
