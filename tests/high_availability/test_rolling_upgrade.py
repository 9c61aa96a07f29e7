"""Two processes behind nginx are upgraded one after the other: everybody is answered."""

import io
import os
import secrets
import subprocess
import sys
import tarfile
from base64 import b64encode
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.docs.documents import ROOT
from tests.docs.test_operating import nginx
from tests.end_to_end.processes.several import KEY_BYTES
from tests.fleet.addresses import free_port
from tests.high_availability.test_nginx import Load, told
from tests.high_availability.traffic import must_be_well
from tests.support.certificates import Authority
from tests.support.service import Service

BEFORE = "d4529da45643e30f72c5fe9e11276a687633b325"
"""The last commit of version 0.1.0."""
PAUSE_S = 2.0
"""Both versions work side by side for so long at least."""
COMMAND = (sys.executable, "-P", "-m", "runners.cli")

pytestmark = pytest.mark.proof


class Upgraded(Service):
    """A service of the version before, until `upgrade`."""

    before: Path | None = None
    """Where the files of that version are."""

    def command(self) -> list[str]:
        """By a command line: it is not this version that would be forked."""
        return [*COMMAND, *self.arguments()]

    def environment(self) -> Mapping[str, str]:
        """That version's modules come before ours."""
        ours = dict(super().environment())
        if self.before is not None:
            ours["PYTHONPATH"] = os.pathsep.join((str(self.before), ours["PYTHONPATH"]))
        return ours

    def upgrade(self) -> None:
        """As an operator does it: stop, install, start."""
        self.stop()
        self.before = None
        self.start()

    @property
    def modules(self) -> Path:
        """Where its modules are."""
        line = [*COMMAND[:2], "-c", "import runners; print(runners.__file__)"]
        said = subprocess.check_output(line, env=self.environment(), text=True, timeout=60)
        return Path(said).parents[1]


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the version before."""
    packed = subprocess.run(
        ["git", "-C", ROOT, "archive", BEFORE], capture_output=True, check=True, timeout=60
    )
    to = tmp_path_factory.mktemp("before")
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(to, filter="data")
    return to


def test_a_rolling_upgrade_leaves_no_request_unanswered(
    postgres_url: str, tmp_path: Path, before: Path
) -> None:
    authority = Authority(tmp_path)
    with ExitStack() as stack:
        first, second = services = _pair(postgres_url, tmp_path, before)
        for service in services:
            stack.enter_context(service)
        assert first.modules == second.modules == before
        with (
            nginx(tmp_path, first, authority, second) as url,
            Load(url, first.password, authority) as load,
        ):
            for service in services:
                load.go_on(PAUSE_S)
                service.upgrade()
            load.go_on(PAUSE_S)
        assert not load.errors
        assert set(load.statuses) == {200, 201}, load.statuses
        assert first.modules == second.modules == ROOT
        assert max(told(first, "cluster.created").values()) == 1
        must_be_well(*services)


def _pair(database: str, directory: Path, before: Path) -> Sequence[Upgraded]:
    """On one database, with one key and the same users; each keeps its port."""
    key = b64encode(secrets.token_bytes(KEY_BYTES)).decode()
    services: list[Upgraded] = []
    for number in range(2):
        service = Upgraded(
            directory / str(number),
            database,
            *("--port", str(free_port("127.0.0.1"))),
            *("--users", str(directory / "0/data/users.json")),
            *("--trusted-proxy", "127.0.0.1/32", "--stop-announced-s", "0.2"),
            named=False,
            COMMISSAIRE_MASTER_KEY=key,
        )
        service.before = before
        service.password = services[0].password if services else service.password
        services.append(service)
    return services
