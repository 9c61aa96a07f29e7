"""`commctl history`: who did what, when, and what changed."""

from typing import Any

from commctl.exits import DONE
from commctl.session import Session
from commctl.show.table import Column


def _changed(record: Any) -> str:
    told = record.get("changes") or {}
    return ", ".join(
        f"{key}: {_value(change['before'])} → {_value(change['after'])}"
        for key, change in told.items()
    )


def _value(value: object) -> str:
    return "-" if value is None else str(value)


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


def show_history(use: Session, subject: str, most: int | None) -> int:
    """The history of one host or cluster."""
    use.out.rows(HISTORY, use.api.history(subject, most), "event")
    return DONE
