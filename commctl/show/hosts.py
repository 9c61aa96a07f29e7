"""How hosts and clusters are shown."""

from typing import Any

from commctl.records import Cluster, Host
from commctl.show.table import Column

KILO = 1024
UNITS = ("KiB", "MiB", "GiB", "TiB")


def amount(kilobytes: int) -> str:
    """Of memory or space, for people."""
    size, unit = float(kilobytes), 0
    while size >= KILO and unit < len(UNITS) - 1:
        size, unit = size / KILO, unit + 1
    return f"{size:.1f} {UNITS[unit]}" if unit and size < 10 else f"{size:.0f} {UNITS[unit]}"


def _updates_unknown(host: Any) -> str | None:
    """Why the host could not tell when it was asked last."""
    failed = host.get("updates_failed")
    return str(failed["reason"]) if failed else None


def _updates(host: Any) -> str:
    found = host.get("updates")
    if not found:
        return ""
    security = found["security"]
    return str(found["all"]) if security is None else f"{found['all']} ({security} for security)"


def _why(host: Any) -> str:
    return f"{host['kind']}: {host['reason']}" if host.get("kind") else ""


HOSTS = (
    Column("address", "address"),
    Column("status", "status", "status"),
    Column("since", "since", "time", 3),
    Column("cluster", "cluster", drop=2),
    Column("os", "os", drop=4),
    Column("labels", "labels", drop=5),
    Column("reboot needed", "reboot_needed", drop=9),
    Column("updates", _updates, drop=9),
    Column("kernel", "kernel", drop=9),
    Column("cpus", "cpus", "number", 9),
    Column("memory", "memory", "number", 9),
    Column("space", "space", "number", 9),
    Column("last check", "last_check", "time", 9),
    Column("operation", "operation", drop=9),
    Column("why", _why, "folds", 1),
)
CLUSTERS = (
    Column("name", "name"),
    Column("status", "status", "status"),
    Column("hosts", lambda cluster: cluster["hosts"]["total"], "number"),
    Column("available", lambda cluster: cluster["hosts"]["available"], "number"),
    Column("network", "network", drop=3),
    Column("container manager", "container_manager", drop=2),
)
DONE_COLUMNS = (
    Column("name", "name"),
    Column("outcome", "outcome", "status"),
    Column("reason", "reason", "folds", 1),
)


def host_shown(host: Host) -> dict[str, Any]:
    """All that is known of a host, in the words of people."""
    return {
        "address": host["address"],
        "status": host["status"],
        "since": host["since"],
        "why": _why(host),
        "cluster": host["cluster"],
        "labels": host["labels"],
        "os": host["os"],
        "kernel": host["kernel"],
        "booted": host["booted_at"],
        "reboot needed": host["reboot_needed"],
        "updates": _updates(host),
        "updates unknown": _updates_unknown(host),
        "cpus": host["cpus"] or "",
        "memory": amount(host["memory"]) if host["memory"] else "",
        "space": amount(host["space"]) if host["space"] else "",
        "last check": host["last_check"],
        "next check": host.get("next_check"),
        "operation": host["operation"],
        "source": host["source"],
    }


def cluster_shown(cluster: Cluster, members: list[str]) -> dict[str, Any]:
    """A cluster, in the words of people."""
    hosts = cluster["hosts"]
    return {
        "name": cluster["name"],
        "status": cluster["status"],
        "hosts": f"{hosts['available']} of {hosts['total']} available"
        if hosts["total"]
        else "none",
        "network": cluster["network"],
        "container manager": cluster["container_manager"],
        "members": ", ".join(members),
    }
