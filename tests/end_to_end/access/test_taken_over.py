"""Files of accounts of a version before: taken over once, at the first start."""

import json
from base64 import b64encode
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import httpx

from domain.log.engine import StoredEvent
from domain.log.recorder import LogRecorder, head
from projections.accounts import projection
from projections.all import PROJECTIONS
from projections.rebuilding.live_tables import AT_ONCE_POSITIONS
from projections.rebuilding.scratch import Scratch
from runners.security.tokens import TokensFile
from runners.security.users import UsersFile, hash_password
from tests.end_to_end.test_rebuilding import service_running
from tests.end_to_end.test_serve import serve
from tests.faults.models.whole import database_of, must_be_whole
from tests.support.service import Service, wait_for
from tests.support.stores import Store
from tests.support.warm_start import CHEAP_BCRYPT

LOCK_S = 10
KEY = b64encode(b"k" * 32).decode()


def status_as(service: Service, user: str, verb: str = "GET", path: str = "/hosts") -> int:
    """What this user is answered."""
    with service.client_as(user) as client:
        return client.request(verb, path).status_code


def events(service: Service) -> list[dict[str, object]]:
    found: list[dict[str, object]] = service.client.get("/events").json()
    return found


def test_users_and_tokens_of_a_data_directory_are_taken_over_once_as_events(
    tmp_path: Path, database_url: str
) -> None:
    service = Service(tmp_path / "service", database_url, named=False)
    tokens = TokensFile(service.data / "tokens.json")
    token = tokens.create("ci", "operator", datetime(2020, 1, 2, tzinfo=UTC), None)
    before = (service.data / "users.json").read_text()
    with service:
        told = events(service)
        added = {str(event["subject"]): event["data"] for event in told}
        assert list(added) == ["user/admin", "user/operator", "user/viewer", "token/ci"]
        assert {str(event["actor"]) for event in told} == {"runner:accounts"}
        assert added["user/viewer"] == {"role": "viewer", "clusters": {}, "has_password": True}
        hashes = [entry["hash"] for entry in json.loads(before).values()]
        for hashed in hashes:
            assert hashed not in json.dumps(told)
        bearer = {"Authorization": f"Bearer {token}"}
        url = f"{service.url}/api/v0/cluster/web"
        assert httpx.put(url, headers=bearer).status_code == 201
        assert status_as(service, "viewer", "PUT", "/cluster/web") == 403
        (listed,) = json.loads(service.tool("token", "list", "--json"))
        assert listed["created"] == "2020-01-02T00:00:00Z"
        service.tool("user", "remove", "viewer")
        assert service.stop() == 0
        names = {path.name for path in service.data.iterdir()}
        assert {"users.json.taken-over", "tokens.json.taken-over"} <= names
        assert not {"users.json", "tokens.json"} & names
        # The old file comes back, say with a restored directory: nobody in it does.
        (service.data / "users.json").write_text(before)
        service.start()
        assert status_as(service, "viewer") == 403
        assert [event["type"] for event in events(service)[4:]] == [
            "cluster.created",
            "user.removed",
        ]
        assert service.read_log().count('"account.known_already"') == 3


def test_a_second_process_takes_over_what_nobody_has_had_before_and_nothing_else(
    tmp_path: Path, postgres_url: str
) -> None:
    one = Service(tmp_path / "one", postgres_url, named=False, COMMISSAIRE_MASTER_KEY=KEY)
    two = Service(tmp_path / "two", postgres_url, named=False, COMMISSAIRE_MASTER_KEY=KEY)
    hashed = hash_password("secret", CHEAP_BCRYPT)
    UsersFile(two.data / "users.json").add("ada", hashed, "operator")
    with one:
        two.password = one.password  # of the names that both files have, the first stays
        with two:
            for service in (one, two):
                hosts = f"{service.url}/api/v0/hosts"
                assert httpx.get(hosts, auth=("ada", "secret")).status_code == 200
                assert service.client.get("/hosts").status_code == 200
            assert [event["subject"] for event in events(one)] == [
                *("user/admin", "user/operator", "user/viewer"),
                "user/ada",
            ]


def test_one_administrator_is_made_where_several_processes_start_on_an_empty_database(
    tmp_path: Path, postgres_url: str
) -> None:
    services = [
        Service(tmp_path / name, postgres_url, named=False, COMMISSAIRE_MASTER_KEY=KEY)
        for name in ("one", "two")
    ]
    for service in services:
        (service.data / "users.json").unlink()
    with services[0], services[1]:
        shown = [service.read_log().count("shown only now: ") for service in services]
        assert shown == [1, 0]
        password = services[0].read_log().partition("shown only now: ")[2].split()[0]
        for service in services:
            answer = httpx.get(f"{service.url}/api/v0/events", auth=("admin", password))
            assert [event["subject"] for event in answer.json()] == ["user/admin"]


def test_a_file_that_cannot_be_taken_over_is_a_wrong_setting_and_stays(tmp_path: Path) -> None:
    for name in ("users.json", "tokens.json"):
        data = tmp_path / name
        data.mkdir()
        (data / name).write_text("{")
        refused = serve("--port", "0", data=data)
        assert refused.returncode == 2
        assert name in refused.stderr
        assert (data / name).read_text() == "{"


def test_a_named_file_is_read_as_before_beside_the_users_of_the_database(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        service.tool("user", "add", "ada", "--role", "viewer", "--password-stdin", stdin=b"secret")
        hosts = f"{service.url}/api/v0/hosts"
        assert httpx.get(hosts, auth=("ada", "secret")).status_code == 200
        UsersFile(service.data / "users.json").remove("viewer")
        assert status_as(service, "viewer") == 403
        assert [event["subject"] for event in events(service)] == ["user/ada"]
        assert (service.data / "users.json").exists()


def of_an_older_version(service: Service, database_url: str, *more: str) -> None:
    """A directory whose log is long, and knows of no accounts: as the version before left it."""
    with service:
        assert service.client.put("/cluster/web").status_code == 201
    with ExitStack() as opened:
        store = Store(database_of(service, database_url), opened)
        state = b'{"at":"2026-01-02T03:04:05.000006","actor":"a","correlation":"c"}'
        LogRecorder(store.engine).insert_events(
            [
                StoredEvent("source/rack", version, "source.came_back", state)
                for version in range(1, AT_ONCE_POSITIONS + 2)
            ]
        )
        tables = [table.name for table in projection.PROJECTION.tables]
        with store.engine.append(LOCK_S) as appending:
            newest = head(appending.tx).position
            for sql in (
                f"UPDATE projection_positions SET position = {newest}",  # noqa: S608 - our own
                "DELETE FROM projection_positions WHERE name = 'accounts'",
                *(f"DROP TABLE {name}" for name in (*tables, "account_hashes")),
                *more,
            ):
                appending.tx.execute(sql)
            appending.commit()


def test_accounts_of_an_older_directory_are_there_at_once_however_long_its_log_is(
    tmp_path: Path, database_url: str
) -> None:
    service = Service(tmp_path / "service", database_url)
    of_an_older_version(service, database_url)
    service.names_its_users(named=False)
    with service:
        assert service.client.get("/clusters").json() == ["web"]
        assert service.client.put("/user/ada", json={"role": "viewer"}).status_code == 201
        assert (service.data / "users.json.taken-over").exists()
        assert "is being made" not in service.read_log()
    must_be_whole(database_of(service, database_url))


def test_where_a_read_model_has_to_be_made_first_accounts_are_taken_over_afterwards(
    tmp_path: Path, database_url: str
) -> None:
    service = Service(tmp_path / "service", database_url)
    of_an_older_version(
        service, database_url, "DELETE FROM projection_positions WHERE name = 'clusters'"
    )
    service.names_its_users(named=False)
    with Scratch(service.data / "rebuild.db", PROJECTIONS):  # nobody else can make it
        service.start()
        # Who logs in is known as of the file: the answer is not that they may not.
        assert service.client.get("/clusters").status_code == 503
        assert (service.data / "users.json").exists()
    with service_running(service):
        wait_for(lambda: not (service.data / "users.json").exists())
        assert service.client.get("/clusters").json() == ["web"]
        assert [user["kept_in"] for user in service.client.get("/users").json()] == ["database"] * 3
    must_be_whole(database_of(service, database_url))
