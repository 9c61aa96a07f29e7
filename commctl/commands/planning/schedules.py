"""`commctl schedule …`: operations that begin by themselves, again and again."""

from pathlib import Path
from typing import Annotated, Any

import typer

from commctl.commands.arguments import ClusterName, Yes
from commctl.commands.begin import (
    Failures,
    Healthy,
    Parallel,
    Reboot,
    StepTimeout,
    Unavailable,
    Which,
    body_of,
    reboot_of,
)
from commctl.commands.hosts.bulk import each, tell
from commctl.commands.planning.windows import Name, Names, Zone
from commctl.exits import DONE, REFUSED, WrongUse
from commctl.paths import in_path
from commctl.records import Record
from commctl.rollouts.keeping import GateOption, WindowOption, kept_to
from commctl.rollouts.script import script_of
from commctl.rollouts.waves import Approve, ApproveSecond, Soak, WavesOption, wave_told, waves_of
from commctl.selectors import selection
from commctl.session import Session, session
from commctl.show.table import Column, words


# Any: a record of the API.
def _last(schedule: Any) -> str:
    """What became of the last firing."""
    last = schedule["last"]
    return "" if last is None else last["outcome"]


COLUMNS = (
    Column("name", "name"),
    Column("what", lambda each: f"{each['operation']['kind']} {each['operation']['cluster']}"),
    Column("cron", "cron"),
    Column("zone", "zone", drop=3),
    Column("next", lambda each: next(iter(each["next"]), None), "time"),
    Column("last", _last, drop=1),
    Column("at", lambda each: (each["last"] or {}).get("due"), "time", 2),
    Column("why", lambda each: (each["last"] or {}).get("reason"), "folds", 1),
    Column("by", "defined_by", drop=4),
)
commands = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
Kind = Annotated[str, typer.Argument(metavar="upgrade|restart|deploy|run")]
Version = Annotated[str | None, typer.Option("--version", metavar="VERSION", help="Of a deploy.")]
Script = Annotated[Path | None, typer.Option("--script", metavar="FILE", help="Of a run.")]


def _show(use: Session, found: Record, name: str) -> None:
    """One schedule: people are told when it fires next, programs the next five times."""
    operation = {key: words(value) for key, value in found["operation"].items()}
    if script := operation.get("script"):
        operation["script"] = f"of {len(script.encode())} bytes"
    if waves := found["operation"].get("waves"):
        operation["waves"] = ", then ".join(map(wave_told, waves))
    last = found["last"] or {}
    shown = found | {
        "operation": ", ".join(f"{key} {value}" for key, value in operation.items()),
        "next": next(iter(found["next"]), None),
        "last": last.get("outcome"),
        "last due": last.get("due"),
        "begun": last.get("operation"),
        "reason": last.get("reason"),
    }
    use.out.record(shown, found, name)


@commands.command("list")
def list_schedules(ctx: typer.Context) -> int:
    """List schedules: when each fires next, and what became of its last firing."""
    use = session(ctx)
    use.out.rows(COLUMNS, use.api.get("schedules"), "schedule")
    return DONE


@commands.command("show")
def show_schedules(ctx: typer.Context, names: Names) -> int:
    """Show schedules, and what each begins."""
    use = session(ctx)
    for name in names:
        found = use.api.get(f"schedule/{in_path(name)}")
        _show(use, found, name)
    return DONE


@commands.command("set")
def set_schedule(
    ctx: typer.Context,
    name: Name,
    cron: Annotated[str, typer.Argument(metavar="CRON", help="'0 2 * * 0', say.")],
    kind: Kind,
    cluster: ClusterName,
    zone: Zone = "UTC",
    hosts: Which = None,
    version: Version = None,
    script: Script = None,
    parallel: Parallel = None,
    failures: Failures = None,
    unavailable: Unavailable = None,
    healthy: Healthy = None,
    step_timeout: StepTimeout = None,
    reboot: Reboot = None,
    waves: WavesOption = None,
    soak: Soak = None,
    approve: Approve = False,
    approve_second: ApproveSecond = False,
    window: WindowOption = None,
    gate: GateOption = None,
) -> int:
    """Begin an operation at each firing of a cron expression; one that is there is changed."""
    use = session(ctx)
    body = body_of(kind, cluster, parallel, failures, unavailable, healthy, step_timeout)
    body |= reboot_of(reboot) | kept_to(window, gate)
    body |= {} if version is None else {"version": version}
    body |= {} if script is None else {"script": script_of(script)}
    found = waves_of(waves, soak, approve, approve_second)
    body |= {"waves": found} if found else {}
    if hosts:
        body["hosts"] = _filters(hosts)
    asked: Record = {"cron": cron, "zone": zone, "operation": body}
    made = use.api.put(f"schedule/{in_path(name)}", asked)
    _show(use, made, name)
    return DONE


def _filters(words: list[str]) -> Record:
    """What the service decides at each firing. Raises WrongUse."""
    chosen = selection(words)
    if chosen.matches is not None:
        raise WrongUse("--hosts of a schedule takes labels and states: addresses come and go.")
    return chosen.query


@commands.command("rm")
def remove_schedules(ctx: typer.Context, names: Names, yes: Yes = False) -> int:
    """Remove schedules: they fire no more, and what they began goes on."""
    use = session(ctx)
    if not use.out.ask(f"Remove schedule {', '.join(names)}?", yes=yes):
        return REFUSED

    def removed(name: str) -> str:
        use.api.delete(f"schedule/{in_path(name)}")
        return "removed"

    return tell(use, each(names, removed), "schedule")
