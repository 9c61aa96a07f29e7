"""Options of commands that change a file of the service: where `serve` would look for it, too."""

from typing import Annotated

import typer

from web.authentication.authentication import ROLES, Role

DatabaseUrl = Annotated[str | None, typer.Option("--database", metavar="URL", help="As of serve.")]

ConfigFile = Annotated[str | None, typer.Option("--config", metavar="FILE", help="As of serve.")]
DataDirectory = Annotated[str | None, typer.Option("--data", metavar="DIR", help="As of serve.")]


def chosen_role(text: str) -> Role:
    """A role from the command line."""
    chosen = next((known for known in ROLES if known == text), None)
    if chosen is None:
        raise typer.BadParameter(f"--role is one of {', '.join(ROLES)}.")
    return chosen
