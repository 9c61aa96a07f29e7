"""`commissaire import-2017`: shows, does, does again, and says what differs; keys stay unsaid."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runners.cli.main import run
from tests.runners.cli.import_2017.old_service import OldService
from tests.runners.cli.import_2017.told import HOSTS, LINK, Told, no_secret_in
from tests.support.certificates import Authority
from tests.support.service import Service, wait_for
from tests.web.service import new_key


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


def test_an_import_that_was_cut_off_by_a_crash_is_done_again_to_its_end(
    old: OldService,
    password: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("runners.cli.import_2017.remote.PAUSE_S", 0.01)
    key, members = new_key(), [f"127.9.7.{number}" for number in range(1, 41)]
    for address in members:
        old.add_host(address, key)
    old.add_cluster("many", members)
    new = Service(tmp_path / "new")
    arguments = [old.url, *password, "--data", str(new.data), "--yes"]
    with new, ThreadPoolExecutor(1) as pool:
        cut_off = pool.submit(Told, capsys, *arguments)
        # Wherever it is by then.
        wait_for(lambda: "many" in new.client.get("/clusters").json())
        new.kill()
        told = cut_off.result()
        assert told.status in (0, 1)
        assert "Traceback" not in told.error
        new.start()
        again = Told(capsys, *arguments)
        assert again.status == 0, again.out + again.error
        assert new.client.get("/cluster/many/hosts").json() == members
        assert no_secret_in(told.out + told.error + again.out + new.read_log(), old)


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
