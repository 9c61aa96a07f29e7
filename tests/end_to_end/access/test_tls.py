"""The service over TLS: what it agrees to, new certificates while it runs, clients that dawdle."""

import contextlib
import json
import os
import signal
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.certificates import Authority
from tests.support.service import Service, wait_for

TIMEOUT_S = 60.0
HSTS = "Strict-Transport-Security"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory for the module."""
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def authority(directory: Path) -> Authority:
    """A CA."""
    return Authority(directory)


@pytest.fixture(scope="module")
def secure(directory: Path, authority: Authority) -> Iterator[Service]:
    """A service over TLS that leaves clients little time."""
    flags = [*authority.server().flags, "--tls-handshake-timeout-s", "0.5"]
    service = Service(directory, None, *flags, "--connections-max", "8")
    service.trusted = authority.trust()
    with service:
        yield service


def place(service: Service) -> tuple[str, int]:
    """Where it listens."""
    url = httpx.URL(service.url)
    return url.host, url.port or 0


def lines(service: Service, event: str) -> list[dict[str, object]]:
    """The log lines of a kind."""
    said = [json.loads(x) for x in service.read_log().splitlines() if x.startswith("{")]
    return [line for line in said if line["event"] == event]


def served_certificate(service: Service, trust: ssl.SSLContext) -> bytes:
    """What a new connection is shown."""
    with (
        socket.create_connection(place(service), TIMEOUT_S) as plain,
        trust.wrap_socket(plain, server_hostname="127.0.0.1") as wrapped,
    ):
        shown = wrapped.getpeercert(binary_form=True)
    assert shown
    return shown


def test_everything_is_answered_over_tls_and_browsers_are_told_to_stay_with_it(
    secure: Service,
) -> None:
    assert secure.url.startswith("https://")
    answer = secure.client.put("/cluster/secure")
    assert (answer.status_code, answer.headers[HSTS]) == (201, "max-age=31536000")
    stranger = httpx.get(f"{secure.url}/api/v0/hosts", verify=secure.trusted)
    assert (stranger.status_code, stranger.headers[HSTS]) == (401, "max-age=31536000")
    assert lines(secure, "tls.on")[0]["level"] == "info"


def test_without_tls_nothing_is_said_of_it_but_a_warning_where_others_can_listen(
    tmp_path: Path,
) -> None:
    with Service(tmp_path / "loopback") as service:
        assert HSTS not in service.client.get("/clusters").headers
        assert lines(service, "tls.off") == []
    with Service(tmp_path / "open", None, "--host", "0.0.0.0") as service:  # noqa: S104
        (warning,) = wait_for(lambda: lines(service, "tls.off"))
        assert warning["level"] == "warning"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_1_3_are_spoken_with_forward_secrecy(
    secure: Service, authority: Authority, version: ssl.TLSVersion
) -> None:
    trust = authority.trust()
    trust.minimum_version = trust.maximum_version = version
    with (
        socket.create_connection(place(secure), TIMEOUT_S) as plain,
        trust.wrap_socket(plain, server_hostname="127.0.0.1") as wrapped,
    ):
        cipher = wrapped.cipher()
    assert cipher is not None
    assert cipher[0].startswith(("ECDHE-", "TLS_"))


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
@pytest.mark.parametrize("what", ["TLS 1.1", "no forward secrecy", "CBC"])
def test_what_is_weak_is_not_agreed_on(secure: Service, authority: Authority, what: str) -> None:
    trust = authority.trust()
    match what:
        case "TLS 1.1":
            trust.minimum_version = trust.maximum_version = ssl.TLSVersion.TLSv1_1
            trust.set_ciphers("ALL:@SECLEVEL=0")
        case "no forward secrecy":
            trust.maximum_version = ssl.TLSVersion.TLSv1_2
            trust.set_ciphers("AES128-GCM-SHA256")
        case _:
            trust.maximum_version = ssl.TLSVersion.TLSv1_2
            trust.set_ciphers("ECDHE-ECDSA-AES128-SHA256")
    with (
        socket.create_connection(place(secure), TIMEOUT_S) as plain,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        trust.wrap_socket(plain, server_hostname="127.0.0.1")


def test_a_request_that_comes_together_with_the_end_of_the_handshake_is_answered(
    secure: Service, authority: Authority
) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = authority.trust().wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    with socket.create_connection(place(secure), TIMEOUT_S) as plain:
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                plain.sendall(outgoing.read())
                incoming.write(plain.recv(65536))
        for _ in range(2):
            tls.write(HEALTH)
        plain.sendall(outgoing.read())  # the client's Finished, and two requests
        answers = b""
        while answers.count(b"ok\n") < 2:
            incoming.write(plain.recv(65536))
            with contextlib.suppress(ssl.SSLWantReadError):
                while True:  # several records may have come at once
                    answers += tls.read(65536)
    assert answers.count(b"HTTP/1.1 200") == 2


def test_a_client_that_does_not_finish_the_handshake_is_cut_off(secure: Service) -> None:
    for said in (b"", b"\x16\x03\x01\x02\x00\x01"):
        with socket.create_connection(place(secure), TIMEOUT_S) as plain:
            plain.sendall(said)
            begin = time.monotonic()
            assert plain.recv(100) == b""
            assert time.monotonic() - begin < TIMEOUT_S / 2


def test_what_is_no_tls_is_closed_and_one_log_line(secure: Service) -> None:
    before = len(lines(secure, "request.refused"))
    with socket.create_connection(place(secure), TIMEOUT_S) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert b"HTTP" not in plain.recv(100)
    refused = wait_for(lambda: lines(secure, "request.refused")[before:])
    assert refused[-1]["kind"] == "tls"
    assert "Traceback" not in secure.read_log()


def test_handshakes_that_fail_leave_nothing_open(secure: Service, authority: Authority) -> None:
    def open_files() -> int:
        return len(list(Path(f"/proc/{secure.pid}/fd").iterdir()))

    assert secure.client.get("/clusters").status_code == 200
    before = open_files()
    for number in range(60):
        with socket.create_connection(place(secure), TIMEOUT_S) as plain:
            plain.sendall((b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01", b"")[number % 3])
    # Those that say no more are cut off after half a second.
    wait_for(lambda: open_files() <= before)
    assert secure.client.get("/clusters").status_code == 200


def test_those_who_dawdle_make_room_for_those_who_do_not(secure: Service) -> None:
    dawdling = [socket.create_connection(place(secure), TIMEOUT_S) for _ in range(24)]
    with secure.client_as("viewer") as client:
        assert client.get("/clusters").status_code == 200
    for connection in dawdling:
        connection.close()


def test_stopping_does_not_wait_for_those_who_dawdle(tmp_path: Path) -> None:
    service = Service(tmp_path, None, *Authority(tmp_path).server().flags)
    service.trusted = False
    with service, socket.create_connection(place(service), TIMEOUT_S) as dawdling:
        wait_for(lambda: service.client.get("/clusters").status_code == 200)
        begin = time.monotonic()
        assert service.stop() == 0
        assert time.monotonic() - begin < TIMEOUT_S / 4
        assert dawdling.recv(100) == b""


# New certificates


def test_sighup_takes_new_certificates_for_new_connections_and_drops_none(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path)
    service = Service(tmp_path / "service", None, *authority.server().flags)
    service.trusted = authority.trust()
    with (
        service,
        socket.create_connection(place(service), TIMEOUT_S) as plain,
        authority.trust().wrap_socket(plain, server_hostname="127.0.0.1") as kept,
    ):
        first = kept.getpeercert(binary_form=True)
        assert _healthy(kept)
        kept.sendall(HEALTH[:10])  # it is in the middle of a request
        renewed = authority.server()
        assert served_certificate(service, authority.trust()) == first
        _hang_up(service, "tls.reloaded", 0)
        second = served_certificate(service, authority.trust())
        assert ssl.DER_cert_to_PEM_cert(second) in renewed.certificate.read_text()
        assert second != first
        assert _healthy(kept, HEALTH[10:])
        assert _healthy(kept)


def _healthy(connection: ssl.SSLSocket, said: bytes = HEALTH) -> bool:
    """Whether this, the end of a request, is answered on the same connection."""
    connection.sendall(said)
    answer = b""
    while not answer.endswith(b"ok\n"):
        received = connection.recv(65536)
        assert received, answer
        answer += received
    return answer.startswith(b"HTTP/1.1 200")


def test_broken_new_certificates_change_nothing_and_are_an_error_in_the_log(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path)
    pair = authority.server()
    service = Service(tmp_path / "service", None, *pair.flags)
    service.trusted = authority.trust()
    with service:
        first = served_certificate(service, authority.trust())
        good = pair.certificate.read_bytes()
        for broken in (b"", b"no certificate", authority.server("other").certificate.read_bytes()):
            pair.certificate.write_bytes(broken)
            _hang_up(service, "tls.broken", len(lines(service, "tls.broken")))
            assert lines(service, "tls.broken")[-1]["level"] == "error"
            assert served_certificate(service, authority.trust()) == first
        pair.certificate.write_bytes(good)
        _hang_up(service, "tls.reloaded", 0)
        assert served_certificate(service, authority.trust()) == first


def test_certificates_that_are_gone_at_sighup_change_nothing(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.server()
    service = Service(
        tmp_path / "service", None, *pair.flags, "--tls-client-ca", str(authority.file)
    )
    service.trusted = authority.trust()
    with service:
        for gone in (authority.file, pair.key, pair.certificate):
            gone.unlink()
            _hang_up(service, "tls.broken", len(lines(service, "tls.broken")))
            reason = str(lines(service, "tls.broken")[-1]["reason"])
            assert f"{gone} cannot be read: No such file" in reason
        assert service.client.get("/clusters").status_code == 200
        assert service.stop() == 0


def test_sighup_without_tls_is_survived(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        _signal(service.pid)
        assert service.client.get("/clusters").status_code == 200
        assert service.stop() == 0


def _signal(pid: int) -> None:
    os.kill(pid, signal.SIGHUP)


def _hang_up(service: Service, event: str, before: int) -> None:
    """SIGHUP, and what it leads to."""
    _signal(service.pid)
    wait_for(lambda: len(lines(service, event)) > before)
