"""The container managers that the log knows, each with the connections to it."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Protocol

from domain.aggregates.container_manager import TRIVIAL
from projections.container_managers import Known
from runners.container_managers.failure import ManagerFailed
from runners.container_managers.kubernetes import Kubernetes
from runners.container_managers.kubernetes_api import Access, KubernetesApi
from runners.security.vault import NoSecret, WrongMasterKey


class Managers(Protocol):
    """Container managers and their tokens; see `runners.service.fleet_reader`."""

    async def manager(self, name: str) -> Known | None: ...

    async def token(self, name: str) -> str: ...


class NoSuchManager(Exception):
    """There is no container manager of this name (any more), or it is the trivial one."""


class ContainerManagers:
    """Connections by name. `results` counts the results of requests, by name."""

    def __init__(self, known: Managers) -> None:
        self._known = known
        self._open: dict[str, tuple[str, Kubernetes]] = {}
        self._opening = asyncio.Lock()
        self.results: defaultdict[str, Counter[str]] = defaultdict(Counter)

    async def __call__(self, name: str) -> Kubernetes:
        """The connection of this name, with its current options. Raises `NoSuchManager`,
        `ManagerFailed`."""
        async with self._opening:  # one client of each, whoever asks at the same time
            return await self._opened(name)

    async def _opened(self, name: str) -> Kubernetes:
        known = await self._known.manager(name)
        tag, kubernetes = self._open.get(name, ("", None))
        if known is not None and known.tag == tag and kubernetes is not None:
            return kubernetes
        if kubernetes is not None:
            del self._open[name]
            await kubernetes.aclose()
        if known is None or known.type == TRIVIAL:
            self.results.pop(name, None)
            raise NoSuchManager(name)
        access = await self._access(name, known.options)
        kubernetes = Kubernetes(KubernetesApi(access, self.results[name]))
        self._open[name] = known.tag, kubernetes
        return kubernetes

    async def aclose(self) -> None:
        """Close all connections."""
        for _, kubernetes in self._open.values():
            await kubernetes.aclose()
        self._open.clear()

    async def _access(self, name: str, options: Mapping[str, str]) -> Access:
        token = ""
        if "token" in options:
            try:
                token = await self._known.token(name)
            except (NoSecret, WrongMasterKey) as missing:
                raise ManagerFailed("files", f"Its token cannot be read: {missing}.") from None
        return Access(
            options.get("server_url") or options["apiserver"],
            token,
            options.get("certificate_path"),
            options.get("certificate_key_path"),
            options.get("ca_path"),
        )
