"""Options that several commands take, and what they mean."""

from pathlib import Path
from typing import Annotated

import typer

from commctl.exits import Refused, WrongUse
from commctl.session import Session
from commctl.show.times import moment

PORT_MAX = 65_535
ROLES = ("viewer", "operator", "admin")


def _cluster(text: str) -> str:
    if not text:  # a script's variable that is empty, say
        raise WrongUse("The name of the cluster is empty.")
    return text


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text) <= PORT_MAX):
        raise WrongUse(f"-p {text} is no port: 1 to {PORT_MAX}.")
    return int(text)


def role_of(text: str, option: str = "--role ") -> str:
    """A role that was typed. Raises WrongUse."""
    if text not in ROLES:
        raise WrongUse(f"{option}{text}: a role is one of {', '.join(ROLES)}.")
    return text


Addresses = Annotated[list[str], typer.Argument(metavar="ADDRESS…", help="Hosts.")]
Selectors = Annotated[
    list[str] | None,
    typer.Argument(metavar="SELECTOR…", help="10.0.0.*  web[1-20]  role=db  os=debian"),
]
ClusterName = Annotated[
    str, typer.Argument(metavar="CLUSTER", parser=_cluster, help="Name of the cluster.")
]
OfCluster = Annotated[
    str | None,
    typer.Option("-c", "--cluster", metavar="NAME", parser=_cluster, help="Of this cluster."),
]
ClusterNames = Annotated[list[str], typer.Argument(metavar="NAME…", parser=_cluster)]
Port = Annotated[int | None, typer.Option("-p", "--port", metavar="PORT", parser=_port)]
OtherRole = Annotated[str | None, typer.Option("--role", metavar="|".join(ROLES), parser=role_of)]
Role = Annotated[str, typer.Option(metavar="|".join(ROLES), parser=role_of)]
At = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="As it was: -2h, yesterday, 23:00, ISO or @position."),
]
Most = Annotated[
    int | None, typer.Option("-n", metavar="N", min=1, help="So many at most; else all.")
]
First = Annotated[
    int | None, typer.Option("-n", metavar="N", min=1, help="The first N of them; else all.")
]
Yes = Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")]
KeyFile = Annotated[
    Path, typer.Option("-k", "--key", metavar="FILE", help="Private key; - is standard input.")
]


def time_of(use: Session, text: str | None) -> str | None:
    """A time that was typed, as the API takes it."""
    if text is None or not text.startswith("@"):
        return None if text is None else moment(text, use.out.now, use.out.zone)
    position = position_of(text)
    found = next(use.api.events(1, after=max(position - 1, 0)), None)
    if found is None or int(found["id"]) != position:
        raise Refused(f"There is no event at position {position}.")
    return found["time"].rstrip("Z")


def position_of(text: str) -> int:
    """Of `@4711`."""
    if not (text.startswith("@") and text[1:].isdecimal()):
        raise WrongUse(f"{text!r} is no position: such as @4711.")
    return int(text[1:])
