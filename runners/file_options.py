"""Options of commands that change a file of the service: where `serve` would look for it, too."""

import os
from typing import Annotated

import typer

from runners.settings import Settings, read_settings
from web.authentication import ROLES, Role

ConfigFile = Annotated[str | None, typer.Option("--config", metavar="FILE", help="As of serve.")]
DataDirectory = Annotated[str | None, typer.Option("--data", metavar="DIR", help="As of serve.")]


def settings_of(**flags: str | None) -> Settings:
    """The settings that `serve` has with the same options and the same environment."""
    return read_settings(flags, os.environ)


def chosen_role(text: str) -> Role:
    """A role from the command line."""
    chosen = next((known for known in ROLES if known == text), None)
    if chosen is None:
        raise typer.BadParameter(f"--role is one of {', '.join(ROLES)}.")
    return chosen
