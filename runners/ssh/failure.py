"""Failures of SSH, in sentences that an operator can act on."""

import re
import socket
from dataclasses import dataclass

import asyncssh

from runners.os_support.shortage import OURS
from runners.os_support.terminal_text import printable
from runners.ssh.bounded_connection import Flood

TEXT_CHARACTERS_MAX = 200  # of what a host said, in a sentence of ours
REFUSED_KEY = "refused_key"
"""Where a connection of asyncssh keeps the host key that ended it."""


@dataclass(frozen=True)
class HostKey:
    """A host's public key: algorithm as in SSH (`ssh-rsa`, `ssh-ed25519` …), `SHA256:…`."""

    algorithm: str
    fingerprint: str


class SshFailure(Exception):
    """A host could not be reached, trusted, or used.

    `kind` is stable: refused, timeout, unreachable, name (does not resolve), dropped (connection
    closed on us), not_ssh (another service answers), protocol (no common algorithms), host_key,
    authentication, command (it did not run, or ended badly), output (too much of it), flood (SSH
    messages without end), facts, ours (this machine has nothing left to connect with; it says
    nothing of the host).
    `sentence` is for people. `passing` says whether trying again a little later may help.
    `nothing_began`: whether the host said that nothing of what was asked for has begun.
    """

    nothing_began = False

    def __init__(self, kind: str, sentence: str, passing: bool) -> None:
        super().__init__(sentence)
        self.kind = kind
        self.sentence = sentence
        self.passing = passing


class HostKeyMismatch(SshFailure):
    """The host shows another key than the pinned one; nothing was sent to it."""

    def __init__(self, address: str, pinned: HostKey, offered: HostKey) -> None:
        sentence = (
            f"{address} shows another host key than the pinned one: pinned {pinned.fingerprint}"
            f" ({pinned.algorithm or 'any kind'}), offered {offered.fingerprint}"
            f" ({offered.algorithm}). If the host was reinstalled, approve the new key."
        )
        super().__init__("host_key", sentence, passing=False)
        self.pinned = pinned
        self.offered = offered


def slow_lookup(address: str, limit_s: float) -> SshFailure:
    """The resolver did not answer in time."""
    sentence = (
        f"{address} could not be looked up within {limit_s:g} s: do the name servers of the"
        " machine that Commissaire runs on answer?"
    )
    return SshFailure("name", sentence, passing=True)


def no_connection(address: str, port: int, limit_s: float, error: OSError) -> SshFailure:
    """The failure of a TCP connection; `error` is a TimeoutError where the limit ran out."""
    if isinstance(error, socket.gaierror):
        passing = error.errno == socket.EAI_AGAIN
        why = "the name servers do not answer" if passing else "the name does not resolve"
        return SshFailure("name", f"{address} cannot be looked up: {why}.", passing)
    if error.errno in OURS:
        sentence = (
            f"No connection to {address} could be tried: {plain(error.strerror or str(error))}, on"
            " the machine that Commissaire runs on."
        )
        return SshFailure("ours", sentence, passing=True)
    if isinstance(error, ConnectionRefusedError):
        sentence = f"{address} refused the connection on port {port}: is sshd running there?"
        return SshFailure("refused", sentence, passing=True)
    if isinstance(error, TimeoutError):
        sentence = (
            f"{address} did not answer on port {port} within {limit_s:g} s: is it switched on, and"
            " does a firewall let us through?"
        )
        return SshFailure("timeout", sentence, passing=True)
    if isinstance(error, ConnectionError):
        return dropped(address, port)
    reason = plain(error.strerror or str(error))
    sentence = f"No connection to {address} on port {port}: {reason}."
    return SshFailure("unreachable", sentence, passing=True)


def no_login(
    address: str, port: int, user: str, error: Exception, certificate: str | None = None
) -> SshFailure:
    """The failure of a login, from what asyncssh raised.

    `certificate`: what is wrong with the one beside our key, "" for nothing; None without one.
    """
    match error:
        case Flood():
            return flooded(address, error.reason, f"on port {port} before the login was done")
        case asyncssh.PermissionDenied() | asyncssh.IllegalUserName():
            return _wrong_key(address, user, certificate)
        # What sshd says where MaxAuthTries is 1; the code is that of a protocol error.
        case asyncssh.DisconnectError() if "authentication failures" in error.reason:
            return _wrong_key(address, user, certificate)
        case asyncssh.HostKeyNotVerifiable():
            sentence = f"{address} shows a host key that cannot be used: {plain(error.reason)}."
            return SshFailure("host_key", sentence, passing=False)
        case asyncssh.KeyExchangeFailed():
            return _no_common_algorithm(address, error.reason)
        case asyncssh.ConnectionLost() | ConnectionError():
            return dropped(address, port)
        case asyncssh.ProtocolNotSupported():
            sentence = f"{address} speaks another version of SSH on port {port} than 2.0."
            return SshFailure("protocol", sentence, passing=False)
        case asyncssh.DisconnectError() if not isinstance(error, asyncssh.ProtocolError):
            sentence = f"{address} ended the login on port {port}: {plain(error.reason)}."
            return SshFailure("dropped", sentence, passing=True)
        case OSError():
            return no_connection(address, port, 0, error)
        case _:
            sentence = f"{address} sent on port {port} what is no proper SSH: {plain(str(error))}."
            return SshFailure("protocol", sentence, passing=False)


def _no_common_algorithm(address: str, reason: str) -> SshFailure:
    """From asyncssh's sentence "No matching … algorithm found, sent … and received …"."""
    found = re.search(r"No matching (.+) algorithm found.* and received (.*)", reason)
    if found is None:
        sentence = f"The exchange of keys with {address} failed: {plain(reason)}."
    else:
        what, theirs = found[1], plain(found[2].replace(",", ", "))
        sentence = f"{address} has no {what} algorithm that can be used here, only {theirs}."
    return SshFailure("protocol", sentence, passing=False)


def _wrong_key(address: str, user: str, certificate: str | None) -> SshFailure:
    what = "this key" if certificate is None else "the certificate of this key"
    if certificate is None:
        why = (
            "is its public half in that user's ~/.ssh/authorized_keys, and does sshd let the user"
            " in at all (PermitRootLogin, AllowUsers)?"
        )
    else:
        why = certificate or (
            "does sshd know its authority (TrustedUserCAKeys), and does it let this user in, from"
            " here?"
        )
    sentence = f"{address} did not let {plain(user)} log in with {what}: {why}"
    return SshFailure("authentication", sentence, passing=False)


def second_factor(address: str, user: str, words: str) -> SshFailure:
    """The key was accepted, and is not enough."""
    sentence = (
        f"{address} took the key of {plain(user)} and wants a second factor besides: exempt that"
        f" user (AuthenticationMethods publickey).{_quoted(words)}"
    )
    return SshFailure("authentication", sentence, passing=False)


def turned_away(address: str, user: str, words: str) -> SshFailure:
    """The host said why it does not let the user in, as PAM does."""
    sentence = f"{address} did not let {plain(user)} log in.{_quoted(words)}"
    return SshFailure("authentication", sentence, passing=False)


def _quoted(words: str) -> str:
    return f" It said “{plain(words)}”." if words else ""


def slow_login(address: str, port: int, limit_s: float) -> SshFailure:
    """TCP works, but SSH does not answer, or too slowly."""
    sentence = (
        f"{address} took the connection on port {port}, but the login was not done within"
        f" {limit_s:g} s: is the host overloaded or hanging?"
    )
    return SshFailure("timeout", sentence, passing=True)


def flooded(address: str, deed: str, when: str) -> SshFailure:
    """The host sent more than any use needs."""
    sentence = f"{address} {deed} {when}, and was hung up on: is that the sshd that you expect?"
    return SshFailure("flood", sentence, passing=False)


def no_host_key(address: str, theirs: list[str]) -> SshFailure:
    """The host has no host key of a kind that we accept."""
    sentence = (
        f"{address} has no host key of a kind that can be used here, only"
        f" {plain(', '.join(theirs))}: make it one (ssh-keygen -A)."
    )
    return SshFailure("protocol", sentence, passing=False)


def not_ssh(address: str, port: int) -> SshFailure:
    """Something else than SSH answers on the port."""
    sentence = f"What answers on port {port} of {address} is not SSH: is the port right?"
    return SshFailure("not_ssh", sentence, passing=False)


def dropped(address: str, port: int) -> SshFailure:
    """The host closed the connection before the login was done."""
    sentence = (
        f"{address} closed the connection on port {port} before the login was done: does sshd"
        " limit start-ups there (MaxStartups), or is it shutting down?"
    )
    return SshFailure("dropped", sentence, passing=True)


def plain(text: str) -> str:
    """Remote text for a sentence: one line, printable, at most TEXT_CHARACTERS_MAX characters."""
    words = " ".join(text[: 4 * TEXT_CHARACTERS_MAX].split())
    line = printable(words)
    if len(line) > TEXT_CHARACTERS_MAX:
        line = line[: TEXT_CHARACTERS_MAX - 1] + "…"
    return line.rstrip(".")
