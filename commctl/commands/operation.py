"""`commctl op …`: operations that run, and those that ran."""

import re
import sys
from typing import Annotated

import typer

from commctl.commands.arguments import Most, OfCluster, Yes
from commctl.commands.begin import Detach, PlanOnly, Timeout, begun_or_left, show_plan
from commctl.exits import DONE, REFUSED, Refused, WrongUse
from commctl.paths import in_path
from commctl.records import Operation, Plan
from commctl.rollouts.script import script_that_ran
from commctl.session import Session, session
from commctl.show.operations import OPERATION_HOSTS, OPERATIONS, operation_shown
from commctl.show.table import SHORT_ID
from commctl.show.text import cleaned
from commctl.show.times import seconds
from commctl.watch.watching import watch_to_the_end

commands = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
PREFIX = re.compile(r"[0-9a-f]{4}[0-9a-f-]{0,32}")
ID_CHARACTERS = 36
LIST_ROWS = 20
BAD = ("failed", "unknown")
UNDONE = ("waiting", "failed", "unknown", "skipped")
"""Outcomes of hosts that a retry takes up."""
NAMED_MAX = 20
AWAY = ("failed", "investigating", "bootstrapping")
"""Of members that are away, and hold a slot of the budget."""
PLANNED_HOSTS_MAX = 10_000
"""A plan of a retry of more is not asked for: it names each in one request."""
TOO_LARGE = 413

Which = Annotated[
    str | None,
    typer.Argument(metavar="OP|CLUSTER", help="4 characters of an id, or a cluster: its newest."),
]


def find(use: Session, name: str | None) -> Operation:
    """The operation that is meant: the newest of all, of a cluster, or whose id begins so."""
    if name is None:
        newest = next(use.api.operations(1), None)
        if newest is None:
            raise Refused("There was no operation so far.")
        return newest
    if len(name) == ID_CHARACTERS and PREFIX.fullmatch(name):
        return use.api.operation(name)
    if name in use.api.clusters():
        newest = next(use.api.operations(1, cluster=name), None)
        if newest is None:
            raise Refused(f"There was no operation of cluster {name} so far.")
        return newest
    if not PREFIX.fullmatch(name):
        few = name and all(character in "0123456789abcdef" for character in name)
        more = ": 4 characters of an id at least" if few else ", and no operation begins so"
        raise Refused(f"There is no cluster {name}{more}.")
    found: list[Operation] = []
    for operation in use.api.operations():
        if operation["id"].startswith(name):
            found.append(operation)
        elif operation["id"] < name:  # ids begin with their time
            break
    if len(found) > 1:
        some = ", ".join(operation["id"][: SHORT_ID + 5] for operation in found[:5])
        raise WrongUse(f"{len(found)} operations begin with {name}: {some}")
    if not found:
        raise Refused(f"No operation begins with {name}.")
    return found[0]


@commands.command("list")
def list_operations(
    ctx: typer.Context,
    cluster: OfCluster = None,
    status: Annotated[
        str | None,
        typer.Option(metavar="in_process|paused|finished|partial|failed|cancelled"),
    ] = None,
    kind: Annotated[str | None, typer.Option(metavar="upgrade|deploy|restart|run")] = None,
    actor: Annotated[str | None, typer.Option("--by", metavar="USER")] = None,
    most: Most = None,
) -> int:
    """List operations, newest first; 20 on a terminal, if -n does not say."""
    use = session(ctx)
    if most is None and use.out.is_terminal:
        most = LIST_ROWS
    found = use.api.operations(most, cluster=cluster, status=status, kind=kind, actor=actor)
    use.out.rows(OPERATIONS, found, "operation")
    return DONE


@commands.command("show")
def show_operation(ctx: typer.Context, operation: Which = None) -> int:
    """An operation with its hosts."""
    use = session(ctx)
    found = find(use, operation)
    hosts = use.api.operation_hosts(found["id"])
    if not use.out.for_people:
        use.out.record(operation_shown(found), {**found, "hosts": list(hosts)}, found["id"])
        return DONE
    use.out.record(operation_shown(found, _away(use, found)), found, found["id"])
    use.out.line("")
    use.out.rows(OPERATION_HOSTS, hosts, "host")
    return DONE


def _away(use: Session, operation: Operation) -> str:
    """Who holds a slot of the budget and why, where that is what an operation waits for."""
    wait = operation["waits_for"]
    if wait is None or wait["what"] != "members":
        return ""
    cluster = operation["cluster"]
    locks = use.api.get(f"cluster/{in_path(cluster)}/locks")
    away = {"lock": [f"{lock['address']} as {lock['id']}" for lock in locks]}
    for status in AWAY:
        hosts = use.api.hosts(NAMED_MAX + 1, cluster=cluster, status=status)
        away[status] = [host["address"] for host in hosts]
    return "; ".join(f"{why}: {_some(names)}" for why, names in away.items() if names)


def _some(names: list[str]) -> str:
    more = " and more" if len(names) > NAMED_MAX else ""
    return ", ".join(names[:NAMED_MAX]) + more


@commands.command("watch")
def watch(ctx: typer.Context, operation: Which = None, timeout: Timeout = None) -> int:
    """Watch an operation to its end; the exit status says how it ended."""
    use = session(ctx)
    limit_s = None if timeout is None else seconds(timeout)
    return watch_to_the_end(use, find(use, operation)["id"], None, limit_s)


def _steer(ctx: typer.Context, name: str | None, state: str) -> int:
    use = session(ctx)
    found = use.api.steer(find(use, name)["id"], state)
    use.out.record(operation_shown(found), found, found["id"])
    return DONE


@commands.command("pause")
def pause(ctx: typer.Context, operation: Which = None) -> int:
    """Begin no further host."""
    return _steer(ctx, operation, "paused")


@commands.command("resume")
def resume(ctx: typer.Context, operation: Which = None) -> int:
    """Go on."""
    return _steer(ctx, operation, "in_process")


@commands.command("cancel")
def cancel(ctx: typer.Context, operation: Which = None) -> int:
    """End what runs, and prove that it has ended."""
    return _steer(ctx, operation, "cancelled")


@commands.command("approve")
def approve(
    ctx: typer.Context,
    operation: Which = None,
    wave: Annotated[
        int | None, typer.Option(metavar="N", min=2, help="This wave; else the next.")
    ] = None,
) -> int:
    """Let the next wave begin, once the one before is over."""
    use = session(ctx)
    found = find(use, operation)
    here = found.get("wave")
    if here is None:
        raise Refused(f"Operation {found['id'][:SHORT_ID]} has no waves.")
    approved = use.api.approve(found["id"], wave or here + 1)
    use.out.record(operation_shown(approved), approved, approved["id"])
    return DONE


@commands.command("retry")
def retry(
    ctx: typer.Context,
    operation: Which = None,
    plan: PlanOnly = False,
    yes: Yes = False,
    detach: Detach = False,
    timeout: Timeout = None,
) -> int:
    """Begin anew over what an operation left undone, and watch it."""
    use = session(ctx)
    limit_s = None if timeout is None else seconds(timeout)
    before = find(use, operation)
    if plan or not yes:  # else there is nobody to tell what would be done
        is_retried = _is_retried(use, before)
        if is_retried and plan:
            raise Refused(f"Operation {before['id']} was retried already.")
        if not is_retried:
            _tell(use, before, whole=plan)
        if plan:
            return DONE
        if not is_retried and not use.out.ask("Go on?", yes=yes):
            return REFUSED
    position = use.api.position()
    with begun_or_left(before["cluster"]):
        begun = use.api.retry(before["id"])
    use.out.say(f"operation {begun['id'][:SHORT_ID]} by {begun['actor']}")
    if detach:
        use.out.record({"operation": begun["id"]}, begun, begun["id"])
        return DONE
    return watch_to_the_end(use, begun["id"], position, limit_s)


def _is_retried(use: Session, before: Operation) -> bool:
    """Whether there is a retry, which the service gives to whoever asks again."""
    for later in use.api.operations(cluster=before["cluster"]):
        if later["id"] <= before["id"]:  # ids begin with their time
            return False
        if later["predecessor"] == before["id"] and not later["cancelling"]:
            return True
    return False


def _tell(use: Session, before: Operation, *, whole: bool) -> None:
    """Tell what a retry would do now; how many hosts it takes up where these are too many to ask
    for a plan. Raises Refused where there is nothing to do."""
    hosts = _undone(use, before)
    plan = _plan(use, before, hosts)
    if plan is None:
        if whole:
            raise Refused(f"A retry takes up {len(hosts)} hosts, too many for a plan.")
        use.out.say(f"again: {len(hosts)} hosts, too many for a plan")
        return
    show_plan(use, plan, whole=whole)
    if not whole:
        some = ", ".join(plan["hosts"][:NAMED_MAX])
        more = len(plan["hosts"]) - NAMED_MAX
        use.out.say(f"again: {some or 'none'}{f' and {more} more' if more > 0 else ''}")


def _undone(use: Session, before: Operation) -> list[str]:
    """The hosts that a retry takes up. Raises Refused where there are none."""
    name, cluster = before["id"], before["cluster"]
    if before["status"] in ("in_process", "paused"):
        raise Refused(f"Operation {name} is not over yet: wait until it is, or cancel it.")
    left = {h["address"] for each in UNDONE for h in use.api.operation_hosts(name, each)}
    if not left:
        raise Refused(f"Operation {name} left nothing undone.")
    hosts = sorted(left & {*use.api.members(cluster)})
    if not hosts:
        raise Refused(f"No host that operation {name} left undone is in {cluster} any more.")
    return hosts


def _plan(use: Session, before: Operation, hosts: list[str]) -> Plan | None:
    """What a retry would do now with these hosts; None where they are too many to be asked for."""
    if len(hosts) > PLANNED_HOSTS_MAX:
        return None
    given = before["options"]
    options = {key: value for key, value in given.items() if value and key != "drain"}
    if given.get("drain") is False:  # else the cluster says whether there is what to drain
        options["drain"] = False
    for name in ("waves", "starts_at", *(("reboot",) if before["kind"] == "restart" else ())):
        options.pop(name, None)  # of waves a retry passes over what a plan refuses
    version = {"version": before["version"]} if before["version"] else {}
    body = {"kind": before["kind"], "cluster": before["cluster"], "hosts": hosts}
    if before["kind"] == "run":
        body["script"] = script_that_ran(use, before["id"])
    try:
        return use.api.plan({**body, **version, **options})
    except Refused as refused:
        if refused.code != TOO_LARGE:
            raise
        return None


@commands.command("failed")
def failed(ctx: typer.Context, operation: Which = None) -> int:
    """Its hosts that failed, or of which nobody knows; `-o name` feeds xargs."""
    use = session(ctx)
    name = find(use, operation)["id"]
    hosts = (host for outcome in BAD for host in use.api.operation_hosts(name, outcome))
    use.out.rows(OPERATION_HOSTS, hosts, "host")
    return DONE


@commands.command("output")
def output(
    ctx: typer.Context,
    operation: Annotated[str, typer.Argument(metavar="OP|CLUSTER")],
    host: Annotated[str, typer.Argument(metavar="HOST")],
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on to its end.")] = False,
    tail: Annotated[int | None, typer.Option(metavar="N", min=1, help="The last lines.")] = None,
) -> int:
    """What a step has said on a host."""
    use = session(ctx)
    path = f"operation/{find(use, operation)['id']}/hosts/{in_path(host)}/output"
    if follow:
        from commctl.watch.output import follow_output

        return follow_output(use, path, tail)
    text = str(use.api.get(path))
    lines = text.splitlines(keepends=True)
    sys.stdout.write(cleaned("".join(lines[-tail:] if tail else lines), lines=True))
    return DONE
