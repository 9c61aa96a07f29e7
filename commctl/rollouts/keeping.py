"""`--window nights --gate pages`: what an operation keeps to."""

from typing import Annotated

import typer

from commctl.exits import WrongUse
from commctl.records import Record

WindowOption = Annotated[
    str | None,
    typer.Option("--window", metavar="NAME", help="Hosts begin only while this window is open."),
]
GateOption = Annotated[
    str | None,
    typer.Option("--gate", metavar="NAME", help="A check that is asked before each host."),
]


def kept_to(window: str | None, gate: str | None, override_policy: bool = False) -> Record:
    """What was typed, as the API takes it. Raises WrongUse."""
    told = {"window": window, "gate": gate}
    for key, name in told.items():
        if name == "":  # a script's variable that is empty, say
            raise WrongUse(f"--{key} says nothing: leave it out to do without.")
    kept: Record = {key: name for key, name in told.items() if name is not None}
    return kept | ({"override_policy": True} if override_policy else {})
