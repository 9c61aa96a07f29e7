"""More of `commctl host …`: look now, and what happened."""

import time
from typing import Annotated

import typer

from commctl.commands.arguments import First, OfCluster, Selectors
from commctl.commands.history import show_history
from commctl.commands.hosts.bulk import Done, each
from commctl.exits import DONE, REFUSED, TimedOut, WrongUse
from commctl.records import Host
from commctl.selectors import selection
from commctl.session import Session, session
from commctl.show.hosts import HOSTS
from commctl.show.times import seconds

WELL = ("active", "disassociated")
TIMEOUT, UPDATES_TIMEOUT = "60s", "15m"
LOOK_PAUSE_S, LOOK_PAUSE_MAX_S = 0.2, 1.0
ASK_AGAIN_S = 6.0
"""The service passes over who asks again within 5 s of somebody else."""
FAILED_LOOK_S = 15.0
"""How long a failed host may take to answer where the service does not say when it looked."""


def add_commands(commands: typer.Typer) -> None:
    """Put them beside the others of hosts."""
    commands.command("check")(check_hosts)
    commands.command("history")(host_history)


def host_history(
    ctx: typer.Context,
    address: Annotated[str, typer.Argument(metavar="ADDRESS")],
    most: First = None,
) -> int:
    """What happened to a host, oldest first; also of one that is gone."""
    return show_history(session(ctx), f"host/{address}", most)


def check_hosts(
    ctx: typer.Context,
    selectors: Selectors = None,
    cluster: OfCluster = None,
    updates: Annotated[
        bool, typer.Option("--updates", help="Also for updates that wait, which takes a while.")
    ] = False,
    timeout: Annotated[
        str | None, typer.Option(metavar="SPAN", help="How long to wait; 60s, 15m for updates.")
    ] = None,
) -> int:
    """Have hosts looked at now, and wait; 0 when all are well."""
    use = session(ctx)
    if not selectors and cluster is None:
        raise WrongUse("Which hosts? Addresses, selectors, or -c CLUSTER.")
    chosen = selection(selectors or (), cluster=cluster)
    hosts = list(chosen.filter(use.api.hosts(**chosen.query)))
    for word in selectors or ():  # a name is more than a pattern: it has to be there
        if not any(sign in word for sign in "*?[=,"):
            use.api.host(word)
    if not hosts:
        raise WrongUse("No host is meant by that.")
    limit = timeout or (UPDATES_TIMEOUT if updates else TIMEOUT)
    looked = Looks(use, hosts, seconds(limit), updates=updates)
    columns = [c._replace(drop=2) if updates and c.name == "updates" else c for c in HOSTS]
    use.out.rows(columns, looked.results(), "host")
    return DONE if looked.all_well else REFUSED


class Looks:
    """Hosts that are looked at, until each has been."""

    def __init__(
        self, use: Session, hosts: "list[Host]", timeout_s: float, *, updates: bool
    ) -> None:
        self._use = use
        self._updates = updates
        self._before = {host["address"]: host for host in hosts}
        self._timeout_s = timeout_s
        self.all_well = True

    def results(self) -> "list[Host]":
        """The hosts as they are after that. Raises TimedOut."""
        begun = time.monotonic()
        refused = [one for one in each(list(self._before), self._ask) if one.outcome == "refused"]
        self._tell_refused(refused)
        waiting = set(self._before) - {one.name for one in refused}
        found: dict[str, Host] = {}
        pause, ask_again_s = LOOK_PAUSE_S, ASK_AGAIN_S
        while waiting:
            waited_s = time.monotonic() - begun
            if waited_s > ask_again_s:
                ask_again_s += ASK_AGAIN_S
                list(each(sorted(waiting), self._ask))
            for host in self._now(waiting):
                if self._was_looked_at(host, waited_s):
                    found[host["address"]] = host
            waiting -= found.keys()
            if waiting and waited_s > self._timeout_s:
                raise TimedOut(f"Not looked at within {self._timeout_s:g} s: {', '.join(waiting)}.")
            if waiting:
                time.sleep(pause)
                pause = min(pause * 1.5, LOOK_PAUSE_MAX_S)
        self.all_well &= all(host["status"] in WELL for host in found.values())
        return [found[address] for address in self._before if address in found]

    def _ask(self, address: str) -> str:
        self._use.api.check(address, updates=self._updates)
        return "asked"

    def _tell_refused(self, refused: list[Done]) -> None:
        for one in refused:
            self.all_well = False
            self._use.out.say(f"{one.name}: {one.reason}")

    def _now(self, waiting: set[str]) -> "list[Host]":
        if len(waiting) <= 4:
            return [self._use.api.host(address) for address in waiting]
        return [host for host in self._use.api.hosts() if host["address"] in waiting]

    def _was_looked_at(self, host: Host, waited_s: float) -> bool:
        before = self._before[host["address"]]
        if host["status"] in ("investigating", "bootstrapping"):
            return False
        if host["status"] == "failed" and before["status"] != "failed":
            return True
        if host["status"] == "failed":
            following = host.get("next_check")
            again = bool(following) and following != before.get("next_check")
            return again or host["last_check"] > before["last_check"] or waited_s > FAILED_LOOK_S
        if self._updates and _asked_at(host) <= _asked_at(before):
            return False
        return host["last_check"] > before["last_check"]


def _asked_at(host: Host) -> str:
    """When it was asked for updates last."""
    updates = host.get("updates")
    return updates["at"] if updates else ""
