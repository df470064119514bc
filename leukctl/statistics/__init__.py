"""Confidence intervals by a seeded bootstrap over subjects, paired tests, calibration."""

from leukctl.statistics.intervals import LEVEL, bca, interval, wilson
from leukctl.statistics.losses import ECE_BINS, calibration, calibration_error, losses, reliability
from leukctl.statistics.moments import Resampled, of_counts
from leukctl.statistics.resampling import RESAMPLES, bootstrap, jackknife
from leukctl.statistics.units import Units, draws, units_of

__all__ = [
    "ECE_BINS",
    "LEVEL",
    "RESAMPLES",
    "Resampled",
    "Units",
    "bca",
    "bootstrap",
    "calibration",
    "calibration_error",
    "draws",
    "interval",
    "jackknife",
    "losses",
    "of_counts",
    "reliability",
    "units_of",
    "wilson",
]
