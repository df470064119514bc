"""Known data sets' folders and archives → manifest rows.

A layout takes the names below a folder and returns a row an image, in the order of the paths. To
add one, write a file with its :class:`~leukctl.layouts.reading.Layout`, put that into
:data:`READERS` and its name into :data:`leukctl.catalog.LAYOUTS`.
"""

from leukctl.layouts import label_map
from leukctl.layouts.listing import Listing, list_folder, list_source
from leukctl.layouts.manifests import check_is_table, from_manifest
from leukctl.layouts.reading import Found, Layout, Reading, combine
from leukctl.layouts.registry import READERS, kin, read, recognize

__all__ = [
    "READERS",
    "Found",
    "Layout",
    "Listing",
    "Reading",
    "check_is_table",
    "combine",
    "from_manifest",
    "kin",
    "label_map",
    "list_folder",
    "list_source",
    "read",
    "recognize",
]
