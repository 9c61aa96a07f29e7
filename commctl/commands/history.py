"""`commctl history`: who did what, when, and what changed."""

from collections.abc import Iterator
from contextlib import suppress
from itertools import takewhile
from typing import Annotated, Any

import typer

from commctl.commands.arguments import First, position_of, time_of
from commctl.exits import DONE, Refused, WrongUse
from commctl.records import Event
from commctl.session import Session, session
from commctl.show.table import Column, words
from commctl.streams import Silence, follow

SUBJECTS = ("host", "cluster")


def _changed(record: Any) -> str:
    told = record.get("changes") or {}
    return ", ".join(
        f"{key}: {_value(change['before'])} → {_value(change['after'])}"
        for key, change in told.items()
    )


def _value(value: object) -> str:
    """With blanks, so that it folds."""
    match value:
        case dict():
            told = {key: words(said) for key, said in value.items()}
            return ", ".join(f"{key}={said}" for key, said in told.items() if said) or "-"
        case list():
            return ", ".join(
                " ".join(map(words, each)) if isinstance(each, list) else words(each)
                for each in value
            )
        case _:
            return words(value) or "-"


def _data(event: Any) -> str:
    told = (event.get("data") or {}).items()
    return ", ".join(f"{key}: {_value(said)}" for key, said in told if said not in ("", None, {}))


HISTORY = (
    Column("time", "time", "time"),
    Column("who", "actor"),
    Column("what", "what", "folds"),
    Column("changed", _changed, drop=9),
    Column("why", "why", drop=1),
    Column("note", "note", drop=1),
    Column("because of", lambda r: r.get("request") or r.get("follows_from"), drop=9),
    Column("position", "id", drop=9),
)
EVENTS = (
    Column("time", "time", "time"),
    Column("who", "actor", drop=2),
    Column("subject", "subject", "id"),
    Column("type", "type"),
    Column("told", _data, "folds", 1),
    Column("note", "note", drop=3),
    Column("because of", "correlationid", drop=9),
    Column("position", "id", drop=9),
)


def show_history(use: Session, subject: str, most: int | None) -> int:
    """The history of one host or cluster."""
    use.out.rows(HISTORY, use.api.history(subject, most), "event")
    return DONE


def history(
    ctx: typer.Context,
    subject: Annotated[
        str | None,
        typer.Argument(metavar="SUBJECT", help="A host or cluster, or such as operation/ID."),
    ] = None,
    actor: Annotated[str | None, typer.Option(metavar="USER", help="Only what they did.")] = None,
    kind: Annotated[
        str | None, typer.Option("--type", metavar="TYPE", help="Such as host.failed.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="-2h, yesterday, 23:00, ISO or @position.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="The same; both count themselves.")
    ] = None,
    go_on: Annotated[bool, typer.Option("--follow", help="Go on with what comes.")] = False,
    most: First = None,
) -> int:
    """What happened, oldest first: when, who, what."""
    use = session(ctx)
    named = None if subject is None else subject_of(use, subject)
    bounded = actor or kind or since or until or go_on
    if named and named.partition("/")[0] in SUBJECTS and not bounded:
        return show_history(use, named, most)
    if go_on and until:
        raise WrongUse("--follow goes on for ever: leave out --until.")
    query: dict[str, Any] = {"subject": named, "type": kind, "actor": actor}
    after = None
    if since and since.startswith("@"):
        after = max(position_of(since) - 1, 0)
    else:
        query["since"] = time_of(use, since)
    if go_on:
        use.out.rows(EVENTS, _followed(use, query, after), live=True)
    else:
        found = use.api.events(most, **query, until=time_of(use, until), after=after)
        if until and until.startswith("@"):  # several events may have one time
            last = position_of(until)
            found = takewhile(lambda event: int(event["id"]) <= last, found)
        use.out.rows(EVENTS, found, "event")
    return DONE


def _followed(use: Session, query: dict[str, Any], after: int | None) -> Iterator[Event]:
    position = use.api.position()
    if after is not None or query["since"]:
        for event in use.api.events(**query, after=after):
            position = int(event["id"])
            yield event
    subject = query.pop("subject")
    query.pop("since", None)
    for told in follow(use.api.transport, position, [subject] if subject else (), **query):
        if not isinstance(told, Silence):
            yield told


def subject_of(use: Session, text: str) -> str:
    """`host/10.0.0.7`, or a name that is one of a host or a cluster, or how an operation begins."""
    from commctl.commands.operation import PREFIX, find

    kind, _, begins = text.rpartition("/")
    if kind == "operation" and PREFIX.fullmatch(begins):
        return f"operation/{find(use, begins)['id']}"
    if kind:
        return text
    if text in use.api.clusters():
        return f"cluster/{text}"
    for kind in ("host", "cluster"):  # also those that are gone
        try:
            next(use.api.history(f"{kind}/{text}", 1), None)
        except Refused as refused:
            if refused.code not in (400, 404):
                raise
            continue
        return f"{kind}/{text}"
    if PREFIX.fullmatch(text):
        with suppress(Refused):
            return f"operation/{find(use, text)['id']}"
    raise Refused(f"Nothing was ever heard of {text}: a subject is such as host/10.0.0.7.")
