"""What would be done, and what differs: two fleets held against each other, purely."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple

from domain.aggregates.container_manager import MASK
from domain.options import api_root
from runners.cli.import_2017.fleet import Cluster, Fleet, Resource

DEFAULT_NETWORK = "default"


class Difference(NamedTuple):
    """What one has otherwise than the other; never the value of an option, which may be secret."""

    subject: str
    key: str
    there: str
    here: str


class Planned(NamedTuple):
    """What would be done with one thing: `add`, `same`, `join`, `differs`, `leave out`."""

    subject: str
    would: str
    why: str


def planned(old: Fleet, new: Fleet) -> list[Planned]:
    """What carrying over would do, in its order."""
    differing: dict[str, list[str]] = {}
    for each in differences(old, new):
        differing.setdefault(each.subject, []).append(each.key)
    rows = [
        _thing(subject, told, differing, is_there=is_there)
        for subject, told, is_there in _things(old, new)
    ]
    rows += [_host(address, old, new, differing) for address in in_order(old)]
    known = {row.subject for row in rows}
    rows += [Planned(s, "leave out", why) for s, why in old.unread.items() if s not in known]
    return rows


def in_order(fleet: Fleet) -> list[str]:
    """The hosts: members in their order of joining, then those without a cluster."""
    members = [each for cluster in fleet.clusters.values() for each in cluster.members]
    return [each for each in dict.fromkeys([*members, *fleet.hosts]) if each in fleet.hosts]


def _things(old: Fleet, new: Fleet) -> Iterator[tuple[str, str, bool]]:
    """All but hosts: subject, what it is, and whether the new one has one of that name."""
    for name, network in old.networks.items():
        yield f"network/{name}", _told(network), name in new.networks
    for name, manager in old.managers.items():
        yield f"containermanager/{name}", _told(manager), name in new.managers
    for name, cluster in old.clusters.items():
        yield f"cluster/{name}", _of_cluster(cluster), name in new.clusters


def _thing(
    subject: str, told: str, differing: Mapping[str, list[str]], *, is_there: bool
) -> Planned:
    if not is_there:
        return Planned(subject, "add", told)
    keys = differing.get(subject, [])
    return Planned(subject, "differs" if keys else "same", ", ".join(keys))


def _host(address: str, old: Fleet, new: Fleet, differing: Mapping[str, list[str]]) -> Planned:
    subject, host, cluster = f"host/{address}", old.hosts[address], old.cluster_of(address)
    if not host.key:
        return Planned(subject, "leave out", old.unread.get(subject, "it has no credentials"))
    if address not in new.hosts:
        told = [f"as {host.user or 'root'}"]
        told += [f"into {cluster}"] if cluster else []
        told += [f"of source {host.source}"] if host.source else []
        return Planned(subject, "add", ", ".join(told))
    keys = differing.get(subject, [])
    if keys == ["cluster"] and new.cluster_of(address) is None:
        return Planned(subject, "join", f"into {cluster}")
    return Planned(subject, "differs" if keys else "same", ", ".join(keys))


def differences(old: Fleet, new: Fleet) -> Iterator[Difference]:
    """What the new one lacks or has otherwise. What only the new one has is none."""
    yield from _resources("network", old.networks, new.networks)
    yield from _resources("containermanager", old.managers, new.managers)
    yield from _clusters(old, new)
    yield from _hosts(old, new)


def _clusters(old: Fleet, new: Fleet) -> Iterator[Difference]:
    for name, cluster in old.clusters.items():
        subject, here = f"cluster/{name}", new.clusters.get(name)
        if here is None:
            yield Difference(subject, "", "there", "missing")
            continue
        for key, wanted, actual in (
            ("network", cluster.network or DEFAULT_NETWORK, here.network),
            ("container_manager", cluster.container_manager or "", here.container_manager),
        ):
            if wanted != actual:
                yield Difference(subject, key, wanted, actual or "")
        for address in cluster.members:
            # Of the others their own row tells.
            is_told = address in old.hosts and old.cluster_of(address) == name
            if not is_told and address not in here.members:
                yield Difference(subject, "hosts", address, "")


def _hosts(old: Fleet, new: Fleet) -> Iterator[Difference]:
    for address, host in old.hosts.items():
        subject, found = f"host/{address}", new.hosts.get(address)
        if found is None:
            yield Difference(subject, "", "there", "missing")
            continue
        if host.source != found.source:
            yield Difference(subject, "source", host.source, found.source)
        wanted_cluster, actual_cluster = old.cluster_of(address), new.cluster_of(address)
        if wanted_cluster != actual_cluster:
            yield Difference(subject, "cluster", wanted_cluster or "", actual_cluster or "")


def _resources(
    kind: str, old: Mapping[str, Resource], new: Mapping[str, Resource]
) -> Iterator[Difference]:
    for name, wanted in old.items():
        subject, here = f"{kind}/{name}", new.get(name)
        if here is None:
            yield Difference(subject, "", "there", "missing")
        elif wanted.type != here.type:
            yield Difference(subject, "type", wanted.type, here.type)
        else:
            there, now = _meaning(wanted.options), _meaning(here.options)
            for key in sorted(there.keys() | now.keys()):
                if not _alike(there.get(key), now.get(key)):
                    yield Difference(subject, f"options.{key}", _said(there, key), _said(now, key))


def _meaning(options: Mapping[str, object]) -> dict[str, object]:
    """Options as the service compares them: by one name each, without the path of the API."""
    said = {key: value for key, value in options.items() if value not in (None, "")}
    if "apiserver" in said:
        said.setdefault("server_url", said["apiserver"])
        del said["apiserver"]
    url = said.get("server_url")
    if isinstance(url, str):
        with suppress(ValueError):  # it is none, and then what it says counts
            said["server_url"] = api_root(url)
    return said


def _alike(there: object, here: object) -> bool:
    """A token is masked here: whether it is the same, the service itself tells."""
    return there == here or (here == MASK and there is not None)


def _said(options: Mapping[str, object], key: str) -> str:
    return "one" if key in options else "none"


def _told(resource: Resource) -> str:
    names = ", ".join(sorted(resource.options))
    return f"{resource.type} with {names}" if names else resource.type


def _of_cluster(cluster: Cluster) -> str:
    told = [f"network {cluster.network or DEFAULT_NETWORK}"]
    if cluster.container_manager:
        told.append(f"container manager {cluster.container_manager}")
    return ", ".join(told)
