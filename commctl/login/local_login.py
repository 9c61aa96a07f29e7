"""The service of this machine, for whoever may read its data directory: `local.json` in there.

The file is believed only where it is its owner's alone, where the process that wrote it lives and
is that owner's, and where it names this machine: a directory that somebody else made leads nowhere.
"""

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from commctl.exits import NoServer

FILE = "local.json"
FILE_BYTES_MAX = 64 * 1024
HERE = Path("data")
"""Where `make serve` has its data."""
INSTALLED = Path("/var/lib/commissaire-service")


class Local(NamedTuple):
    """What a service says of itself to those who may read its data."""

    path: Path
    url: str
    token: str
    certificate: Path | None


def find_local(data: Path | None, environ: Mapping[str, str]) -> Local | None:
    """The service of the directory that is named, of `./data`, or of an installation."""
    named = data or (Path(d) if (d := environ.get("COMMCTL_DATA")) else None)
    if named is not None:
        found = _read(named / FILE, any_owner=True)
        if found is None:
            raise NoServer(f"{named / FILE}: no service that runs has its data there.")
        return found
    # Root may read what others made: only what is installed is taken from another's hands.
    return _read(HERE / FILE, any_owner=False) or _read(INSTALLED / FILE, any_owner=True)


def read_again(path: Path) -> Local | None:
    """What a file that was believed before says by now."""
    return _read(path, any_owner=True)


def _read(path: Path, *, any_owner: bool) -> Local | None:
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            said = json.loads(file.read(FILE_BYTES_MAX))
        owned = any_owner or found.st_uid == os.geteuid()
        private = stat.S_ISREG(found.st_mode) and not found.st_mode & 0o077
        alive = Path(f"/proc/{int(said['pid'])}").stat().st_uid == found.st_uid
        url, certificate = str(said["url"]), said.get("certificate")
        local = Local(path, url, str(said["token"]), Path(certificate) if certificate else None)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return local if owned and private and alive and _is_here(url) else None


def _is_here(url: str) -> bool:
    """Whether only this machine is spoken to: a loopback address, or one of our own."""
    import ipaddress
    import socket

    try:
        address = ipaddress.ip_address(urlsplit(url).hostname or "")
    except ValueError:
        return False
    if address.is_loopback:
        return True
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((str(address), 0))  # possible on this machine's addresses alone
        except OSError:
            return False
    return True
