"""Facts of a host: gathered by a POSIX shell script in one session, each value checked."""

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from typing import Literal, get_args

from domain.event import TIME_FORMAT
from runners.ssh.command import ScriptRunner, not_run
from runners.ssh.failure import SshFailure, plain

CPUS_MAX = 65_536
KILOBYTES_MAX = 2**50  # an exbibyte
FACTS_BYTES_MAX = 64 * 1024  # what is between the marks
NONCE_BYTES = 16

# OS names of the HTTP contract, as ID in os-release has them; `atomic` is none of these.
KNOWN = ("fedora", "centos", "rhel", "debian", "ubuntu", "rocky", "almalinux", "coreos")

# What has another's name in ID_LIKE, or none in early versions, but is a rebuild of this one.
REBUILDS = {"ol": "rhel"}

Sudo = Literal["needless", "works", "missing", "password", "tty", "refused"]

SCRIPT = "".join(
    files(room).joinpath(name).read_text(encoding="utf-8")
    for room, name in (("runners.steps", "kernels.sh"), ("runners.hosts", "facts.sh"))
)

_BOOT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DF_LINE = re.compile(r"\s([0-9]+)\s+[0-9]+\s+-?[0-9]+\s+(?:[0-9]+%|-)\s+/\S*$")
_WORD = re.compile(r"[A-Za-z0-9._~+:-]{1,64}")


@dataclass(frozen=True)
class Facts:
    """The facts that a host reported, every value checked."""

    os: str
    """A name of the contract: `fedora`, `atomic`, `debian` …"""
    os_version: str
    """VERSION_ID of os-release, "" where it has none (rolling releases) or no word."""
    cpus: int
    memory: int
    """Kilobytes."""
    space: int
    """Kilobytes: the size of the root file system."""
    boot_id: str
    """Another one after each boot; 36 characters, lower case."""
    uid: int
    sudo: Sudo
    """Whether `sudo -n` works; `needless` for root."""
    kernel: str = ""
    """The release of the kernel that runs; "" where it is no word."""
    booted_at: str = ""
    """UTC; "" where the host does not tell."""
    reboot_needed: bool | None = None
    """Whether something newer is installed than runs; None where nothing tells."""
    sudo_words: str = ""
    """What sudo said where it does not work."""


async def gather(session: ScriptRunner) -> Facts:
    """Gather the facts of a host. Raises `SshFailure`, also where they make no sense."""
    nonce = secrets.token_hex(NONCE_BYTES)
    output = await session.run(f"nonce={nonce}\n{SCRIPT}")
    if _between_marks(output.stdout, nonce) is None:
        advice = (
            " Does the user have a login shell, and no login script that starts another program?"
        )
        raise not_run(output, "let us log in but did not run our script", advice)
    return parse(output.stdout, nonce)


def parse(output: bytes, nonce: str) -> Facts:
    """Facts in the script's output, with any noise before and after; SshFailure("facts") if not."""
    between = _between_marks(output, nonce)
    if between is None:
        raise _failure("The host's answer has no facts in it.")
    said: dict[str, str] = {}
    for line in between.decode("utf-8", "replace").split("\n"):
        key, mark, value = line.partition("=")
        if mark:
            said[key] = value.strip()
    sudo = said.get("sudo", "")
    if sudo not in get_args(Sudo):
        raise _failure(f"The host did not tell about sudo: “{plain(sudo)}”.")
    return Facts(
        os=_os(said),
        os_version=_version(said),
        cpus=_number(said.get("cpus", ""), "cpus (nproc)", 1, CPUS_MAX),
        memory=_number(said.get("memory", ""), "memory (/proc/meminfo)", 1, KILOBYTES_MAX),
        space=_space(said.get("space", "")),
        boot_id=_boot_id(said.get("boot_id", "")),
        uid=_number(said.get("uid", ""), "uid (id -u)", 0, 2**32 - 1),
        sudo=sudo,  # type: ignore[arg-type]  # checked above
        kernel=_word(said.get("kernel", "")),
        booted_at=_booted_at(said.get("booted_at", "")),
        reboot_needed={"yes": True, "no": False}.get(said.get("reboot_needed", "")),
        sudo_words=plain(said.get("sudo_words", "")),
    )


def sudo_failure(facts: Facts, user: str) -> str | None:
    """Why the user cannot become root on the host; None where they can, or are."""
    match facts.sudo:
        case "needless" | "works":
            return None
        case "missing":
            return f"sudo is not installed, and {user} is not root: install it, or log in as root."
        case "password":
            return (
                f"sudo asks {user} for a password: allow it without"
                f" (“{user} ALL=(ALL) NOPASSWD: ALL” in /etc/sudoers.d)."
            )
        case "tty":
            return f"sudo wants a terminal from {user}: take requiretty out of /etc/sudoers."
        case "refused":
            said = f" It said “{facts.sudo_words}”." if facts.sudo_words else ""
            return f"sudo does not let {user} run a shell as root: see /etc/sudoers.{said}"


def _between_marks(output: bytes, nonce: str) -> bytes | None:
    begin, end = f"\n{nonce} begin\n".encode(), f"{nonce} end\n".encode()
    start = output.find(begin)
    if start < 0:
        return None
    start += len(begin)
    stop = output.find(end, start, start + FACTS_BYTES_MAX)
    return output[start:stop] if stop >= 0 else None


def _os(said: dict[str, str]) -> str:
    """The contract's name for a system."""
    name = _unquoted(said.get("release.ID", "")).lower()
    like = _unquoted(said.get("release.ID_LIKE", "")).lower().split()
    variant = _unquoted(said.get("release.VARIANT_ID", "")).lower()
    if said.get("ostree") == "yes":
        # Red Hat CoreOS is `rhcos`, or `rhel` of the variant `coreos` since 4.19.
        return "coreos" if variant == "coreos" or name in ("coreos", "rhcos") else "atomic"
    if not name:
        raise _failure("The host does not tell its system: ID is missing in /etc/os-release.")
    if "coreos" in (name, *like[:1]):
        raise _failure(
            f"The host runs “{plain(name)}”, which is not supported: it has no package command and"
            " is not booted from OSTree. It updates itself."
        )
    for candidate in (REBUILDS.get(name, name), *like):
        if candidate in KNOWN:
            return candidate
    raise _failure(
        f"The host runs “{plain(name)}”, which is not supported: {', '.join(KNOWN)} and what names"
        " one of these in ID_LIKE are, and systems booted from OSTree."
    )


def _version(said: dict[str, str]) -> str:
    """ "" also where it is no word: it is a hint, and no host fails for it."""
    version = _unquoted(said.get("release.VERSION_ID", ""))
    return version if _WORD.fullmatch(version) else ""


def _word(text: str) -> str:
    return text if _WORD.fullmatch(text) else ""


def _booted_at(seconds: str) -> str:
    """btime of /proc/stat in the format of the API; a hint, and no host fails for it."""
    if not re.fullmatch(r"[0-9]{1,11}", seconds):
        return ""
    return datetime.fromtimestamp(int(seconds), UTC).strftime(TIME_FORMAT)


def _unquoted(value: str) -> str:
    """A value of os-release: shell quotes, and backslashes before what they protect, taken away."""
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1]
    return re.sub(r"\\([\\\"'$`])", r"\1", value)


def _space(df_line: str) -> int:
    found = _DF_LINE.search(df_line)
    if found is None:
        raise _failure(f"The host's space (df -Pk) makes no sense: “{plain(df_line)}”.")
    return _number(found[1], "space (df -Pk)", 1, KILOBYTES_MAX)


def _boot_id(text: str) -> str:
    if not _BOOT_ID.fullmatch(text):
        raise _failure(f"The host's boot id makes no sense: “{plain(text)}”.")
    return text


def _number(text: str, name: str, least: int, most: int) -> int:
    if not re.fullmatch(r"[0-9]{1,19}", text) or not least <= int(text) <= most:
        raise _failure(f"The host's {name} makes no sense: “{plain(text)}”.")
    return int(text)


def _failure(sentence: str) -> SshFailure:
    return SshFailure("facts", sentence, passing=False)
