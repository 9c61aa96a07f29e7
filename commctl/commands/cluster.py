"""`commctl cluster …`: clusters, and which hosts are in them."""

from typing import Annotated

import typer

from commctl.commands.arguments import Addresses, At, ClusterName, ClusterNames, First, Yes, time_of
from commctl.commands.history import show_history
from commctl.commands.hosts.bulk import each, tell
from commctl.exits import DONE, REFUSED
from commctl.paths import in_path
from commctl.session import session
from commctl.show.hosts import CLUSTERS, cluster_shown

commands = typer.Typer(rich_markup_mode=None, no_args_is_help=True)


@commands.command("list")
def list_clusters(ctx: typer.Context, at: At = None) -> int:
    """List clusters."""
    from concurrent.futures import ThreadPoolExecutor

    use = session(ctx)
    then = time_of(use, at)
    names = use.api.clusters(then)
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda name: use.api.cluster(name, then), names)
        number = use.out.rows(CLUSTERS, found, "cluster")
    if not number and use.out.is_terminal:
        use.out.say("Make one: commctl cluster create NAME")
    return DONE


@commands.command("show")
def show_cluster(ctx: typer.Context, cluster: ClusterName, at: At = None) -> int:
    """How a cluster is, and who is in it."""
    use = session(ctx)
    then = time_of(use, at)
    found, members = use.api.cluster(cluster, then), use.api.members(cluster, then)
    use.out.record(cluster_shown(found, members), {**found, "members": members}, cluster)
    return DONE


@commands.command("create")
def create_clusters(
    ctx: typer.Context,
    names: ClusterNames,
    network: Annotated[str | None, typer.Option(metavar="NAME", help="Else `default`.")] = None,
    container_manager: Annotated[
        str | None, typer.Option("--container-manager", "-m", metavar="NAME")
    ] = None,
) -> int:
    """Make clusters; one that is there already with the same values stays."""
    use = session(ctx)
    given = {"network": network, "container_manager": container_manager}
    body = {key: value for key, value in given.items() if value is not None}

    def create(name: str) -> str:
        use.api.put(f"cluster/{in_path(name)}", body)
        return "ok"

    return tell(use, each(names, create), "cluster")


@commands.command("rm")
def remove_clusters(
    ctx: typer.Context,
    names: ClusterNames,
    yes: Yes = False,
) -> int:
    """Remove clusters; their hosts stay registered."""
    use = session(ctx)
    if not use.out.ask(f"Remove cluster {', '.join(names)}? Its hosts stay.", yes=yes):
        return REFUSED

    def remove(name: str) -> str:
        use.api.delete(f"cluster/{in_path(name)}")
        return "removed"

    return tell(use, each(names, remove), "cluster")


@commands.command("add")
def add_members(ctx: typer.Context, cluster: ClusterName, addresses: Addresses) -> int:
    """Put hosts into a cluster."""
    use = session(ctx)

    def join(address: str) -> str:
        use.api.join(cluster, address)
        return "added"

    # One by one: an operation takes its hosts in the order in which they joined.
    return tell(use, each(addresses, join, at_once=1))


@commands.command("remove")
def remove_members(ctx: typer.Context, cluster: ClusterName, addresses: Addresses) -> int:
    """Take hosts out of a cluster; they stay registered."""
    use = session(ctx)

    def leave(address: str) -> str:
        use.api.leave(cluster, address)
        return "removed"

    return tell(use, each(addresses, leave))


@commands.command("history")
def cluster_history(ctx: typer.Context, cluster: ClusterName, most: First = None) -> int:
    """What happened to a cluster, oldest first; also of one that is gone."""
    return show_history(session(ctx), f"cluster/{cluster}", most)
