"""docs/commctl.md: its examples are run, and what they print is written below them.

    python -m tests.commctl.page

runs all of them on a service and hosts of their own, and writes the page.
"""

import re
import sys
import tempfile
from pathlib import Path

from tests.commctl.conftest import QUICK
from tests.commctl.operator import Operator
from tests.commctl.terminal import Terminal
from tests.docs.documents import ROOT
from tests.fleet import Fleet
from tests.fleet.keys import new_key
from tests.support.service import Service

PAGE = ROOT / "docs" / "commctl.md"
COLUMNS, ROWS = 100, 400
LIMIT_S = 120.0
BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
CSV = "address,port,cluster,label:rack\n127.9.0.1,9,db,7\nno host,22,db,7\n"
# What differs from run to run, and what stands for it where two of them are compared.
VARIES = (
    (r"\nupdates +[^\n]*", ""),  # when the service asks for them is chance
    # `host check` asks again where the machine is slow.
    (r"(\n\S+ +\S+ +is to be looked at now)+", r"\1"),
    (r"\d+ events", "N events"),
    (UUID, "ID"),
    (r"[0-9a-f]{8}-[0-9a-f]{4}\b", "ID"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?( UTC|Z)?", "TIME"),
    (r"\b\d\d:\d\d\b|\b\dd ago", "TIME"),
    (r"\b20\d\d-\d\d-\d\d\b", "TIME"),
    (r"\d+ (s|min) ago|in \d+:\d\d", "AGO"),
    (r"SHA256:[A-Za-z0-9+/]{43}", "FINGERPRINT"),
    (r"whsec_\S+", "SECRET"),
    (r"(position|took_ms) +\d+", r"\1 N"),
    (r"(✗) +\d+(?= )", r"\1 N"),
    (r"(kernel|cpus|memory|space) +\S+( [KMGT]iB)?", r"\1 N"),
    (r"local:\w+", "local:USER"),
    (r"127\.0\.0\.1:\d+|localhost:8000", "SERVER"),
    (r"(?<=\s)/\S+", "PATH"),
)


def shape(text: str) -> str:
    """What is printed, without what differs from run to run, and however it is laid out."""
    for pattern, stands_for in VARIES:
        text = re.sub(pattern, stands_for, text)
    # Hosts are sorted by their addresses, which are others each time.
    return " ".join(sorted(text.split()))


def examples(text: str) -> list[tuple[str, str]]:
    """Each command of the page, and what it says that it prints."""
    found: list[tuple[str, str]] = []
    for block in BLOCK.findall(text):
        for example in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, printed = example.partition("\n")
            found.append((command, printed.rstrip("\n")))
    return found


class Stage:
    """Where they run: a service, and hosts that are called as on the page."""

    def __init__(self, directory: Path, service: Service, fleet: Fleet) -> None:
        self._service = service
        self._operator = Operator(directory / "home", service, NO_COLOR="1", LC_ALL="C.UTF-8")
        key = new_key()
        first, second = fleet.add("fedora", key=key), fleet.add("debian", key=key)
        third = fleet.add("fedora", user="ops")
        third.sudo("password")
        self._names = {
            "10.0.0.7": first.address, "10.0.0.8": second.address, "10.0.0.9": third.address,
        }  # fmt: skip
        home = self._operator.home
        for name, text in {
            "id_ed25519": first.private_key.decode(),
            "ops_ed25519": third.private_key.decode(),
            "password": f"{service.password}\n",
            "hosts.csv": CSV,
            "kernel.sh": "uname -r\n",
            "url": "http://127.0.0.1:9/hooks/x7\n",
        }.items():
            (home / name).touch(mode=0o600)
            (home / name).write_text(text)
        (home / "bin").mkdir()
        program = home / "bin" / "commctl"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m commctl "$@"\n')
        program.chmod(0o755)

    def printed(self, command: str) -> str:
        """What a command of the page prints here, in the words of the page."""
        here = command.replace("http://localhost:8000", self._service.url)
        for name, address in self._names.items():
            here = here.replace(name, address)
        environment = self._operator.environment
        home = str(self._operator.home)
        path = f"{home}/bin:{environment['PATH']}"
        shell = ["/bin/sh", "-c", f"cd {home} && {here}"]
        with Terminal(shell, {**environment, "PATH": path}, COLUMNS, ROWS) as terminal:
            terminal.end(LIMIT_S)
            screen = terminal.screen
        for name, address in self._names.items():
            pad = " " * (len(address) - len(name))
            screen = re.sub(rf"{re.escape(address)}(?=  )", name + pad, screen)
            screen = screen.replace(address, name)
        screen = screen.replace(self._service.url, "http://localhost:8000")
        return screen.replace(str(self._service.data), "/var/lib/commissaire-service").replace(
            home, "/home/ada"
        )


def written() -> str:
    """The page, with what its examples print here and now."""
    with tempfile.TemporaryDirectory() as directory:  # its name is short: words fold alike
        return _written(Path(directory))


def _written(directory: Path) -> str:
    with Service(directory / "service", None, *QUICK) as service, Fleet(directory / "f") as fleet:
        stage = Stage(directory, service, fleet)

        def block(found: re.Match[str]) -> str:
            lines = []
            for command, _ in examples(found[0]):
                printed = stage.printed(command)
                lines += [f"$ {command}", *([printed] if printed else [])]
            return "```console\n" + "\n".join(lines) + "\n```"

        return BLOCK.sub(block, PAGE.read_text())


def main() -> None:
    """Write the page."""
    PAGE.write_text(written())


if __name__ == "__main__":
    main()
