"""`commissaire log …`: is the log whole, and what does it say?"""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from runners.cli.history import Time, bounded, chosen
from runners.cli.options import ConfigFile, DatabaseUrl, DataDirectory
from runners.cli.output import progress, show_json
from runners.database.existing import existing_database

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
    without a hole, every event can be read and is what the Merkle tree of the log has of it, and
    every projection is at the head. Names the first thing that is wrong; the exit status is then 1.
    """
    from runners.cli.log.check import check

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
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what happens next.")] = False,
    to: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Append to this file, which may be rotated."),
    ] = None,
    cursor: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Keep here how far it is, and go on from there."),
    ] = None,
    rows: Annotated[
        bool, typer.Option("--rows", help="As the log's tree has them, for log verify.")
    ] = False,
    data: DataDirectory = None,
    database: DatabaseUrl = None,
    config: ConfigFile = None,
) -> None:
    """Write the log to standard output, a CloudEvent in JSON on each line, oldest first.

    Up to where the log is when it begins, also while the service runs. To go on later, or after
    it was interrupted: --after with the id of the last whole line, or a --cursor, which counts
    more than --after and --since. With --to and --cursor each event is written once, also after
    kill -9 and when the file was renamed meanwhile. To standard output, what whoever reads it may
    not have got is written again.
    """
    from runners.cli.log.export import Export, exported
    from runners.cli.log.shipping import Shipped, StandardOutput

    if follow and until is not None:
        raise typer.BadParameter("--follow goes on for ever: leave out --until.")
    if to is not None and cursor is None:
        raise typer.BadParameter("--to needs a --cursor, to write each event once.")
    if to is not None and cursor is not None and to.resolve() == cursor.resolve():
        raise typer.BadParameter("--to and --cursor are two files.")
    bounds = bounded(since, until)
    which = chosen(bounds.times)
    with existing_database(config, data, database) as engine:
        target = StandardOutput(cursor) if to is None else Shipped(to, cursor or to, rows=rows)
        with target:
            came = target.resume()
            export = Export(which, bounds.last, follow=follow, rows=rows)
            exported(engine, export, max(after, bounds.after) if came is None else came, target)
