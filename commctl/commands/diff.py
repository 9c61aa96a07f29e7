"""`commctl diff`: what is another now, or was another at a later time, than it was."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from commctl.commands.arguments import time_of
from commctl.commands.history import subject_of
from commctl.exits import DONE, Refused, WrongUse
from commctl.session import Session, session
from commctl.show.table import Column
from commctl.show.times import is_moment

HOST_KEYS = ("status", "cluster", "os", "kernel", "labels", "kind", "reason", "source", "cpus",
             "memory", "space", "booted_at", "reboot_needed")  # fmt: skip
CLUSTER_KEYS = ("network", "container_manager", "status")
COLUMNS = (
    Column("subject", "subject"),
    Column("what", "what"),
    Column("before", "before", "folds"),
    Column("after", "after", "folds"),
)

# Any: records as JSON has them.
State = dict[str, dict[str, Any]]


def diff(
    ctx: typer.Context,
    words: Annotated[
        list[str],
        typer.Argument(metavar="T1 [T2] [SUBJECT]", help="-2h, yesterday, 23:00, ISO, @position."),
    ],
) -> int:
    """What changed between two times, or from one to now: hosts and clusters."""
    use = session(ctx)
    subjects = [] if len(words) == 1 or is_moment(words[-1]) else words[-1:]
    times = words[: len(words) - len(subjects)]
    if len(times) > 2:
        raise WrongUse("commctl diff T1 [T2] [SUBJECT]: such as diff -2h host/10.0.0.7")
    if any(word.startswith("-") for word in subjects):
        raise WrongUse(f"{subjects[0]} is neither a time nor a subject.")
    subject = subject_of(use, subjects[0]) if subjects else None
    before, after = (
        _state(use, None if word == "now" else time_of(use, word), subject)
        for word in (times[0], (*times, "now")[1])
    )
    number = use.out.rows(COLUMNS, _differences(before, after))
    if not number:
        use.out.say("Nothing changed.")
    return DONE


def _state(use: Session, at: str | None, subject: str | None) -> State:
    kind, _, name = (subject or "").partition("/")
    state: State = {}
    if kind in ("", "host"):
        found = _one_host(use, name, at) if name else use.api.hosts(at=at)
        state |= {f"host/{host['address']}": _of(host, HOST_KEYS) for host in found}
    if kind in ("", "cluster"):
        names = [name] if name else use.api.clusters(at)
        for each in names:
            try:
                cluster = use.api.cluster(each, at)
            except Refused:
                continue
            members = ", ".join(use.api.members(each, at))
            state[f"cluster/{each}"] = {**_of(cluster, CLUSTER_KEYS), "members": members}
    return state


def _one_host(use: Session, name: str, at: str | None) -> list[Any]:
    try:
        return [use.api.host(name, at)]
    except Refused:
        return []


def _of(record: Any, keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: record.get(key) for key in keys}


def _differences(before: State, after: State) -> Iterator[dict[str, Any]]:
    for subject in sorted({*before, *after}):
        was, now = before.get(subject), after.get(subject)
        if was is None or now is None:
            yield {
                "subject": subject,
                "what": "removed" if now is None else "added",
                "before": was and was.get("status"),
                "after": now and now.get("status"),
            }
            continue
        for key in was:
            if was[key] != now[key]:
                yield {"subject": subject, "what": key, "before": was[key], "after": now[key]}
