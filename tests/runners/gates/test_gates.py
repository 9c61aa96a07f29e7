"""Gates: what lets an operation go on, and what says no, by real servers and a real Prometheus."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from runners.gates import gates
from runners.gates.gate_options import GateOptions, WrongGate, configured
from runners.gates.gates import ANSWER_BYTES_MAX, Gates
from tests.runners.sources.test_http_source import Inventory
from tests.runners.surroundings import no_files_left
from tests.support.certificates import Authority
from tests.support.prometheus import prometheus

LIMIT_S = 60.0
NO_PROMETHEUS = "its answer is not that of a Prometheus"
NO_ALERT = {"status": "success", "data": {"resultType": "vector", "result": []}}


def firing(*names: str) -> dict[str, Any]:
    """What a Prometheus says of alerts."""
    found = [
        {"metric": {"__name__": "ALERTS", "alertname": name}, "value": [0, "1"]} for name in names
    ]
    return {"status": "success", "data": {"resultType": "vector", "result": found}}


class Asked:
    """A gate named `it`, whose server is played."""

    def __init__(self, server: Inventory, **options: Any) -> None:
        self.server = server
        url = f"http://127.0.0.1:{server.port}/check"
        self.gates = Gates({"it": GateOptions.model_validate({"url": url} | options)})

    async def says(self) -> str:
        """Why not, or ""."""
        async with asyncio.timeout(LIMIT_S):
            return (await self.gates.ask(["it"]))["it"]


@pytest.fixture
async def server() -> AsyncIterator[Inventory]:
    """What answers."""
    played = Inventory()
    await played.start()
    yield played
    await played.stop()


@pytest.fixture
async def plain(server: Inventory) -> AsyncIterator[Asked]:
    """A check that answers 2xx, or does not."""
    asked = Asked(server)
    yield asked
    await asked.gates.close()


@pytest.fixture
async def of_alerts(server: Inventory) -> AsyncIterator[Asked]:
    """A Prometheus, played."""
    asked = Asked(server, prometheus=True, filter='severity="page"')
    yield asked
    await asked.gates.close()


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("200 OK", ""),
        ("204 No Content", ""),
        ("301 Moved Permanently", "it answered 301, and redirects are not followed"),
        ("401 Unauthorized", "it answered 401"),
        ("404 Not Found", "it answered 404"),
        ("500 Internal Server Error", "it answered 500"),
        ("503 Service Unavailable", "it answered 503"),
    ],
)
async def test_2xx_lets_it_go_on_and_everything_else_says_no(
    plain: Asked, status: str, reason: str
) -> None:
    plain.server.says(b"", status, "Location: http://127.0.0.1:1/")
    assert await plain.says() == reason
    assert len(plain.server.asked) == 1, "a redirect is not followed"


async def test_nobody_there_is_a_no(plain: Asked) -> None:
    await plain.server.stop()
    assert await plain.says() == "it cannot be reached"
    await plain.server.start()


async def test_a_machine_that_has_run_out_of_files_is_said(plain: Asked) -> None:
    with no_files_left():
        said = await plain.says()
    assert said == "this machine has run out: Too many open files"
    assert await plain.says() != said


async def test_a_machine_that_has_run_out_is_a_no_and_the_end_of_nothing(
    plain: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def looked_up(*_: object, **__: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", looked_up)
    gates = Gates({"it": GateOptions.model_validate({"url": "http://gate.example/"})})
    assert await gates.ask(["it"]) == {"it": "the exchange failed (RuntimeError)"}
    await gates.close()


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200"])
async def test_what_is_no_http_is_a_no(plain: Asked, answer: bytes) -> None:
    plain.server.answer = answer
    assert (await plain.says()).startswith("the exchange failed")


async def test_one_that_never_answers_is_a_no_and_those_who_ask_at_once_share_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gates, "ANSWER_S", 0.3)

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    asked = Gates({"it": GateOptions(url=f"http://127.0.0.1:{port}/")})
    async with asyncio.timeout(LIMIT_S):
        told = await asyncio.gather(*(asked.ask(["it"]) for _ in range(20)))
    assert told == [{"it": "it did not answer within 0.3 seconds"}] * 20
    await asked.close()
    silent.close()
    await silent.wait_closed()


async def test_a_gate_that_is_not_in_the_settings_is_a_no() -> None:
    assert await Gates({}).ask(["gone"]) == {
        "gone": "there is no gate of this name in the settings of the service"
    }


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (NO_ALERT, ""),
        (firing("Down"), "alerts fire: Down"),
        (firing("B", "A", "B"), "alerts fire: A, B"),
        (firing(*"ABCDEFG"), "alerts fire: A, B, C, D, E and 2 more"),
        (firing("evil\x1b[31m\n"), "alerts fire: evil?[31m?"),
        (NO_ALERT | {"warnings": ["remote read failed"]}, "it warns that its answer is not whole"),
        ({"status": "error"}, NO_PROMETHEUS),
        ({"status": "success", "data": {"resultType": "matrix", "result": []}}, NO_PROMETHEUS),
        ({"status": "success"}, NO_PROMETHEUS),
        ([], NO_PROMETHEUS),
        ({"status": "success", "data": {"resultType": "vector", "result": [{}]}}, NO_PROMETHEUS),
        ({"status": "success", "data": {"resultType": "vector", "result": 7}}, NO_PROMETHEUS),
    ],
)
async def test_what_a_prometheus_says_is_read_and_anything_else_says_no(
    of_alerts: Asked, said: Any, reason: str
) -> None:
    of_alerts.server.says(json.dumps(said).encode())
    assert await of_alerts.says() == reason
    (asked,) = of_alerts.server.asked
    assert asked.startswith("GET /check/api/v1/query?query=ALERTS%7B")


@pytest.mark.parametrize("body", [b"<html>", b"", b"\xff", b"[" * 100_000])
async def test_what_is_no_json_says_no(of_alerts: Asked, body: bytes) -> None:
    of_alerts.server.says(body)
    assert await of_alerts.says() == NO_PROMETHEUS


async def test_an_answer_without_an_end_says_no(of_alerts: Asked) -> None:
    of_alerts.server.answer = b"HTTP/1.1 200 OK\r\n\r\n"
    of_alerts.server.endless = b" " * 65_536
    assert await of_alerts.says() == f"its answer is longer than {ANSWER_BYTES_MAX} bytes"
    of_alerts.server.endless = b""


async def test_only_the_ca_of_the_settings_vouches(tmp_path: Path) -> None:
    ours, theirs = Authority(tmp_path, "ours"), Authority(tmp_path, "theirs")
    pair = ours.server()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)
    played = Inventory()
    played.says(b"")
    listening = await asyncio.start_server(played._serve, "127.0.0.1", 0, ssl=context)
    url = f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
    asked = Gates(
        {
            "trusted": GateOptions(url=url, ca=str(ours.file)),
            "other": GateOptions(url=url, ca=str(theirs.file)),
            "machine": GateOptions(url=url),
        }
    )
    async with asyncio.timeout(LIMIT_S):
        told = await asked.ask(["trusted", "other", "machine"])
    assert told == {
        "trusted": "",
        "other": "it cannot be reached",
        "machine": "it cannot be reached",
    }
    await asked.close()
    listening.close()


async def test_an_alert_of_a_real_prometheus_says_no_while_it_fires(tmp_path: Path) -> None:
    with prometheus(tmp_path / "prometheus") as running:
        options = {"url": running.url, "prometheus": True}
        asked = Gates(
            {
                "pages": GateOptions.model_validate(options | {"filter": 'severity=~"page|x"'}),
                "tickets": GateOptions.model_validate(options | {"filter": 'severity="ticket"'}),
            }
        )

        async def until(reason: str) -> None:
            async with asyncio.timeout(LIMIT_S):
                told = {"pages": "?"}
                while told["pages"] != reason:
                    told = await asked.ask(["pages", "tickets"])
                assert told["tickets"] == ""

        await until("")
        running.trouble = True
        await until("alerts fire: HighErrorRate")
        running.trouble = False
        await until("")
        await asked.close()


@pytest.mark.parametrize(
    ("said", "tables", "words"),
    [
        (["prod"], {}, "gate: prod must be NAME=URL"),
        (["a b=http://x/"], {}, "gate a b: 'a b' is no name of a gate"),
        (["prod=ftp://x/"], {}, "must be a URL that begins with http"),
        (["prod=http://u:p@x/"], {}, "must have no user or password"),
        (["prod=http://x:99999/"], {}, "must be a URL with a host and a port"),
        (["prod=http://x/"], {"prod": {"url": "http://y/"}}, "the gate is there twice"),
        ([], {"prod": {}}, "gates.prod: url"),
        ([], {"prod": {"url": "http://x/", "promethius": True}}, "gates.prod: promethius"),
        ([], {"prod": {"url": "http://x/", "prometheus": True}}, "filter is missing"),
        ([], {"prod": {"url": "http://x/", "filter": 'a="b"'}}, "filter needs prometheus"),
        (
            [],
            {"prod": {"url": "http://x/", "prometheus": True, "filter": 'a="b"} or up{'}},
            "filter must be matchers",
        ),
        ([], {"prod": {"url": "http://x/", "ca": "/x.pem"}}, "ca needs a url"),
    ],
)
def test_what_makes_no_gate_is_told_with_its_name(
    said: list[str], tables: dict[str, dict[str, object]], words: str
) -> None:
    with pytest.raises(WrongGate) as wrong:
        configured(said, tables)
    assert words in str(wrong.value)


def test_a_ca_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    options = GateOptions(url="https://x/", ca=str(tmp_path / "none.pem"))
    with pytest.raises(WrongGate, match=r"gates\.prod: ca: .*none\.pem: No such file"):
        Gates({"prod": options})


def test_gates_of_flags_and_of_the_file_are_all_there() -> None:
    found = configured(
        ["a=http://127.0.0.1/a?b=c"],
        {"b": {"url": "http://x/", "prometheus": True, "filter": 'severity="page",'}},
    )
    assert list(found) == ["a", "b"]
    assert found["a"].url == "http://127.0.0.1/a?b=c"
    assert Gates(found).filters == {"a": "", "b": 'severity="page",'}
