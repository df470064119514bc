"""Probabilities of several models → probabilities of their ensemble.

Everything here takes models that stand on the same images (:func:`leukctl.alignment.align`). A
:class:`Plan` is what the options ask for, and :func:`make` what comes of it; what is chosen or
fitted is chosen and fitted on val rows (or across folds), and only then applied.
"""

from leukctl.ensembling.making import MIXES, Made, Plan, make

__all__ = ["MIXES", "Made", "Plan", "make"]
