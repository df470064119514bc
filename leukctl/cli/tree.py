"""The command tree's two classes: typer's own, with quicker start and plainer help."""

from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


class Group(TyperGroup):
    """``leukctl`` itself."""

    def get_params(self, ctx: typer.Context) -> list[Any]:  # type: ignore[override]
        """Return the options, flags that are not given being False.

        typer has None there, and imports pydantic to find out that None is no bool; that takes
        longer than all the rest of the start.
        """
        parameters: list[Any] = super().get_params(ctx)
        for parameter in parameters:
            if parameter.default is None:
                parameter.default = False
        return parameters

    def resolve_command(self, ctx: typer.Context, args: list[str]) -> Any:  # type: ignore[override]
        """Return the command that the first words name, and the words after them."""
        if " ".join(args[:2]) in self.commands:
            args = [" ".join(args[:2]), *args[2:]]
        return super().resolve_command(ctx, args)


class Command(TyperCommand):
    """One command."""

    def get_params(self, ctx: typer.Context) -> list[Any]:  # type: ignore[override]
        """Return the options and arguments, made plainer."""
        parameters: list[Any] = super().get_params(ctx)
        for parameter in parameters:
            if parameter.param_type_name == "argument":
                parameter.display_type_rich = _no_type  # it would read <list[Path]>
            if ctx.resilient_parsing:
                parameter.process_value = _unchanged  # completion needs no types, nor pydantic
        return parameters


def _no_type(ctx: typer.Context) -> None:
    return None


def _unchanged(ctx: typer.Context, value: Any) -> Any:
    return value
