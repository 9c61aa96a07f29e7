"""`commissaire log …`: is the log whole, and what does it say?"""

from dataclasses import asdict
from typing import Annotated

import typer

from runners.existing_database import DatabaseUrl, existing_database
from runners.file_options import ConfigFile, DataDirectory
from runners.showing import progress, show_json

FOUND_SOMETHING = 1

log_commands = typer.Typer(rich_markup_mode=None, help="The event log.")


@log_commands.callback()
def _log() -> None:
    pass


@log_commands.command("check")
def check_log(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for scripts.")] = False,
    data: DataDirectory = None,
    database: DatabaseUrl = None,
    config: ConfigFile = None,
) -> int:
    """Look whether the log is whole, also while the service runs.

    No position is missing (PostgreSQL leaves gaps, and may), the versions of every stream run
    without a hole, every event can be read, and every projection is at the head. Names the first
    thing that is wrong; the exit status is then 1.
    """
    from runners.log_check import check

    with existing_database(config, data, database) as engine:
        with engine.snapshot() as tx:
            from domain.log.recorder import head

            total = head(tx).position
        with progress("checking the log", total) as advance:
            findings = check(engine, advance)
    if as_json:
        show_json(asdict(findings))
    elif findings.wrong:
        print(findings.wrong)
    else:
        print(
            f"The log is whole up to position {findings.position}: {findings.events} events,"
            f" {findings.streams} streams, {len(findings.projections)} projections at its head."
        )
    return FOUND_SOMETHING if findings.wrong else 0
