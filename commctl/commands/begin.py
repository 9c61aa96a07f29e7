"""`commctl upgrade|restart|deploy`: the plan, a question, the start, and the watch to its end."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from commctl.commands.arguments import ClusterName, Yes
from commctl.exits import DONE, REFUSED, Left, Refused, WrongUse
from commctl.records import Plan, Record
from commctl.rollouts.keeping import GateOption, WindowOption, kept_to
from commctl.rollouts.waves import (
    Approve,
    ApproveSecond,
    OverridePolicy,
    Soak,
    StartsAt,
    WavesOption,
    rollout_of,
    told_waves,
)
from commctl.selectors import selection
from commctl.session import Session, session
from commctl.show.table import SHORT_ID, Column
from commctl.show.times import age, seconds
from commctl.watch.watching import watch_to_the_end

PLANS = 3
"""So often a plan is made anew where the fleet has changed since."""
SKIPPED_SHOWN = 20
CONFLICT = 409
PLANNED = (
    Column("address", "address"),
    Column("what", "what", "status"),
    Column("reason", "reason", "folds", 1),
)

Parallel = Annotated[
    str | None,
    typer.Option("-P", "--parallel", metavar="N|N%", help="So many hosts at once; 1."),
]
Failures = Annotated[
    str | None,
    typer.Option("-F", "--failures", metavar="N|N%", help="So many may fail; 0."),
]
Unavailable = Annotated[
    str | None,
    typer.Option("-U", "--unavailable", metavar="N|N%", help="So many members may be away."),
]
Healthy = Annotated[
    str | None,
    typer.Option("--healthy", metavar="SPAN", help="A host answers so long before the next."),
]
StepTimeout = Annotated[
    str | None, typer.Option("--step-timeout", metavar="SPAN", help="Of a step on a host.")
]
Reboot = Annotated[
    str | None, typer.Option("--reboot", metavar="never|if-needed|always", help="Afterwards.")
]
Which = Annotated[
    list[str] | None,
    typer.Option("--hosts", metavar="SELECTOR", help="Only these members; repeatable."),
]
PlanOnly = Annotated[bool, typer.Option("--plan", help="Only tell what would be done.")]
Detach = Annotated[bool, typer.Option("--detach", help="Do not watch: print its id.")]
Timeout = Annotated[
    str | None,
    typer.Option("--timeout", metavar="SPAN", help="Watch no longer; it goes on, status 124."),
]


def upgrade(
    ctx: typer.Context,
    cluster: ClusterName,
    hosts: Which = None,
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
    starts_at: StartsAt = None,
    window: WindowOption = None,
    gate: GateOption = None,
    override_policy: OverridePolicy = False,
    plan: PlanOnly = False,
    yes: Yes = False,
    detach: Detach = False,
    timeout: Timeout = None,
) -> int:
    """Upgrade the packages, or the OSTree, of a cluster's hosts, a few at a time."""
    body = body_of("upgrade", cluster, parallel, failures, unavailable, healthy, step_timeout)
    body |= rollout_of(session(ctx), waves, soak, approve, approve_second, starts_at)
    body |= kept_to(window, gate, override_policy)
    return begin(session(ctx), body | reboot_of(reboot), hosts, plan, yes, detach, timeout)


def deploy(
    ctx: typer.Context,
    cluster: ClusterName,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="Of the OSTree.")],
    hosts: Which = None,
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
    starts_at: StartsAt = None,
    window: WindowOption = None,
    gate: GateOption = None,
    override_policy: OverridePolicy = False,
    plan: PlanOnly = False,
    yes: Yes = False,
    detach: Detach = False,
    timeout: Timeout = None,
) -> int:
    """Bring a cluster's hosts to a version of an OSTree, a few at a time."""
    body = body_of("deploy", cluster, parallel, failures, unavailable, healthy, step_timeout)
    body |= {"version": version} | reboot_of(reboot)
    body |= rollout_of(session(ctx), waves, soak, approve, approve_second, starts_at)
    body |= kept_to(window, gate, override_policy)
    return begin(session(ctx), body, hosts, plan, yes, detach, timeout)


def restart(
    ctx: typer.Context,
    cluster: ClusterName,
    hosts: Which = None,
    parallel: Parallel = None,
    failures: Failures = None,
    unavailable: Unavailable = None,
    healthy: Healthy = None,
    step_timeout: StepTimeout = None,
    waves: WavesOption = None,
    soak: Soak = None,
    approve: Approve = False,
    approve_second: ApproveSecond = False,
    starts_at: StartsAt = None,
    window: WindowOption = None,
    gate: GateOption = None,
    override_policy: OverridePolicy = False,
    plan: PlanOnly = False,
    yes: Yes = False,
    detach: Detach = False,
    timeout: Timeout = None,
) -> int:
    """Restart a cluster's hosts, a few at a time."""
    body = body_of("restart", cluster, parallel, failures, unavailable, healthy, step_timeout)
    body |= rollout_of(session(ctx), waves, soak, approve, approve_second, starts_at)
    body |= kept_to(window, gate, override_policy)
    return begin(session(ctx), body, hosts, plan, yes, detach, timeout)


def body_of(
    kind: str,
    cluster: str,
    parallel: str | None,
    failures: str | None,
    unavailable: str | None,
    healthy: str | None,
    step_timeout: str | None,
) -> Record:
    """What was typed, as the body of a `POST /operations`. Raises WrongUse."""
    given: dict[str, Any] = {
        "max_parallel": _amount(parallel),
        "max_failures": _amount(failures),
        "max_unavailable": _amount(unavailable),
        "healthy_for_s": None if healthy is None else seconds(healthy),
        "step_timeout_s": None if step_timeout is None else seconds(step_timeout),
    }
    told = {key: value for key, value in given.items() if value is not None}
    return {"kind": kind, "cluster": cluster, **told}


def _amount(text: str | None) -> int | str | None:
    if text is None or text.endswith("%"):
        return text
    if not text.isdecimal():
        raise WrongUse(f"{text!r} is neither a number nor a percentage such as 25%.")
    return int(text)


def reboot_of(text: str | None) -> Record:
    """`if-needed` as the API has it."""
    return {} if text is None else {"reboot": text.replace("-", "_")}


def begin(
    use: Session,
    body: Record,
    hosts: list[str] | None,
    plan_only: bool,
    yes: bool,
    detach: bool,
    timeout: str | None,
) -> int:
    """Plan, ask, begin, and watch to the end; gives the exit status."""
    limit_s = None if timeout is None else seconds(timeout)
    if hosts:
        body["hosts"] = _targets(use, body["cluster"], hosts)
    for left in reversed(range(PLANS)):
        plan = use.api.plan(body)
        if plan_only:
            show_plan(use, plan, whole=True)
            return DONE
        show_plan(use, plan)
        if not plan["hosts"]:
            raise Refused(f"No host of {body['cluster']} can be taken.")
        if not use.out.ask("Go on?", yes=yes):
            return REFUSED
        position = use.api.position()
        try:
            with begun_or_left(body["cluster"]):
                begun = use.api.begin({**body, "plan": plan["plan"]})
        except Refused as refused:
            if refused.code != CONFLICT or "plan" not in " ".join(refused.sentences) or not left:
                raise
            use.out.say("The plan is another one by now:")
            continue
        use.out.say(f"operation {begun['id'][:SHORT_ID]} by {begun['actor']}")
        if detach:
            use.out.record({"operation": begun["id"]}, begun, begun["id"])
            return DONE
        return watch_to_the_end(use, begun["id"], position, limit_s)
    raise AssertionError("the last try begins or raises")


@contextmanager
def begun_or_left(cluster: str) -> Iterator[None]:
    """While an operation of a cluster is asked for: raises Left at Ctrl-C, as it may have begun."""
    try:
        yield
    except KeyboardInterrupt:
        listed = f"commctl op list -c {cluster}"
        raise Left(f"It may have begun, and then it goes on: {listed}") from None


def _targets(use: Session, cluster: str, words: list[str]) -> list[str] | Record:
    """The filters, where the service can decide who is meant; else addresses."""
    if not all(word.strip(",") for word in words):  # a script's variable that is empty, say
        raise WrongUse("--hosts says nothing: leave it out to take all members.")
    chosen = selection(words)
    if chosen.matches is None:
        return chosen.query
    query = {**chosen.query, "cluster": cluster}
    found = [host["address"] for host in chosen.filter(use.api.hosts(**query))]
    if not found:
        raise Refused(f"No host of {cluster} is meant by {' '.join(words)}.")
    return found


def show_plan(use: Session, plan: Plan, *, whole: bool = False) -> None:
    """Tell a plan to people, before they are asked; with `whole` it is the result."""
    if whole and use.out.form in ("json", "jsonl"):
        use.out.record({}, plan, "")
        return
    say = use.out.say
    many, skipped = len(plan["hosts"]), plan["skipped"]
    limits = f"{plan['max_parallel']} at once, ends after {_failures(plan['max_failures'])}"
    more = f"; {len(skipped)} skipped" if skipped else ""
    version = f" to {plan['version']}" if plan["version"] else ""
    all_of = f"{many} of {many + len(skipped)} hosts"
    say(f"{plan['kind']} of {plan['cluster']}{version}: {all_of}, {limits}{more}{told_waves(plan)}")
    if whole:
        use.out.rows(PLANNED, _rows(use, plan))
        return
    for number, one in enumerate(skipped):
        if number == SKIPPED_SHOWN:
            say(f"  and {len(skipped) - SKIPPED_SHOWN} more: commctl host why")
            break
        say(f"  {one['address']}  {_why(use, one['address'], one['reason'])}")


def _rows(use: Session, plan: Plan) -> Iterator[Record]:
    drained = set(plan["drained"])
    for address in plan["hosts"]:
        yield {"address": address, "what": "drained" if address in drained else "taken"}
    for one in plan["skipped"]:
        why = _why(use, one["address"], one["reason"])
        yield {"address": one["address"], "what": "skipped", "reason": why}


def _failures(most: int) -> str:
    if not most:
        return "the first failure"
    return f"more than {most} failure{'s' * (most != 1)}"


def _why(use: Session, address: str, reason: str) -> str:
    """Why a host would be skipped, since when, and the command that looks again."""
    host = use.api.host(address)
    if host["status"] != "failed":
        return reason
    since = age(host["since"], use.out.now)
    return f"failed {since} ago: {host['reason']}  → commctl host check {address}"
