"""An old service with some of everything, and who we are to it and to a new one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from runners.cli.import_2017 import progress
from tests.runners.cli.import_2017.old_service import PASSWORD, USER, OldService
from tests.runners.cli.import_2017.told import HOSTS, LINK, TOKEN
from tests.web.service import new_key


@pytest.fixture(autouse=True)
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """No line of progress is among what is told, however busy this machine is."""
    monkeypatch.setattr(progress, "EVERY_S", 3600.0)


@pytest.fixture
def old() -> Iterator[OldService]:
    """An old service with some of everything."""
    with OldService() as service:
        for address in HOSTS:
            service.add_host(address, new_key(), "core" if address.endswith("1") else "root")
        service.add_network("blue", "flannel_server", address="192.168.152.101:8080")
        service.add_manager("prod", "openshift", apiserver=f"{LINK}/api/", token=TOKEN)
        # Members stand in the order in which they joined.
        service.add_cluster("web", list(HOSTS[:2]), network="blue", container_manager="prod")
        service.add_cluster("db", [])
        yield service


@pytest.fixture
def password(tmp_path: Path) -> list[str]:
    """The options that say who we are over there."""
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    file.chmod(0o600)
    return ["--user", USER, "--password-file", str(file)]


@pytest.fixture
def other(tmp_path: Path) -> Iterator[list[str]]:
    """The options of a new service that is only looked at."""
    token = tmp_path / "token"
    token.write_text("cmsr_made-up")
    token.chmod(0o600)
    with OldService(open_to_all=True) as service:
        yield ["--to", service.url, "--token-file", str(token)]
