"""`commissaire backup`."""

from pathlib import Path
from typing import Annotated

import typer

from runners.cli.options import ConfigFile, DataDirectory
from runners.database.backup import BackupRefused, back_up
from runners.settings.reading import settings_of

Target = Annotated[Path, typer.Argument(metavar="DIR", help="A directory that is not there yet.")]


def backup(target: Target, data: DataDirectory = None, config: ConfigFile = None) -> None:
    """Copy the database, the users and the tokens, while the service runs.

    The master key is left out: keep a copy of it elsewhere. Where the database is PostgreSQL,
    pg_dump copies it.
    """
    settings = settings_of(config=config, data=data)
    if settings.database is not None:
        raise BackupRefused(
            f"The database is {settings.database_shown}: copy it with pg_dump, and the files"
            f" {settings.users_file} and {settings.tokens_file} as they are."
        )
    # By the names that they have in a data directory, wherever the settings had them.
    files = {"users.json": settings.users_file, "tokens.json": settings.tokens_file}
    if settings.users_are_in_config:
        del files["users.json"]  # settings are copied by whoever keeps them
    position = back_up(settings.database_file, files, target)
    print(f"{target} has everything up to position {position} of the log, but the master key.")
