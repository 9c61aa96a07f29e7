"""One command on a host over a connection that is logged in, and its output."""

import asyncio
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import asyncssh

from runners.ssh.bounded_connection import Wire
from runners.ssh.failure import REFUSED_KEY, SshFailure, flooded, plain

# A login script may leave a process behind that holds the output open; what comes later than
# this after the command's own end is not waited for.
LATE_OUTPUT_S = 2.0
STDERR_BYTES_MAX = 4096  # kept of it, for a sentence
WORD_CHARACTERS_MAX = 500  # the C shell of the BSDs takes no words of 1024 characters
NONCE_BYTES = 8
PIECE_CHARACTERS = WORD_CHARACTERS_MAX // 5  # each may become five


@dataclass(frozen=True)
class Output:
    """The result of a command. `exit_status` is None where the signal `signal` ended it."""

    exit_status: int | None
    signal: str
    stdout: bytes
    stderr: bytes
    """The first 4096 bytes."""


def not_run(output: Output, what: str, advice: str = "") -> SshFailure:
    """The failure of a host that ran something else than our script; `what` it did."""
    said = plain((output.stderr or output.stdout[-400:]).decode("utf-8", "replace"))
    status = output.signal or output.exit_status
    sentence = f"The host {what} (exit status {status}): it said “{said}”.{advice}"
    return SshFailure("command", sentence, passing=False)


class ScriptRunner(Protocol):
    """Runs scripts on a host; see `runners.ssh.client.Session`."""

    async def run(self, script: str) -> Output: ...


class StdinScript:
    """A script that goes to a host over stdin, so that audit logs get a short line.

    Login scripts may read stdin: what does not arrive whole is not run, and the host says so.
    """

    def __init__(self, script: str) -> None:
        mark = f"#{secrets.token_hex(NONCE_BYTES)}"
        self._lost = f"{mark} lost"
        self.stdin = f"{mark}\n{script}\n{mark}".encode()
        self.line = (
            "exec /bin/sh -c 's=$(PATH=$PATH:/usr/bin:/bin cat); case $s in"
            f' "{mark}"*"{mark}") eval "$s";; *) echo "{self._lost}";; esac\''
        )

    def was_lost(self, output: Output) -> bool:
        """Whether the host says that it got something else."""
        return self._lost.encode() in output.stdout


def command_line(script: str) -> str:
    """A line that runs a script under /bin/sh, from a login shell of any syntax.

    The script is an argument, for hosts whose login scripts read stdin. In single quotes, only
    these characters mean something to sh, csh and fish, so printf puts them back:
    """
    starts = range(0, len(script), PIECE_CHARACTERS)
    words = [_word(script[start : start + PIECE_CHARACTERS]) for start in starts]
    return f'exec /bin/sh -c \'eval "$(printf %b "$@")"\' sh {" ".join(words)}'


@lru_cache(maxsize=256)
def _word(piece: str) -> str:
    # Nearly all of them come again with the next host.
    for character in "\\\n\r'!":
        piece = piece.replace(character, f"\\0{ord(character):03o}")
    return f"'{piece}'"


async def run_command(
    wire: Wire,
    address: str,
    line: str,
    timeout_s: float,
    output_bytes: int,
    stdin: bytes = b"",
) -> Output:
    """Run a line in the login shell; any failure closes the connection."""
    wire.begin_command()
    running = _Running(output_bytes, wire.output_came)
    try:
        async with asyncio.timeout(timeout_s):
            channel, _ = await wire.create_session(lambda: running, line, encoding=None)
            with suppress(BrokenPipeError):  # where it ended at once, its end says more
                channel.write(stdin)
            channel.write_eof()
            await running.over
    except TimeoutError:
        await _hang_up(wire)
        raise SshFailure(
            "timeout",
            f"{address} did not finish what we ran there within {timeout_s:g} s: is it overloaded"
            " or hanging?",
            passing=True,
        ) from None
    except (asyncssh.Error, OSError, ValueError) as error:
        is_lost = wire.is_closed()
        await _hang_up(wire)
        raise _broken_off(wire, address, error, running.began, is_lost) from error
    if running.exceeded:
        await _hang_up(wire)
        raise SshFailure(
            "output",
            f"{address} sent more than {output_bytes} bytes of output: do its login scripts print?",
            passing=False,
        )
    if running.exit_status is None and not running.signal:
        await _hang_up(wire)
        raise _broken_off(wire, address)
    wire.is_at_rest = running.is_closed
    stdout, stderr = bytes(running.stdout), bytes(running.stderr)
    return Output(running.exit_status, running.signal, stdout, stderr)


async def _hang_up(wire: Wire) -> None:
    wire.abort()
    await wire.wait_closed()  # for nobody: it takes a turn of the loop


def _broken_off(
    wire: Wire,
    address: str,
    error: Exception | None = None,
    began: bool = True,
    is_lost: bool = True,
) -> SshFailure:
    """Why a command has not come to its end."""
    if wire.flood is not None:
        return flooded(address, wire.flood.reason, "while a command ran there")
    if wire.get_extra_info(REFUSED_KEY) is not None:
        return _changed_key(address)
    if is_lost or isinstance(error, (asyncssh.DisconnectError, OSError)):
        return _cut(address) if began else _turned_away(address)
    reason = error.reason if isinstance(error, asyncssh.Error) else str(error)
    sentence = f"{address} let us log in but runs no commands: {plain(reason)}."
    return SshFailure("command", sentence, passing=False)


def _cut(address: str) -> SshFailure:
    sentence = f"The connection to {address} was cut while a command ran there."
    return SshFailure("dropped", sentence, passing=True)


def _turned_away(address: str) -> SshFailure:
    sentence = (
        f"{address} let us log in and closed the connection at once: do sshd's or PAM's rules end"
        " this user's sessions?"
    )
    return SshFailure("dropped", sentence, passing=True)


def _changed_key(address: str) -> SshFailure:
    sentence = (
        f"{address} showed another host key in the middle of a session: is somebody between us?"
    )
    return SshFailure("host_key", sentence, passing=False)


class _Running(asyncssh.SSHClientSession[bytes]):
    """Collects the output of a command until it ends, or is too long."""

    def __init__(self, output_bytes: int, output_came: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._left = output_bytes
        self._output_came = output_came
        self.over: asyncio.Future[None] = self._loop.create_future()
        self.began = False
        self.exceeded = False
        self.is_closed = False
        self.exit_status: int | None = None
        self.signal = ""
        self.stdout = bytearray()
        self.stderr = bytearray()
        self._late: asyncio.TimerHandle | None = None

    def session_started(self) -> None:
        self.began = True

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        self._output_came()
        self._left -= len(data)
        if self._left < 0:
            self.exceeded = True
            self._finish()
        elif datatype is None:
            self.stdout += data
        else:
            self.stderr += data[: STDERR_BYTES_MAX - len(self.stderr)]

    def exit_status_received(self, status: int) -> None:
        self.exit_status = status
        self._late = self._loop.call_later(LATE_OUTPUT_S, self._finish)

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        self.signal = plain(signal) or "unknown"
        self._late = self._loop.call_later(LATE_OUTPUT_S, self._finish)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_closed = True
        self._finish()

    def _finish(self) -> None:
        if self._late is not None:
            self._late.cancel()
        if not self.over.done():
            self.over.set_result(None)
