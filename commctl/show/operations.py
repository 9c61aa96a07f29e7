"""How operations are shown."""

from typing import Any

from commctl.records import Operation
from commctl.show.table import Column
from commctl.show.times import exact

OPERATIONS = (
    Column("id", "id", "id"),
    Column("kind", "kind"),
    Column("cluster", "cluster"),
    Column("status", "status", "status"),
    Column("started", "started_at", "time", 2),
    Column("ended", "finished_at", "time", 4),
    Column("by", "actor", drop=3),
    Column("hosts", lambda o: told(o["counts"]), "folds", 1),
    Column("note", lambda o: o.get("note"), drop=5),
    Column("reason", "reason", drop=9),
)
OPERATION_HOSTS = (
    Column("address", "address"),
    Column("outcome", "outcome", "status"),
    Column("step", "step", drop=3),
    Column("attempts", "attempts", "number", 5),
    Column("started", "started_at", "time", 4),
    Column("ended", "finished_at", "time", 2),
    Column("reason", "reason", "folds", 1),
)


def told(counts: dict[str, int]) -> str:
    """`3 done, 1 failed`."""
    return ", ".join(f"{number} {outcome}" for outcome, number in counts.items() if number)


def operation_shown(operation: Operation, away: str = "") -> dict[str, Any]:
    """An operation, in the words of people; `away` holds it up."""
    options = {k: v for k, v in operation["options"].items() if v not in (None, "", 0, False, [])}
    options.pop("waves", None)
    return {
        "operation": operation["id"],
        "kind": f"{operation['kind']} {operation['version']}".strip(),
        "cluster": operation["cluster"],
        "status": "cancelling" if operation["cancelling"] else operation["status"],
        "reason": operation["reason"],
        "waits": waits(operation),
        "away": away,
        "waves": ", ".join(
            _wave(operation, number) for number in range(len(operation.get("waves", [])))
        ),
        "hosts": told(operation["counts"]),
        "by": operation["actor"],
        "note": operation.get("note"),
        "started": operation["started_at"],
        "ended": operation["finished_at"],
        "options": options,
        "again": operation["predecessor"],
    }


def waits(operation: Operation) -> str:
    """What it waits for, until when, and who may let it go on."""
    wait = operation.get("waits_for")
    return "" if wait is None else until(wait["reason"], wait["until"]) + _who(operation)


def until(reason: str, time: str | None) -> str:
    """Why something waits, and until when, where that is known."""
    return f"{reason} (until {exact(time)})" if time else reason


def _who(operation: Operation) -> str:
    """Who may approve the next wave, where that is what it waits for."""
    wave, wait = operation.get("wave"), operation.get("waits_for")
    if not wave or not wait or wait["what"] != "approval":
        return ""
    asked = operation.get("waves", [])[wave - 1]["approval"]
    but = f", but not {_starter(operation['actor'])}" if asked == "second" else ""
    return f" An operator of {operation['cluster']} may{but}: commctl op approve {operation['id']}"


def _starter(actor: str) -> str:
    if actor.startswith("token:"):
        return f"the owner of the token {actor.removeprefix('token:')}"
    return "who defined its schedule" if actor == "runner:schedules" else f"{actor}, who began it"


def _wave(operation: Operation, number: int) -> str:
    wave, here = operation.get("waves", [])[number], operation.get("wave") == number + 1
    approved = f", approved by {wave['approved_by']}" if wave["approved_by"] else ""
    many = "" if wave["hosts"] == 1 else "s"
    return f"{wave['hosts']} host{many}{approved}{' (now)' if here else ''}"
