"""What the steps of an operation run on a host, by its system.

A command is a list of words, each passed as one argument: nothing of a request is ever text to a
shell. To support another system, add its row.
"""

from domain.host import FactsGathered
from domain.operation import OperationRequest

Command = tuple[str, ...]

OSTREE = ("atomic", "coreos")
YUM_UNTIL = 7
"""The last major version of CentOS and RHEL whose package manager is yum."""

DNF: Command = ("dnf", "-y", "upgrade")
YUM: Command = ("yum", "-y", "update")
# What an interrupted upgrade left is finished first. Nobody is asked about configuration files:
# those that were changed stay as they are. Another apt-get that runs is waited for.
APT_UPGRADE = (
    "dpkg --force-confdef --force-confold --configure -a && apt-get -q update"
    " && exec apt-get -y -q -o DPkg::Lock::Timeout=600 -o Dpkg::Options::=--force-confdef"
    " -o Dpkg::Options::=--force-confold upgrade"
)
APT: Command = ("env", "DEBIAN_FRONTEND=noninteractive", "/bin/sh", "-c", APT_UPGRADE)

UPGRADE: dict[str, Command] = {
    "fedora": DNF,
    "rocky": DNF,
    "almalinux": DNF,
    "centos": DNF,
    "rhel": DNF,
    "debian": APT,
    "ubuntu": APT,
    "atomic": ("rpm-ostree", "upgrade"),
    "coreos": ("rpm-ostree", "upgrade"),
}

OSTREE_STAGED = (
    "rpm-ostree status --json | grep -o '\"booted\" *: *[a-z]*' | head -n 1 | grep false"
)
NEEDS_REBOOT: dict[str, str] = {
    **dict.fromkeys(
        ("fedora", "rocky", "almalinux", "centos", "rhel"), "! dnf needs-restarting -r"
    ),
    **dict.fromkeys(("debian", "ubuntu"), "[ -e /run/reboot-required ]"),
    **dict.fromkeys(OSTREE, OSTREE_STAGED),
}
"""A script for each system that ends with 0 where a reboot is needed."""
NEEDS_REBOOT_YUM = "! needs-restarting -r"


class Impossible(Exception):
    """Why a step cannot be done on this host, a sentence for people."""


def command(request: OperationRequest, facts: FactsGathered | None) -> Command:
    """The command of an upgrade or a deploy on a host of which these facts are known."""
    os = facts.os if facts else ""
    if request.kind == "deploy":
        if os not in OSTREE:
            raise Impossible(
                f"It runs {os or 'an unknown system'}, which is not booted from OSTree: a version"
                " can be deployed to OSTree-based hosts only."
            )
        return ("rpm-ostree", "deploy", request.version)
    if os not in UPGRADE:
        raise Impossible(f"It runs {os or 'an unknown system'}: nobody knows how to upgrade that.")
    return YUM if facts is not None and _has_yum(facts) else UPGRADE[os]


def needs_reboot(facts: FactsGathered | None) -> str:
    """The script that tells whether this host has to reboot after an upgrade."""
    if facts is None:
        return ":"
    return NEEDS_REBOOT_YUM if _has_yum(facts) else NEEDS_REBOOT.get(facts.os, ":")


def _has_yum(facts: FactsGathered) -> bool:
    major = facts.os_version.partition(".")[0]
    return facts.os in ("centos", "rhel") and major.isdigit() and int(major) <= YUM_UNTIL


def shown(words: Command) -> str:
    """The command as a sentence names it."""
    return "apt-get upgrade" if words is APT else " ".join(words)
