"""Multi Cancer of Kaggle: ``Multi Cancer/Multi Cancer/CANCER/CLASS/``, of which ALL is blood.

The label is the inner folder; the outer one is kept in the column ``part``.
"""

import re
from collections.abc import Sequence

from leukctl.layouts.reading import Layout, by_place, counted

_CLASS = re.compile(r"(all|brain|breast|cervix|colon|kidney|lung|lymph|oral)_[a-z]+", re.IGNORECASE)
_CANCER = re.compile(r"ALL|Lymphoma|(Brain|Breast|Cervical|Kidney|Lung and Colon|Oral) Cancer")


def _place(parts: Sequence[str]) -> tuple[str, str] | None:
    if not _CLASS.fullmatch(parts[-2]):
        return None
    outer = parts[-3] if len(parts) > 2 else ""
    return parts[-2], outer if _CANCER.fullmatch(outer) else ""


LAYOUT = Layout(
    "{ALL/{all_benign,all_early,…},Lymphoma/{lymph_cll,…},…}/IMAGE",
    counted(_place),
    by_place(("label", "part"), _place),
)
