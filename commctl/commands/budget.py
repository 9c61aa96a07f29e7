"""`commctl policy …` and `commctl lock …`: how many of a cluster may be away, and who is."""

from typing import Annotated

import typer

from commctl.commands.arguments import Addresses, ClusterName, Yes
from commctl.commands.bulk import each, tell
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
) -> int:
    """Change what is named of a policy; the rest stays."""
    use = session(ctx)
    path = f"cluster/{in_path(cluster)}/policy"
    if unavailable is None:
        raise WrongUse("Nothing is to be changed: -U says how many may be away.")
    is_number = unavailable.isascii() and unavailable.isdecimal()
    before = {key: value for key, value in use.api.get(path).items() if value is not None}
    wanted = {**before, "max_unavailable": int(unavailable) if is_number else unavailable}
    if unavailable == NONE:
        del wanted["max_unavailable"]
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
