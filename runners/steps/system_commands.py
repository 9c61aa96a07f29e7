"""What a system is told to do in a step. What is there decides on the host, in `upgrade.sh`.

Every command is a list of arguments. What a client sends (a version, checked by
`rolling_policy.checked_version`) is one argument of it, and never text for a shell.
"""

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from importlib.resources import files

from domain.aggregates.host_events import FactsGathered
from domain.aggregates.operation_events import Evidence
from domain.aggregates.rolling_policy import Kind
from runners.ssh.failure import plain
from runners.steps.detached_step import Command

MARK = b"commissaire: "
WAITS = b"commissaire-waits: "
WAITING = re.compile(
    rb"Waiting for process with pid|currently holding the yum lock|[Ww]aiting for [^\n]{0,40}lock"
)
"""What dnf, yum, bootc and apt say while they wait by themselves."""
WAITS_LINES = 6
"""A step waits where one of so many last lines says so: yum explains itself in five."""
PACKAGES = re.compile(
    rb"^commissaire-packages: ([0-9a-f]{64}) ([0-9a-f]{64}) ([0-9]{1,6})$", re.MULTILINE
)
SENTENCES_MAX = 8
"""So many of them a record has."""
LINES_BYTES = 4096
"""The last lines of an output are looked for in so much of its end."""

Commands = Sequence[Command]

SCRIPTS = files("runners.steps")
WORDS = SCRIPTS.joinpath("package_words.sh").read_text(encoding="utf-8")
SCRIPT = WORDS + SCRIPTS.joinpath("upgrade.sh").read_text(encoding="utf-8")

FIRST: Mapping[str, str] = {
    "fedora": "dnf",
    "rhel": "dnf",
    "centos": "dnf",
    "rocky": "dnf",
    "almalinux": "dnf",
    "debian": "apt-get",
    "ubuntu": "apt-get",
    "atomic": "rpm-ostree",
    "coreos": "rpm-ostree",
}
"""By the system's name in the contract: the package command to look for first. A hint: what is
there decides, and so does /run/ostree-booted."""

YUM_UNTIL = {"centos": 7, "rhel": 7, "fedora": 21}
"""Up to these versions yum is looked for first, whatever else is there."""

OSTREE = ("atomic", "coreos")
"""Systems that are booted from OSTree, and so can be deployed."""

REBOOT_SCRIPT = """
sleep 1
[ "$(cat /proc/sys/kernel/random/boot_id)" = "$1" ] || exit 0
told= last=
for ask in "systemctl reboot" reboot "shutdown -r now"; do
    command -v "${ask%% *}" >/dev/null || continue
    said=$($ask 2>&1) && exit 0
    echo "$said"
    whole=$said
    said=$(printf '%s\\n' "$said" | grep . | head -n 1 | cut -c 1-150)
    [ "$said" = "$last" ] || told="$told${told:+, }“$ask” said “$said”"
    last=$said
    case $whole in *[Ii]nhibit* | *[Dd]enied* | *[Aa]uthentication*) break ;; esac
done
echo "commissaire: ${told:-it has none of systemctl, reboot and shutdown}"
exit 1
"""
"""Reboots a moment later, so that the answer gets out, and only in the given boot: a host that went
down by itself meanwhile is not rebooted again. systemctl stops services in order; without systemd
it fails, and has done nothing. Where nothing reboots it, it says why not, and fails. What an
inhibitor refuses is not asked for in another way: reboot and shutdown pass over inhibitors."""

REBOOT_NEEDED = "".join(
    SCRIPTS.joinpath(name).read_text(encoding="utf-8")
    for name in ("kernels.sh", "reboot_needed.sh")
)
"""Prints yes where a reboot is needed; on stderr a sentence where that cannot be told."""


RUN_SCRIPT = 'script=$(printf %s "$1" | base64 -d) || exit 127; exec /bin/sh -c "$script" run'


def reboot(boot_id: str) -> Commands:
    """The command that reboots a host, if this is its boot."""
    return (("/bin/sh", "-c", REBOOT_SCRIPT, "reboot", boot_id),)


class StepImpossible(Exception):
    """The host's system cannot do this step; the reason is for people."""


def commands(kind: Kind, version: str, facts: FactsGathered, script: str = "") -> Commands:
    """The commands of an operation's first step, for a host with these facts."""
    match kind:
        case "deploy":
            if facts.os not in OSTREE:
                raise StepImpossible(
                    f"It runs {facts.os}, which is not booted from OSTree: only such hosts can be"
                    " deployed. Upgrade them instead."
                )
            return _script("deploy", version)
        case "upgrade":
            return _script("upgrade", package_command(facts))
        case "run":
            return _run(script)
        case "restart":
            raise StepImpossible("A restart has no commands but its reboot.")


def sentences(output: bytes) -> str:
    """What the script said for the record, "" where it said nothing."""
    found = [line[len(MARK) :] for line in output.split(b"\n") if line.startswith(MARK)]
    said = plain(b" ".join(found[:SENTENCES_MAX]).decode("utf-8", "replace"))
    return f"{said}." if said else ""


def waits_for(output: bytes) -> str:
    """What the step waits for, by the end of its output so far; "" where it does not."""
    for line in reversed(output[-LINES_BYTES:].splitlines()[-WAITS_LINES:]):
        if line.startswith(WAITS):
            return plain(line[len(WAITS) :].decode("utf-8", "replace")) + "."
        if WAITING.search(line):
            said = plain(line.strip().decode("utf-8", "replace"))
            return f"Another package manager is at work: “{said}”."
    return ""


def packages(output: bytes) -> Evidence:
    """What was installed before and after, as digests of the lists, and how much changed."""
    found = PACKAGES.findall(output)
    if not found:
        return {}
    before, after, changed = found[-1]
    return {
        "packages_before": before.decode(),
        "packages_after": after.decode(),
        "packages_changed": int(changed),
    }


def package_command(facts: FactsGathered) -> str:
    """The package command to look for first on a system. Raises `StepImpossible`."""
    if facts.os not in FIRST:
        raise StepImpossible(f"Nobody told us how to upgrade {facts.os}.")
    major = facts.os_version.partition(".")[0]
    if facts.os in YUM_UNTIL and major.isdecimal() and int(major) <= YUM_UNTIL[facts.os]:
        return "yum"
    return FIRST[facts.os]


def _run(script: str) -> Commands:
    # In base64: quoted for two shells, a script of quotes would be too long for an argument.
    return (("/bin/sh", "-c", RUN_SCRIPT, "run", b64encode(script.encode()).decode()),)


def _script(verb: str, argument: str) -> Commands:
    return (("/bin/sh", "-c", SCRIPT, "upgrade", verb, argument),)
