"""Archives of scikit-learn estimators by skops: equal bytes for equal models, read with care."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

# skops looks for hundreds of scipy's functions, one by one, in all modules in the order in which
# they were imported: with this one before torch and timm it was there in 0.4 s, after them in 4.
import scipy.special  # noqa: F401

from leukctl.errors import InputError

_SCHEMA = "schema.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)


def write(model: Any) -> bytes:
    """Return an estimator as skops' archive.

    skops numbers objects and names files by where they lie in memory, and notes the time. Here they
    are numbered in the order in which they come, so that equal models are equal bytes.
    """
    import skops.io

    made = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(skops.io.dumps(model))) as given,
        zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        numbers: dict[int, int] = {}
        names: dict[str, str] = {}
        schema = _renumbered(json.loads(given.read(_SCHEMA)), numbers, names)
        for old, name in names.items():
            new.writestr(_entry(name), given.read(old))
        new.writestr(_entry(_SCHEMA), json.dumps(schema, indent=2))
    return made.getvalue()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def _renumbered(node: Any, numbers: dict[int, int], names: dict[str, str]) -> Any:
    """Return a part of the schema with objects and files numbered as they are met."""
    if isinstance(node, list):
        return [_renumbered(item, numbers, names) for item in node]
    if not isinstance(node, dict):
        return node
    found: dict[str, Any] = {}
    for key, value in node.items():
        if key == "__id__" and isinstance(value, int):
            found[key] = numbers.setdefault(value, len(numbers) + 1)
        elif key == "file" and isinstance(value, str):
            suffix = Path(value).suffix
            found[key] = names.setdefault(value, f"{len(names) + 1}{suffix}")
        else:
            found[key] = _renumbered(value, numbers, names)
    return found


def read(path: Path, trusted: tuple[str, ...]) -> Any:
    """Return what skops wrote; no type is built that is neither its own trusted nor ours."""
    import skops.io

    try:
        data = path.read_bytes()
        unknown = {*skops.io.get_untrusted_types(data=data)} - {*trusted}
        if unknown:
            raise InputError(f"damaged: it holds {', '.join(sorted(unknown))}", file=path)
        return skops.io.loads(data, trusted=list(trusted))
    except InputError:
        raise
    except Exception as error:
        # A damaged archive fails in many ways: zlib, JSON, a type that lacks something.
        line = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"damaged ({line})", file=path) from None
