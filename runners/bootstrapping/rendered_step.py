"""A step rendered for one host: the network's values in its files, and the commands to send.

What comes from a request is only ever the content of a file or a word of its own, never text for a
shell; and its characters are those of `PATTERNS`, which mean nothing in any file of settings.
"""

import hashlib
import re
import secrets
import shlex
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from domain.commands.bootstrap import Changed, Wanted
from domain.names import quoted
from runners.bootstrapping.step_files import VALUE, File, Step
from runners.os_support.terminal_text import printable
from runners.ssh.command import command_line
from runners.steps.detached_step import PROXIES, as_root
from runners.steps.system_commands import Commands

LINE_BYTES_MAX = 100 * 1024
"""Linux takes 128 KiB as one argument, and the login shell gets a whole line as one; the
difference is for step.sh."""
GIST_LINES = 3
GIST_CHARACTERS_MAX = 300
NONCE_BYTES = 16
MARKS = "/var/lib/commissaire/bootstrap"
FLANNEL_PREFIX = "/coreos.com/network"
"""Flannel's own default."""

SAME = files("runners.bootstrapping").joinpath("same.sh").read_text(encoding="utf-8")
WRITE = SAME + files("runners.bootstrapping").joinpath("write.sh").read_text(encoding="utf-8")
PROVE = '"$@" >/dev/null || { echo "It was done, and still is not so: $*" >&2; exit 1; }'
PREPARE = f"""
exec </dev/null
LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
needed=
{PROXIES}"""

ENDPOINTS = r"https?://[A-Za-z0-9.:\[\]_-]+(/[A-Za-z0-9./_-]*)?"
PATH = r"/[A-Za-z0-9./_+-]*"
PATTERNS: Mapping[str, str] = {
    "endpoints": f"{ENDPOINTS}(,{ENDPOINTS})*",
    "prefix": PATH,
    "ca_path": PATH,
    "certificate_path": PATH,
    "certificate_key_path": PATH,
    "address": r"[A-Za-z0-9.:\[\]_-]+",
}
FLAGS: Mapping[str, str] = {
    "endpoints": "-etcd-endpoints",
    "prefix": "-etcd-prefix",
    "ca_path": "-etcd-cafile",
    "certificate_path": "-etcd-certfile",
    "certificate_key_path": "-etcd-keyfile",
    "address": "-remote",
}
"""What flannel calls them."""


class Unusable(Exception):
    """A host cannot be set up like this; the reason is for people."""


@dataclass(frozen=True)
class ReadyFile:
    """A file with its content."""

    path: str
    mode: int
    owner: str
    content: str

    @property
    def sha256(self) -> str:
        """Digest of the content."""
        return hashlib.sha256(self.content.encode()).hexdigest()

    @property
    def words(self) -> list[str]:
        """The arguments of `same` in same.sh."""
        shown = stat.filemode(stat.S_IFREG | self.mode)
        return [self.path, shown, self.owner, str(len(self.content.encode())), self.content]

    @property
    def record(self) -> dict[str, str]:
        """The file as events have it, without its content."""
        mode = f"{self.mode:04o}"
        return {"path": self.path, "sha256": self.sha256, "mode": mode, "owner": self.owner}


@dataclass(frozen=True)
class ReadyStep:
    """A step with the network's values."""

    step: Step
    files: tuple[ReadyFile, ...]

    @property
    def name(self) -> str:
        """Name of the step."""
        return self.step.name

    @property
    def mark(self) -> str:
        """A file that is on the host while the step has begun and is not over."""
        return f"{MARKS}/{self.name}"

    def commands(self, run: str) -> Commands:
        """The commands, run in turn until one fails; the last ones prove that the step is done."""
        words = [
            word for file in self.files for word in (*file.words, f"{file.mode:o}", file.sha256)
        ]
        write = ("/bin/sh", "-c", WRITE, "write", _told(run), self.mark, *words)
        proof = [("/bin/sh", "-c", PROVE, "prove", *command) for command in self.step.unless]
        return (write, *self.step.commands, *proof, ("rm", "-f", self.mark))

    def changed(self, run: str, output: bytes) -> Changed:
        """The files that the host says it wrote, as we know them."""
        said = set(output.decode("utf-8", "replace").splitlines())
        return [f.record for f in self.files if f"{_told(run)} {f.sha256} {f.path}" in said]


def _told(run: str) -> str:
    return f"{run} changed"


def ready(step: Step, values: Mapping[str, str]) -> ReadyStep:
    """The step with these values in its files."""
    made = ReadyStep(step, tuple(_ready(file, values) for file in step.files))
    commands = "\n".join(map(shlex.join, made.commands("x" * 64)))
    if _sent_bytes(shlex.quote(commands)) > LINE_BYTES_MAX:
        raise Unusable(f"Step '{step.name}' is too long to be sent at once: make it several.")
    return made


def _ready(file: File, values: Mapping[str, str]) -> ReadyFile:
    content = VALUE.sub(lambda found: values[found[1]], file.content)
    return ReadyFile(file.path, int(file.mode, 8), file.owner, content)


def values_of(wanted: Wanted) -> dict[str, str]:
    """Every value that a step file may name; "" where the network has none."""
    given = dict(wanted.options)
    if isinstance(given.get("endpoints"), list):
        given["endpoints"] = ",".join(given["endpoints"])
    if wanted.type == "flannel_etcd":
        given.setdefault("prefix", FLANNEL_PREFIX)
    for key, pattern in PATTERNS.items():
        value = str(given.get(key, ""))
        if value and not re.fullmatch(pattern, value, re.ASCII):
            raise Unusable(
                f"options.{key} of network {wanted.network} has characters that no file of"
                f" settings is to have: {quoted(value)}."
            )
    known = {key: str(given.get(key, "")) for key in PATTERNS}
    flags = " ".join(f"{FLAGS[key]}={value}" for key, value in known.items() if value)
    return {**known, "network": wanted.network, "flannel_options": flags}


def probe(steps: Sequence[ReadyStep], nonce: str) -> str:
    """A script, for root, that changes nothing and says which steps are needed."""
    lines = [f"nonce={nonce}", SAME + PREPARE]
    for step in steps:
        tests = [f"[ ! -e {shlex.quote(step.mark)} ]"]
        tests += [shlex.join(("same", *file.words)) for file in step.files]
        tests += [f"({shlex.join(command)}) >/dev/null 2>&1" for command in step.step.unless]
        lines.append(f'{" && ".join(tests)} || needed="$needed {step.name}"')
    lines.append('printf \'\\n%s needed%s\\n\' "$nonce" "$needed"\n')
    script = "\n".join(lines)
    if _sent_bytes(script) > LINE_BYTES_MAX:
        raise Unusable("The steps of this system are too long to be looked at in one go.")
    return script


def _sent_bytes(script: str) -> int:
    """The length of a script as it is sent, with all its quoting."""
    return len(command_line(as_root(script)).encode())


def new_nonce() -> str:
    """A random word that a host cannot have printed before."""
    return secrets.token_hex(NONCE_BYTES)


def needed(steps: Sequence[ReadyStep], output: bytes, nonce: str) -> list[ReadyStep] | None:
    """The steps that the host needs, from the probe's output; None where the output has none."""
    for line in output.decode("utf-8", "replace").splitlines():
        if line.startswith(f"{nonce} needed"):
            names = set(line.split()[2:])
            return [step for step in steps if step.name in names]
    return None


def gist(output: bytes, run: str = "") -> str:
    """The last lines of a step's output as one line, without the lines that report files."""
    said = output[-4096:].decode("utf-8", "replace").splitlines()
    lines = [printable(line).strip() for line in said if not (run and run in line)]
    lines = [line for line in lines if line]
    return " / ".join(lines[-GIST_LINES:])[-GIST_CHARACTERS_MAX:]
