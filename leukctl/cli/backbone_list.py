"""``train --list-backbones``: the names that a user need not look up elsewhere."""

from typing import Annotated

import typer

from leukctl import catalog
from leukctl.cli import streams
from leukctl.errors import ExitStatus

HEADER = ("name", "timm name", "parameters", "input", "stages", "CAM layer")


def show() -> int:
    """Print the table to standard output."""
    print(streams.text_table(HEADER, rows()))
    return ExitStatus.DONE


def rows() -> list[list[str]]:
    """Return a row for each backbone of the catalogue, as :data:`HEADER` names its cells."""
    found = []
    for name, architecture in catalog.BACKBONES.items():
        facts = catalog.BACKBONE_FACTS[name]
        found.append(
            [
                name,
                architecture,
                f"{facts.parameters / 1e6:.1f} M",
                str(facts.input_size),
                str(facts.stages),
                facts.cam_layer,
            ]
        )
    return found


ListBackbones = Annotated[
    bool,
    typer.Option(
        "--list-backbones",
        help="Show names, parameters without the classifier, input size, stages and the layer of "
        "class activation maps.",
    ),
]
