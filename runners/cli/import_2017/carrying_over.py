"""Carries a fleet over: each thing is PUT, and the new service decides what comes of it.

The same again is no news there, and what contradicts is refused and changes nothing: so all of it
may be done again, whatever became of it the first time.
"""

from collections.abc import Callable
from typing import NamedTuple

from runners.cli.import_2017.comparing import in_order
from runners.cli.import_2017.fleet import Cluster, Fleet, Resource
from runners.cli.import_2017.remote import Remote
from runners.os_support.json_file import ChangeRefused

REFUSED_FROM = 400
UNKNOWN = 401
Body = dict[str, object]


class Became(NamedTuple):
    """What became of one thing: `added`, `same`, `joined`, `refused`, `left out`."""

    subject: str
    became: str
    why: str = ""


async def carry_over(old: Fleet, new: Fleet, to: Remote, tell: Callable[[Became], None]) -> None:
    """Do it, in an order in which each thing finds what it names. Raises ChangeRefused."""
    told: set[str] = set()
    for path, body, is_there in _resources(old, new):
        told.add("/".join(path))
        tell(await _put(to, path, body, is_there=is_there))
    for address in in_order(old):
        subject = f"host/{address}"
        told.add(subject)
        if old.hosts[address].key:
            tell(await _host(to, address, old, new))
        else:
            tell(Became(subject, "left out", old.unread.get(subject, "it has no credentials")))
    for subject, why in old.unread.items():
        if subject not in told:
            tell(Became(subject, "left out", why))


def _resources(old: Fleet, new: Fleet) -> list[tuple[tuple[str, str], Body, bool]]:
    """Networks and container managers, and then the clusters that name them."""
    return [
        *((("network", n), _resource(each), n in new.networks) for n, each in old.networks.items()),
        *(
            (("containermanager", n), _resource(each), n in new.managers)
            for n, each in old.managers.items()
        ),
        *((("cluster", n), _cluster(each), n in new.clusters) for n, each in old.clusters.items()),
    ]


def _resource(each: Resource) -> Body:
    return {"type": each.type, "options": dict(each.options)}


def _cluster(each: Cluster) -> Body:
    said = {"network": each.network, "container_manager": each.container_manager}
    return {key: value for key, value in said.items() if value}


async def _host(to: Remote, address: str, old: Fleet, new: Fleet) -> Became:
    host, cluster = old.hosts[address], old.cluster_of(address)
    body: Body = {"ssh_priv_key": host.key, "remote_user": host.user, "source": host.source}
    body = {key: value for key, value in body.items() if value}
    is_there = address in new.hosts
    joins = is_there and cluster is not None and new.cluster_of(address) != cluster
    if cluster is not None and not is_there:
        body["cluster"] = cluster
    done = await _put(to, ("host", address), body, is_there=is_there)
    if not joins or done.became == "refused" or cluster is None:
        return done
    joined = await _put(to, ("cluster", cluster, "hosts", address), {}, is_there=False)
    became = "joined" if joined.became == "added" else joined.became
    return Became(done.subject, became, joined.why or f"into {cluster}")


async def _put(to: Remote, path: tuple[str, ...], body: Body, *, is_there: bool) -> Became:
    answer = await to.put(path, body)
    subject = "/".join(path)
    if answer.status == UNKNOWN:  # the service was started anew, or the token is gone
        raise ChangeRefused(f"{to.url} does not let us in any more: do it again.")
    if answer.status >= REFUSED_FROM:
        why = answer.detail or f"HTTP {answer.status}"
        return Became(subject, "refused", why)
    return Became(subject, "same" if is_there else "added")
