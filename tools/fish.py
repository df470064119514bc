"""The command tree → completion for fish, without a call of Python at TAB."""

from tools.commandtree import Command, Option, Value

HEAD = """\
# Completion of leukctl for fish. Generated; `make reference` makes it anew.

function __leukctl_list --description 'The names given, after what stands before the last comma'
    set -l before (string match --regex '^.*,' -- (commandline --current-token))
    test -n "$before"; or set before ''
    printf '%s\\n' $before$argv
end

complete --command leukctl --no-files
"""


def script(commands: list[Command]) -> str:
    """Return the content of ``leukctl.fish``."""
    root, *others = commands
    lines = [_line("__fish_use_subcommand", option) for option in root.options]
    for command in others:
        if " " in command.name:
            continue
        lines.append(
            f"complete -c leukctl -n __fish_use_subcommand -a {command.name} "
            f"-d {_quoted(command.summary.rstrip('.'))}"
        )
    for command in others:
        condition = f"__fish_seen_subcommand_from {command.name.split()[-1]}"
        lines.append("")
        lines += [_operand(condition, value) for value, _ in command.arguments[-1:]]
        lines += [_line(condition, option) for option in command.options]
    return HEAD + "\n".join(line for line in lines) + "\n"


def _operand(condition: str, value: Value) -> str:
    if value.path == "folder":
        return f"complete -c leukctl -n '{condition}' -a '(__fish_complete_directories)'"
    return f"complete -c leukctl -n '{condition}' -F"


def _line(condition: str, option: Option) -> str:
    parts = [f"complete -c leukctl -n '{condition}'"]
    for name in option.names:
        parts.append(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}")
    if option.value is not None:
        parts.append(_value(option.value))
    return " ".join([*parts, f"-d {_quoted(option.summary)}"])


def _value(value: Value) -> str:
    words = " ".join(value.names)
    if words:
        return f"-x -a {_quoted(f'(__leukctl_list {words})' if value.several else words)}"
    if value.path == "folder" and not value.several:
        return "-x -a '(__fish_complete_directories)'"
    return "-r -F" if value.path else "-x"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
