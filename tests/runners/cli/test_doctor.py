"""`commissaire doctor` says of what an installation stands on how it is, and what to do."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest

from domain.aggregates.container_manager import container_manager_request
from domain.commands import fleet_commands
from runners.cli.main import run
from runners.security.vault import Vault, master_key
from tests.support.stores import Store, done, postgres_store, sqlite_store, store

__all__ = ["postgres_store", "sqlite_store", "store"]

SOURCES = """
[sources.rack]
type = "file"
path = "{path}"
"""
NO_URL = """
[sources.net]
type = "http"
url = "http://127.0.0.1:99999/{address}"
"""
ANOTHER_USER = 4242


class Installation(NamedTuple):
    """A store with a vault under its master key, and the options that name both."""

    store: Store
    data: Path
    options: list[str]


@pytest.fixture
def installed(store: Store, tmp_path: Path) -> Installation:
    """An installation that is well."""
    data = store.path.parent if store.engine.name == "sqlite" else tmp_path / "data"
    data.mkdir(exist_ok=True)
    data.chmod(0o700)
    for file in data.iterdir():
        if file.is_file():
            file.chmod(0o600)
    Vault(master_key(None, data / "master.key")).open(store.engine)
    with store.writer() as writer:
        done(writer, fleet_commands.create_cluster, "web", "default", "")
    options = ["--data", str(data)]
    if store.engine.name != "sqlite":
        options += ["--database", store.url]
    return Installation(store, data, options)


def looked_at(
    installed: Installation, capsys: pytest.CaptureFixture[str], status: int, *more: str
) -> dict[str, str]:
    """What was found wrong or to be warned of, by what was looked at."""
    capsys.readouterr()
    assert run(["doctor", "--json", *installed.options, *more]) == status
    found = json.loads(capsys.readouterr().out)
    assert all(each["action"] for each in found if each["state"] != "ok")
    return {each["what"]: each["found"] for each in found if each["state"] != "ok"}


def test_what_is_well_is_said_to_be_well(
    installed: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    found = looked_at(installed, capsys, 0)
    assert found.keys() == {"accounts", "master key"}
    assert "beside the data" in found["master key"]
    assert "No user" in found["accounts"]
    assert run(["doctor", *installed.options]) == 0
    told = capsys.readouterr().out
    assert "Whole up to position" in told
    assert "It opens the vault" in told
    assert "0 wrong, 2 warnings" in told


def _open_to_others(data: Path) -> None:
    (data / "master.key").chmod(0o644)


def _another_key(data: Path) -> None:
    (data / "master.key").unlink()
    master_key(None, data / "master.key")


def _no_key(data: Path) -> None:
    (data / "master.key").unlink()


def _pipe_for_a_key(data: Path) -> None:
    (data / "master.key").unlink()
    os.mkfifo(data / "master.key", 0o600)


def _another_owner(data: Path) -> None:
    os.chown(data / "master.key", 4242, 4242)


@pytest.mark.parametrize(
    ("befalls", "what", "sentence"),
    [
        (_open_to_others, "data directory", "is open to others (mode 644)"),
        (_another_owner, "data directory", "is of another user (4242)"),
        (_another_key, "master key", "does not open"),
        (_no_key, "master key", "There is none at"),
        (_pipe_for_a_key, "master key", "is a pipe"),
    ],
)
def test_what_is_wrong_with_files_is_found(
    installed: Installation,
    capsys: pytest.CaptureFixture[str],
    befalls: Callable[[Path], None],
    what: str,
    sentence: str,
) -> None:
    befalls(installed.data)
    assert sentence in looked_at(installed, capsys, 1)[what]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_what_another_user_may_not_look_at_is_told_and_ends_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with TemporaryDirectory() as public:  # pytest's own are root's
        Path(public).chmod(0o711)
        (data := Path(public) / "data").mkdir(mode=0o700)
        config = Path(public) / "commissaire.toml"
        config.write_text(SOURCES.format(path=data / "rack.json"))
        asked = ["doctor", "--json", "--data", str(data), "--config", str(config)]
        run(asked)  # all is imported: Python itself may be root's
        capsys.readouterr()
        os.seteuid(ANOTHER_USER)
        try:
            status = run(asked)
        finally:
            os.seteuid(0)
    found = json.loads(capsys.readouterr().out)
    denied = {each["what"]: each["action"] for each in found if "denied" in each["found"]}
    assert status == 1
    assert denied.keys() >= {"data directory", "sources", "database"}
    assert "as the user of the service" in denied["data directory"]
    assert "listening" in {each["what"] for each in found}


def test_a_source_whose_url_is_none_is_told(
    installed: Installation, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (config := tmp_path / "etc.toml").write_text(NO_URL)
    assert (
        "Port out of range"
        in looked_at(installed, capsys, 1, "--config", str(config))["source net"]
    )


def test_a_log_that_is_not_whole_is_found_unless_nobody_is_to_look(
    installed: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    with installed.store.engine.append(10) as appending:
        appending.tx.execute(
            "INSERT INTO stored_events (originator_id, originator_version, topic, state,"
            " recorded_at) VALUES ('cluster/x', 1, 'cluster.flown', ?, ?)",
            (b"{}", "9999-01-01T00:00:00.000000"),
        )
        appending.commit()
    found = looked_at(installed, capsys, 1)
    assert "cluster.flown" in found["log"]
    assert "behind the newest event" in found["clock"]
    assert "is behind" in found["read models"]
    assert "log" not in looked_at(installed, capsys, 1, "--quick")


def test_settings_that_give_secrets_away_and_sources_that_are_not_there_are_found(
    installed: Installation,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    (etc := tmp_path / "etc").mkdir()
    config, facts = etc / "commissaire.toml", etc / "rack.json"
    config.write_text('host = "0.0.0.0"\n' + SOURCES.format(path=facts))
    facts.write_text("{}")
    more = ("--config", str(config))
    assert "without TLS" in looked_at(installed, capsys, 0, *more)["listening"]
    facts.unlink()
    assert "rack.json" in str(looked_at(installed, capsys, 1, *more))
    disk = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: disk._replace(free=1024))
    assert "0 MiB are free" in looked_at(installed, capsys, 1)["disk"]


def test_a_container_manager_that_takes_no_connection_is_found(
    installed: Installation, capsys: pytest.CaptureFixture[str], unused_tcp_port: int
) -> None:
    options = {"server_url": f"https://127.0.0.1:{unused_tcp_port}"}
    vault = Vault(master_key(None, installed.data / "master.key"))
    wanted = container_manager_request("kubernetes", {**options, "token": "made-up"})
    with installed.store.writer() as writer:
        done(writer, fleet_commands.create_container_manager, vault, "kube", wanted)
    found = looked_at(installed, capsys, 1)
    assert "Connection refused" in found["container manager kube"]


def test_no_installation_at_all_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--data", str(tmp_path / "none")]) == 1
    told = capsys.readouterr().out
    assert "No such file or directory" in told
    assert "There is no database" in told
    assert not (tmp_path / "none").exists()
