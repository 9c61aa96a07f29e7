"""A client of the API, for programs of one's own as for `commctl`.

    from commctl.api import Api, Server

    with Api(Server("https://commissaire.example", credentials=token)) as fleet:
        for host in fleet.hosts(status="failed"):
            print(host["address"], host["reason"])

Records are as docs/http.md has them; `commctl/records.py` has their types. What the service refuses
is raised as `commctl.exits.Refused`; where it does not answer, or does not let us in, as `NoServer`
or `NoLogin`. GET, PUT and DELETE are sent again after a lost answer; so is the start of an
operation, which has a key for it. Fit for several threads.
"""

import uuid
from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Any, Self, cast

from commctl.exits import Refused
from commctl.login.profiles import Password, Server
from commctl.paths import in_path
from commctl.records import (
    Checked,
    Cluster,
    Event,
    Fleet,
    Host,
    Labels,
    Operation,
    OperationHost,
    Plan,
    Record,
)
from commctl.transport import Answer, Transport

__all__ = ["Api", "Password", "Server"]

FIRST_PAGE, PAGE = 100, 1_000
"""Hosts of the first page, so that it is there at once, and of those that follow."""
LABEL_TRIES = 5
"""How often labels are read and changed anew where somebody else changes them at once."""
STALE = 412


class Api:
    """The API of one service. `note` and `request` go with every change."""

    def __init__(self, server: Server, *, request: str | None = None, note: str | None = None):
        self.transport = Transport(server, request, note)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self.transport.http.close()

    # Any: JSON.
    def get(self, path: str, **query: Any) -> Any:
        """What a GET below `/api/v0` answers."""
        return self.transport.request("GET", path, query).body

    def put(self, path: str, body: object = None, **headers: str) -> Any:
        """What a PUT answers."""
        return self.transport.request("PUT", path, None, body, headers).body

    def delete(self, path: str) -> None:
        """DELETE."""
        self.transport.request("DELETE", path)

    def post(self, path: str, body: object, **headers: str) -> Any:
        """What a POST answers."""
        return self.transport.request("POST", path, None, body, headers).body

    def pages(self, path: str, query: Mapping[str, Any], most: int | None = None) -> Iterator[Any]:
        """The records of a list, page by page; no more than `most`."""
        limit, left = FIRST_PAGE, most
        answer = self.transport.request("GET", path, {**query, "limit": _least(limit, left)})
        while True:
            yield from answer.body[:left]
            left = None if left is None else left - len(answer.body)
            if answer.next is None or (left is not None and left <= 0):
                return
            answer = self._following(answer.next, _least(PAGE, left))

    def _following(self, link: str, limit: int) -> Answer:
        import httpx

        url = httpx.URL(link)
        query = dict(url.params.multi_items())
        several = {key: url.params.get_list(key) for key in query}
        return self.transport.request("GET", url.path, {**several, "limit": limit})

    def position(self) -> int:
        """The position of the log by now."""
        return self.transport.request("GET", "clusters").position or 0

    # The fleet

    def fleet(self, at: str | None = None) -> Fleet:
        """The state of everything, in small."""
        return cast("Fleet", self.get("fleet", at=at))

    def hosts(self, most: int | None = None, **filters: Any) -> Iterator[Host]:
        """Hosts with all that is known of each: `q`, `status`, `cluster`, `label`, `at` …"""
        return self.pages("fleet/hosts", filters, most)

    def facets(self, **filters: Any) -> Record:
        """How many hosts match, by status, kind of failure, cluster, system and label."""
        return cast("Record", self.get("fleet/facets", **filters))

    def host(self, address: str, at: str | None = None) -> Host:
        """One host. Raises Refused where there is none."""
        canonical = self.get(f"host/{in_path(address)}", at=at)["address"]
        found = (host for host in self.hosts(q=canonical, at=at) if host["address"] == canonical)
        return next(found)

    def register(
        self,
        address: str,
        key: bytes,
        *,
        user: str | None = None,
        port: int | None = None,
        cluster: str | None = None,
    ) -> Record:
        """Have a host looked after; `key` is the private key that it lets in."""
        body: Record = {"ssh_priv_key": b64encode(key).decode()}
        more = {"remote_user": user, "ssh_port": port, "cluster": cluster}
        body |= {name: value for name, value in more.items() if value is not None}
        return cast("Record", self.put(f"host/{in_path(address)}", body))

    def remove_host(self, address: str) -> None:
        """Its credentials are destroyed."""
        self.delete(f"host/{in_path(address)}")

    def label(self, address: str, changes: Mapping[str, str | None]) -> Labels:
        """Set labels of a host, and take away those that are None here; gives all it has now."""
        path = f"host/{in_path(address)}/labels"
        for left in reversed(range(LABEL_TRIES)):
            answer = self.transport.request("GET", path)
            labels: Labels = dict(answer.body)
            wanted = {k: v for k, v in {**labels, **changes}.items() if v is not None}
            if wanted == labels:
                return labels
            try:
                return cast(
                    "Labels", self.put(path, wanted, **{"If-Match": answer.headers["etag"]})
                )
            except Refused as refused:
                if refused.code != STALE or not left:
                    raise
        raise AssertionError("the last try returns or raises")

    def check(self, address: str, *, updates: bool = False) -> Checked:
        """Have a host looked at now, also for updates that wait."""
        body = {"updates": True} if updates else {}
        return cast("Checked", self.post(f"host/{in_path(address)}/check", body))

    def history(self, subject: str, most: int | None = None, **query: Any) -> Iterator[Record]:
        """What happened to `host/ADDRESS` or `cluster/NAME`, oldest first."""
        kind, _, name = subject.partition("/")
        return self.pages(f"{kind}/{in_path(name)}/history", query, most)

    # Clusters

    def clusters(self, at: str | None = None) -> list[str]:
        """Their names."""
        return cast("list[str]", self.get("clusters", at=at))

    def cluster(self, name: str, at: str | None = None) -> Cluster:
        """One cluster."""
        return cast("Cluster", self.get(f"cluster/{in_path(name)}", at=at))

    def members(self, name: str, at: str | None = None) -> list[str]:
        """The addresses of its hosts, in order of joining."""
        return cast("list[str]", self.get(f"cluster/{in_path(name)}/hosts", at=at))

    def join(self, name: str, address: str) -> None:
        """Put a host into a cluster."""
        self.put(f"cluster/{in_path(name)}/hosts/{in_path(address)}")

    def leave(self, name: str, address: str) -> None:
        """Take a host out of a cluster."""
        self.delete(f"cluster/{in_path(name)}/hosts/{in_path(address)}")

    # Operations

    def plan(self, body: Record) -> Plan:
        """What `begin` would do with this body."""
        return cast("Plan", self.post("operations", {**body, "dry_run": True}))

    def begin(self, body: Record) -> Operation:
        """Begin an operation, once, also where the answer gets lost."""
        key = {"Idempotency-Key": str(uuid.uuid4())}
        return cast("Operation", self.post("operations", body, **key))

    def operations(self, most: int | None = None, **query: Any) -> Iterator[Operation]:
        """Operations, newest first: `cluster`, `status`, `kind`, `actor`."""
        return self.pages("operations", query, most)

    def operation(self, name: str) -> Operation:
        """One operation, without its hosts."""
        return cast("Operation", self.get(f"operation/{in_path(name)}", hosts="false"))

    def operation_hosts(self, name: str, outcome: str | None = None) -> Iterator[OperationHost]:
        """Its hosts: those that it takes in order, then those that it skips."""
        return self.pages(f"operation/{in_path(name)}/hosts", {"outcome": outcome})

    def steer(self, name: str, state: str) -> Operation:
        """Pause it (`paused`), let it go on (`in_process`), or cancel it (`cancelled`)."""
        return cast("Operation", self.put(f"operation/{in_path(name)}/state", {"state": state}))

    def approve(self, name: str, wave: int) -> Operation:
        """Let its next wave begin."""
        return cast("Operation", self.put(f"operation/{in_path(name)}/approval", {"wave": wave}))

    def retry(self, name: str) -> Operation:
        """A new one over what it left undone."""
        return cast("Operation", self.put(f"operation/{in_path(name)}/retry"))

    # The log

    def events(self, most: int | None = None, **query: Any) -> Iterator[Event]:
        """Events: `subject`, `type`, `actor`, `since`, `until`, `after` a position."""
        return self.pages("events", query, most)


def _least(limit: int, left: int | None) -> int:
    return limit if left is None else max(1, min(limit, left))
