"""Non-local means where the pixels are few: after the crop, and after a shrinking resize."""

from collections.abc import Callable, Mapping
from typing import Any

from leukctl.preparing.denoise import denoise, median
from leukctl.preparing.geometry import Mask, Result, Rgb, crop, resize
from leukctl.preparing.region import NOT_FOUND, locate

_ROUGH = 3  # side of the median


def denoised_region(
    denoising: Mapping[str, Any],
    locating: Mapping[str, Any],
    resizing: Mapping[str, Any] | None,
    rgb: Rgb,
    mask: Mask | None,
) -> Result:
    """Return what ``denoise:nlm,roi`` and a ``resize`` right after them come to.

    Non-local means takes some thousand times a median's time for a pixel, and most pixels are cut
    off after it. So the box is found on a frame that a median of 3 x 3 has cleaned, which hardly
    moves it; the noise is then removed from the crop, or, where the resized crop has fewer pixels,
    from that.

    Args:
        denoising, locating, resizing: the values of the three steps; None where none resizes.
    """
    box = locate(median(rgb, size=_ROUGH), **locating)
    note = NOT_FOUND if box is None else None
    rgb, mask, _ = crop(rgb, mask, box) if box is not None else (rgb, mask, None)
    if resizing is None:
        return (*denoise(rgb, mask, **denoising)[:2], note)
    width, height = resizing["size"]
    steps: list[tuple[Callable[..., Result], Mapping[str, Any]]]
    steps = [(denoise, denoising), (resize, resizing)]
    if width * height < rgb.shape[0] * rgb.shape[1]:
        steps.reverse()
    for apply, values in steps:
        rgb, mask, _ = apply(rgb, mask, **values)
    return rgb, mask, note
