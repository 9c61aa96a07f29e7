"""What can befall a host, what comes of it in the service, and what makes it good again."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.fleet import Host, new_key

FOR_EVER = 10_000
DECADE_S = 315_360_000
BANNER_BYTES = 100
"""Within them, sshd has said who it is, and nothing more."""
HANDSHAKE_BYTES = 20_000
"""More than it takes until a command runs."""


def nothing(host: Host) -> None:
    """No fault, or nothing that could be healed."""


@dataclass(frozen=True)
class Fault:
    """What befalls a host, what comes of it, and what makes it good again."""

    inflict: Callable[[Host], None]
    status: str
    kind: str = ""
    words: tuple[str, ...] = ()
    heal: Callable[[Host], None] = nothing
    user: str = "root"


def failed(
    kind: str,
    *words: str,
    inflict: Callable[[Host], None],
    heal: Callable[[Host], None],
    user: str = "root",
) -> Fault:
    """It fails, and recovers by itself once the cause is gone."""
    return Fault(inflict, "failed", kind, words, heal, user)


def harmless(inflict: Callable[[Host], None], user: str = "root") -> Fault:
    """It makes no difference."""
    return Fault(inflict, "disassociated", user=user)


def cut(host: Host, times: int = FOR_EVER) -> None:
    """In the middle of what the command prints."""
    host.login_noise(10 * HANDSHAKE_BYTES)
    host.cut_after(HANDSHAKE_BYTES, times)


def mend_cut(host: Host) -> None:
    host.behave()
    host.login_noise(0)


def become_plan_9(host: Host) -> None:
    host.path("/etc/os-release").write_text("ID=plan9\nVERSION_ID=4\n")


def lose_identity(host: Host) -> None:
    host.path("/etc/os-release").write_text("NAME=Nobody\n")


def find_identity(host: Host) -> None:
    host.change_system("fedora")


def forbid_shell(host: Host) -> None:
    _set_shell(host, "/bin/false")


def allow_shell(host: Host) -> None:
    _set_shell(host, "/bin/sh")


def _set_shell(host: Host, shell: str) -> None:
    passwd = host.path("/etc/passwd")
    lines = [line.split(":") for line in passwd.read_text().splitlines()]
    entries = [[*line[:-1], shell] if line[0] == host.user else line for line in lines]
    passwd.write_text("".join(":".join(entry) + "\n" for entry in entries))


def lock_out(host: Host) -> None:
    """As where somebody put another key into authorized_keys."""
    _authorized_keys(host).write_text(new_key().public + "\n")


def let_in(host: Host) -> None:
    _authorized_keys(host).write_text(host.public_key + "\n")


def _authorized_keys(host: Host) -> Path:
    return host.path("/run/fleet/authorized_keys")


FAULTS = {
    "refused": failed(
        "unreachable",
        "refused the connection on port",
        "is sshd running",
        inflict=Host.stop,
        heal=Host.start,
    ),
    "frozen before the banner": failed(
        "unreachable",
        "the login was not done within 3 s",
        "overloaded or hanging",
        inflict=Host.freeze,
        heal=Host.thaw,
    ),
    "frozen in the login": failed(
        "unreachable",
        "the login was not done within 3 s",
        inflict=lambda host: host.stall_after(BANNER_BYTES, FOR_EVER),
        heal=Host.behave,
    ),
    "frozen in the command": failed(
        "unreachable",
        "did not finish what we ran there within 4 s",
        inflict=lambda host: host.slow(3600),
        heal=lambda host: host.slow(0),
    ),
    "banner dropped for ever": failed(
        "unreachable",
        "closed the connection on port",
        "before the login was done",
        inflict=lambda host: host.drop_banner(FOR_EVER),
        heal=Host.behave,
    ),
    "start-ups limited": failed(
        "unreachable",
        "MaxStartups",
        inflict=lambda host: host.startup_limit(1),
        heal=lambda host: host.startup_limit(100),
    ),
    "cut in the middle of the facts": failed(
        "unreachable", "was cut while a command ran", inflict=cut, heal=mend_cut
    ),
    "5 MB of noise": failed(
        "facts",
        "bytes of output",
        "login scripts",
        inflict=lambda host: host.login_noise(5_000_000),
        heal=lambda host: host.login_noise(0),
    ),
    "wrong key": failed(
        "authentication",
        "did not let root log in with this key",
        "authorized_keys",
        inflict=lock_out,
        heal=let_in,
    ),
    "no shell": failed(
        "facts",
        "let us log in but did not run our script",
        "login shell",
        inflict=forbid_shell,
        heal=allow_shell,
        user="ops",
    ),
    "unsupported system": failed(
        "facts", "runs “plan9”", "not supported", inflict=become_plan_9, heal=find_identity
    ),
    "no system": failed(
        "facts", "ID is missing in /etc/os-release", inflict=lose_identity, heal=find_identity
    ),
    "sudo asks for a password": failed(
        "sudo",
        "sudo asks ops for a password",
        "NOPASSWD",
        inflict=lambda host: host.sudo("password"),
        heal=lambda host: host.sudo("works"),
        user="ops",
    ),
    "sudo is missing": failed(
        "sudo",
        "sudo is not installed",
        inflict=lambda host: host.sudo("missing"),
        heal=lambda host: host.sudo("works"),
        user="ops",
    ),
    "sudo works": harmless(lambda host: host.sudo("works"), user="ops"),
    "1 MB of noise": harmless(lambda host: host.login_noise(1_000_000)),
    "a login banner": harmless(lambda host: host.banner("Keep out!\n" * 100)),
    "a full /tmp": harmless(Host.full_tmp),
    "a clock ten years ahead": harmless(lambda host: host.clock_off(DECADE_S)),
    "a clock ten years behind": harmless(lambda host: host.clock_off(-DECADE_S)),
    "the banner dropped once": harmless(lambda host: host.drop_banner(1)),
    "cut once": harmless(lambda host: cut(host, times=1)),
}


HARMLESS = [name for name, fault in FAULTS.items() if fault.status == "disassociated"]
HARMFUL = [name for name, fault in FAULTS.items() if fault.status == "failed"]
