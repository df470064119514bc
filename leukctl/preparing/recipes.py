"""The papers' preparations, in :data:`leukctl.catalog.RECIPES`, and what the papers leave open.

- digiammarco2024: to PNG at 256 x 256, centred zoom of 0.6, network input of 224 x 224.
- altalhi2026: noise removed; binary mask, largest contour, bounding box; 224 x 224. The filter, the
  mask and the margin are not named.
- muduli2025: 224 x 224; 299 x 299 for Xception, which is the network's input size and no step.
- patel2025: two thresholds in HSV and a binary mask; 224 x 224. The thresholds are not given.
- khan2024: cropped, contrast corrected, embossed; 700 x 600. How is not said; the flips, rotations,
  shifts and zooms beside them are augmentation, not preparation.
"""

from leukctl import catalog

# Paper → what its chain settles for the paper.
CHOSEN = {
    "altalhi2026": "a median of 3 x 3; what is purple (on black ground: what is not black); "
    "a margin of a tenth",
    "patel2025": "the color interval, fitted to nuclei under three Romanowsky stains",
    "khan2024": "a crop to the region of interest, a stretch between percentiles 1 and 99, "
    "a relief of strength 1",
}


def describe(key: str) -> str:
    """Return one sentence: the chain of the recipe, and what it chose where the paper is silent."""
    chosen = (
        f"; the paper leaves open, and the recipe takes: {CHOSEN[key]}" if key in CHOSEN else ""
    )
    return f"{key}: --steps {catalog.RECIPES[key]}{chosen}"
