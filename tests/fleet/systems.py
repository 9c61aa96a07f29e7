"""What the systems of a fleet say of themselves, and the commands that each of them has."""

from dataclasses import dataclass

POWER = ("reboot", "poweroff", "halt", "shutdown", "systemctl")
DNF = ("dnf", "yum")
APT = ("apt-get", "apt", "dpkg")
OSTREE = ("rpm-ostree",)

# Never seen on a host unless its system has them: they would be the machine's own.
MACHINE_ONLY = ("apt-get", "apt", "dpkg", "dnf", "yum", "rpm", "rpm-ostree", "systemctl")
MACHINE_ONLY_MORE = (
    *("systemd-run", "aptitude", "apt-key", "add-apt-repository", "snap"),
    *("init", "telinit", "runlevel"),
)

# Which script of `commands/` plays a command, where it is not the one of the same name.
PLAYED_BY = {"yum": "dnf", "apt": "apt-get", "halt": "poweroff"}


@dataclass(frozen=True)
class System:
    """A system: its os-release, its package commands, and how its userland is made."""

    os_release: dict[str, str]
    packages: tuple[str, ...] = ()
    ostree: bool = False
    busybox: bool = False

    @property
    def commands(self) -> tuple[str, ...]:
        """Names of all commands that are played by scripts."""
        return POWER + self.packages

    def os_release_text(self) -> str:
        """The text of os-release, values quoted where the format wants it."""
        lines = []
        for key, value in self.os_release.items():
            plain = value.replace(".", "").replace("-", "").isalnum()
            lines.append(f"{key}={value}" if plain else f'{key}="{value}"')
        return "\n".join(lines) + "\n"


def _release(name: str, identity: str, version: str, **more: str) -> dict[str, str]:
    return {
        "NAME": name,
        "VERSION": more.pop("VERSION", version),
        "ID": identity,
        "VERSION_ID": version,
        "PRETTY_NAME": f"{name} {version}",
        **more,
    }


SYSTEMS: dict[str, System] = {
    "fedora": System(
        _release("Fedora Linux", "fedora", "40", VARIANT_ID="server", PLATFORM_ID="platform:f40"),
        packages=DNF,
    ),
    "centos": System(
        _release("CentOS Linux", "centos", "7", ID_LIKE="rhel fedora", VERSION="7 (Core)"),
        packages=("yum",),
    ),
    "rhel": System(
        _release("Red Hat Enterprise Linux", "rhel", "9.4", ID_LIKE="fedora"), packages=DNF
    ),
    "rocky": System(
        _release("Rocky Linux", "rocky", "9.4", ID_LIKE="rhel centos fedora"), packages=DNF
    ),
    "almalinux": System(
        _release("AlmaLinux", "almalinux", "9.4", ID_LIKE="rhel centos fedora"), packages=DNF
    ),
    "debian": System(
        _release("Debian GNU/Linux", "debian", "12", VERSION="12 (bookworm)"), packages=APT
    ),
    "ubuntu": System(
        _release("Ubuntu", "ubuntu", "24.04", ID_LIKE="debian", UBUNTU_CODENAME="noble"),
        packages=(*APT, "add-apt-repository"),
    ),
    "coreos": System(
        _release("Fedora Linux", "fedora", "40.20240519.3.0", VARIANT_ID="coreos"),
        packages=OSTREE,
        ostree=True,
    ),
    "container-linux": System(_release("Container Linux by CoreOS", "coreos", "2512.3.0")),
    "atomic": System(
        _release("Fedora", "fedora", "27", VARIANT="Atomic Host", VARIANT_ID="atomic.host"),
        packages=OSTREE,
        ostree=True,
    ),
    "busybox": System(
        _release("Debian GNU/Linux", "debian", "12", VERSION="12 (bookworm)"),
        packages=APT,
        busybox=True,
    ),
}


def system_named(name: str) -> System:
    """The system of that name; KeyError that lists the known ones otherwise."""
    if name not in SYSTEMS:
        raise KeyError(f"no system {name!r}; there are {', '.join(SYSTEMS)}")
    return SYSTEMS[name]
