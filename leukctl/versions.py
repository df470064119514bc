"""Versions of what decides the bytes that come of an image."""

import sys

from leukctl import __version__


def of_pictures() -> dict[str, str]:
    """Return by name the versions that must be the same for the same pictures and numbers."""
    import cv2
    import numpy as np
    import PIL

    return {
        "leukctl": __version__,
        "Python": ".".join(map(str, sys.version_info[:2])),
        "OpenCV": cv2.__version__,
        "Pillow": PIL.__version__,
        "numpy": np.__version__,
    }
