"""Messages to real receivers over real sockets: well, slow, gone, and hostile."""

import asyncio
import os
import socket
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from runners.webhooks import host_names, receiver
from runners.webhooks.receiver import Answer, HttpReceiver
from tests.runners.surroundings import no_files_left
from tests.support.certificates import Authority
from tests.support.webhook_receiver import Does, WebhookReceiver

BODY = b'{"text": "x"}'


async def send(url: str, ca_path: str = "") -> Answer:
    """Send a message."""
    return await HttpReceiver().send(url, ca_path, {"webhook-id": "1"}, BODY)


async def test_what_is_taken_is_delivered(there: WebhookReceiver) -> None:
    for status in (200, 202, 204):
        there.always = status
        answer = await send(there.url)
        assert (answer.status, answer.fault) == (status, "")
    (first, *_) = there.received
    assert (first.body, first.path, first.id) == (BODY, "/hook?key=made-up", "1")
    assert first.headers["host"] == f"127.0.0.1:{there.server_port}"


@pytest.mark.parametrize(
    ("does", "fault"),
    [
        (500, "It answered 500."),
        (404, "It answered 404."),
        (302, "It answered 302: redirects are not followed."),
        (307, "It answered 307: redirects are not followed."),
        ("cut", "The exchange failed: RemoteProtocolError."),
    ],
)
async def test_what_is_refused_or_cut_is_not_delivered(
    there: WebhookReceiver, does: Does, fault: str
) -> None:
    there.always = does
    assert (await send(there.url)).fault == fault
    assert len(there.received) == 1


async def test_a_machine_that_has_run_out_of_files_blames_no_receiver(
    there: WebhookReceiver,
) -> None:
    with no_files_left():
        answer = await send(there.url)
    assert answer.fault == "This machine has run out: Too many open files."
    assert (await send(there.url)).fault == ""


@pytest.mark.parametrize(
    ("does", "asks", "seconds"),
    [
        (429, "30", 30),
        (503, "7", 7),
        (500, "30", 0),
        (204, "30", 0),
        (429, "-1", 0),
        (429, "9" * 5000, 0),
        (429, "Mon, 30 Nov 2026 12:00:00 GMT", 0),
    ],
)
async def test_how_long_it_asks_to_wait_is_read(
    there: WebhookReceiver, does: Does, asks: str, seconds: int
) -> None:
    there.always, there.retry_after = does, asks
    assert (await send(there.url)).retry_after_s == seconds


@pytest.mark.parametrize("does", ["endless", "drip", "cut_after_status"])
async def test_of_an_answer_only_its_status_counts(
    there: WebhookReceiver, does: Does, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = 0
    whole = receiver._pass_over

    class Counted:
        def __init__(self, answer: object) -> None:
            self._answer = answer

        async def aiter_raw(self) -> object:
            nonlocal read
            async for piece in self._answer.aiter_raw():  # type: ignore[attr-defined] # httpx's
                read += len(piece)
                yield piece

    monkeypatch.setattr(receiver, "_pass_over", lambda answer: whole(Counted(answer)))  # type: ignore[arg-type] # counts
    there.always = does
    answer = await send(there.url)
    assert (answer.status, answer.fault) == (200, "")
    assert read < 4 * receiver.ANSWER_BYTES_MAX


async def test_one_that_hangs_is_given_up_after_the_limit(
    there: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver, "LIMIT_S", 0.3)
    there.always = "hang"
    assert (await send(there.url)).fault == "It did not answer within 0.3 seconds."


async def test_where_nobody_listens_it_says_so() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        answer = await send(f"http://127.0.0.1:{bound.getsockname()[1]}/")
    assert answer.status == 0
    assert answer.fault.startswith("It cannot be reached")


async def test_the_next_address_of_a_name_is_tried(
    there: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody listens on 127.77.0.1: a name whose first address is dead.
    monkeypatch.setattr(host_names, "_resolved", lambda place: ["127.77.0.1", "127.0.0.1"])
    answer = await send(f"http://hooks.example:{there.server_port}/x")
    assert answer.status == 204
    assert there.received[0].headers["host"] == f"hooks.example:{there.server_port}"


async def test_a_name_that_is_none_is_said_to_be_none() -> None:
    answer = await send("http://no-such-name.invalid/")
    assert answer.fault.startswith("Its name cannot be resolved: ")


async def test_a_name_that_hangs_has_a_limit_and_holds_up_no_other(
    there: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    free, asked = threading.Event(), 0
    resolved = host_names._resolved

    def hangs(place: host_names.Place) -> list[str]:
        nonlocal asked
        if place.host != "hangs.example":
            return resolved(place)
        asked += 1
        free.wait(60)
        return ["127.0.0.1"]

    monkeypatch.setattr(host_names, "_resolved", hangs)
    monkeypatch.setattr(host_names, "LIMIT_S", 0.3)
    one = HttpReceiver()
    try:
        hung = await asyncio.gather(
            *(one.send("http://hangs.example/", "", {}, BODY) for _ in range(20))
        )
        assert {answer.fault for answer in hung} == {
            "Its name was not resolved within 0.3 seconds."
        }
        assert asked == 1  # not a thread for each
        monkeypatch.setattr(host_names, "LIMIT_S", 60.0)
        assert (await one.send(there.url, "", {}, BODY)).status == 204
    finally:
        free.set()


async def test_tls_is_verified_by_the_ca_that_is_named(tmp_path: Path) -> None:
    ours, others = Authority(tmp_path, "ours"), Authority(tmp_path, "others")
    with WebhookReceiver(ours.server()) as there:
        assert (await send(there.url, str(ours.file))).status == 204
        by_name = there.url.replace("127.0.0.1", "localhost")
        assert (await send(by_name, str(ours.file))).status == 204
        for ca_path in ("", str(others.file)):
            fault = (await send(there.url, ca_path)).fault
            assert "CERTIFICATE_VERIFY_FAILED" in fault
        missing = await send(there.url, str(tmp_path / "missing.pem"))
        assert missing.fault.endswith("missing.pem cannot be read: No such file or directory.")
        assert len(there.received) == 2


async def test_the_ca_may_be_renewed_in_its_file(tmp_path: Path) -> None:
    ours, others = Authority(tmp_path, "ours"), Authority(tmp_path, "others")
    file, one = tmp_path / "trusted.pem", HttpReceiver()
    file.write_bytes(others.file.read_bytes())
    with WebhookReceiver(ours.server()) as there:
        assert (await one.send(there.url, str(file), {}, BODY)).status == 0
        file.write_bytes(ours.file.read_bytes())
        assert (await one.send(there.url, str(file), {}, BODY)).status == 204


async def test_a_ca_that_is_no_file_holds_up_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    monkeypatch.setattr(receiver, "LIMIT_S", 5.0)
    try:
        answer = await send("https://127.0.0.1:1/", str(pipe))
        assert answer.fault.endswith("pipe cannot be read: it is no file.")
    finally:  # where it was opened for reading, its thread ends
        with suppress(OSError):
            os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))


@pytest.mark.parametrize("url", ["http://1.2.3.999/x", "http://xn--/x", "https://.example/x"])
async def test_whatever_is_wrong_with_a_url_is_a_fault(url: str) -> None:
    assert (await send(url)).fault


async def test_what_is_secret_in_a_url_is_in_no_fault(there: WebhookReceiver) -> None:
    for does in (500, 302, "cut"):
        there.does.append(does)
        assert "made-up" not in (await send(there.url)).fault
    assert "made-up" not in (await send("http://127.77.0.1:1/hook?key=made-up")).fault
