"""The JSON of ``split --audit``: read, check, and what it says beside a model's own scores."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from leukctl import catalog
from leukctl.errors import InputError
from leukctl.reporting.documents import Document, check_entry, check_number

KIND = catalog.AUDIT
SCHEMA = catalog.AUDIT_SCHEMA

# Kinds of features that no cell has a part in; the whole image's colors are the cells' too.
WITHOUT_CELLS = ("background", "file", "source")


@dataclass(slots=True)
class Audit:
    """An audit of a manifest.

    Attributes:
        name: for tables; no two inputs alike.
        document: as the command wrote it.
    """

    name: str
    document: Document

    @property
    def shortcuts(self) -> list[Document]:
        """What was assessed; empty where the audit was of leaks alone."""
        return self.document.get("shortcuts") or []

    @property
    def leaks(self) -> Document:
        """How many copies there are, and what crosses the splits."""
        return self.document["leaks"]

    @property
    def findings(self) -> list[str]:
        """The sentences on what leaks, and on shortcuts that are above chance."""
        every = {found["sentence"] for found in self.shortcuts}
        told = [found["sentence"] for found in self.shortcuts if "above" in found["verdict"]]
        return [*(said for said in self.document["findings"] if said not in every), *told]


def looks_like_json(text: str) -> bool:
    """Tell whether ``text`` begins as JSON does, which no CSV with columns that we know does."""
    return text.lstrip("\ufeff \t\r\n")[:1] in ("{", "[")


def parse(text: str, name: str) -> Audit:
    """Return the audit in ``text``, of the file ``name``.

    Raises :class:`InputError` for what is no JSON, JSON of something else, or damaged.
    """
    content = content_of(text, name)
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise InputError(
            "JSON, but neither an audit of leukctl split --audit --json nor a metrics.json",
            file=name,
        )
    if content.get("schema") != SCHEMA:
        raise InputError(
            f"an audit of schema {content.get('schema')!r}, where this leukctl reads {SCHEMA}",
            file=name,
        )
    try:
        _check(content)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise InputError(f"damaged audit ({error})", file=name) from None
    return Audit(name, content)


def content_of(text: str, name: str) -> Any:
    """Return the value of the JSON ``text`` of the file ``name``, or raise :class:`InputError`."""
    try:
        return json.loads(text.lstrip("\ufeff"))
    except json.JSONDecodeError as error:
        raise InputError(f"not JSON ({error.msg})", file=name, line=error.lineno) from None
    except (ValueError, RecursionError):
        raise InputError("not JSON", file=name) from None


def findings(
    audits: Sequence[Audit], scores: Mapping[str, Mapping[str, Any]], split: str | None
) -> list[str]:
    """Return what a careful reader should know of the audits, as plain sentences.

    Among them one for each model that does no better than what no cell has a part in: its interval
    of balanced accuracy does not lie above that of a shortcut above chance. A model of another
    number of classes than the audit's is not compared.

    Args:
        scores: model → its scores on ``split``.
    """
    found = []
    for audit in audits:
        prefix = f"{audit.name}: " if len(audits) > 1 else ""
        found += [f"{prefix}{sentence}" for sentence in audit.findings]
        for name, own in scores.items():
            found += [f"{prefix}{name}: {sentence}" for sentence in _compare(audit, own, split)]
    return found


def _compare(audit: Audit, scores: Mapping[str, Any], split: str | None) -> Iterator[str]:
    own = scores["balanced_accuracy"]
    classes = sum(entry["n"] > 0 for entry in scores["per_class"].values())
    for found in audit.shortcuts:
        reached = found["balanced_accuracy"]
        if found["name"] not in WITHOUT_CELLS or "above" not in found["verdict"]:
            continue
        if round(1 / found["chance"]) != classes or not own["ci95"] or not reached["ci95"]:
            continue
        if own["ci95"][0] <= reached["ci95"][1]:
            yield (
                f"its balanced accuracy on {split}, {_figures(own)}, is not above what is reached "
                f"from {catalog.SHORTCUTS[found['name']]}, {_figures(reached)}."
            )


def _figures(entry: Mapping[str, Any]) -> str:
    low, high = entry["ci95"]
    return f"{entry['value']:.2f} [{low:.2f}, {high:.2f}]"


def _check(content: Document) -> None:
    check_number(content["images"])
    leaks = content["leaks"]
    check_number(leaks["crossing"])
    for counts in leaks["by_kind"].values():
        check_number(counts["pairs"])
        check_number(counts["crossing"])
    for names in (
        *(leaks[key] for key in ("subjects", "groups", "parents", "classes_of_one_source")),
        content["findings"],
    ):
        _check_texts(names)
    for found in content.get("shortcuts") or []:
        _check_shortcut(found)


def _check_shortcut(found: Document) -> None:
    if found["name"] not in catalog.SHORTCUTS:
        raise ValueError(f"unknown shortcut {found['name']!r}")
    _check_texts([found["verdict"], found["sentence"], found["by"]])
    check_entry(found["balanced_accuracy"])
    for key in ("n", "n_groups"):
        check_number(found[key])
    if found["chance"] is not None:
        check_number(found["chance"])
    assessed = found["balanced_accuracy"]["value"] is not None
    if assessed and not 0 < (found["chance"] or 0) <= 1:
        raise ValueError(f"chance {found['chance']!r}")


def _check_texts(texts: Any) -> None:
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise TypeError(f"{texts!r} is no list of texts")
