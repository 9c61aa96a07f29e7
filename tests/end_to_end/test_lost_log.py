"""A database file that lost what was answered is not gone on with unless somebody says so."""

import json
import re
import shutil
import sqlite3
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from domain.log.tree import growth
from tests.domain.log.tree.test_kept import vandalize, without_tree
from tests.support.service import Service, wait_for
from tests.support.stores import Store

EXIT_OTHER_LOG = 3
LIMIT_S = 60
OPERATING = Path(__file__).parents[2] / "docs" / "operating.md"


@pytest.fixture
def killed(tmp_path: Path) -> Service:
    """A service that was killed after 20 answered changes, which are in the WAL alone."""
    service = Service(tmp_path / "service", None, "--no-runners")
    with service:
        service.client.put("/cluster/first").raise_for_status()
        service.stop()
        service.start()  # what was before is in the file itself
        for number in range(20):
            service.client.put(f"/cluster/c{number}").raise_for_status()
        service.kill()
    return service


def refusal(service: Service) -> str:
    """Why it does not start."""
    begin = service.log.stat().st_size
    with pytest.raises(AssertionError, match="did not start"):
        service.start()
    assert service._process is not None
    assert service._process.wait(LIMIT_S) == EXIT_OTHER_LOG
    service._process = None
    (line,) = re.findall(r"commissaire: (.*)", service.read_log(begin))
    return str(line)


def test_a_write_ahead_log_that_was_deleted_is_told_and_gone_on_without_knowingly(
    killed: Service,
) -> None:
    (killed.data / "commissaire.db-wal").unlink()
    (killed.data / "commissaire.db-shm").unlink(missing_ok=True)
    said = refusal(killed)
    counts = re.search(r"it has (\d+) events, and had (\d+)\.", said)
    assert counts
    assert int(counts[2]) - int(counts[1]) == 20
    assert refusal(killed) == said  # and again
    name = said.rpartition("--accept-log ")[2]
    with pytest.raises(AssertionError, match="did not start"):
        killed.restart_with("--accept-log", f"{name}x")
    killed._process = None
    killed._flags = (*killed._flags[:-1], name)
    with killed:
        assert killed.client.get("/clusters").json() == ["first"]
        (event,) = killed.client.get("/events?type=log.went_back").json()
        assert event["data"]["changes_lost"] == 20
        assert int(event["id"]) > 10_000  # nobody gets a position of what is lost
        (told,) = [part for part in ready(killed)["parts"] if part["name"] == "log"]
        assert (told["kind"], ready(killed)["status"]) == ("log.loss_accepted", "ready")
        assert "log.loss_accepted" in killed.read_log()
        killed.client.put("/cluster/after").raise_for_status()
        killed.tool("log", "check")
        killed.stop()
        killed.start()
        assert killed.client.get("/clusters").json() == ["after", "first"]


def ready(service: Service) -> Any:
    """What `/readyz` says."""
    return httpx.get(f"{service.url}/readyz").json()


def test_after_a_crash_that_lost_nothing_it_starts_by_itself(killed: Service) -> None:
    with killed:
        assert len(killed.client.get("/clusters").json()) == 21
        wait_for((killed.data / "log.mark").exists)


def test_an_older_file_in_its_place_is_told(killed: Service, tmp_path: Path) -> None:
    older = tmp_path / "older"
    killed.tool("backup", str(older))
    with killed:
        killed.client.put("/cluster/later").raise_for_status()
        killed.stop()
    shutil.copyfile(older / "commissaire.db", killed.data / "commissaire.db")
    assert "it has 21 events, and had 22" in refusal(killed)


def test_a_tree_whose_frontier_was_changed_is_made_anew_as_the_documents_say(
    tmp_path: Path,
) -> None:
    service = Service(tmp_path / "service", None, "--no-runners")
    (anew,) = re.findall(r'sqlite3 \S+ "(DROP .*)"', OPERATING.read_text())
    with service:
        service.client.put("/cluster/before").raise_for_status()
        in_its_place(service, "UPDATE log_frontier SET hashes = zeroblob(length(hashes))")
        service.client.put("/cluster/after").raise_for_status()  # the mark is of that tree
        with pytest.raises(AssertionError):
            service.tool("log", "check")
        service.stop()
    in_its_place(service, anew)
    said = refusal(service)
    assert "its first 2 events are not those that it had" in said
    service._flags = (*service._flags, "--accept-log", said.rpartition("--accept-log ")[2])
    with service:
        wait_for(lambda: "log.tree_made" in service.read_log())
        assert service.client.get("/clusters").json() == ["after", "before"]
        service.tool("log", "check")
        service.stop()
        service.start()
        service.client.put("/cluster/more").raise_for_status()
        service.tool("log", "check")


def test_a_postgresql_that_was_altered_and_its_tree_made_to_fit_is_told_and_gone_on_with_knowingly(
    tmp_path: Path, postgres_url: str
) -> None:
    service = Service(tmp_path / "service", postgres_url, "--no-runners")
    with service, ExitStack() as opened:
        for name in "abc":
            service.client.put(f"/cluster/{name}", headers={"Commissaire-Note": "as it was"})
        service.stop()
        service.start()  # nothing was altered
        service.client.put("/cluster/d").raise_for_status()
        service.stop()
        store = Store(postgres_url, opened)
        words = "convert_to(replace(convert_from(state, 'UTF8'), 'as it was', 'as it is'), 'UTF8')"
        vandalize(store, [f"UPDATE stored_events SET state = {words}"])  # noqa: S608 - our own
        without_tree(store)
        growth.grow(store.engine)
        said = refusal(service)
        assert "events are not those that it had" in said
        name = said.rpartition("--accept-log ")[2]
        service._flags = (*service._flags, "--accept-log", name)
        service.start()
        (event,) = service.client.get("/events?type=log.went_back").json()
        assert int(event["id"]) > 10_000
        (told,) = [part for part in ready(service)["parts"] if part["name"] == "log"]
        assert (told["kind"], ready(service)["status"]) == ("log.loss_accepted", "ready")
        service.kill()
        service.start()  # nobody is asked again
        assert len(service.client.get("/events?type=log.went_back").json()) == 1
        service.client.put("/cluster/after").raise_for_status()
        service.stop()
        service.start()  # what was accepted is what is known from here on
        (told,) = [part for part in ready(service)["parts"] if part["name"] == "log"]
        assert "kind" not in told


def test_a_quiet_log_on_postgresql_is_signed_as_soon_as_it_has_its_tree(
    tmp_path: Path, postgres_url: str
) -> None:
    service = Service(tmp_path / "service", postgres_url, "--no-runners")
    file = service.data / "log.json"
    with service, ExitStack() as opened:
        service.client.put("/cluster/a").raise_for_status()
        service.stop()
        known = json.loads(file.read_text())
        assert known.pop("signed")
        file.write_text(json.dumps(known))  # as the version before has it
        without_tree(Store(postgres_url, opened))
        service.start()
        wait_for(lambda: json.loads(file.read_text()).get("signed"), LIMIT_S)
        assert json.loads(file.read_text())["position"] == known["position"]


def in_its_place(service: Service, statements: str) -> None:
    """Run by somebody with a shell."""
    with sqlite3.connect(service.data / "commissaire.db") as plain:
        plain.executescript(statements)
    plain.close()
