"""What authentication costs a GET, next to the same GET with authentication compiled out."""

import ssl
from contextlib import ExitStack
from pathlib import Path

import httpx

from bench.figure import Figure, Scale, under_load
from bench.ground import Ground
from bench.load import sample, tls_sample
from bench.measures.reading import hosts_in_turn
from bench.processes import Ours
from bench.seed import address
from tests.support.certificates import Authority, Pair

FLOOR = 0.85
OPEN = "bench.anchors.open_service"
PATH = f"/api/v0/host/{address(0)}"

PARSED = ("--known-answers-bytes", "0")
"""What is answered from memory shows nothing of what authenticating costs."""


def headers(ground: Ground, scale: Scale) -> list[Figure]:
    """A GET with Basic that is remembered, and with a token."""
    figures = []
    with ground.ours(0, *PARSED) as ours, ground.ours(0, *PARSED, module=OPEN) as bare:
        _check_open(bare.url, True)
        unasked = hosts_in_turn(bare.url, "/api/v0", scale)
        for name, credentials in (("Basic", ours.headers), ("a token", _token(ours))):
            asked = hosts_in_turn(ours.url, "/api/v0", scale, credentials)
            figures += under_load(
                f"GET a host with {name} (bare: nobody asked)",
                lambda asked=asked: sample(ours.pid, asked),  # type: ignore[misc] # bound early
                lambda: sample(bare.pid, unasked),
                scale.rounds,
                "at least",
                FLOOR,
            )
    return figures


def certificate(ground: Ground, scale: Scale) -> list[Figure]:
    """A GET with a client certificate: both sides over TLS, and the client shows it to both."""
    directory = ground.new_directory("certificates")
    directory.mkdir()
    authority = Authority(directory)
    flags = [*authority.server().flags, "--tls-client-ca", str(authority.file)]
    shown = _joined(directory / "shown.pem", authority.client("admin"))
    with ExitStack() as stack:
        sides = []
        for module in (None, OPEN):
            side = ground.ours(0, *PARSED, *flags, module=module)
            side.trusted = authority.trust()
            sides.append(stack.enter_context(side))
        ours, bare = sides
        _check_open(bare.url, authority.trust())
        return under_load(
            "GET a host with a client certificate (bare: nobody asked)",
            lambda: tls_sample(ours.pid, ours.url, PATH, shown, scale.seconds),
            lambda: tls_sample(bare.pid, bare.url, PATH, shown, scale.seconds),
            scale.rounds,
            "at least",
            FLOOR,
        )


def _joined(file: Path, pair: Pair) -> Path:
    file.write_bytes(pair.certificate.read_bytes() + pair.key.read_bytes())
    return file


def _token(ours: Ours) -> dict[str, str]:
    token = ours.tool("token", "create", "bench", "--role", "viewer")
    return {"Authorization": f"Bearer {token}"}


def _check_open(url: str, trusted: ssl.SSLContext | bool) -> None:
    if httpx.get(f"{url}{PATH}", verify=trusted).status_code != httpx.codes.OK:
        raise RuntimeError("the service without authentication asks for credentials")
