"""Bad input: what no client should send, and the statuses that the contract has for it."""

import base64
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from tests.faults.client import PRIVATE_KEY, registration

TIMEOUT_S = 60.0
PASSPHRASE = "hidden-passphrase"  # noqa: S105 - of a key that is made up here
HOST = "/host/10.0.0.1"

NO_JSON = (
    *(b"{", b"hidden", b"{'a': 1}", b'{"a": NaN}', b'{"a": 1, "a": 2}', b'{"a": "\xff"}'),
    *(b'"hidden"', b"[]", b"null", b"1", b"\x00", b'{"a": "\\ud800"}', b'{"a":' * 100_000),
    *("{}".encode("utf-16"), b"\x1f\x8b\x08\x00hidden"),
)
NAMES = (
    *("a b", "ä", "x" * 65, "..", "%2e%2e", "a%2Fb", "a%00b", "%ff", "-" * 65),
    *("a;b", "a:b", "{name}"),
)
ADDRESSES = (
    *("10.1", "0x0a000001", "010.0.0.1", "10.0.0.256", "224.0.0.1", "::", "fe80::1%25eth0"),
    *("-a.example", "a..b", "a_b", "x" * 64, "a." * 127 + "a", "10.0.0.1%2F24", "10.0.0.1:22"),
    *("ä", "%00", "%ff"),
)
WINDOW: dict[str, object] = {"zone": "UTC", "starts": "0 22 * * *", "duration_s": 60}
SCHEDULE: dict[str, object] = {"zone": "UTC", "cron": "0 22 * * *", "operation": {}}
WRONG_BODIES: dict[str, list[dict[str, object]]] = {
    "/cluster/other": [{"network": 1}, {"network": ["a"]}, {"container_manager": {}}],
    "/cluster/web/hosts/10.0.0.1": [],
    "/cluster/web/hosts": [{}, {"old": []}, {"old": [], "new": "a"}, {"old": [1], "new": []}],
    HOST: [{}, {"ssh_priv_key": 1}, {"ssh_priv_key": "hidden!"}, {"ssh_priv_key": "YQ"}],
    "/network/other": [{"type": 1}, {"type": "hidden"}, {"options": []}, {"options": {"a": 1}}],
    "/window/other": [
        {},
        {"zone": "hidden"},
        WINDOW | {"starts": "hidden"},
        WINDOW | {"except": [7]},
        WINDOW | {"duration_s": 21600.5},
        WINDOW | {"zome": "UTC"},
        WINDOW | {"zone": None},
    ],
    "/schedule/other": [
        {},
        SCHEDULE | {"cron": "hidden"},
        SCHEDULE | {"operation": {"kind": "hidden"}},
        SCHEDULE | {"operation": {"kind": "upgrade", "cluster": "web", "dryrun": True}},
    ],
    "/containermanager/other": [{}, {"type": "hidden"}, {"options": {"token": ["hidden"]}}],
    "/cluster/web/upgrade": [{"dryrun": True}, {"dry_run": 1}],
    "/cluster/web/restart": [{"dry-run": True}, {"Dry_run": True}],
    f"{HOST}/hostkey": [{}, {"fingerprint": "hidden"}, {"fingerprint": 1}],
}
WRONG_FIELDS: tuple[tuple[str, object], ...] = (
    *(("ssh_port", wrong) for wrong in (0, 65536, "22", True, 22.5, 10**30)),
    *(("remote_user", wrong) for wrong in ("a b", "-oProxyCommand=hidden", 7)),
    *(("cluster", wrong) for wrong in ("a/b", 7, ["web"])),
)
NO_KEYS = (
    *(b"hidden", b"\x00" * 100, b"-----BEGIN OPENSSH PRIVATE KEY-----\nhidden\n"),
    *(b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA hidden", PRIVATE_KEY[:200], b"x" * 100_000),
)


class Said(NamedTuple):
    """A request, and the statuses that the contract has for it."""

    wanted: set[int]
    verb: str
    path: str
    body: bytes = b""
    authorization: str | None = None
    """Instead of the right one."""

    @property
    def target(self) -> str:
        """The path as a request line has it."""
        return quote(f"/api/v0{self.path}", safe="/%;:{}")


def bodies(directory: Path) -> Iterator[Said]:
    """Wrong JSON, wrong types, keys that are none or have a passphrase."""
    for path in WRONG_BODIES:
        for body in NO_JSON:
            yield Said({400}, "PUT", path, body)
        for wrong in WRONG_BODIES[path]:
            yield Said({400, 404} if "hostkey" in path else {400}, "PUT", path, encoded(wrong))
    for key, value in WRONG_FIELDS:
        yield Said({400}, "PUT", HOST, encoded(registration() | {key: value}))
    for no_key in (*NO_KEYS, *locked_keys(directory)):
        yield Said({400}, "PUT", HOST, encoded(registration(key=no_key)))


def locked_keys(directory: Path) -> Iterator[bytes]:
    """Keys with a passphrase, in both formats of OpenSSH."""
    for form in ("RFC4716", "PEM"):
        file = directory / form
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "rsa", "-m", form, "-N", PASSPHRASE, "-f", str(file)],
            check=True,
            timeout=TIMEOUT_S,
        )
        yield file.read_bytes()


def subjects() -> Iterator[Said]:
    """Absurd names and addresses; nothing can be there, so that GET is 404."""
    for name in NAMES:
        for kind in ("cluster", "network", "containermanager", "window", "schedule"):
            yield Said({400, 404}, "PUT", f"/{kind}/{name}", b'{"type": "trivial"}')
            yield Said({404}, "GET", f"/{kind}/{name}")
            yield Said({404}, "DELETE", f"/{kind}/{name}")
    for address in ADDRESSES:
        yield Said({400, 404}, "PUT", f"/host/{address}", encoded(registration()))
        yield Said({400, 404}, "PUT", f"/cluster/web/hosts/{address}")
        yield Said({404}, "GET", f"/host/{address}")
        members = encoded({"old": [], "new": [address]})
        yield Said({400}, "PUT", "/cluster/web/hosts", members)


def credentials(password: str) -> Iterator[Said]:
    """`Authorization` that is malformed or wrong."""
    right = f"admin:{password}"
    for wrong in (
        *("Basic", "Basic ", "Basic hidden!", "Basic YQ", "Bearer hidden", "Digest x", "\xff\xfe"),
        *(basic(pair) for pair in (b"admin", b":hidden", b"admin:\xff\xfe", b"admin:hid:den")),
        *(basic(pair.encode()) for pair in (f"{right}:", f"{right}\0", f"{right} ", f" {right}")),
        *(basic(pair.encode()) for pair in (f"Admin:{password}", f"admin::{password}", "::")),
        basic(right.encode()) + ", " + basic(right.encode()),
    ):
        yield Said({403}, "PUT", "/cluster/stolen", b"{}", wrong)
    yield Said({401}, "PUT", "/cluster/stolen", b"{}", "")


def basic(pair: bytes) -> str:
    """The header of a name and a password."""
    return "Basic " + base64.b64encode(pair).decode()


def encoded(body: object) -> bytes:
    """As JSON."""
    return json.dumps(body).encode()
