"""The real apt and dpkg on a played host, with repositories of its own.

The host's /usr and /etc are overlays, its /var is its own: the machine's packages are not touched.
"""

import fcntl
import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.fleet import Host

BUILD_TIMEOUT_S = 20
SOURCES = "/etc/apt/sources.list"
AWAY = "deb [trusted=yes] http://127.0.0.1:1/ ./\n"
"""A repository that nobody serves."""
CONF = 'APT::Sandbox::User "root";\nAcquire::Retries "0";\nDir::Log "/var/log";\n'
INSTALLED = "install ok installed"


def control(name: str, version: str, *more: str) -> str:
    """The fields of a package."""
    lines = [f"Package: {name}", f"Version: {version}", "Architecture: all", *more]
    lines += ["Maintainer: Nobody <nobody@example.org>", f"Description: {name} of the tests"]
    return "\n".join(lines) + "\n"


class RealApt:
    """A host that has Debian's apt and dpkg, and a repository in /srv/repository."""

    def __init__(self, host: Host, scratch: Path) -> None:
        self.host = host
        self._scratch = scratch
        self._index = ""
        for tool in ("apt-get", "dpkg"):
            host.path(f"/usr/bin/{tool}").unlink()
            shutil.copy(f"/usr/bin/{tool}", host.path(f"/usr/bin/{tool}"))
        for directory in ("info", "updates", "triggers", "alternatives", "parts"):
            host.path(f"/var/lib/dpkg/{directory}").mkdir(parents=True)
        for directory in ("/var/lib/apt/lists/partial", "/var/cache/apt/archives/partial"):
            host.path(directory).mkdir(parents=True)
        host.path("/var/lib/dpkg/status").touch()
        for directory in ("apt.conf.d", "sources.list.d", "preferences.d", "trusted.gpg.d"):
            place = host.path(f"/etc/apt/{directory}")
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True)
        host.path("/etc/apt/apt.conf.d/tests").write_text(CONF)
        host.path("/srv/repository").mkdir()
        self.sources()

    def sources(self, more: str = "") -> None:
        """Where packages come from: the host's repository, and more."""
        text = f"deb [trusted=yes] file:/srv/repository ./\n{more}"
        self.host.path(SOURCES).write_text(text)

    def publish(
        self, name: str, version: str, *more: str, postinst: str = "", brings: str = ""
    ) -> None:
        """Put a package into the repository. more: fields; brings: a program or a unit."""
        tree = self._scratch / f"{name}_{version}"
        fields = control(name, version, *more)
        for file, text, mode in (("control", fields, 0o644), ("postinst", postinst, 0o755)):
            if text:
                place = tree / "DEBIAN" / file
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(text)
                place.chmod(mode)
        tree.chmod(0o755)
        (tree / "DEBIAN").chmod(0o755)
        if brings:
            place = tree / brings.lstrip("/")
            place.parent.mkdir(parents=True)
            place.write_text("#!/bin/sh\n")
            place.chmod(0o755)
        package = self.host.path(f"/srv/repository/{tree.name}.deb")
        subprocess.run(
            ["dpkg-deb", "--root-owner-group", "--build", str(tree), str(package)],
            check=True,
            capture_output=True,
            timeout=BUILD_TIMEOUT_S,
        )
        built = package.read_bytes()
        digest = hashlib.sha256(built).hexdigest()
        self._index += (
            f"{fields}Filename: ./{package.name}\nSize: {len(built)}\nSHA256: {digest}\n\n"
        )
        self.host.path("/srv/repository/Packages").write_text(self._index)

    def has(self, name: str, version: str, *more: str, status: str = INSTALLED) -> None:
        """Count a package as installed, in this state."""
        first, _, others = control(name, version, *more).partition("\n")
        with self.host.path("/var/lib/dpkg/status").open("a") as known:
            known.write(f"{first}\nStatus: {status}\n{others}\n")
        self.host.path(f"/var/lib/dpkg/info/{name}.list").write_text("/.\n")

    def installed(self) -> dict[str, str]:
        """Version of each package that is installed and configured."""
        found = {}
        for package in self.host.path("/var/lib/dpkg/status").read_text().split("\n\n"):
            fields = dict(line.split(": ", 1) for line in package.splitlines() if ": " in line)
            if fields.get("Status", "").endswith(" ok installed"):
                found[fields["Package"]] = fields["Version"]
        return found

    @contextmanager
    def locked(self, path: str) -> Iterator[None]:
        """Hold one of the locks of apt and dpkg, as another process of theirs would."""
        with self.host.path(path).open("w") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX)
            yield
