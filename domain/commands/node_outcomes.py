"""Records what a container manager did with a change of a node that it was asked for.

Telling takes time, and meanwhile the wish may be another one: what was told is recorded only
where it is what is wished. The wish that there is now is told next.
"""

from collections.abc import Callable

from domain.commands.fleet_commands import Secrets, Unit, activate_where_nobody_else_must


def registered(unit: Unit, name: str, address: str, *, found: bool) -> None:
    """A host is a node over there: it takes part in its cluster. `found`: it was one already."""
    manager, host = unit.container_manager(name), unit.host(address)
    manager.register_node(address, found=found)
    if not host.cluster or address not in manager.nodes:
        return
    cluster = unit.cluster(host.cluster)
    if cluster.container_manager == name:
        activate_where_nobody_else_must(unit, cluster, host)


def removed(unit: Unit, secrets: Secrets, name: str, address: str, *, left: bool) -> None:
    """A host is no node of ours over there. `left`: there is one of its name, and not of ours."""
    _perhaps_its_last(
        unit, secrets, name, lambda: unit.container_manager(name).remove_node(address, left=left)
    )


def is_marked(unit: Unit, name: str, address: str, mark: str) -> bool:
    """Whether a node with this mark is still ours to have, or to remove."""
    return unit.container_manager(name).marks.get(address) == mark


def uncordoned(unit: Unit, secrets: Secrets, name: str, address: str, operation: str) -> None:
    """The cordon of an operation is no more."""
    _perhaps_its_last(
        unit, secrets, name, lambda: unit.container_manager(name).uncordon(address, operation)
    )


def give_up(unit: Unit, secrets: Secrets, name: str) -> None:
    """Forget a container manager that should be gone, with what it was not told."""
    _perhaps_its_last(unit, secrets, name, unit.container_manager(name).give_up)


def _perhaps_its_last(unit: Unit, secrets: Secrets, name: str, command: Callable[[], None]) -> None:
    manager = unit.container_manager(name)
    kept_token = manager.has_token
    command()
    if kept_token and not manager.has_token:
        secrets.destroy(unit, manager.id)


def want_node(unit: Unit, address: str) -> None:
    """Wish what was not wished when the host was set up, by a version that told nobody."""
    host = unit.host(address)
    if host.cluster:
        activate_where_nobody_else_must(unit, unit.cluster(host.cluster), host)
