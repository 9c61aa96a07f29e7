"""`commissaire import-2017`: shows, does, does again, and says what differs; keys stay unsaid."""

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runners.cli.main import run
from tests.runners.cli.import_2017.old_service import (
    PASSWORD,
    USER,
    OldService,
    half_an_answer,
    leads_elsewhere,
    never_ends,
    page_of_nonsense,
    say,
)
from tests.support.certificates import Authority
from tests.support.service import Service
from tests.web.service import new_key

HOSTS = ("127.9.8.3", "127.9.8.1", "127.9.8.2")
TOKEN = "s3cret-token-of-a-cluster"  # noqa: S105 - made up here
LINK = "https://k8s.example:6443"


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


class Told:
    """What the command said, with each row of its tables as a list."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> None:
        self.status = run(["import-2017", *arguments])
        self.out, self.error = capsys.readouterr()
        self.rows = [line.split("\t") for line in self.out.splitlines()]

    def of(self, subject: str) -> list[list[str]]:
        return [row[1:] for row in self.rows if row[0] == subject]


def no_secret_in(text: str, old: OldService) -> bool:
    secrets = [PASSWORD, TOKEN, "s3cret-of-the-page", "PRIVATE KEY"]
    for path, found in old.records.items():
        if path.endswith("/creds") and isinstance(found, dict):
            secrets.append(str(found["ssh_priv_key"]))
    return not any(secret in text for secret in secrets)


def test_what_an_old_service_has_is_shown_carried_over_and_the_same_again_is_no_news(
    old: OldService,
    password: list[str],
    tmp_path: Path,
    database_url: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Service(tmp_path / "new", database_url) as new:
        arguments = [old.url, *password, "--data", str(new.data)]

        def end_of_log() -> list[object]:
            """All that was carried over, and nothing of what looks at hosts meanwhile."""
            events = new.client.get("/events?actor=local:root&limit=1000").json()
            return [event["type"] for event in events]

        shown = Told(capsys, *arguments)
        assert shown.status == 0
        assert shown.of("network/default") == [["same", ""]]
        assert shown.of("containermanager/prod") == [["add", "openshift with apiserver, token"]]
        assert shown.of("cluster/web") == [["add", "network blue, container manager prod"]]
        assert shown.of(f"host/{HOSTS[1]}") == [["add", "as core, into web"]]
        assert "7 add. Nothing was changed" in shown.out
        assert new.client.get("/hosts").json() == new.client.get("/clusters").json() == []
        before = end_of_log()

        done = Told(capsys, *arguments, "--yes")
        assert done.status == 0, done.out + done.error
        assert done.of("cluster/web") == done.of(f"host/{HOSTS[2]}") == [["added", ""]]
        assert done.out.endswith("Nothing differs.\n")
        assert new.client.get("/cluster/web/hosts").json() == list(HOSTS[:2])
        for address in HOSTS:
            kept = new.client.get(f"/host/{address}/creds").json()
            assert kept == old.records[f"/host/{address}/creds"]
        carried = end_of_log()
        assert len(carried) >= len(before) + 7
        why = new.client.get("/events?subject=cluster/web").json()[0]
        assert why["note"] == f"import-2017 from {old.url}"

        again = Told(capsys, *arguments, "--yes")
        assert again.status == 0, again.out + again.error
        assert {row[1] for row in again.rows[1:9]} == {"same"}
        assert end_of_log() == carried

        said = "".join(each.out + each.error for each in (shown, done, again)) + new.read_log()
        assert no_secret_in(said, old)


def test_what_was_changed_on_either_side_is_told_and_nothing_is_overwritten(
    old: OldService, password: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Service(tmp_path / "new") as new:
        arguments = [old.url, *password, "--data", str(new.data), "--yes"]
        new.client.put("/network/blue")
        new.client.put("/containermanager/prod", json={"options": {"server_url": LINK}})
        old.add_host("127.9.8.9", new_key(), source="cloudforms")
        old.add_host("127.9.8.10", b"no key at all")
        old.add_network("odd", "flannel_server", address="\ud800:8080")

        done = Told(capsys, *arguments)
        assert done.status == 1
        assert done.of("network/blue")[0][0] == "refused"
        differs = ["type", "flannel_server", "flannel_etcd"]
        assert done.of("network/blue")[1][:3] == differs
        assert done.of("containermanager/prod")[1][:3] == ["options.token", "one", "none"]
        assert "There is no source" in done.of("host/127.9.8.9")[0][1]
        assert done.of("host/127.9.8.9")[1][:3] == ["", "there", "missing"]
        assert done.of("host/127.9.8.10")[0][0] == "refused"
        assert done.of("network/odd")[0][0] == "refused"
        assert new.client.get("/network/blue").json()["type"] == "flannel_etcd"

        # Another key, another user, and a member that left.
        old.records[f"/host/{HOSTS[0]}/creds"]["ssh_priv_key"] = old.records[
            f"/host/{HOSTS[1]}/creds"
        ]["ssh_priv_key"]
        old.records[f"/host/{HOSTS[2]}/creds"]["remote_user"] = "ops"
        new.client.delete(f"/cluster/web/hosts/{HOSTS[1]}")
        again = Told(capsys, *arguments)
        assert again.status == 1
        assert "another key" in again.of(f"host/{HOSTS[0]}")[0][1]
        assert "remote_user" in again.of(f"host/{HOSTS[2]}")[0][1]
        # It is not ready: nothing listens on it.
        assert again.of(f"host/{HOSTS[1]}")[0][0] == "refused"
        assert again.of(f"host/{HOSTS[1]}")[1][:3] == ["cluster", "web", ""]
        assert no_secret_in(done.out + done.error + again.out + again.error + new.read_log(), old)


def test_a_service_with_tls_is_spoken_to_here_by_its_certificate_and_elsewhere_by_a_ca(
    old: OldService,
    password: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("runners.cli.import_2017.remote.PAUSE_S", 0.01)
    authority = Authority(tmp_path)
    with Service(tmp_path / "new", None, *authority.server().flags) as new:
        assert Told(capsys, old.url, *password, "--data", str(new.data)).status == 0

        token = tmp_path / "token"
        token.touch(0o600)
        here = ["--data", str(new.data)]
        assert run(["token", "create", "over", "--role", "admin", *here]) == 0
        token.write_text(capsys.readouterr().out)
        there = ["--to", new.url, "--token-file", str(token)]
        assert "certificate verify failed" in Told(capsys, old.url, *password, *there).error
        there += ["--to-ca", str(authority.file), "--yes"]
        done = Told(capsys, old.url, *password, *there)
        assert done.status == 0, done.out + done.error

        # Whose token is revoked is told so, and not a refusal for each thing.
        assert run(["token", "revoke", "over", *here]) == 0
        assert "does not let us in" in Told(capsys, old.url, *password, *there).error


@pytest.mark.parametrize("text", ["", "{}", "[]", "no JSON"])
def test_without_a_new_service_here_it_says_how_to_name_one(
    text: str, password: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if text:
        (tmp_path / "local.json").touch(0o600)
        (tmp_path / "local.json").write_text(text)
    told = Told(capsys, "http://127.0.0.1:9", *password, "--data", str(tmp_path))
    assert told.status == 1
    assert "start it, or name one with --to" in told.error


@pytest.fixture
def other(tmp_path: Path) -> Iterator[list[str]]:
    """The options of a new service that is only looked at."""
    token = tmp_path / "token"
    token.write_text("cmsr_made-up")
    token.chmod(0o600)
    with OldService(open_to_all=True) as service:
        yield ["--to", service.url, "--token-file", str(token)]


@pytest.mark.parametrize("refusal", [401, 403])
def test_who_is_not_let_in_is_told_so(
    refusal: int, password: list[str], other: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path(password[-1]).write_text("another-word-than-that")
    with OldService(refusal=refusal) as old:
        told = Told(capsys, old.url, *password, *other)
    assert told.status == 1
    assert f"does not let us in (HTTP {refusal})" in told.error
    assert "another-word" not in told.error
    assert len(old.asked) == 1


@pytest.mark.parametrize("path", ["/hosts", "/clusters", "/networks"])
@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (page_of_nonsense, "is no list of"),
        (half_an_answer, "no whole answer of HTTP"),
        (leads_elsewhere, "leads elsewhere"),
        (lambda handler: say(handler, 200, {"a": "s3cret-of-the-page"}), "is no list of"),
        (lambda handler: say(handler, 200, ["s3cret-of-the-page", 7]), "is no list of"),
        (lambda handler: say(handler, 200, ["\ud800"]), "is no list of"),
        (lambda handler: say(handler, 200, ["s3cret-of-the-page" * 99]), "is no list of"),
        (lambda handler: say(handler, 500, {"detail": "s3cret-of-the-page"}), "with HTTP 500"),
    ],
    ids=["nonsense", "half", "elsewhere", "object", "numbers", "no text", "long", "error"],
)
def test_without_its_lists_nothing_is_done(
    fault: object,
    sentence: str,
    path: str,
    old: OldService,
    password: list[str],
    other: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("runners.cli.import_2017.remote.PAUSE_S", 0.01)
    old.records[path] = fault
    told = Told(capsys, old.url, *password, *other, "--yes")
    assert told.status == 1
    assert sentence in told.error
    assert told.error.count("\n") == 1
    assert told.out == ""
    assert no_secret_in(told.error, old)


def test_a_slow_answer_is_waited_for_until_its_limit_and_no_longer(
    old: OldService,
    password: list[str],
    other: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("runners.cli.import_2017.remote.PAUSE_S", 0.01)
    old.records["/clusters"] = never_ends(old)
    told = Told(capsys, old.url, *password, *other, "--timeout", "0.5")
    assert told.status == 1
    assert "nothing whole came within 0.5 s (--timeout)" in told.error


def test_what_cannot_be_read_is_left_out_and_the_rest_is_not(
    old: OldService, password: list[str], other: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    old.records["/cluster/db"] = page_of_nonsense
    old.records["/network/blue"] = {"name": "blue", "type": 7}
    del old.records[f"/host/{HOSTS[2]}/creds"]
    old.records[f"/host/{HOSTS[1]}/creds"] = {"ssh_priv_key": ["s3cret-of-the-page"]}
    # No list of members: each host is asked for.
    del old.records["/cluster/web/hosts"]
    old.records[f"/cluster/web/hosts/{HOSTS[0]}"] = b"['192.168.100.50']"
    told = Told(capsys, old.url, *password, *other)
    assert told.status == 1
    assert told.of("cluster/db") == [["leave out", "what came is not its record"]]
    assert told.of("network/blue")[0][0] == "leave out"
    assert told.of(f"host/{HOSTS[2]}") == [["leave out", "its credentials: refused (HTTP 404)"]]
    assert told.of(f"host/{HOSTS[1]}")[0][0] == "leave out"
    assert told.of(f"host/{HOSTS[0]}") == [["add", "as root, into web"]]
    assert no_secret_in(told.out + told.error, old)


def test_what_is_no_commissaire_is_told_so(
    password: list[str], other: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with OldService() as old:
        old.records.clear()
        told = Told(capsys, old.url, *password, *other)
    assert told.status == 1
    assert "has no API v0 of Commissaire" in told.error


def test_the_password_comes_from_a_private_file_a_variable_or_standard_input(
    old: OldService,
    password: list[str],
    other: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path(password[-1]).chmod(0o644)
    assert "chmod 600" in Told(capsys, old.url, *password, *other).error
    monkeypatch.setenv("COMMISSAIRE_2017_PASSWORD", PASSWORD)
    assert Told(capsys, old.url, *password[:2], *other).status == 0
    monkeypatch.delenv("COMMISSAIRE_2017_PASSWORD")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(PASSWORD.encode() + b"\n")))
    assert Told(capsys, old.url, *password[:2], "--password-file", "-", *other).status == 0
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    assert Told(capsys, old.url, *password[:2], *other).status == 2


@pytest.mark.parametrize(
    "url", [f"http://a:{PASSWORD}@127.0.0.1", "ftp://127.0.0.1", "127.0.0.1:8000", "http://[::1"]
)
def test_an_address_that_is_none_is_refused_and_a_password_in_it_is_not_quoted(
    url: str, other: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    told = Told(capsys, url, *other)
    assert told.status == 1
    assert PASSWORD not in told.error
    assert "Traceback" not in told.error
