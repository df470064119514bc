"""The command tree → a man page a command, one of leukctl, and one of its files."""

from leukctl import __version__
from leukctl.errors import ExitStatus
from tools import formats, roff
from tools.commandtree import Block, Command, Option

# When the pages last changed what they say; their makers refuse the day that they are made on,
# since the same tree gives the same bytes.
DATE = "2026-11-21"

STATUS = {
    ExitStatus.DONE: "Done.",
    ExitStatus.FOUND: "Done, and something was found: an input rejected, a copy on both sides of a "
    "split, a model collapsed to one class, a metric below its bar.",
    ExitStatus.FAILED: "Could not be done; one line on standard error says what, where, and what "
    "to do. Nothing half written stands under a final name.",
    ExitStatus.INTERRUPTED: "Interrupted.",
}
ENVIRONMENT = {
    "NO_COLOR": "Where it is set, nothing is colored.",
    "XDG_CACHE_HOME": "Where caches lie, instead of in ~/.cache.",
    "LEUKCTL_MALLOC": "With the value default, glibc's allocator is left as it is. Otherwise it "
    "keeps freed memory, which makes networks on a CPU about twice as fast and takes more memory.",
}
# What each command reads and writes; leukctl-files(5) says what is in it.
FILES = {
    "synth": {"OUT/manifest.csv": "the manifest of what was drawn"},
    "prep": {
        "FILE": "the manifest",
        "DIR/**/*.png": "the prepared images",
        "DIR/rejected.csv": "images that could not be read, and why",
    },
    "split": {
        "MANIFEST": "read; what is written has the columns split or fold, and perhaps group",
        "FILE": "of --pairs: the copies that were found; of --audit-json: what was found",
    },
    "balance": {
        "MANIFEST": "read; what is written has other train rows, or the column weight",
        "DIR/rejected.csv": "images that could not be read, and why",
    },
    "train": {"RUN/": "the run folder", "RUN/checkpoint/": "what --resume goes on from"},
    "predict": {"RUN/": "read", "FILE": "predictions"},
    "ensemble": {"PRED": "predictions, or run folders that hold them", "FILE": "predictions"},
    "fuse": {"MANIFEST": "read", "RUN/": "the run folder"},
    "explain": {"RUN/": "read", "PATH": "one picture, or an explanations folder"},
    "compare-cams": {"DIR/explanations.csv": "read", "FILE": "the similarity table"},
    "report diff": {"A B": "runs, predictions or metrics.json", "FILE": "the comparison"},
    "report": {
        "INPUT": "runs, predictions, similarity tables, explanations folders, audits",
        "FILE": "the report",
    },
}


def pages(commands: list[Command]) -> dict[str, str]:
    """Return the pages by their file names."""
    root, *others = commands
    found = {"leukctl.1": _root(root, others)}
    for place, command in enumerate(others):
        beside = [others[i].page for i in (place - 1, place + 1) if 0 <= i < len(others)]
        found[f"{command.page}.1"] = _command(command, beside)
    found["leukctl-files.5"] = formats.page(DATE, __version__)
    return found


def _root(root: Command, commands: list[Command]) -> str:
    parts = [_begin(root), roff.heading("DESCRIPTION"), *_description(root.blocks)]
    parts.append(roff.heading("COMMANDS"))
    parts += [roff.item(f"{roff.bold(command.page)}(1)", command.summary) for command in commands]
    parts += _options(root)
    parts += [roff.heading("FILES"), roff.prose("The files between the commands are described in")]
    parts.append(".BR leukctl\\-files (5).")
    parts += _status()
    shared = {
        option.environment: option.help.split(" [env var")[0]
        for command in commands
        for option in command.options
        if option.environment
    }
    parts += _environment(dict(sorted(shared.items())) | ENVIRONMENT)
    parts += _see_also([f"{command.page}(1)" for command in commands])
    return "\n".join(parts) + "\n"


def _command(command: Command, beside: list[str]) -> str:
    parts = [_begin(command), roff.heading("DESCRIPTION")]
    parts += _description(tuple(b for b in command.blocks if b not in command.examples))
    if command.arguments:
        parts.append(roff.heading("ARGUMENTS"))
        parts += [
            roff.item(roff.italic(value.metavar), help_) for value, help_ in command.arguments
        ]
    parts += _options(command)
    parts.append(roff.heading("FILES"))
    parts += [roff.item(roff.italic(name), text) for name, text in FILES[command.name].items()]
    parts += _status()
    parts += _environment(
        {o.environment: f"Does what {o.names[0]} does." for o in command.options if o.environment}
    )
    parts.append(roff.heading("EXAMPLES"))
    parts += [roff.lines(_dedented(block.lines)) for block in command.examples]
    parts += _see_also(["leukctl(1)", *(f"{page}(1)" for page in beside)])
    return "\n".join(parts) + "\n"


def _begin(command: Command) -> str:
    name = command.page
    summary = command.summary[0].lower() + command.summary[1:].rstrip(".")
    usage = " ".join(roff.italic(piece) for piece in command.usage.split())
    return "\n".join([
        roff.title(name, 1, DATE, __version__),
        roff.heading("NAME"),
        f"{roff.literal(name)} \\-\n{roff.prose(summary)}",
        roff.heading("SYNOPSIS"),
        f"{roff.bold(f'leukctl {command.name}'.strip())} {usage}",
    ])  # fmt: skip


def _description(blocks: tuple[Block, ...]) -> list[str]:
    parts = []
    for place, block in enumerate(blocks):
        if block.title:
            parts.append(f".PP\n{roff.prose(block.title + ':')}\n.RS 2")
            parts.append(roff.lines(_dedented(block.lines)) + "\n.RE")
        else:
            parts.append(("" if place == 0 else ".PP\n") + roff.prose(" ".join(block.lines)))
    return parts


def _dedented(given: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(line.removeprefix("  ") for line in given)


def _options(command: Command) -> list[str]:
    return [roff.heading("OPTIONS"), *(_option(option) for option in command.options)]


def _option(option: Option) -> str:
    names = ", ".join(roff.bold(name) for name in sorted(option.names, key=len))
    if option.value is not None:
        names += f" {roff.italic(option.shown)}"
    return roff.item(names, option.help + (" (repeatable)" if _unsaid(option) else ""))


def _unsaid(option: Option) -> bool:
    return option.repeatable and "repeat" not in option.help


def _status() -> list[str]:
    items = [roff.item(roff.bold(str(int(status))), text) for status, text in STATUS.items()]
    return [roff.heading("EXIT STATUS"), *items]


def _environment(variables: dict[str, str]) -> list[str]:
    items = [roff.item(roff.bold(name), text) for name, text in variables.items()]
    return [roff.heading("ENVIRONMENT"), *items]


def _see_also(names: list[str]) -> list[str]:
    lines = []
    for place, name in enumerate([*names, "leukctl-files(5)"]):
        page, section = name.rstrip(")").split("(")
        comma = "," if place < len(names) else ""
        lines.append(f".BR {roff.literal(page)} ({section}){comma}")
    return [roff.heading("SEE ALSO"), *lines]
