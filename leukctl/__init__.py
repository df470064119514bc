"""Train, ensemble, explain and report leukemia classifiers from blood cell images."""

__version__ = "0.1.0"
