"""`commctl run`: a script on a cluster's hosts."""

from pathlib import Path
from typing import Annotated

import typer

from commctl.commands.arguments import ClusterName, Yes
from commctl.commands.begin import (
    Detach,
    Failures,
    Healthy,
    Parallel,
    PlanOnly,
    Reboot,
    StepTimeout,
    Timeout,
    Unavailable,
    Which,
    begin,
    body_of,
    reboot_of,
)
from commctl.rollouts.keeping import GateOption, WindowOption, kept_to
from commctl.rollouts.script import script_of
from commctl.rollouts.waves import (
    Approve,
    ApproveSecond,
    OverridePolicy,
    Soak,
    StartsAt,
    WavesOption,
    rollout_of,
)
from commctl.session import session


def run(
    ctx: typer.Context,
    cluster: ClusterName,
    script: Annotated[
        Path, typer.Argument(metavar="FILE", help="For /bin/sh, as root; - is standard input.")
    ],
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
    """Run a script on a cluster's hosts, a few at a time. It stays in the log: no secrets."""
    use = session(ctx)
    body = body_of("run", cluster, parallel, failures, unavailable, healthy, step_timeout)
    body |= {"script": script_of(script)} | reboot_of(reboot)
    body |= rollout_of(use, waves, soak, approve, approve_second, starts_at)
    body |= kept_to(window, gate, override_policy)
    return begin(use, body, hosts, plan, yes, detach, timeout)
