"""`commissaire replay`: the fleet, or one subject, as it was."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from domain.refusal import Refusal
from runners.cli.options import ConfigFile, DatabaseUrl, DataDirectory
from runners.cli.output import progress, show_json, show_table
from runners.cli.times import known_time, said_position, said_time
from runners.database.existing import existing_database

if TYPE_CHECKING:  # what is only imported when it is needed: `--help` is to be quick
    from domain.log.engine import Engine, Head
    from projections.past.states import Change, State

WAS_NOT_THERE = 1

Subject = Annotated[
    str | None,
    typer.Argument(metavar="SUBJECT", help="Such as host/10.0.0.7, or cluster/web; else all."),
]
At = Annotated[
    str | None,
    typer.Option("--at", metavar="TIME", help="In UTC: -2h, yesterday, 23:00, ISO, or @position."),
]
Position = Annotated[
    int | None,
    typer.Option("--position", metavar="N", min=0, help="As of this position of the log."),
]
Diff = Annotated[
    str | None,
    typer.Option(
        "--diff", metavar="TIME|N", help="What changed between there and this point, such as -2h."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for scripts.")]


def replay(
    subject: Subject = None,
    at: At = None,
    position: Position = None,
    diff: Diff = None,
    as_json: AsJson = False,
    data: DataDirectory = None,
    database: DatabaseUrl = None,
    config: ConfigFile = None,
) -> int:
    """Tell what the log says of the fleet as of a time, or of one subject; without one, of now.

    Also while the service runs, and of a backup. With --diff, what changed between two points,
    whichever is the earlier. The exit status is 1 where the subject was not there, with --diff at
    neither of them.
    """
    from projections.past.states import difference, known_subject

    if at is not None and position is not None:
        raise typer.BadParameter("--at and --position say the same: give one of them.")
    try:
        name = known_subject(subject) if subject is not None else None
        with existing_database(config, data, database) as engine:
            point = str(position) if position is not None else at
            heads = [_head(engine, point)] + ([_head(engine, diff)] if diff is not None else [])
            heads.sort()
            states = [_state(engine, head, name) for head in heads]
    except Refusal as refusal:
        raise typer.BadParameter(refusal.sentence) from None
    if diff is not None:
        _show_changes(heads, difference(*states), as_json=as_json)
        return WAS_NOT_THERE if name is not None and not any(states) else 0
    _show_state(heads[0], states[0], as_json=as_json)
    return WAS_NOT_THERE if name is not None and not states[0] else 0


def _head(engine: "Engine", point: str | None) -> "Head":
    """Where a point is: a position, a time, or the end of the log."""
    from domain.log import recorder
    from domain.log.reading import as_of
    from domain.refusal import invalid

    with engine.snapshot() as tx:
        head = recorder.head(tx)
        if point is None:
            return head
        known = said_position(point)
        point = said_time(point) if known is None else str(known)
        if point.isascii() and point.isdigit() and len(point) < 20:
            if int(point) > head.position:
                raise invalid(f"The log ends at position {head.position}.")
            return as_of.at(tx, int(point))
        time = known_time(point)
        if time > max(recorder.now(), head.recorded_at):
            raise invalid(f"{time} is in the future.")
        return as_of.by(tx, time)


def _state(engine: "Engine", head: "Head", name: str | None) -> "State":
    from projections.past.states import fleet
    from projections.past.states import subject as replayed

    if name is not None:
        return replayed(engine, head.position, name)
    with progress("replaying the log", head.position) as advance:
        return fleet(engine, head.position, advance)


def _show_state(head: "Head", state: "State", *, as_json: bool) -> None:
    if as_json:
        show_json({**head._asdict(), "state": state})
        return
    print(_as_of(head))
    if not state:
        print("There is nothing.")
    for kind in dict.fromkeys(name.partition("/")[0] for name in state):
        records = [record for name, record in state.items() if name.startswith(f"{kind}/")]
        columns = [each for each in _flat(records[0]) if each != "members" or len(state) == 1]
        show_table(columns, [[_shown(_flat(r).get(c)) for c in columns] for r in records])


def _show_changes(heads: Sequence["Head"], changes: Sequence["Change"], *, as_json: bool) -> None:
    before, after = heads
    if as_json:
        found = [change._asdict() for change in changes]
        show_json({"from": before._asdict(), "to": after._asdict(), "changes": found})
        return
    print(f"From: {_as_of(before)}")
    print(f"To: {_as_of(after)}")
    if not changes:
        print("Nothing changed.")
        return
    rows = [row for change in changes for row in _rows(change)]
    show_table(["subject", "what", "before", "after"], rows)


def _as_of(head: "Head") -> str:
    if not head.position:
        return "Before the first event."
    return f"Position {head.position}, recorded at {head.recorded_at}."


def _rows(change: "Change") -> Iterator[list[str]]:
    if change.before is None:
        yield [change.subject, "(came)", "", _shown(change.after)]
    elif change.after is None:
        yield [change.subject, "(went)", _shown(change.before), ""]
    else:
        old, new = _flat(change.before), _flat(change.after)
        for key in new:
            if old.get(key) != new[key]:
                yield [change.subject, key, *map(_shown, _apart(old.get(key), new[key]))]


def _apart(old: Any, new: Any) -> tuple[Any, Any]:
    """Of two lists, what the other has not; of lists that differ in order only, all."""
    if not (isinstance(old, list) and isinstance(new, list)):
        return old, new
    gone, come = [e for e in old if e not in new], [e for e in new if e not in old]
    return (gone, come) if gone or come else (old, new)


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    """With what is in an object of its own as further columns: `hosts.total` …"""
    flat: dict[str, Any] = {}
    for key, value in record.items():
        if key == "hosts" and isinstance(value, dict):
            flat |= {f"{key}.{name}": count for name, count in value.items()}
        else:
            flat[key] = value
    return flat


def _shown(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return " ".join(value)
    return "" if value is None else orjson.dumps(value).decode()
