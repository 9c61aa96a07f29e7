"""A fleet to try the service on: real OpenSSH sshd processes, each playing a host.

    with Fleet(tmp_path) as fleet:
        host = fleet.add("fedora")                      # returns when its sshd answers
        ubuntu = fleet.add("ubuntu", user="ops")        # its sudo works, see Host.sudo
        many = fleet.add_many(["debian"] * 50)
        connect(host.address, host.port, host.user, host.private_key)
        host.freeze(); host.drop_banner(3); host.change_host_key()      # and more: see Host
        assert ["dnf", "-y", "upgrade"] in host.ran

Each host has mount, pid and uts namespaces of its own, and a file system that starts as an
overlay of the machine's /usr and /etc: what a host writes, installs or deletes stays in its
memory and goes away with it. Package and power commands are the small scripts of `commands/`,
at the places where the real ones would be; they log to `Host.ran`. Nothing of a host can
outlive the process that made it (PR_SET_PDEATHSIG), not even when that is killed.

Needs Linux with openssh-server and util-linux; busybox-static and sudo for hosts with them; and
root, or unprivileged user namespaces. There the hosts have no ports below 1024, and their users,
whatever they are called, are the one that runs the fleet; a script plays sudo.
"""

from tests.fleet.fleet import Fleet
from tests.fleet.host import Host
from tests.fleet.keys import KeyPair, new_key
from tests.fleet.machine import FleetError
from tests.fleet.systems import SYSTEMS

__all__ = ["SYSTEMS", "Fleet", "FleetError", "Host", "KeyPair", "new_key"]
