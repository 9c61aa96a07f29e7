"""The machine and the settings: versions, files, room, clock, and who can listen in."""

import ipaddress
import platform
import shutil
import stat
import subprocess
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from runners.cli.doctor.finding import Finding, ok, warning, wrong
from runners.settings.settings import Settings

MEBIBYTE = 1024 * 1024
ROOM_WANTED = 1024 * MEBIBYTE
"""Bytes that should be free: a backup or a rebuild takes as much as the database."""
ROOM_NEEDED = 100 * MEBIBYTE
OTHERS = stat.S_IRWXG | stat.S_IRWXO
CLOCK_ASKED_S = 5.0
CLOCK_COMMAND = ("timedatectl", "show", "--property=NTPSynchronized", "--value")
PACKAGES = ("eventsourcing", "starlette", "uvicorn", "asyncssh")


def versions() -> Iterator[Finding]:
    """What runs here."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    yield ok(
        "versions",
        f"commissaire {version('commissaire')}, Python {platform.python_version()}, {packages}.",
    )


def directory(settings: Settings) -> Iterator[Finding]:
    """The data directory and its files: there, of one owner, and nobody else's to read."""
    data = settings.data
    try:
        owner = data.stat().st_uid
    except OSError as error:
        yield wrong("data directory", f"{data}: {error.strerror}.", "Name the right one: --data.")
        return
    if not data.is_dir():
        yield wrong("data directory", f"{data} is no directory.", "Name the right one: --data.")
        return
    yield from _modes("data directory", data, 0o700)
    for file in _kept(settings):
        if file.stat().st_uid != owner:
            yield wrong(
                "data directory",
                f"{file} is of another user ({file.stat().st_uid}) than {data} ({owner}).",
                f"chown {owner} {file}",
            )
        yield from _modes("data directory", file, 0o600)
    yield from _room(data)


def _kept(settings: Settings) -> list[Path]:
    known = (settings.vault_key_file, settings.users_file, settings.tokens_file)
    return sorted({file for file in (*settings.data.iterdir(), *known) if file.is_file()})


def _modes(what: str, path: Path, wanted: int) -> Iterator[Finding]:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & OTHERS:
        yield wrong(what, f"{path} is open to others (mode {mode:o}).", f"chmod {wanted:o} {path}")
    elif path.is_dir():
        yield ok(what, f"{path}, mode {mode:o}.")


def _room(data: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(data).free
    found = f"{free // MEBIBYTE} MiB are free at {data}."
    action = "Make room: a change is refused (507) where the disk is full."
    if free < ROOM_NEEDED:
        yield wrong("disk", found, action)
    elif free < ROOM_WANTED:
        yield warning("disk", found, action)
    else:
        yield ok("disk", found)


def clock() -> Iterator[Finding]:
    """Whether something sets the clock; times of the log are of it."""
    try:
        answer = subprocess.run(
            CLOCK_COMMAND, capture_output=True, text=True, timeout=CLOCK_ASKED_S, check=True
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        yield ok("clock", "Whether something sets it cannot be told here (no timedatectl).")
        return
    if answer == "yes":
        yield ok("clock", "It is set over the network.")
    else:
        yield warning("clock", "Nothing sets it.", "Run chrony or systemd-timesyncd.")


def listening(settings: Settings) -> Iterator[Finding]:
    """Whether passwords go over a network that others may read."""
    where = f"{settings.host}:{settings.port}"
    if settings.tls_cert is not None:
        yield ok("listening", f"{where}, over TLS.")
    elif _is_loopback(settings.host):
        yield ok("listening", f"{where}, on this machine only.")
    elif settings.trusted_proxy:
        yield ok("listening", f"{where}, behind a proxy, which has to be the only one to reach it.")
    else:
        yield warning(
            "listening",
            f"{where} without TLS: whoever is on the way reads passwords and tokens.",
            "Give --tls-cert, or listen on 127.0.0.1 behind a proxy with TLS (--trusted-proxy).",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def master_key_is_apart(settings: Settings) -> Iterator[Finding]:
    """A backup of the directory that has the key opens the vault by itself."""
    file = settings.vault_key_file
    if settings.master_key is not None or settings.master_key_file is not None:
        yield ok("master key", "It is kept apart from the data.")
    elif file.exists():
        yield warning(
            "master key",
            f"{file} is beside the data: who copies the directory can read the vault.",
            "Keep it elsewhere (--master-key-file), and a copy of it in a safe place.",
        )
