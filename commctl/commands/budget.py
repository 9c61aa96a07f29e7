"""`commctl policy …` and `commctl lock …`: how many of a cluster may be away, and who is."""

from typing import Annotated

import typer

from commctl.commands.arguments import Addresses, ClusterName, Yes
from commctl.commands.hosts.bulk import each, tell
from commctl.exits import DONE, REFUSED, WrongUse
from commctl.paths import in_path
from commctl.session import session
from commctl.show.table import Column

policies = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
locks = typer.Typer(rich_markup_mode=None, no_args_is_help=True)

NONE = "none"
LOCKS = (
    Column("cluster", "cluster"),
    Column("address", "address"),
    Column("since", "since", "time"),
    Column("id", "id", drop=1),
)


@policies.command("show")
def show_policy(ctx: typer.Context, cluster: ClusterName) -> int:
    """What holds for every operation and lock of a cluster."""
    use = session(ctx)
    found = use.api.get(f"cluster/{in_path(cluster)}/policy")
    use.out.record(found, found, cluster)
    return DONE


@policies.command("set")
def set_policy(
    ctx: typer.Context,
    cluster: ClusterName,
    unavailable: Annotated[
        str | None,
        typer.Option("-U", "--unavailable", metavar="N|N%|none", help="So many may be away."),
    ] = None,
    window: Annotated[
        str | None,
        typer.Option("--window", metavar="NAME|none", help="Hosts begin only while it is open."),
    ] = None,
    gate: Annotated[
        str | None, typer.Option("--gate", metavar="NAME|none", help="Asked before each host.")
    ] = None,
) -> int:
    """Change what is named of a policy; the rest stays."""
    use = session(ctx)
    path = f"cluster/{in_path(cluster)}/policy"
    asked = {"max_unavailable": unavailable, "window": window, "gate": gate}
    named = {key: text for key, text in asked.items() if text is not None}
    if not named or "" in named.values():
        raise WrongUse("Nothing is to be changed: -U says how many may be away.")
    wanted = {**use.api.get(path), **named}
    if unavailable is not None and unavailable.isascii() and unavailable.isdecimal():
        wanted["max_unavailable"] = int(unavailable)
    wanted = {key: value for key, value in wanted.items() if value not in (None, NONE)}
    found = use.api.put(path, wanted)
    use.out.record(found, found, cluster)
    return DONE


@locks.command("list")
def list_locks(ctx: typer.Context) -> int:
    """Hosts that restart by themselves, the oldest first."""
    use = session(ctx)
    use.out.rows(LOCKS, use.api.fleet()["locks"], "lock")
    return DONE


@locks.command("release")
def release(ctx: typer.Context, cluster: ClusterName, hosts: Addresses, yes: Yes = False) -> int:
    """Free the slots of hosts that will not say so themselves."""
    use = session(ctx)
    if not use.out.ask(f"Release the locks of {', '.join(hosts)}?", yes=yes):
        return REFUSED

    def released(address: str) -> str:
        use.api.delete(f"cluster/{in_path(cluster)}/locks/{in_path(address)}")
        return "released"

    return tell(use, each(hosts, released), "host")
