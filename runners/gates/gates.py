"""Asks gates: an HTTP check that must answer 2xx, or a Prometheus none of whose alerts may fire.

Whatever else comes is a veto with a reason: no answer, one that is late, wrong or too long, a
redirect. Reasons name what is so and no times, so that the same veto is the same sentence.
"""

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

import httpx
import orjson

from domain.names import some
from runners.gates.gate_options import GateOptions, WrongGate
from runners.os_support.bounded_body import PLAIN, UnusableAnswer, body_of
from runners.os_support.shared_answer import SharedAnswer
from runners.os_support.shortage import shortage_of
from runners.os_support.trust import trust_in

ANSWER_S = 5.0
"""A gate that has not answered by then says no."""
ANSWER_BYTES_MAX = 256 * 1024
CONNECTIONS_MAX = 10
QUERY = "/api/v1/query"
ALERTNAME_CHARACTERS_MAX = 80


class Veto(Exception):
    """It says no; the sentence is for people."""


class Gate:
    """One gate, which answers all who ask at once together, but none with what it said before."""

    def __init__(self, name: str, options: GateOptions) -> None:
        self._options = options
        self.filter = options.filter
        try:
            trust = trust_in(options.ca_file)
        except (OSError, RuntimeError) as error:
            why = getattr(error, "strerror", None) or error
            raise WrongGate(f"gates.{name}: ca: {options.ca}: {why}") from None
        self._client = httpx.AsyncClient(
            verify=trust,
            trust_env=False,
            follow_redirects=False,
            timeout=None,  # noqa: S113 - the whole exchange has a limit
            limits=httpx.Limits(max_connections=CONNECTIONS_MAX),
        )
        self.ask = SharedAnswer(self._ask, f"gate {name}")

    async def close(self) -> None:
        """Ask no more."""
        await self.ask.close()
        await self._client.aclose()

    async def _ask(self) -> str:
        """Why it says no; "" where it does not."""
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._must_be_open()
        except Veto as veto:
            return str(veto)
        except TimeoutError:
            return f"it did not answer within {ANSWER_S:g} seconds"
        except UnusableAnswer as unusable:
            return f"its answer {unusable}".rstrip(".")
        except Exception as error:  # noqa: BLE001 - what fails here says no, and ends nothing else
            return _fault_of(error)
        return ""

    async def _must_be_open(self) -> None:
        url = self._options.url
        if self._options.prometheus:
            query = f'ALERTS{{alertstate="firing",{self._options.filter}}}'
            url = str(httpx.URL(url.rstrip("/") + QUERY, params={"query": query}))
        async with self._client.stream("GET", url, headers=PLAIN) as answer:
            if answer.is_redirect:
                raise Veto(f"it answered {answer.status_code}, and redirects are not followed")
            if not answer.is_success:
                raise Veto(f"it answered {answer.status_code}")
            if self._options.prometheus:
                _no_alert_may_fire(await body_of(answer, ANSWER_BYTES_MAX))


def _fault_of(error: Exception) -> str:
    if lacking := shortage_of(error):
        return f"this machine has run out: {lacking}"
    if isinstance(error, httpx.ConnectError):
        return "it cannot be reached"
    return f"the exchange failed ({type(error).__name__})"


def _no_alert_may_fire(body: bytes) -> None:
    """What a Prometheus found. Raises `Veto`."""
    try:
        told = orjson.loads(body)
        if told["status"] != "success" or told["data"]["resultType"] != "vector":
            raise Veto("its answer is not that of a Prometheus")
        warned = bool(told.get("warnings"))
        fired = sorted({_alert(each["metric"]) for each in told["data"]["result"]})
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Veto("its answer is not that of a Prometheus") from None
    if fired:
        raise Veto(f"alerts fire: {some(fired)}")
    if warned:
        raise Veto("it warns that its answer is not whole")


# Any: JSON.
def _alert(labels: Mapping[str, Any]) -> str:
    name = str(labels["alertname"])[:ALERTNAME_CHARACTERS_MAX]
    return "".join(character if character.isprintable() else "?" for character in name)


class Gates:
    """The gates of the settings."""

    def __init__(self, options: Mapping[str, GateOptions]) -> None:
        self._gates = {name: Gate(name, each) for name, each in options.items()}

    @property
    def filters(self) -> dict[str, str]:
        """What they are called, and of a Prometheus which of its alerts count."""
        return {name: gate.filter for name, gate in self._gates.items()}

    async def ask(self, names: Collection[str]) -> dict[str, str]:
        """Why each says no, asked side by side; "" where it does not."""
        return dict(zip(names, await asyncio.gather(*map(self._ask, names)), strict=True))

    async def _ask(self, name: str) -> str:
        gate = self._gates.get(name)
        if gate is None:
            return "there is no gate of this name in the settings of the service"
        return await gate.ask()

    async def close(self) -> None:
        """Ask no more."""
        for gate in self._gates.values():
            await gate.close()


NO_GATES = Gates({})
