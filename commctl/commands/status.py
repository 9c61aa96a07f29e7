"""`commctl status`: what needs a person, and what runs; or how one thing is."""

from typing import Annotated, Any

import typer

from commctl.commands.arguments import At, time_of
from commctl.exits import DONE, Refused, WrongUse
from commctl.records import Fleet
from commctl.session import Session, session
from commctl.show.hosts import cluster_shown, host_shown
from commctl.show.operations import operation_shown, until
from commctl.show.refusals import cure_typed
from commctl.show.table import SHORT_ID, SIGNS
from commctl.show.text import cleaned, folded
from commctl.show.times import age

INDENT = 2


def status(
    ctx: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(metavar="ID", help="A host, a cluster, or an operation (4 characters)."),
    ] = None,
    at: At = None,
) -> int:
    """What needs a person, and what runs; or how one thing is, whatever it is."""
    use = session(ctx)
    then = time_of(use, at)
    if name is not None:
        return _show_one(use, name, then)
    fleet = use.api.fleet(then)
    if use.out.form in ("json", "jsonl"):
        use.out.record({}, fleet, "")
    elif use.out.for_people:
        Page(use, fleet).show()
    else:
        use.out.record(_flat(fleet), fleet, "")
    return DONE


def _show_one(use: Session, name: str, at: str | None) -> int:
    tries = (_show_operation, _show_host, _show_cluster)
    for show in tries:
        try:
            if show(use, name, at):
                return DONE
        except Refused as refused:
            if refused.code not in (0, 400, 404):
                raise
    raise Refused(f"There is no operation, host or cluster {name}.")


def _show_operation(use: Session, name: str, at: str | None) -> bool:
    from commctl.commands.operation import PREFIX, find

    if not PREFIX.fullmatch(name) or name in use.api.clusters():
        return False
    found = find(use, name)
    if at is not None:
        raise WrongUse("An operation is told as it is now: leave out --at, or see its history.")
    use.out.record(operation_shown(found), found, found["id"])
    return True


def _show_host(use: Session, name: str, at: str | None) -> bool:
    host = use.api.host(name, at)
    use.out.record(host_shown(host), host, host["address"])
    return True


def _show_cluster(use: Session, name: str, at: str | None) -> bool:
    found, members = use.api.cluster(name, at), use.api.members(name, at)
    use.out.record(cluster_shown(found, members), {**found, "members": members}, name)
    return True


def _flat(fleet: Fleet) -> dict[str, Any]:
    hosts = fleet["hosts"]
    told: dict[str, Any] = {"position": fleet["position"], "hosts": hosts["total"]}
    told |= {f"hosts.{state}": number for state, number in hosts["status"].items()}
    told |= {f"failed.{failed['kind']}": failed["count"] for failed in fleet["failed"]}
    told["operations"] = len(fleet["operations"])
    told["needs a person"] = sum(need["count"] for need in fleet["needs_a_person"])
    return told


class Page:
    """The first page, as text."""

    def __init__(self, use: Session, fleet: Fleet) -> None:
        self._use = use
        self._fleet = fleet

    def show(self) -> None:
        """Say it."""
        self._hosts()
        self._needs()
        self._failed()
        self._operations()

    def _heading(self, text: str) -> None:
        self._use.out.line("")
        print(self._use.out.painted(cleaned(text), "1"))

    def _say(self, text: str, more: str = "") -> None:
        for number, line in enumerate(folded(cleaned(text), self._use.out.columns - 2 * INDENT)):
            print(" " * INDENT * (1 if number == 0 else 2) + line)
        for line in folded(cleaned(more), self._use.out.columns - 2 * INDENT) if more else ():
            print(" " * 2 * INDENT + self._use.out.painted(line, "2"))

    def _state(self, state: str, number: int) -> str:
        shape, sgr = SIGNS.get(state, ("", ""))
        word = f"{number} {state} {shape}" if self._use.out.shapes else f"{number} {state}"
        return self._use.out.painted(cleaned(word), sgr)

    def _hosts(self) -> None:
        hosts = self._fleet["hosts"]
        if not hosts["total"]:
            self._use.out.line("no hosts: commctl host add ADDRESS -k KEYFILE")
            return
        states = "  ".join(self._state(state, n) for state, n in hosts["status"].items())
        print(f"{hosts['total']} hosts: {states}")
        clusters = {name: n for name, n in hosts["cluster"].items() if name}
        told = ", ".join(f"{name} {n}" for name, n in clusters.items())
        if told:
            self._say(f"in {len(clusters)} cluster{'s' * (len(clusters) != 1)}: {told}")

    def _needs(self) -> None:
        needs = self._fleet["needs_a_person"]
        if needs:
            self._heading("Needs a person")
        for need in needs:
            what = str(need["what"]).replace("_", " ")
            operation = str(need.get("operation", ""))[:SHORT_ID]
            of = f" of operation {operation}" if operation else ""
            named = need.get("source") or need.get("webhook") or need.get("reason") or _named(need)
            self._say(f"{what}{of}: {named}", cure_typed(need["cure"], operation))

    def _failed(self) -> None:
        failed = self._fleet["failed"]
        if failed:
            self._heading("Failed")
        for each in failed:
            self._say(f"{each['count']} {each['kind']}: {_named(each)}", cure_typed(each["cure"]))

    def _operations(self) -> None:
        self._heading("Operations")
        if not self._fleet["operations"]:
            self._say("none in process")
        for operation in self._fleet["operations"]:
            counts = {state: n for state, n in operation["counts"].items() if n}
            told = ", ".join(f"{n} {state}" for state, n in counts.items())
            since = age(operation["started_at"], self._use.out.now)
            what = f"{operation['id'][:SHORT_ID]}  {operation['kind']} of {operation['cluster']}"
            more = "" if operation["status"] == "in_process" else f" ({operation['status']})"
            verb = "resume" if operation["status"] == "paused" else "watch"
            if wait := operation.get("waits_for"):
                told += f"; {until(wait['reason'], wait['until'])}"
            self._say(f"{what}{more}: {told}; by {operation['actor']}, {since} ago",
                      f"commctl op {verb} {operation['id'][:SHORT_ID]}")  # fmt: skip


def _named(group: Any) -> str:
    hosts = ", ".join(group["hosts"])
    more = group["count"] - len(group["hosts"])
    return f"{hosts} and {more} more" if more > 0 else hosts
