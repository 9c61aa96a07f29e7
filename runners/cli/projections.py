"""`commissaire projections …`: how the read models are, whether they are right, and made anew."""

import gc
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from runners.cli.options import ConfigFile, DatabaseUrl, DataDirectory
from runners.cli.output import progress, show_json, show_table
from runners.database.existing import DatabaseRefused, existing_database
from runners.settings.reading import settings_of

if TYPE_CHECKING:  # what is only imported when it is needed: `--help` is to be quick
    from domain.log.engine import Engine
    from projections.projection import Projection
    from projections.rebuilding.rebuild import Rebuilt

FOUND_SOMETHING = 1

projection_commands = typer.Typer(
    rich_markup_mode=None, help="Read models: what GET answers, derived from the log."
)

Names = Annotated[
    list[str] | None, typer.Argument(metavar="NAME", help="Some of them; without it all.")
]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for scripts.")]


def _chosen(names: list[str] | None) -> "list[Projection]":
    from projections.all import PROJECTIONS

    known = {each.name: each for each in PROJECTIONS}
    for name in names or ():
        if name not in known:
            raise typer.BadParameter(f"'{name}' is none of {', '.join(known)}.")
    return [each for each in PROJECTIONS if not names or each.name in names]


def _head(engine: "Engine") -> int:
    from domain.log.recorder import head

    with engine.snapshot() as tx:
        return head(tx).position


@projection_commands.command("list")
def list_projections(as_json: AsJson = False) -> None:
    """List the read models of this version, and the tables that each of them has."""
    rows = [
        {
            "name": each.name,
            "version": each.version,
            "tables": [table.name for table in each.tables],
        }
        for each in _chosen(None)
    ]
    if as_json:
        show_json(rows)
        return
    show_table(
        ("name", "version", "tables"),
        [
            (each.name, each.version, ", ".join(t.name for t in each.tables))
            for each in _chosen(None)
        ],
    )


@projection_commands.command("status")
def show_status(
    names: Names = None,
    with_digest: Annotated[
        bool, typer.Option("--digest", help="With a digest of all rows, which takes longer.")
    ] = False,
    as_json: AsJson = False,
    data: DataDirectory = None,
    database: DatabaseUrl = None,
    config: ConfigFile = None,
) -> int:
    """Say how far each read model is, what made its rows, and what to do where it is not well.

    States: current; outdated (served, and to be made anew); unbuilt; behind; stopped (by an event
    that it cannot handle). The exit status is 1 where one is not current.
    """
    from projections.rebuilding.status import status

    chosen = _chosen(names)
    with existing_database(config, data, database) as engine, engine.snapshot() as tx:
        found = status(tx, chosen, with_digest=with_digest)
    if as_json:
        show_json([asdict(each) for each in found])
    else:
        columns = ["name", "version", "rows of", "position", "lag", "rows", "state"]
        rows = [
            [
                *(each.name, each.version, "–" if each.rows_of is None else each.rows_of),
                *(each.position, each.lag, each.rows, each.state),
                *([each.digest or "–"] if with_digest else []),
            ]
            for each in found
        ]
        show_table([*columns, "digest"] if with_digest else columns, rows)
        for each in found:
            if each.reason:
                print(f"{each.name}: {each.reason} {each.action}")
    return int(any(each.state != "current" for each in found))


@projection_commands.command("rebuild")
def rebuild_projections(
    names: Names = None,
    events_per_second: Annotated[
        float | None,
        typer.Option(min=1, metavar="COUNT", help="How much of the log to read in a second."),
    ] = None,
    as_json: AsJson = False,
    data: DataDirectory = None,
    database: DatabaseUrl = None,
    config: ConfigFile = None,
) -> int:
    """Make read models anew from the log, while the service goes on.

    They are built in a file beside the data, and what differs is put right in one transaction.
    After a rebuild that was interrupted, the same command goes on where that one was. The exit
    status is 1 where a read model met an event that it cannot handle: it is then left as it is.
    """
    from projections.projection import positions_schema
    from projections.rebuilding.rebuild import rebuild
    from projections.rebuilding.scratch import Scratch, ScratchTaken

    chosen = _chosen(names)
    settings = settings_of(config=config, data=data, database=database)
    gc.disable()  # there are no cycles in what comes and goes with each event
    with existing_database(config, data, database, writes=True) as engine:
        engine.execute_schema([positions_schema(engine.name)])
        try:
            with (
                Scratch(settings.scratch_file, chosen) as scratch,
                progress("rebuilding", _head(engine)) as advance,
            ):
                found = rebuild(
                    engine,
                    chosen,
                    scratch,
                    events_per_second=events_per_second,
                    advance=lambda position, head: advance(position),
                )
        except ScratchTaken as taken:
            raise DatabaseRefused(f"{taken}.") from None
    _tell_what_was_rebuilt(found, as_json)
    return FOUND_SOMETHING if found.stops else 0


def _tell_what_was_rebuilt(found: "Rebuilt", as_json: bool) -> None:
    halted = {name: halt.why for name, halt in found.stops.items()}
    if as_json:
        show_json({"position": found.position, "changed": found.changed, "stopped": halted})
    else:
        for name, changed in found.changed.items():
            print(
                f"{name}: rebuilt up to position {found.position}; {changed} rows were put right."
            )
        for why in halted.values():
            print(f"{why} Its tables were left as they are.")


@projection_commands.command("verify")
def verify_projections(
    names: Names = None,
    as_json: AsJson = False,
    data: DataDirectory = None,
    database: DatabaseUrl = None,
    config: ConfigFile = None,
) -> int:
    """Fold the log anew in memory and compare, also while the service runs; change nothing.

    The exit status is 1 where a read model is not what the log says; the first row that differs is
    named, with both values.
    """
    from projections.rebuilding.verification import verify

    chosen = _chosen(names)
    with (
        existing_database(config, data, database) as engine,
        progress("verifying", _head(engine)) as advance,
    ):
        verdicts = verify(engine, chosen, lambda position, head: advance(position))
    if as_json:
        show_json([asdict(each) for each in verdicts])
    else:
        for each in verdicts:
            if each.wrong:
                print(f"{each.name}: {each.wrong}")
            else:
                told = f"right up to position {each.position}: {each.rows} rows, {each.live}"
                print(f"{each.name}: {told}")
    return int(any(each.wrong for each in verdicts))
