"""A client that keeps a journal: what it asked for, what it was told, what must be there then."""

import contextlib
import copy
import http.client
import random
import threading
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.faults.client import Answer, Client, address, registration
from tests.support.service import Service

CROWD = "crowd"
"""A cluster that the hosts of all clients share."""
NAMES = 3
ADDRESSES = 12
CLIENTS_MAX = 100
FIRST_NETWORK = 100


class Unavailable(Exception):
    """The service said 503."""


class Ask(NamedTuple):
    """One request for a change."""

    verb: str
    subject: str
    """`cluster`, `host`, or `member`."""
    cluster: str | None = None
    host: str = ""

    def send(self, client: Client) -> Answer:
        """Over HTTP."""
        match self.subject:
            case "cluster":
                return client.request(self.verb, f"/cluster/{self.cluster}")
            case "host":
                body = registration(self.cluster) if self.verb == "PUT" else None
                return client.request(self.verb, f"/host/{self.host}", body)
            case _:
                return client.request(self.verb, f"/cluster/{self.cluster}/hosts/{self.host}")


@dataclass
class Belongings:
    """The clusters of one client, and the cluster of each of its hosts ("" is none)."""

    clusters: set[str] = field(default_factory=set)
    hosts: dict[str, str] = field(default_factory=dict)

    def change(self, ask: Ask) -> int:
        """Do what is asked for; gives the status that the contract wants. (No host is ready.)"""
        there = ask.cluster == CROWD or ask.cluster in self.clusters
        match ask.verb, ask.subject:
            case "PUT", "cluster":
                self.clusters.add(str(ask.cluster))
                return 201
            case "DELETE", "cluster":
                self.hosts = {h: "" if c == ask.cluster else c for h, c in self.hosts.items()}
                self.clusters.discard(str(ask.cluster))
                return 200 if there else 404
            case "PUT", "host":
                return self._register(ask.host, ask.cluster, there)
            case "DELETE", "host":
                return 404 if self.hosts.pop(ask.host, None) is None else 200
            case "PUT", _:
                if not there or ask.host not in self.hosts:
                    return 404
                return 200 if self.hosts[ask.host] == ask.cluster else 409
            case _:
                if there and self.hosts.get(ask.host) == ask.cluster:
                    self.hosts[ask.host] = ""
                return 200 if there else 404

    def _register(self, host: str, cluster: str | None, there: bool) -> int:
        if cluster is not None and not there:
            return 409
        if host in self.hosts:
            return 201 if cluster is None or self.hosts[host] == cluster else 409
        self.hosts[host] = cluster or ""
        return 201


class Journal:
    """One client's traffic on subjects of its own, in the thread that calls `write`."""

    def __init__(self, service: Service, number: int, seed: int) -> None:
        assert number < CLIENTS_MAX
        self.client = Client(service)
        self._chance = random.Random(f"{seed}/{number}")
        self._names = [f"c{number}-{n}" for n in range(NAMES)]
        self._addresses = [address(FIRST_NETWORK + number, n) for n in range(ADDRESSES)]
        self.known = Belongings()
        self.maybe: Belongings | None = None
        """What is there if the request that got no answer was carried out."""
        self.answered = 0
        self.refused = 0
        """How many answers were 503."""

    def write(self, stop: threading.Event) -> None:
        """Ask for changes until told to stop, or until there is no answer."""
        while not stop.is_set() and self.maybe is None:
            self.ask_once()

    def ask_once(self) -> None:
        """Ask for one change, and note what came of it."""
        ask = self._choose()
        wanted = copy.deepcopy(self.known)
        status = wanted.change(ask)
        try:
            answer = ask.send(self.client)
        except (OSError, http.client.HTTPException):
            self.maybe = wanted
            return
        if answer.status == 503:
            assert int(answer.headers["retry-after"]) >= 1
            self.refused += 1
            if "nothing was changed" not in answer.body["detail"]:
                self.maybe = wanted
            return
        assert answer.status == status, (ask, answer, self.known)
        self.known = wanted
        self.answered += 1

    def compare(self) -> None:
        """What is there is what was answered, and of what was not answered all or nothing."""
        there = self._read()  # one of its requests after the other: nobody else changes ours
        if self.maybe is not None and there == self.maybe:
            self.known = self.maybe
        self.maybe = None
        assert there == self.known

    def try_to_compare(self) -> None:
        """The same, once the service can tell what is there."""
        with contextlib.suppress(Unavailable):
            self.compare()

    def _read(self) -> Belongings:
        def get(path: str) -> Any:
            answer = self.client.request("GET", path)
            if answer.status == 503:
                raise Unavailable
            assert answer.status == 200, (path, answer)
            return answer.body

        clusters = [name for name in get("/clusters") if name in self._names]
        hosts = {h["address"]: "" for h in get("/hosts") if h["address"] in self._addresses}
        for name in (*clusters, CROWD):
            for member in get(f"/cluster/{name}/hosts"):
                if member in self._addresses:
                    assert hosts[member] == ""
                    hosts[member] = name
        return Belongings(set(clusters), hosts)

    def _choose(self) -> Ask:
        chance = self._chance
        cluster, host = chance.choice([*self._names, CROWD]), chance.choice(self._addresses)
        verb = chance.choices(["PUT", "DELETE"], [3, 2])[0]
        match chance.choices(["cluster", "host", "member"], [1, 4, 2])[0]:
            case "cluster":
                return Ask(verb, "cluster", chance.choice(self._names))
            case "host":
                return Ask(verb, "host", chance.choice([cluster, None]), host)
            case _:
                return Ask(verb, "member", cluster, host)
