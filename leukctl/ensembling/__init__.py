"""Probabilities of several models → probabilities of their ensemble.

Everything here takes models that stand on the same images (:func:`leukctl.alignment.align`).
"""

from leukctl.ensembling.mixing import ensemble

__all__ = ["ensemble"]
