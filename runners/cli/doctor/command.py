"""`commissaire doctor`: looks at everything that an installation stands on, and says what to do."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from runners.cli.options import ConfigFile, DatabaseUrl, DataDirectory
from runners.cli.output import show_json, show_table
from runners.database.existing import DatabaseRefused, existing_database
from runners.settings.reading import WrongSettings, read_settings
from runners.settings.settings import Settings

if TYPE_CHECKING:  # what is only imported when it is needed: `--help` is to be quick
    from runners.cli.doctor.finding import Finding

FOUND_SOMETHING = 1


def doctor(
    quick: Annotated[
        bool, typer.Option("--quick", help="Without looking through the whole log.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for scripts.")] = False,
    data: DataDirectory = None,
    database: DatabaseUrl = None,
    config: ConfigFile = None,
) -> int:
    """Look at everything that the service stands on, also while it runs, and say what to do.

    Versions, settings, data directory (owners, modes), master key, database, log, read models,
    accounts, room, clock, the address without TLS, container managers and sources. Settings are
    read from the variables and the file that `serve` has: run it with those of the service, as
    its user.
    The exit status is 1 where something is wrong; a warning leaves it 0.
    """
    findings = list(_looked_at((config, data, database), quick=quick))
    if as_json:
        show_json([asdict(each) for each in findings])
    else:
        show_table(
            ("what", "state", "found", "do"),
            [(each.what, each.state, each.found, each.action) for each in findings],
        )
        counts = Counter(each.state for each in findings)
        print(f"{counts['wrong']} wrong, {counts['warning']} warnings, {counts['ok']} well.")
    return FOUND_SOMETHING if any(each.state == "wrong" for each in findings) else 0


def _looked_at(
    asked: tuple[str | None, str | None, str | None], *, quick: bool
) -> "Iterator[Finding]":
    from runners.cli.doctor import machine
    from runners.cli.doctor.finding import warning, wrong

    yield from machine.versions()
    flags = dict(zip(("config", "data", "database"), asked, strict=True))
    strangers: list[str] = []
    try:
        settings = read_settings(flags, os.environ, strangers.append)
    except WrongSettings as error:
        for sentence in error.sentences:
            yield wrong("settings", f"{sentence}.", "Mend it: the service does not start with it.")
        return  # which directory and database are meant is not known
    for sentence in strangers:
        yield warning("settings", f"{sentence}.", "Take it out, or say it as a setting of ours.")
    yield from _of_the_settings(settings, asked, quick=quick)


def _of_the_settings(
    settings: Settings, asked: tuple[str | None, str | None, str | None], *, quick: bool
) -> "Iterator[Finding]":
    from runners.cli.doctor import machine, reach
    from runners.cli.doctor.finding import seen, wrong

    yield from seen("data directory", machine.directory(settings))
    yield from seen("master key", machine.master_key_is_apart(settings))
    yield from machine.clock()
    yield from machine.listening(settings)
    yield from seen("sources", reach.sources(settings))
    try:
        yield from seen("database", _of_the_database(settings, asked, quick=quick))
    except DatabaseRefused as refused:
        yield wrong(
            "database", str(refused), "See that it runs, and that --data or --database is right."
        )


def _of_the_database(
    settings: Settings, asked: tuple[str | None, str | None, str | None], *, quick: bool
) -> "Iterator[Finding]":
    from runners.cli.doctor import database, reach
    from runners.cli.doctor.finding import seen

    with existing_database(*asked) as engine:
        yield from database.database(engine, settings)
        yield from database.log(engine, quick=quick)
        yield from database.read_models(engine)
        yield from seen("master key", database.vault(engine, settings))
        yield from seen("accounts", database.accounts(engine, settings))
        yield from reach.managers(engine)
