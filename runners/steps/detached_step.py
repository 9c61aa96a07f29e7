"""A step on a host: commands that run detached, exactly once, even if the connection breaks.

The host remembers a step by its id (`step.sh`), so a step may be started again at any time where it
is not known whether it was started, and is watched from then on.
"""

import hashlib
import re
import secrets
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal, get_args

from domain.aggregates.operation_events import Evidence
from runners.ssh.command import Output, ScriptRunner, not_run
from runners.ssh.failure import SshFailure, plain

OUTPUT_BYTES_MAX = 1024 * 1024
"""The host keeps so much of a step's output, from its beginning."""
CHUNK_BYTES = 256 * 1024
"""One answer of the host has so much output."""
GUARD_DAYS = 90
"""How long a host remembers the id of a step that is over, so that the step never runs again."""
OUTPUT_DAYS = 7
"""Output that was not cleared for so long is deleted when another step begins."""
NONCE_BYTES = 16

SCRIPT = files("runners.steps").joinpath("step.sh").read_text(encoding="utf-8")
RUN = files("runners.steps").joinpath("step_run.sh").read_text(encoding="utf-8")
PROXIES = files("runners.steps").joinpath("proxies.sh").read_text(encoding="utf-8")

_BOOT_ID = re.compile(r"[0-9a-f-]{0,36}", re.ASCII)
_TIMED_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-", re.ASCII)
_ID = re.compile(r"[a-z0-9][a-z0-9.-]{0,127}", re.ASCII)

State = Literal["absent", "waiting", "running", "ended", "cancelled", "orphaned", "lost"]
Verb = Literal["start", "tell", "cancel", "clear"]
Command = Sequence[str]


@dataclass(frozen=True)
class StepReport:
    """What the host reports about a step.

    absent: the host does not know the step. waiting: the step has not begun. running. ended: with
    an exit status. cancelled: the step never began, and never will. orphaned: the shell that waited
    for the commands is gone, and a process that they started still runs. lost: the step had begun,
    and nothing of it runs; how it ended is not known (killed, or a reboot in the middle).
    """

    state: State
    exit_status: int | None
    """Once ended: the exit status of the first command that failed, else 0."""
    begun_boot_id: str
    """The boot in which the step began; "" before."""
    boot_id: str
    """The boot in which the host is now."""
    size: int
    """Bytes of output that the host has."""
    output: bytes
    """Output from the offset that was asked for on, `CHUNK_BYTES` at most."""
    detach: str
    """The message of systemd-run where it refused the step, "" mostly."""
    uptime_s: int | None = None
    """Whole seconds that the host's clock showed before it answered; None where it has none."""
    reborn: bool = False
    """Whether the host's first process is another than when the step began, in the same boot."""
    late: bool = False
    """Whether the host did nothing, because the request came too late."""

    @property
    def why_cut_short(self) -> str:
        """Why a lost step, which nobody stopped, has ended."""
        if self.begun_boot_id != self.boot_id or self.reborn:
            return "the host rebooted meanwhile"
        return "its processes were killed"

    def evidence(self, output: bytes) -> Evidence:
        """What proves the end of the step: a digest of its output, and its exit status."""
        digest = hashlib.sha256(output).hexdigest()
        evidence: Evidence = {"output_sha256": digest, "output_bytes": len(output)}
        if self.exit_status is not None:
            evidence["exit_status"] = self.exit_status
        return evidence


async def start(
    session: ScriptRunner, step_id: str, commands: Sequence[Command], not_after: int | None = None
) -> StepReport:
    """Run the commands, one after the other until one fails, unless that was done before.

    `not_after`, here and below: the uptime from which on the host is to do nothing.
    """
    lines = " &&\n".join(shlex.join(command) for command in commands)
    run = f"output_most={OUTPUT_BYTES_MAX}\ncommands() {{\n{lines}\n}}\n{PROXIES}{RUN.rstrip()}"
    return await _ask(session, "start", step_id, run=run, not_after=not_after)


async def watch(
    session: ScriptRunner, step_id: str, offset: int = 0, wait_s: int = 0
) -> StepReport:
    """The state of the step, and its output from the offset on.

    The host answers once there is news, and after `wait_s` at the latest.
    """
    return await _ask(session, "tell", step_id, offset=offset, wait_s=wait_s)


async def cancel(session: ScriptRunner, step_id: str, not_after: int | None = None) -> StepReport:
    """End the step, by force where it does not end by itself within seconds.

    Where the report says cancelled, ended, or lost, nothing of the step runs any more.
    """
    return await _ask(session, "cancel", step_id, not_after=not_after)


async def clear(session: ScriptRunner, step_id: str, not_after: int | None = None) -> StepReport:
    """Delete the step's output and commands; the host still remembers its id."""
    return await _ask(session, "clear", step_id, not_after=not_after)


async def _ask(
    session: ScriptRunner,
    verb: Verb,
    step_id: str,
    *,
    offset: int = 0,
    wait_s: int = 0,
    run: str = "",
    not_after: int | None = None,
) -> StepReport:
    """Raises SshFailure where the host did not answer, refused, or makes no sense."""
    if not _ID.fullmatch(step_id):
        raise ValueError(f"{step_id!r} cannot be the id of a step")
    nonce = secrets.token_hex(NONCE_BYTES)
    given = {
        "verb": verb,
        "id": step_id,
        "nonce": nonce,
        "offset": str(offset),
        "most": str(CHUNK_BYTES),
        "wait_s": str(wait_s),
        "keep_days": str(GUARD_DAYS),
        "old_before": _old_before(step_id),
        "not_after": "" if not_after is None else str(not_after),
        "keep_output_days": str(OUTPUT_DAYS),
        "run": run,
    }
    variables = "".join(f"{name}={shlex.quote(value)}\n" for name, value in given.items())
    output = await session.run(as_root(variables + SCRIPT))
    return parse(output, nonce)


def _old_before(step_id: str) -> str:
    """The beginning of ids `GUARD_DAYS` older than this one; "" where its id has no time.

    The ids of operations are UUIDs that begin with the milliseconds (RFC 9562, 5.7).
    """
    if not _TIMED_ID.match(step_id):
        return ""
    milliseconds = int(step_id[:8] + step_id[9:13], 16) - GUARD_DAYS * 24 * 3600 * 1000
    return f"{max(milliseconds, 0):012x}"[:8]


def as_root(script: str) -> str:
    """A script that runs another one as root: at once where the user is, else through sudo.

    sudo gets it over a pipe: what is an argument stands in the host's logs, each time.
    """
    return (
        f"script={shlex.quote(script)}\n"
        'if [ "$(id -u)" = 0 ]; then eval "$script"\n'
        """else printf %s "$script" | sudo -n /bin/sh -c 'eval "$(cat)"'; fi\n"""
    )


def parse(output: Output, nonce: str) -> StepReport:
    """The report in the script's output, with any noise before and after."""
    begin, end = f"\n{nonce} begin\n".encode(), f"\n{nonce} end\n".encode()
    _, found, rest = output.stdout.partition(begin)
    said, complete, _ = rest.rpartition(end)
    if not found or not complete:
        raise not_run(output, "did not run our script for a step")
    head, _, step_output = said.partition(b"\n\n")
    lines = head.decode("utf-8", "replace").split("\n")
    told: dict[str, str] = {}
    for line in lines:
        key, _, value = line.partition("=")
        told[key] = value
    state, status, size = told.get("state", ""), told.get("status", ""), told.get("size", "")
    begun, boot_id = told.get("begun", ""), told.get("boot_id", "")
    if (
        state not in get_args(State)
        or not re.fullmatch(r"[0-9]{1,3}" if state == "ended" else "", status, re.ASCII)
        or not re.fullmatch(r"[0-9]{1,18}", size, re.ASCII)
        or not (_BOOT_ID.fullmatch(begun) and _BOOT_ID.fullmatch(boot_id) and boot_id)
    ):
        # It gets into the log: a host is not believed what it could not mean.
        sentence = f"The host's words on a step make no sense: “{plain(' '.join(lines))}”."
        raise SshFailure("command", sentence, passing=False)
    if refused := plain(told.get("refused", "")):
        failure = SshFailure("command", f"The host takes no step: {refused}.", passing=False)
        failure.nothing_began = state in ("absent", "waiting")
        raise failure
    return StepReport(
        state=state,  # type: ignore[arg-type]  # checked above
        exit_status=int(status) if status != "" else None,
        begun_boot_id=begun,
        boot_id=boot_id,
        size=int(size),
        output=step_output[:CHUNK_BYTES],
        detach=plain(told.get("detach", "")),
        uptime_s=int(uptime) if (uptime := told.get("uptime", "")).isdecimal() else None,
        reborn=told.get("reborn") == "yes",
        late=told.get("late") == "yes",
    )
