"""Networks and container managers in a page of Python: what a PUT of each means to those there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Said(NamedTuple):
    """A status and, where it succeeds, the body."""

    status: int
    body: object = None


NOT_FOUND, CONFLICT, WRONG = Said(404), Said(409), Said(400)

MASK = "********"
ADDRESS = "127.0.0.1:9"
"""Nobody is there: what is told to a container manager is told in vain."""
SERVER = {"server_url": f"http://{ADDRESS}"}

NETWORK_BODIES: list[dict[str, Any]] = [
    *({}, {}, {"type": "flannel_etcd"}, {"options": {"prefix": "/fleet"}}),
    {"type": "flannel_server", "options": {"address": ADDRESS}},
    *({"type": "flannel_server"}, {"type": "bridge"}, {"options": {"address": ADDRESS}}),
]
MANAGER_BODIES: list[dict[str, Any]] = [
    *({"options": SERVER}, {"type": "kubernetes", "options": SERVER}),
    *({"options": SERVER | {"token": token}} for token in ("one", "one", "two", MASK)),
    *({}, {"type": "trivial"}, {"type": "trivial", "options": SERVER}, {"options": {"token": "x"}}),
]
TRIVIAL_BODIES: list[dict[str, Any]] = [{"type": "trivial"}, {"type": "trivial", "options": {}}]

OPTIONS = {
    "flannel_etcd": {"prefix"},
    "flannel_server": {"address"},
    "openshift": {"server_url", "token"},
    "kubernetes": {"server_url", "token"},
    "trivial": set[str](),
}
"""Of those that the bodies above have, which belong to a type."""
NEEDED = {"flannel_server": "address", "openshift": "server_url", "kubernetes": "server_url"}


@dataclass
class Resource:
    """One that is there; `token` is the true one."""

    type: str
    options: dict[str, Any]
    token: str = ""


@dataclass
class Resources:
    """All networks, or all container managers. `built_in`: nobody can remove them."""

    types: tuple[str, ...]
    """The first is the default."""
    built_in: tuple[str, ...] = ()
    of: dict[str, Resource] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """What is there from the start."""
        self.of |= {name: Resource(self.types[0], {}) for name in self.built_in}

    def put(self, name: str, body: Mapping[str, Any]) -> Said:
        """Create; the same again; or otherwise."""
        kind = body.get("type", self.types[0])
        options = dict(body.get("options", {}))
        if kind not in self.types or not options.keys() <= OPTIONS[kind]:
            return WRONG
        if NEEDED.get(kind, "address") not in options and kind in NEEDED:
            return WRONG
        token = str(options.get("token", ""))
        there = self.of.get(name)
        if token == MASK and (there is None or not there.token):
            return WRONG
        if token:
            options["token"] = MASK
        if there is None:
            self.of[name] = Resource(kind, options, token)
        elif (kind, options) != (there.type, there.options) or token not in ("", MASK, there.token):
            return CONFLICT
        return Said(201, self.get(name).body)

    def get(self, name: str) -> Said:
        """The record; a token is masked."""
        there = self.of.get(name)
        if there is None:
            return NOT_FOUND
        return Said(200, {"name": name, "type": there.type, "options": there.options})

    def delete(self, name: str, *, used: bool) -> Said:
        """Not while a cluster uses it."""
        if name not in self.of:
            return NOT_FOUND
        if used or name in self.built_in:
            return CONFLICT
        del self.of[name]
        return Said(200, [])

    def get_all(self) -> Said:
        """The names."""
        return Said(200, sorted(self.of))


def networks() -> Resources:
    """There is one from the start."""
    return Resources(("flannel_etcd", "flannel_server"), ("default",))


def container_managers() -> Resources:
    """There is none."""
    return Resources(("openshift", "kubernetes", "trivial"))
