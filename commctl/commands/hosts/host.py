"""`commctl host …`: which hosts there are, how they are, and what is to become of them."""

from collections.abc import Sequence
from itertools import islice
from typing import Annotated

import typer

from commctl.commands.arguments import (
    Addresses,
    At,
    KeyFile,
    Most,
    OfCluster,
    Port,
    Selectors,
    Yes,
    time_of,
)
from commctl.commands.hosts import host_keys
from commctl.commands.hosts.bulk import AT_ONCE, each, tell
from commctl.commands.hosts.host_care import add_commands
from commctl.exits import DONE, REFUSED, Refused, WrongUse
from commctl.login.secret_files import read_private
from commctl.selectors import selection
from commctl.session import Session, session
from commctl.show.hosts import HOSTS, host_shown
from commctl.show.refusals import cure_typed
from commctl.show.times import age

commands = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
NEXT = {"host_key": "host hostkey show {}", "authentication": "host key rotate {} -k KEYFILE"}
NEXT_ELSE = "host check {}"
"""What mends a failure, or shows that it is mended, by its kind."""
STATUSES = "investigating|bootstrapping|disassociated|active|failed"


@commands.command("list")
def list_hosts(
    ctx: typer.Context,
    selectors: Selectors = None,
    cluster: OfCluster = None,
    status: Annotated[str | None, typer.Option(metavar=STATUSES, help="In this state.")] = None,
    why: Annotated[
        str | None, typer.Option(metavar="KIND", help="Failed like this: sudo, unreachable …")
    ] = None,
    find: Annotated[
        str | None, typer.Option("--find", metavar="TEXT", help="In the address or a label.")
    ] = None,
    at: At = None,
    sort: Annotated[
        str | None, typer.Option(metavar="KEY", help="address, since, status …; -KEY turns it.")
    ] = None,
    most: Most = None,
) -> int:
    """List hosts. `-o ansible` is an inventory of Ansible."""
    use = session(ctx)
    which = selection(selectors or (), cluster=cluster, status=status, kind=why, q=find)
    found = use.api.hosts(
        None if which.matches else most, **which.query, at=time_of(use, at), sort=sort
    )
    hosts = which.filter(found)
    if use.options.output == "ansible":
        from commctl.inventories.ansible_out import write_inventory

        write_inventory(hosts)
        return DONE
    number = use.out.rows(HOSTS, islice(hosts, most), "host")
    if not number and use.out.is_terminal and not which.query and which.matches is None:
        use.out.say("Add one: commctl host add ADDRESS -k KEYFILE")
    return DONE


@commands.command("show")
def show_hosts(ctx: typer.Context, addresses: Addresses, at: At = None) -> int:
    """All that is known of hosts."""
    use = session(ctx)
    then = time_of(use, at)
    for number, address in enumerate(addresses):
        host = use.api.host(address, then)
        if number and use.out.for_people:
            use.out.line("")
        use.out.record(host_shown(host), host, host["address"])
    return DONE


@commands.command("why")
def why(ctx: typer.Context, addresses: Annotated[list[str] | None, typer.Argument()] = None) -> int:
    """Why hosts are not well, and what mends it; all that have failed, if none is named."""
    use = session(ctx)
    cures = {each["kind"]: each["cure"] for each in use.api.fleet()["failed"]}
    hosts = [use.api.host(a) for a in addresses] if addresses else use.api.hosts(status="failed")
    told = 0
    for host in hosts:
        told += 1
        cure = cures.get(host["kind"] or "", "")
        known = {k: host[k] for k in ("address", "status", "since", "kind", "reason")}
        if not use.out.for_people:
            use.out.record(known | {"cure": cure}, known | {"cure": cure}, host["address"])
            continue
        name, since = host["address"], age(host["since"], use.out.now)
        if host["status"] != "failed":
            use.out.line(f"{name}  {host['status']} for {since}: nothing is wrong")
            continue
        use.out.paragraph(f"{name}  failed {since} ago: {host['reason']}")
        use.out.paragraph(cure_typed(cure), 2)
        use.out.line(f"  → commctl {NEXT.get(host['kind'] or '', NEXT_ELSE).format(name)}")
    if not told:
        use.out.say("No host has failed.")
    return DONE


@commands.command("add")
def add_hosts(
    ctx: typer.Context,
    addresses: Addresses,
    key: KeyFile,
    user: Annotated[str | None, typer.Option("-u", "--user", metavar="USER")] = None,
    port: Port = None,
    cluster: OfCluster = None,
    labels: Annotated[
        list[str] | None, typer.Option("-l", "--label", metavar="K=V", help="Repeatable.")
    ] = None,
) -> int:
    """Have hosts looked after that let a key of yours in."""
    use = session(ctx)
    private, pairs = read_private(key), label_changes(labels or ())

    def add(address: str) -> str:
        outcome = "same" if _is_there(use, address) else "added"
        use.api.register(address, private, user=user, port=port, cluster=cluster)
        if pairs:
            use.api.label(address, pairs)
        return outcome

    # An operation takes the hosts of a cluster in the order in which they joined.
    status = tell(use, each(addresses, add, at_once=1 if cluster else AT_ONCE))
    if use.out.is_terminal and status == DONE:
        use.out.say(f"How they are in a moment: commctl host check {' '.join(addresses)}")
    return status


def _is_there(use: Session, address: str) -> bool:
    try:
        use.api.host(address)
    except Refused as refused:
        if refused.code == 404:
            return False
        raise
    return True


@commands.command("rm")
def remove_hosts(ctx: typer.Context, addresses: Addresses, yes: Yes = False) -> int:
    """Look after hosts no more; their credentials are destroyed."""
    use = session(ctx)
    shown = ", ".join(addresses) if len(addresses) <= 5 else f"{len(addresses)} hosts"
    if not use.out.ask(f"Remove {shown}, and destroy the credentials?", yes=yes):
        return REFUSED

    def remove(address: str) -> str:
        use.api.remove_host(address)
        return "removed"

    return tell(use, each(addresses, remove))


@commands.command("label")
def label_hosts(
    ctx: typer.Context,
    words: Annotated[
        list[str], typer.Argument(metavar="ADDRESS… KEY=VALUE… KEY-…", help="KEY- takes it away.")
    ],
) -> int:
    """Set labels of hosts, or take them away; without any, show them."""
    use = session(ctx)
    said = [word for word in words if "=" in word or word.endswith("-")]
    addresses = [word for word in words if word not in said]
    if not addresses:
        raise WrongUse("Which hosts? commctl host label ADDRESS… KEY=VALUE… KEY-…")
    changes = label_changes(said)

    def label(address: str) -> str:
        labels = use.api.label(address, changes)
        return ",".join(f"{key}={value}" for key, value in labels.items()) or "no labels"

    return tell(use, each(addresses, label))


def label_changes(words: Sequence[str]) -> dict[str, str | None]:
    """`key=value` sets one, `key-` takes it away."""
    changes: dict[str, str | None] = {}
    for word in words:
        key, separator, value = word.partition("=")
        if not key or not (separator or word.endswith("-")):
            raise WrongUse(f"{word!r} is no label: KEY=VALUE, or KEY- to take it away.")
        changes[key if separator else word[:-1]] = value if separator else None
    return changes


add_commands(commands)
host_keys.add_commands(commands)
