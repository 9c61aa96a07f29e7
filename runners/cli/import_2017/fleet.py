"""What a service of API v0 has: networks, container managers, clusters, and hosts with their keys.

The same questions are asked of the old service and of the new one; what they answer is checked,
since the old one may be anything. Where one answer cannot be used, that thing alone is `unread`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from domain.names import host_address
from domain.refusal import Refusal
from runners.cli.import_2017.progress import Progress
from runners.cli.import_2017.remote import NOT_LET_IN, Answer, Remote
from runners.os_support.json_file import ChangeRefused

OK = 200
MISSING = 404
NO_LIST = (404, 405)
NAME_CHARACTERS_MAX = 255


@dataclass(frozen=True)
class Resource:
    """A network or a container manager; its options may hold secrets."""

    type: str
    options: Mapping[str, object] = field(repr=False)


@dataclass(frozen=True)
class Cluster:
    """A cluster, with its members in order of joining. None: its record does not say."""

    network: str | None
    container_manager: str | None
    members: tuple[str, ...]


@dataclass(frozen=True)
class Host:
    """A host; `key` is its private key in base64, where it was asked for and given."""

    source: str
    key: str = field(default="", repr=False)
    user: str = ""


@dataclass
class Fleet:
    """All of it by name, and for what could not be read why, by subject."""

    networks: dict[str, Resource] = field(default_factory=dict)
    managers: dict[str, Resource] = field(default_factory=dict)
    clusters: dict[str, Cluster] = field(default_factory=dict)
    hosts: dict[str, Host] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)

    def cluster_of(self, address: str) -> str | None:
        """The cluster that has a host, the first one in doubt."""
        having = (name for name, each in self.clusters.items() if address in each.members)
        return next(having, None)


async def read_fleet(
    remote: Remote, progress: Progress, *, keys: bool, only: Iterable[str] | None = None
) -> Fleet:
    """All that it has; with `keys` how its hosts are logged in to, with `only` no other hosts.

    Raises ChangeRefused where it does not answer, lets nobody in, or is none.
    """
    return await _Reader(remote, progress).fleet(keys=keys, only=only)


class _Reader:
    def __init__(self, remote: Remote, progress: Progress) -> None:
        self._remote = remote
        self._progress = progress
        self._fleet = Fleet()
        self._lists = 0

    async def fleet(self, *, keys: bool, only: Iterable[str] | None) -> Fleet:
        fleet = self._fleet
        addresses = await self._listed("hosts", [("hosts",)], _address_of)
        for kind, found in (("network", fleet.networks), ("containermanager", fleet.managers)):
            # The old reference writes the list of container managers with a slash at its end.
            names = await self._listed(f"{kind}s", [(f"{kind}s",), (f"{kind}s", "")], _text)
            for name in self._through(names, f"{kind}s read"):
                if (body := await self._record(kind, name)) is not None:
                    self._take_resource(f"{kind}/{name}", name, body, found)
        names = await self._listed("clusters", [("clusters",), ("clusters", "")], _text)
        for name in self._through(names, "clusters read"):
            if (body := await self._record("cluster", name)) is not None:
                fleet.clusters[name] = await self._cluster(name, body, addresses)
        if not self._lists:
            raise ChangeRefused(f"{self._remote.url} has no API v0 of Commissaire.")
        wanted = {*addresses} if only is None else {*only}
        names = [address for address in addresses if address in wanted]
        for address in self._through(names, "hosts read"):
            if (body := await self._record("host", address)) is not None:
                await self._take_host(address, body, keys=keys)
        return fleet

    def _through(self, names: list[str], what: str) -> Iterator[str]:
        return self._progress.through(names, f"{what} from {self._remote.url}")

    async def _listed(self, what: str, paths: list[tuple[str, ...]], one: Any) -> list[str]:
        """The names of a list; none where it knows no such list."""
        answer = await self._remote.get(*paths[0])
        if answer.status in NO_LIST and len(paths) > 1:
            answer = await self._remote.get(*paths[1])
        self._must_let_in(answer)
        if answer.status in NO_LIST:
            return []
        if answer.status != OK:
            raise ChangeRefused(f"{self._remote.url} answers /{what} with HTTP {answer.status}.")
        names = [one(each) for each in answer.body] if isinstance(answer.body, list) else [""]
        if not all(names):
            # Without its lists nothing is known of what there is.
            raise ChangeRefused(f"{self._remote.url}: what it answers is no list of {what}.")
        self._lists += 1
        return list(dict.fromkeys(names))

    def _must_let_in(self, answer: Answer) -> None:
        if answer.status in NOT_LET_IN:
            raise ChangeRefused(
                f"{self._remote.url} does not let us in (HTTP {answer.status}): see the user, the"
                " password or the token."
            )

    # Any: a record, as JSON has it.
    async def _record(self, kind: str, name: str) -> dict[str, Any] | None:
        answer = await self._remote.get(kind, name)
        if answer.status == OK and isinstance(answer.body, dict):
            return answer.body
        self._fleet.unread[f"{kind}/{name}"] = _unusable(answer, "its record")
        return None

    def _take_resource(
        self, subject: str, name: str, body: dict[str, Any], found: dict[str, Resource]
    ) -> None:
        options = body.get("options", {})
        if not isinstance(body.get("type"), str) or not isinstance(options, dict):
            self._fleet.unread[subject] = "its record has no type, or options that are none"
        else:
            found[name] = Resource(body["type"], options)

    async def _cluster(self, name: str, body: dict[str, Any], addresses: list[str]) -> Cluster:
        network, manager = body.get("network"), body.get("container_manager")
        answer = await self._remote.get("cluster", name, "hosts")
        if answer.status == OK and isinstance(answer.body, list) and all(map(_text, answer.body)):
            members = answer.body
        elif answer.status in NO_LIST:
            # Each is asked for: whether a host is a member is what the old reference documents.
            members = []
            for each in self._through(addresses, f"hosts asked for in {name}"):
                said = await self._remote.get("cluster", name, "hosts", each)
                members += [each] if said.status == OK else []
        else:
            self._fleet.unread[f"cluster/{name}"] = _unusable(answer, "the list of its members")
            members = []
        return Cluster(
            network if isinstance(network, str) else None,
            manager if isinstance(manager, str) else None,
            tuple(map(canonical, members)),
        )

    async def _take_host(self, address: str, body: dict[str, Any], *, keys: bool) -> None:
        source = body.get("source", "")
        host = Host(source if isinstance(source, str) else "")
        if keys:
            answer = await self._remote.get("host", address, "creds")
            said = answer.body if isinstance(answer.body, dict) else {}
            key, user = said.get("ssh_priv_key"), said.get("remote_user", "")
            if answer.status == OK and isinstance(key, str) and key and isinstance(user, str):
                host = Host(host.source, key, user)
            else:
                self._fleet.unread[f"host/{canonical(address)}"] = _unusable(
                    answer, "its credentials"
                )
        self._fleet.hosts[canonical(address)] = host


def canonical(address: str) -> str:
    """An address as this service spells it; what is none stays, and is refused by it."""
    try:
        return host_address(address)
    except Refusal:
        return address


def _unusable(answer: Answer, what: str) -> str:
    if answer.status == OK:
        return f"what came is not {what}"
    return f"{what}: refused (HTTP {answer.status})"


def _text(each: object) -> str:
    """A name that can be asked for; "" for what is none."""
    is_one = isinstance(each, str) and each.isprintable() and len(each) <= NAME_CHARACTERS_MAX
    return str(each) if is_one else ""


def _address_of(each: object) -> str:
    return _text(each.get("address")) if isinstance(each, dict) else ""
