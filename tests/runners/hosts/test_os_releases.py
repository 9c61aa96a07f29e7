"""What the os-release of well-known systems is taken for."""

import pytest

from runners.ssh.failure import SshFailure
from tests.runners.hosts.test_facts import facts

# ID, ID_LIKE, VERSION_ID, and the contract's name; None: not supported.
SYSTEMS = [
    ("almalinux", "rhel centos fedora", "8.10", "almalinux"),
    ("almalinux", "rhel centos fedora", "10.0", "almalinux"),
    ("alpine", "", "3.21.2", None),
    ("altlinux", "", "10", None),
    ("amzn", "rhel fedora", "2014.03", "rhel"),
    ("amzn", "rhel fedora", "2016.03", "rhel"),
    ("amzn", "rhel fedora", "2018.03", "rhel"),
    ("amzn", "centos rhel fedora", "2", "centos"),
    ("amzn", "fedora", "2023", "fedora"),
    ("antergos", "arch", "", None),
    ("arch", "", "", None),
    ("buildroot", "", "2022.02", None),
    ("centos", "rhel fedora", "7", "centos"),
    ("centos", "rhel fedora", "8", "centos"),
    ("centos", "rhel fedora", "9", "centos"),
    ("clear-linux-os", "clear-linux-os", "41800", None),
    ("cloudlinux", "rhel fedora centos", "7.3", "rhel"),
    ("cloudlinux", "rhel fedora centos", "8.4", "rhel"),
    ("cloudlinux", "rhel fedora centos", "9.2", "rhel"),
    ("coreos", "", "899.15.0", None),
    ("flatcar", "coreos", "3139.2.0", None),
    ("debian", "", "8", "debian"),
    ("debian", "", "9", "debian"),
    ("debian", "", "10", "debian"),
    ("debian", "", "13", "debian"),
    ("debian", "", "", "debian"),
    ("deepin", "debian", "20", "debian"),
    ("elementary", "ubuntu debian", "7", "ubuntu"),
    ("endeavouros", "arch", "", None),
    ("exherbo", "", "", None),
    ("fedora", "", "19", "fedora"),
    ("fedora", "", "23", "fedora"),
    ("fedora", "", "30", "fedora"),
    ("fedora", "", "42", "fedora"),
    ("gentoo", "", "", None),
    ("guix", "", "", None),
    ("kali", "debian", "2024.1", "debian"),
    ("kvmibm", "rhel fedora", "1.1.3", "rhel"),
    ("linuxmint", "debian", "17", "debian"),
    ("linuxmint", "ubuntu debian", "21", "ubuntu"),
    ("mageia", "mandriva fedora", "5", "fedora"),
    ("manjaro", "arch", "", None),
    ("nixos", "", "24.05", None),
    ("ol", "", "7.5", "rhel"),
    ("ol", "fedora", "7.9", "rhel"),
    ("ol", "fedora", "8.9", "rhel"),
    ("ol", "fedora", "9.3", "rhel"),
    ("openEuler", "", "22.03", None),
    ("opensuse", "suse", "42.1", None),
    ("opensuse-leap", "suse opensuse", "15.6", None),
    ("opensuse-tumbleweed", "opensuse suse", "20240612", None),
    ("parrot", "debian", "6.0", "debian"),
    ("pop", "ubuntu debian", "22.04", "ubuntu"),
    ("raspbian", "debian", "7", "debian"),
    ("raspbian", "debian", "8", "debian"),
    ("rhel", "fedora", "7.0", "rhel"),
    ("rhel", "fedora", "8.9", "rhel"),
    ("rhel", "centos fedora", "10.0", "rhel"),
    ("rocky", "rhel centos fedora", "9.4", "rocky"),
    ("scientific", "rhel centos fedora", "7.1", "rhel"),
    ("slackware", "", "14.1", None),
    ("sles", "", "12.1", None),
    ("sles", "suse", "15.5", None),
    ("tencentos", "rhel fedora centos tlinux", "3.1", "rhel"),
    ("ubuntu", "debian", "14.04", "ubuntu"),
    ("ubuntu", "debian", "16.04", "ubuntu"),
    ("ubuntu", "debian", "25.04", "ubuntu"),
    ("virtuozzo", "rhel fedora", "7", "rhel"),
    ("void", "", "", None),
    ("xenenterprise", "centos rhel fedora", "7.5.0", "centos"),
]


@pytest.mark.parametrize(("identity", "like", "version", "os"), SYSTEMS)
def test_well_known_systems_are_taken_for_what_they_are(
    identity: str, like: str, version: str, os: str | None
) -> None:
    said = {"release_ID": identity, "release_ID_LIKE": f'"{like}"', "release_VERSION_ID": version}
    if os is None:
        with pytest.raises(SshFailure, match="not supported"):
            facts(**said)
    else:
        found = facts(**said)
        assert (found.os, found.os_version) == (os, version)
