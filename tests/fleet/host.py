"""A host of the fleet, as a test sees it: an address to connect to, and faults to ask for."""

from concurrent.futures import Executor
from pathlib import Path

from tests.fleet.addresses import Place, free_port
from tests.fleet.front import Fault, Front
from tests.fleet.keys import KeyPair, new_key
from tests.fleet.layout import (
    SUDOERS,
    Sshd,
    erase_identity,
    in_sudoers,
    lay_out,
    write,
    write_identity,
)
from tests.fleet.machine import FleetError, Machine
from tests.fleet.processes import Process
from tests.fleet.systems import System, system_named

SPACE_KB = 8 * 1024 * 1024  # of the root file system; a tmpfs, so nothing is taken until used
HIDDEN_SUDO = "/usr/bin/.sudo"  # beside it: a rename must not cross mounts


class Host:
    """An sshd with an identity of its own. Made by `Fleet.add`; all methods are synchronous.

    Times are in seconds.
    """

    def __init__(
        self, directory: Path, place: Place, system: System, user: str, user_key: KeyPair
    ) -> None:
        self.name = directory.name
        self.address = place.address
        self.port = place.port
        self.user = user
        self.private_key = user_key.private
        self.public_key = user_key.public
        self._user_key = user_key
        self.space_kb = SPACE_KB
        self._place = place
        self._system = system
        self._key = new_key()
        self._sshd = Sshd(place.address, place.port)
        self._machine = Machine(directory)
        self._front: Front | None = None
        self._slow = 0.0
        self._noise = 0
        self._returns = True

    # -- identity ---------------------------------------------------------------------------

    @property
    def host_key_fingerprint(self) -> str:
        """`SHA256:…` of the key that sshd shows now."""
        return self._key.fingerprint

    @property
    def boot_id(self) -> str:
        """What /proc/sys/kernel/random/boot_id says on the host."""
        return (self._machine.run / "boot_id").read_text().strip()

    @property
    def ran(self) -> list[list[str]]:
        """Calls of the commands that scripts play (dnf, reboot …): argv each, oldest first."""
        records = (self._machine.run / "ran").read_text(errors="replace").split("\x1e")
        return [record.split("\x1f")[:-1] for record in records if record]

    @property
    def log(self) -> str:
        """What sshd logged."""
        return self._machine.log("run/sshd.log")

    @property
    def first(self) -> int:
        """The pid, on the machine, of the host's process 1."""
        return self._machine.first

    def processes(self) -> list[Process]:
        """What runs on the host."""
        return list(self._machine.processes())

    def path(self, inside: str) -> Path:
        """Where a file of the host can be read and written from outside while it lives."""
        return self._machine.path(inside)

    def change_host_key(self) -> None:
        """Another host key, as after a reinstallation (or with somebody in the middle)."""
        self._key = new_key()
        write(self._machine.run / "host_key", self._key.private, 0o600)
        self._restart_sshd()

    def change_system(self, system: str) -> None:
        """Become another system: os-release, OSTree or not, and the commands that it has."""
        new = system_named(system)
        if new.busybox or self._system.busybox:
            raise FleetError("a host is a busybox system from its start or never")
        root = self.path("/")
        erase_identity(root, self._system)
        self._system = new
        write_identity(root, new)
        self._mark_ostree()

    # -- reachability -----------------------------------------------------------------------

    def let_in(self, *public_keys: str) -> None:
        """Whose private half has one of these keys may log in, and nobody else."""
        (self._machine.run / "authorized_keys").write_text("\n".join(public_keys) + "\n")

    def stop(self) -> None:
        """Power off: every process gone, connections refused."""
        if self._front is not None:
            self._front.close()
        self._machine.request("down")

    def start(self) -> None:
        """Power on with a new boot id; returns when sshd listens."""
        self._machine.new_boot_id()
        self._machine.request("up")
        self._machine.wait_for_sshd()
        if self._front is not None:
            planned = self._front.plan
            self._front = Front(self.address, self.port, self._sshd.port)
            self._front.plan.extend(planned)

    def freeze(self) -> None:
        """SIGSTOP to all processes: the kernel still accepts connections, nobody answers."""
        self._machine.freeze()

    def thaw(self) -> None:
        """Go on after `freeze`."""
        self._machine.thaw()

    def drop_connections(self) -> int:
        """Cut every session in the middle (what they started goes on); returns how many."""
        return self._machine.kill_sessions()

    def drop_banner(self, times: int) -> None:
        """The next `times` connections are accepted and closed before the banner."""
        self._plan([Fault(closes_after=0)] * times)

    def cut_after(self, byte_count: int, times: int = 1) -> None:
        """The next connections are cut once so many bytes have come from the host."""
        self._plan([Fault(closes_after=byte_count)] * times)

    def stall_after(self, byte_count: int, times: int = 1) -> None:
        """The next connections stay open, but only so many bytes come from the host."""
        self._plan([Fault(closes_after=byte_count, stalls=True)] * times)

    def say_nothing(self, times: int) -> None:
        """The next `times` connections are accepted and never answered."""
        self._plan([Fault(silent=True)] * times)

    def behave(self) -> None:
        """Forget the planned faults: later connections are passed through."""
        if self._front is not None:
            self._front.plan.clear()

    def startup_limit(self, limit: int) -> None:
        """sshd's MaxStartups: so many unauthenticated connections at once, all others dropped."""
        self._sshd.startups = f"{limit}:100:{limit}"
        self._restart_sshd()

    # -- what a session meets ---------------------------------------------------------------

    def slow(self, seconds: float) -> None:
        """Every session's command starts so much later; package commands take so long too."""
        self._slow = seconds
        self._write_sshrc()
        self.set("package_seconds", seconds)

    def login_noise(self, byte_count: int) -> None:
        """A login script of the user prints so many bytes to stdout before each command."""
        self._noise = byte_count
        if self._system.busybox:
            self._write_sshrc()
            return
        home = "/root" if self.user == "root" else f"/home/{self.user}"
        write(self.path(f"{home}/.bashrc"), f"{_noise(byte_count)}\n")

    def banner(self, text: str) -> None:
        """sshd's Banner, sent before authentication."""
        write(self._machine.run / "banner", text)
        self._sshd.banner = "/run/fleet/banner" if text else "none"
        self._restart_sshd()

    def sshd(self, *lines: str, pam: bool = False) -> None:
        """Further lines of sshd's configuration, and whether PAM has its say."""
        self._sshd.more = "".join(f"{line}\n" for line in lines)
        self._sshd.pam = "yes" if pam else "no"
        self._restart_sshd()

    def sudo(self, how: str) -> None:
        """What sudo does for the user: "works", asks for a "password", or is "missing"."""
        if how not in (*SUDOERS, "missing"):
            raise ValueError(f'sudo is "works", "password" or "missing", not {how!r}')
        sudo = self.path("/usr/bin/sudo")
        hidden = self.path(HIDDEN_SUDO)
        if how == "missing":
            if sudo.exists():
                sudo.rename(hidden)
            return
        if hidden.exists():
            hidden.rename(sudo)
        if not sudo.exists():
            raise FleetError("no sudo on this machine: apt-get install sudo")
        self.set("sudo", how)
        write(self.path("/etc/sudoers"), SUDOERS[how].format(user=in_sudoers(self.user)), 0o440)

    def full_tmp(self) -> None:
        """Make /tmp a small file system that is full to the last byte."""
        self._machine.request("fill-tmp")

    def clock_off(self, seconds: int) -> None:
        """`date` is so much ahead of the machine (behind, if negative); the kernel is not."""
        self._refuse_busybox("date")
        date, real = self.path("/usr/bin/date"), self.path("/usr/bin/.date")
        if not real.is_symlink() and not real.exists():
            date.rename(real)
        now = f"$(($(/usr/bin/.date +%s) + {seconds}))"
        write(date, f'#!/bin/sh\nexec /usr/bin/.date -d "@{now}" "$@"\n', 0o755)

    def cpus(self, count: int) -> None:
        """What `nproc` says."""
        self._refuse_busybox("nproc")
        write(self.path("/usr/bin/nproc"), f"#!/bin/sh\necho {count}\n", 0o755)

    def memory(self, total_kb: int) -> None:
        """MemTotal of /proc/meminfo."""
        self._machine.set_memory(total_kb)

    def set(self, name: str, value: object) -> None:
        """A setting that the scripts in `commands/` read, such as package_status."""
        write(self._machine.run / "settings" / name, f"{value}\n")

    # -- reboot -----------------------------------------------------------------------------

    def reboots(self, how: str = "new", downtime_s: float = 0.3) -> None:
        """What a reboot leads to: "new" boot id, the "same" one (it was none), or "never" back."""
        if how not in ("new", "same", "never"):
            raise ValueError(f'a reboot is "new", "same" or "never", not {how!r}')
        self._returns = how != "never"
        self.set("reboot", how)
        self.set("downtime_s", downtime_s)

    def reboot(self) -> None:
        """Reboot now, from outside; returns when it is done (see `reboots`).

        After `drop_banner` and its like, connections to a host that is down for a reboot are
        accepted and closed, not refused: the front that plays those faults stays up.
        """
        self._machine.request("reboot")
        if self._returns:
            self._machine.wait_for_sshd()

    # -- for the fleet ----------------------------------------------------------------------

    def boot(self, spawner: Executor) -> None:
        """First start, by `Fleet.add`."""
        keys = (self._key, self._user_key)
        lay_out(self._machine.directory, self._system, self.user, self._sshd, keys)
        self._machine.boot(self.space_kb, self.name, spawner)
        self._mark_ostree()

    def destroy(self) -> None:
        """End of it all, by the fleet."""
        if self._front is not None:
            self._front.close()
        self._machine.destroy()
        self._place.release()

    def _refuse_busybox(self, command: str) -> None:
        if self._system.busybox:
            raise FleetError(f"busybox's shell runs its own {command}, whatever is on the PATH")

    def _restart_sshd(self) -> None:
        """sshd reads its configuration and keys anew; running sessions go on."""
        write(self.path("/etc/ssh/sshd_config"), self._sshd.text())
        self._machine.request("restart")
        self._machine.wait_for_sshd()

    def _plan(self, faults: list[Fault]) -> None:
        if self._front is None:
            self._sshd.port = free_port(self.address)
            self._restart_sshd()
            self._front = Front(self.address, self.port, self._sshd.port)
        self._front.plan.extend(faults)

    def _write_sshrc(self) -> None:
        lines = [f"sleep {self._slow}"] if self._slow else []
        if self._noise and self._system.busybox:
            lines.append(_noise(self._noise))
        if lines:
            write(self.path("/etc/ssh/sshrc"), "\n".join(lines) + "\n")
        else:
            self.path("/etc/ssh/sshrc").unlink(missing_ok=True)

    def _mark_ostree(self) -> None:
        mark = self.path("/run/ostree-booted")
        mark.touch() if self._system.ostree else mark.unlink(missing_ok=True)


def _noise(byte_count: int) -> str:
    return f"head -c {byte_count} /dev/zero | tr '\\0' x; echo" if byte_count else ":"
