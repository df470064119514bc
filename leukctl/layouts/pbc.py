"""The peripheral blood cells of the Hospital Clinic of Barcelona: a folder a class.

Acevedo et al., Data in Brief 30 (2020) 105474. The prefix of a name tells the subtype: a band
neutrophil is BNE, a promyelocyte among the immature granulocytes PMY.
"""

import re
from collections.abc import Sequence

from leukctl.layouts.reading import Layout, by_place, counted

_PREFIXES = {
    "basophil": ("BA",),
    "eosinophil": ("EO",),
    "erythroblast": ("ERB",),
    "ig": ("IG", "MMY", "MY", "PMY"),
    "lymphocyte": ("LY",),
    "monocyte": ("MO",),
    "neutrophil": ("BNE", "NEUTROPHIL", "SNE"),
    "platelet": ("PLATELET",),
}
_NAME = re.compile(r"([A-Z]+)_\d+\.\w+")


def _place(parts: Sequence[str]) -> tuple[str, str] | None:
    folder = parts[-2].lower()
    if folder not in _PREFIXES:
        return None
    match = _NAME.fullmatch(parts[-1])
    return folder, match[1] if match else ""


def _is_sure(parts: Sequence[str]) -> bool:
    cells = _place(parts)
    return cells is not None and cells[1] in _PREFIXES[cells[0]]


LAYOUT = Layout(
    f"the folders {', '.join(_PREFIXES)}", counted(_is_sure), by_place(("label", "subtype"), _place)
)
