"""`commissaire log …`: is the log whole, and what does it say?"""

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from runners.cli.history import Time, bounded, chosen
from runners.cli.options import ConfigFile, DatabaseUrl, DataDirectory
from runners.cli.output import progress, show_json, show_lines
from runners.database.existing import DatabaseRefused, existing_database

FOUND_SOMETHING = 1
EXPORT_EVENTS = 1000
EXPORT_BYTES = 4 * 1024 * 1024

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
    from runners.cli.log_check import check

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


@log_commands.command("export")
def export_log(
    after: Annotated[
        int, typer.Option(metavar="POSITION", min=0, help="Only what follows this position.")
    ] = 0,
    since: Annotated[str | None, Time] = None,
    until: Annotated[str | None, Time] = None,
    data: DataDirectory = None,
    database: DatabaseUrl = None,
    config: ConfigFile = None,
) -> None:
    """Write the log to standard output, a CloudEvent in JSON on each line, oldest first.

    Up to where the log is when it begins, also while the service runs. To go on later, or after
    it was interrupted: --after with the id of the last whole line.
    """
    from domain.log.reading.search import page
    from domain.log.recorder import head
    from web.events.cloud_events import cloud_event

    bounds = bounded(since, until)
    which = chosen(bounds.times)
    after = max(after, bounds.after)
    with existing_database(config, data, database) as engine:
        with engine.snapshot() as tx:
            end = head(tx).position
        if after > end:
            raise DatabaseRefused(f"The log ends at position {end}, before {after}.")
        end = end if bounds.last is None else min(end, bounds.last)
        shown = end if not sys.stdout.isatty() else None
        with progress("exporting the log", shown) as advance:
            while after < end:
                with engine.snapshot() as tx:
                    found = page(tx, which, after, EXPORT_EVENTS, EXPORT_BYTES)
                lines = [
                    cloud_event(entry) + b"\n" for entry in found.entries if entry.position <= end
                ]
                show_lines(b"".join(lines))
                advance(found.position)
                after = found.position
                if not found.more:
                    break
        sys.stdout.flush()
