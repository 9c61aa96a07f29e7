"""`commissaire history`: who did what, when, why, and what changed."""

import sys
import time
from collections import OrderedDict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from runners.cli.options import ConfigFile, DatabaseUrl, DataDirectory
from runners.cli.output import show_json, show_table
from runners.cli.times import known_time, said_position
from runners.database.existing import DatabaseRefused, existing_database

if TYPE_CHECKING:  # what is only imported when it is needed: `--help` is to be quick
    from domain.log.engine import Engine
    from domain.log.reading.search import Filter
    from domain.log.transaction import Transaction
    from projections.history import Teller

PAGE_EVENTS = 500
PAGE_BYTES = 4 * 1024 * 1024
TELLERS_MAX = 4096
"""Subjects whose state is remembered while others are told of."""
LOOK_EVERY_S = 1.0

Subject = Annotated[
    str | None,
    typer.Argument(metavar="SUBJECT", help="Such as host/10.0.0.7 or cluster/web; or all."),
]
Time = typer.Option(
    metavar="TIME", help="In UTC: -2h, yesterday, 23:00, 2026-11-26T07:19:31, or @position."
)
User = typer.Option(metavar="NAME", help="Only what this user, or runner, did.")
Type = typer.Option("--type", metavar="TYPE", help="Only events of this type: host.failed.")

# Any: a record, as JSON has it.
Record = dict[str, Any]


def history(
    subject: Subject = None,
    since: Annotated[str | None, Time] = None,
    until: Annotated[str | None, Time] = None,
    actor: Annotated[str | None, User] = None,
    kind: Annotated[str | None, Type] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what happens next.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="A line of JSON for each event.")] = False,
    data: DataDirectory = None,
    database: DatabaseUrl = None,
    config: ConfigFile = None,
) -> None:
    """Tell what happened, oldest first: when, who, what, what changed, why, because of what.

    Also while the service runs, and of a backup. Exit status 1 for a subject that nothing was
    ever heard of. --follow ends with Ctrl-C.
    """
    if follow and until is not None:
        raise typer.BadParameter("--follow goes on for ever: leave out --until.")
    bounds = bounded(since, until)
    given = {"subject": subject, "type": kind, "actor": actor, **bounds.times}
    which = chosen({name: text for name, text in given.items() if text is not None})
    with existing_database(config, data, database) as engine:
        for subject in which.subjects:
            _must_be_known(engine, subject)
        for records in _pages(engine, which, bounds.after, bounds.last, follow=follow):
            if as_json:
                for record in records:
                    show_json(record)
            elif records:
                _show(records, with_subject=not which.subjects)
            sys.stdout.flush()


class Bounds(NamedTuple):
    """From where to where in the log: positions, and times for `chosen`."""

    after: int
    last: int | None
    times: dict[str, str]


def bounded(since: str | None, until: str | None) -> Bounds:
    """What `--since` and `--until` say; both count themselves."""
    said = {"since": since, "until": until}
    first, last = said_position(since or ""), said_position(until or "")
    at_positions = {"since": first, "until": last}
    times = {
        name: known_time(text)
        for name, text in said.items()
        if text is not None and at_positions[name] is None
    }
    return Bounds(max((first or 0) - 1, 0), last, times)


def chosen(given: dict[str, str]) -> "Filter":
    """The filter that options say. Raises as wrong use."""
    from domain.names import host_address
    from domain.refusal import Refusal
    from web.events.events import filter_of

    kind, separator, name = given.get("subject", "").partition("/")
    if "subject" in given and not (kind and separator and name):
        raise typer.BadParameter("A subject is such as host/10.0.0.7 or cluster/web.")
    try:
        if kind == "host":
            given["subject"] = f"host/{host_address(name)}"
        return filter_of(given)
    except Refusal as refusal:
        raise typer.BadParameter(refusal.sentence) from None


def _must_be_known(engine: "Engine", subject: str) -> None:
    from domain.log import recorder

    with engine.snapshot() as tx:
        if not next(recorder.stream(tx, subject, lte=1), None):
            raise DatabaseRefused(f"Nothing was ever heard of {subject}.")


def _pages(
    engine: "Engine", which: "Filter", position: int, last: int | None, *, follow: bool
) -> Iterator[list[Record]]:
    """Each in a transaction of its own: whoever reads our output may take hours."""
    from domain.log.reading import search

    tellers = Tellers()
    more = True
    while more or follow:
        with engine.snapshot() as tx:
            page = search.page(tx, which, position, PAGE_EVENTS, PAGE_BYTES)
            records = [
                tellers.of(tx, entry.stored).tell(entry)
                for entry in page.entries
                if last is None or entry.position <= last
            ]
        position, more = page.position, page.more and (last is None or page.position < last)
        yield records
        if not more and follow:
            time.sleep(LOOK_EVERY_S)


class Tellers:
    """The state of the subjects that were told of last."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Teller] = OrderedDict()

    def of(self, tx: "Transaction", stored: Any) -> "Teller":
        """The one of an event's subject, as it was before the event."""
        from projections.history import Teller

        subject = str(stored.originator_id)
        teller = self._kept.pop(subject, None) or Teller(subject)
        teller.catch_up(tx, stored.originator_version - 1)
        self._kept[subject] = teller
        if len(self._kept) > TELLERS_MAX:
            self._kept.popitem(last=False)
        return teller


def _show(records: list[Record], *, with_subject: bool) -> None:
    columns = ["time", "who", *(["subject"] if with_subject else []), "what", "changed", "why"]
    rows = [
        [
            record["time"],
            record["actor"],
            *([record["subject"]] if with_subject else []),
            record["what"],
            _changes(record["changes"]),
            record["why"] or "",
            record["request"] or record["follows_from"] or "",
        ]
        for record in records
    ]
    show_table([*columns, "because of"], rows)


def _changes(changes: dict[str, dict[str, object]]) -> str:
    return ", ".join(
        f"{key}: {_value(change['before'])} → {_value(change['after'])}"
        for key, change in changes.items()
    )


def _value(value: object) -> str:
    return "-" if value is None else str(value)
