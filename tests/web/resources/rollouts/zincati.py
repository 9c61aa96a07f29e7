"""A client of FleetLock, as Zincati is one: it polls for a slot, restarts, and gives it back."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

TIMEOUT_S = 60.0
POLL_S = 0.05


@dataclass
class Zincati:
    """One host. `restart` is what it does while it holds its slot."""

    url: str
    id: str
    group: str = "web"
    headers: dict[str, str] = field(default_factory=dict)

    def ask(self, path: str) -> httpx.Response:
        """One request, as the protocol has it."""
        body = {"client_params": {"id": self.id, "group": self.group}}
        headers = {"fleet-lock-protocol": "true"} | self.headers
        return httpx.post(f"{self.url}/v1/{path}", json=body, headers=headers, timeout=TIMEOUT_S)

    def pre_reboot(self) -> bool:
        """Whether it may restart."""
        return self._said(self.ask("pre-reboot"))

    def steady_state(self) -> bool:
        """Whether its slot is free again."""
        return self._said(self.ask("steady-state"))

    @staticmethod
    def _said(answer: httpx.Response) -> bool:
        told: Any = answer.json()
        if answer.status_code != 200:
            assert {"kind", "value"} == told.keys(), "an error of the protocol"
            assert all(isinstance(text, str) and text for text in told.values())
        return answer.status_code == 200

    def update(self, restart: Callable[[], None]) -> None:
        """Poll for a slot, restart, and say that it is back."""
        end = time.monotonic() + TIMEOUT_S
        while not self.pre_reboot():
            assert time.monotonic() < end, "no slot in time"
            time.sleep(POLL_S)
        restart()
        assert self.pre_reboot(), "recursion: it asks again before it gives it back"
        while not self.steady_state():
            assert time.monotonic() < end
            time.sleep(POLL_S)
