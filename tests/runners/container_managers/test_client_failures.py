"""Whatever is wrong with an API server, or the way to it, becomes a sentence without a secret."""

import asyncio
import socket
import ssl
from collections import Counter
from contextlib import nullcontext
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from runners.container_managers import kubernetes_api
from runners.container_managers.failure import Kind, ManagerFailed
from runners.container_managers.kubernetes import Kubernetes
from runners.container_managers.kubernetes_api import Access, KubernetesApi
from tests.runners.container_managers.conftest import TOKEN
from tests.runners.container_managers.server import ApiServer, Fault
from tests.support.certificates import Authority, Pair, write_key

A = "10.0.0.7"
MARK = "mark"
LIMIT_S = 60.0


async def failure(access: Access) -> ManagerFailed:
    """Why a node cannot be registered; nothing of it has the token."""
    client = Kubernetes(KubernetesApi(access))
    with pytest.raises(ManagerFailed) as failed:
        await client.register(A, "web", MARK)
    await client.aclose()
    assert TOKEN not in failed.value.reason
    assert TOKEN not in repr(access)
    assert failed.value.reason.endswith(".")
    return failed.value


@pytest.mark.parametrize(
    ("status", "kind", "words", "passing"),
    [
        (400, "refused", "answered 400", False),
        (401, "unauthorized", "token or certificate", False),
        (403, "forbidden", "forbids", False),
        (404, "not_found", "404", False),
        (422, "refused", "answered 422", False),
        (429, "busy", "patience", True),
        (500, "failing", "answered 500", True),
        (503, "failing", "answered 503", True),
    ],
)
async def test_each_answer_that_is_no_success_says_what_is_wrong(
    status: int, kind: Kind, words: str, passing: bool, server: ApiServer, access: Access
) -> None:
    server.befall("POST", "/nodes", Fault(status=status, message="the reason of the server"))
    failed = await failure(access)
    assert (failed.kind, failed.passing) == (kind, passing)
    assert words in failed.reason
    assert "the reason of the server" in failed.reason


async def test_it_is_asked_again_when_it_wants_to_be_and_within_reason(
    server: ApiServer, access: Access
) -> None:
    for after_s, waited_s in ((3, 3.0), (86_400, 60.0)):
        server.befall("POST", "/nodes", Fault(status=429, after_s=after_s))
        assert (await failure(access)).after_s == waited_s


async def test_an_answer_that_repeats_the_token_is_not_quoted(
    server: ApiServer, access: Access
) -> None:
    server.befall("POST", "/nodes", Fault(status=400, message=f"bad header: Bearer {TOKEN}"))
    assert (await failure(access)).reason == "It answered 400."


async def test_what_is_quoted_is_one_short_line(server: ApiServer, access: Access) -> None:
    message = "first\nsecond\x1b[2J" + "x" * 10_000
    server.befall("POST", "/nodes", Fault(status=400, message=message))
    reason = (await failure(access)).reason
    assert reason.isprintable()
    assert len(reason) < 400


async def test_a_wrong_token_and_none_are_not_accepted(access: Access, server: ApiServer) -> None:
    for token in ("wrong", ""):
        failed = await failure(Access(access.server_url, token, ca_path=access.ca_path))
        assert failed.kind == "unauthorized"


async def test_what_the_account_may_not_do_is_forbidden(server: ApiServer, access: Access) -> None:
    server.forbidden.add(("POST", "/nodes"))
    failed = await failure(access)
    assert failed.kind == "forbidden"
    assert "docs/container-managers.md" in failed.reason


async def test_a_server_that_is_not_there_cannot_be_reached(
    server: ApiServer, access: Access
) -> None:
    with server.away():
        failed = await failure(access)
    assert (failed.kind, failed.passing) == ("unreachable", True)
    assert "refused" in failed.reason.lower()


@pytest.mark.parametrize("fault", [Fault(cut=True), Fault(lost=True)])
async def test_an_exchange_that_breaks_off_says_so(
    fault: Fault, server: ApiServer, access: Access
) -> None:
    server.befall("POST", "/nodes", fault)
    failed = await failure(access)
    assert (failed.kind, failed.passing) == ("unreachable", True)


async def test_a_server_that_does_not_answer_is_waited_for_so_long(
    server: ApiServer, access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubernetes_api, "ANSWER_TIMEOUT_S", 0.2)
    server.befall("POST", "/nodes", Fault(hangs_s=2.0))
    failed = await failure(access)
    assert (failed.kind, failed.passing) == ("timeout", True)


async def test_a_machine_that_accepts_and_says_nothing_is_waited_for_so_long(
    access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubernetes_api, "CONNECT_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        failed = await failure(Access(url, TOKEN, ca_path=access.ca_path))
    assert failed.kind == "timeout"


@pytest.mark.parametrize(
    "fault",
    [
        Fault(body=b"<html>a portal</html>"),
        Fault(body=b"[]"),
        Fault(body=b"{}", encoding="gzip"),
        Fault(body=b'{"x":"' + b"x" * 2000 + b'"}'),
    ],
    ids=["html", "list", "gzip", "long"],
)
async def test_an_answer_that_makes_no_sense_is_refused(
    fault: Fault, server: ApiServer, access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubernetes_api, "ANSWER_BYTES_MAX", 1000)
    server.befall("POST", "/nodes", fault)
    assert (await failure(access)).kind == "nonsense"


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"metadata":7,"spec":[],"status":"x"}',
        b'{"metadata":{"annotations":[]},"status":{"conditions":[1,{"type":"Ready"}]}}',
        b'{"items":[{"metadata":{"ownerReferences":{}}},4],"metadata":{"continue":7}}',
    ],
)
async def test_objects_of_another_shape_break_nothing(
    body: bytes, server: ApiServer, kubernetes: Kubernetes
) -> None:
    server.befall("GET", "", *[Fault(body=body)] * 3)
    assert not await kubernetes.is_ready(A)
    async for _, report, _ in kubernetes.reports():
        assert report["status"] == "unknown"
    with pytest.raises(ManagerFailed) if b"items" in body else nullcontext():
        await kubernetes.drain(A)


async def test_a_certificate_of_somebody_else_is_not_trusted(
    server: ApiServer, access: Access, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path, "stranger")
    failed = await failure(Access(access.server_url, TOKEN, ca_path=str(stranger.file)))
    assert (failed.kind, failed.passing) == ("tls", False)
    assert "ca_path" in failed.reason
    assert server.requests("POST") == [], "and so it does not get to see the token"


async def test_a_certificate_for_another_name_is_not_trusted(
    server: ApiServer, access: Access
) -> None:
    url = access.server_url.replace("127.0.0.1", "127.0.0.2")
    failed = await failure(Access(url, TOKEN, ca_path=access.ca_path))
    assert failed.kind in ("tls", "unreachable")


async def test_plain_text_where_tls_was_expected_is_named(access: Access) -> None:
    with ApiServer() as plain:
        url = plain.url.replace("http:", "https:")
        failed = await failure(Access(url, TOKEN, ca_path=access.ca_path))
    assert failed.kind == "tls"


async def test_a_client_certificate_is_enough(
    server: ApiServer, access: Access, authority: Authority
) -> None:
    pair = authority.client("commissaire")
    client = Kubernetes(KubernetesApi(_with(access, pair)))
    assert await client.register(A, "web", MARK)
    await client.aclose()


async def test_a_server_that_insists_on_a_certificate_says_so(
    server: ApiServer, access: Access
) -> None:
    assert server.context is not None
    server.context.verify_mode = ssl.CERT_REQUIRED
    # In TLS 1.3 it says so after the handshake, or the connection is reset before that is read.
    assert (await failure(access)).kind in ("tls", "unreachable")


async def test_renewed_files_are_used_for_the_next_request(
    server: ApiServer, access: Access, authority: Authority, tmp_path: Path
) -> None:
    pair = authority.client("commissaire")
    mine = _with(access, pair)
    results: Counter[str] = Counter()
    client = Kubernetes(KubernetesApi(mine, results))
    assert await client.register(A, "web", MARK)
    (tmp_path / "new").mkdir()
    renewed = Authority(tmp_path / "new", "kubernetes-ca")
    server.serve_with(renewed)
    server.stop()
    server.start()
    with pytest.raises(ManagerFailed):
        await client.is_ready(A)
    authority.file.write_bytes(renewed.file.read_bytes())
    other = renewed.client("commissaire")
    pair.certificate.write_bytes(other.certificate.read_bytes())
    pair.key.write_bytes(other.key.read_bytes())
    assert not await client.is_ready(A)
    assert results["ok"] == 2
    await client.aclose()


async def test_files_that_are_renewed_while_many_ask_leave_no_connection_open(
    server: ApiServer, access: Access, authority: Authority
) -> None:
    pair = authority.client("commissaire")
    client = Kubernetes(KubernetesApi(_with(access, pair)))
    assert await client.register(A, "web", MARK)
    for _ in range(3):
        other = authority.client("commissaire")
        pair.certificate.write_bytes(other.certificate.read_bytes())
        pair.key.write_bytes(other.key.read_bytes())
        await asyncio.gather(*(client.is_ready(A) for _ in range(20)))
    leaving = [asyncio.create_task(client.is_ready(A)) for _ in range(20)]
    await client.aclose()  # a container manager that changes while it is asked
    await asyncio.gather(*leaving)
    async with asyncio.timeout(LIMIT_S):
        while server.connections:  # noqa: ASYNC110 - threads of the server end them
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("what", ["missing", "junk", "locked", "strange"])
async def test_files_that_cannot_be_used_are_named_and_nobody_is_asked_for_a_passphrase(
    what: str, server: ApiServer, access: Access, authority: Authority
) -> None:
    pair = authority.client("commissaire")
    match what:
        case "missing":
            pair.certificate.unlink()
        case "junk":
            pair.key.write_text("junk")
        case "locked":
            write_key(pair.key, _new_key(), passphrase=b"secret")
        case _:
            write_key(pair.key, _new_key())
    failed = await failure(_with(access, pair))
    assert failed.kind == "files"
    assert str(pair.certificate) in failed.reason


async def test_many_at_once_share_few_connections(server: ApiServer, access: Access) -> None:
    client = Kubernetes(KubernetesApi(access))
    await asyncio.gather(*(client.register(f"10.0.2.{n}", "web", MARK) for n in range(100)))
    assert len(server.objects.nodes) == 100
    assert len(server.connections) <= kubernetes_api.CONNECTIONS_MAX
    await client.aclose()


def _with(access: Access, pair: Pair) -> Access:
    """The same server, with a certificate instead of a token."""
    return Access(
        access.server_url,
        certificate_path=str(pair.certificate),
        certificate_key_path=str(pair.key),
        ca_path=access.ca_path,
    )


def _new_key() -> ec.EllipticCurvePrivateKey:
    """One that belongs to no certificate."""
    return ec.generate_private_key(ec.SECP256R1())
