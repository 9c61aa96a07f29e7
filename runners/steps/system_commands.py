"""What each system is told to do in a step: a table of commands, easy to extend.

Every command is a list of arguments. What a client sends (a version, checked by
`rolling_policy.checked_version`) is one argument of it, and never text for a shell.
"""

from collections.abc import Mapping, Sequence

from domain.aggregates.host_events import FactsGathered
from domain.aggregates.rolling_policy import Kind
from runners.steps.detached_step import Command

# Files that an administrator changed stay as they are; new defaults are taken where nothing was
# changed. Another apt that is at work is waited for.
APT = (
    "env",
    "DEBIAN_FRONTEND=noninteractive",
    "apt-get",
    "-y",
    "-o",
    "Dpkg::Options::=--force-confdef",
    "-o",
    "Dpkg::Options::=--force-confold",
    "-o",
    "DPkg::Lock::Timeout=600",
)

Commands = Sequence[Command]

DNF_UPGRADE: Commands = (("dnf", "-y", "upgrade"),)
YUM_UPGRADE: Commands = (("yum", "-y", "update"),)
APT_UPGRADE: Commands = (
    # What an interrupted run left half configured would stop this one.
    ("env", "DEBIAN_FRONTEND=noninteractive", "dpkg", "--configure", "-a", "--force-confold"),
    (*APT, "update"),
    (*APT, "upgrade"),
)
OSTREE_UPGRADE: Commands = (("rpm-ostree", "upgrade"),)

UPGRADE: Mapping[str, Commands] = {
    "fedora": DNF_UPGRADE,
    "rhel": DNF_UPGRADE,
    "centos": DNF_UPGRADE,
    "rocky": DNF_UPGRADE,
    "almalinux": DNF_UPGRADE,
    "debian": APT_UPGRADE,
    "ubuntu": APT_UPGRADE,
    "atomic": OSTREE_UPGRADE,
    "coreos": OSTREE_UPGRADE,
}
"""By the system's name in the contract."""

YUM_UNTIL = {"centos": 7, "rhel": 7, "fedora": 21}
"""Up to these versions the package command is yum."""

OSTREE = ("atomic", "coreos")
"""What is booted from OSTree, and so can be deployed."""

REBOOT_SCRIPT = """
sleep 1
[ "$(cat /proc/sys/kernel/random/boot_id)" = "$1" ] || exit 0
systemctl reboot 2>/dev/null || reboot || shutdown -r now
"""
"""A moment later, so that our answer gets out, and in the boot that is meant only: a host that went
down by itself meanwhile is not rebooted once more. The command that knows of services comes first;
without systemd it fails, and has done nothing."""

REBOOT_NEEDED = """
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C
if [ -e /run/ostree-booted ]; then
    rpm-ostree status --json | grep -o '"booted" *: *[a-z]*' | head -n 1 | grep -q false && echo yes
elif [ -e /run/reboot-required ] || [ -e /var/run/reboot-required ]; then
    echo yes
elif command -v dnf >/dev/null; then
    # By its words: that there is no such plugin ends with the same status.
    dnf needs-restarting -r 2>/dev/null | grep -q "Reboot is required" && echo yes
elif command -v needs-restarting >/dev/null; then
    needs-restarting -r 2>/dev/null | grep -q "Reboot is required" && echo yes
fi
:
"""
"""Says yes where what was installed or staged takes a reboot to be used. For a shell, as root."""


def reboot(boot_id: str) -> Commands:
    """What reboots a host, if this is its boot."""
    return (("/bin/sh", "-c", REBOOT_SCRIPT, "reboot", boot_id),)


class StepImpossible(Exception):
    """The host's system cannot do this step; the reason is for people."""


def commands(kind: Kind, version: str, facts: FactsGathered) -> Commands:
    """What a host with these facts runs in the first step of an operation."""
    match kind:
        case "deploy":
            if facts.os not in OSTREE:
                raise StepImpossible(
                    f"It runs {facts.os}, which is not booted from OSTree: only such hosts can be"
                    " deployed. Upgrade them instead."
                )
            return (("rpm-ostree", "deploy", version),)
        case "upgrade":
            return _upgrade(facts)
        case "restart":
            raise StepImpossible("A restart has no commands but its reboot.")


def _upgrade(facts: FactsGathered) -> Commands:
    major = facts.os_version.partition(".")[0]
    if facts.os in YUM_UNTIL and major.isdecimal() and int(major) <= YUM_UNTIL[facts.os]:
        return YUM_UPGRADE
    try:
        return UPGRADE[facts.os]
    except KeyError:
        raise StepImpossible(f"Nobody told us how to upgrade {facts.os}.") from None
