"""Text → the man(7) language."""

import re
import textwrap

_NAMED = {"\\": "\\e", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti"}


def literal(text: str) -> str:
    """Return text that stands as it is, every dash a minus, which can be copied."""
    return _safe(_escape(text).replace("-", "\\-"))


def prose(text: str) -> str:
    """Return a paragraph, in lines of at most 78 characters; only options keep a minus."""
    escaped = _options(_escape(text))
    wrapped = textwrap.wrap(escaped, 78, break_long_words=False, break_on_hyphens=False)
    return "\n".join(_safe(line) for line in wrapped)


def _escape(text: str) -> str:
    return "".join(
        _NAMED.get(char) or (char if char.isascii() else f"\\[u{ord(char):04X}]") for char in text
    )


def _options(text: str) -> str:
    return re.sub(r"(?<![\w\\])--?\w[\w-]*", lambda found: found[0].replace("-", "\\-"), text)


def _safe(line: str) -> str:
    # A dot or an apostrophe at the beginning would be a request.
    return f"\\&{line}" if line.startswith((".", "'")) else line


def heading(title: str) -> str:
    """Return the line that begins a section."""
    return f".SH {title}"


def item(term: str, text: str) -> str:
    """Return an entry of a list; ``term`` is in the language already."""
    return f".TP\n{term}\n{prose(text)}"


def bold(text: str) -> str:
    """Return literal text in bold."""
    return f"\\fB{literal(text)}\\fR"


def italic(text: str) -> str:
    """Return literal text in italics, as what stands for something."""
    return f"\\fI{literal(text)}\\fR"


def lines(given: tuple[str, ...]) -> str:
    """Return lines that stay as they are."""
    return "\n".join([".nf", *(literal(line) for line in given), ".fi"])


def title(name: str, section: int, date: str, version: str) -> str:
    """Return the first lines of a page."""
    return (
        '.\\" Generated from the command tree; make reference makes it anew.\n'
        f'.TH {name.upper().replace("-", chr(92) + "-")} {section} {date} "leukctl {version}"'
        ' "leukctl manual"'
    )
