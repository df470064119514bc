"""Write man pages and completions from the command tree, or check that they are as it is.

    python -m tools.reference [--check]

With ``--check`` nothing is written, and the exit status is 1 where a file is not what it would be.
"""

import sys
from pathlib import Path

from tools import bash, commandtree, fish, manpages, zsh

ROOT = Path(__file__).parents[1]


def made() -> dict[str, str]:
    """Return what is generated, by its path in the repository."""
    commands = commandtree.read()
    files = {
        "completions/leukctl.bash": bash.script(commands),
        "completions/_leukctl": zsh.script(commands),
        "completions/leukctl.fish": fish.script(commands),
    }
    files |= {f"man/{name}": page for name, page in manpages.pages(commands).items()}
    return files


def stale(root: Path) -> list[str]:
    """Return the paths below ``root`` that differ from what would be made, or should not be."""
    files = made()
    there = {
        str(path.relative_to(root))
        for folder in ("man", "completions")
        for path in (root / folder).glob("*")
    }
    differ = {
        name
        for name, content in files.items()
        if name not in there or (root / name).read_text(encoding="utf-8") != content
    }
    return sorted(differ | (there - files.keys()))


def main(arguments: list[str]) -> int:
    """Write, or check, and return the exit status."""
    if arguments not in ([], ["--check"]):
        print("usage: python -m tools.reference [--check]", file=sys.stderr)
        return 2
    if arguments:
        names = stale(ROOT)
        for name in names:
            print(f"{name}: not as the commands are; make reference", file=sys.stderr)
        return 1 if names else 0
    for name in stale(ROOT):
        (ROOT / name).unlink(missing_ok=True)
    for name, content in made().items():
        path = ROOT / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
