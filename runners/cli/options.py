"""Options of commands that change a file of the service: where `serve` would look for it, too."""

from pathlib import Path
from typing import Annotated

import typer

from domain.names import resource_name
from domain.refusal import Refusal
from domain.roles import ROLES, Role
from runners.settings.settings import Settings

DatabaseUrl = Annotated[str | None, typer.Option("--database", metavar="URL", help="As of serve.")]

ConfigFile = Annotated[str | None, typer.Option("--config", metavar="FILE", help="As of serve.")]
DataDirectory = Annotated[str | None, typer.Option("--data", metavar="DIR", help="As of serve.")]


def must_be_kept_there(file: Path, settings: Settings) -> None:
    """Refuse to list what is kept in a directory that no service ever had its data in."""
    signs = (file, settings.users_file, settings.database_file, settings.vault_key_file)
    if not any(sign.exists() for sign in signs):
        raise typer.BadParameter(
            f"There is no {file}, and {file.parent} is no data directory of a service: --data"
        )


def chosen_clusters(pairs: list[str] | None) -> dict[str, Role]:
    """Roles in clusters from the command line: `web=operator`."""
    found: dict[str, Role] = {}
    for pair in pairs or ():
        cluster, _, role = pair.partition("=")
        try:
            found[resource_name(cluster, "cluster name")] = chosen_role(
                role, "--cluster-role is CLUSTER=ROLE, with one"
            )
        except Refusal as refusal:
            raise typer.BadParameter(f"--cluster-role: {refusal.sentence}") from None
    return found


def chosen_role(text: str, said: str = "--role is one") -> Role:
    """A role from the command line."""
    chosen = next((known for known in ROLES if known == text), None)
    if chosen is None:
        raise typer.BadParameter(f"{said} of {', '.join(ROLES)}.")
    return chosen
