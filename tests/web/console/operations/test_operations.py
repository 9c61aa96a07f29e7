"""Operations are begun, watched and steered on pages without script."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from projections.beside_the_log import outputs
from tests.web.console import fleet
from tests.web.console.browser import Browser, Page, browsing
from tests.web.service import WebService, serving
from web.console.operations import operations
from web.console.operations.operations import CELLS_MAX, QUIET_ROWS, ROWS_MAX

MANY = 150
TALKER = fleet.address(7)
"""Alone in the cluster talk, so that what runs there holds up no other test."""
AT = "2026-01-02T03:04:05.000006"


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebService]:
    """A service in which the cluster web has more hosts than anybody begins by mistake."""
    with serving(Path(tmp_path_factory.mktemp("crowd"))) as service:
        fleet.seed(service, MANY)
        with service.client() as api:
            api.delete(f"/cluster/db/hosts/{TALKER}").raise_for_status()
            api.put("/cluster/talk").raise_for_status()
            api.put(f"/cluster/talk/hosts/{TALKER}").raise_for_status()
        yield service


@pytest.fixture
def admin(crowd: WebService) -> Iterator[Browser]:
    """An administrator's browser there."""
    with browsing(crowd) as browser:
        yield browser


def planned(browser: Browser, **fields: str) -> tuple[Page, dict[str, str]]:
    """The plan for what is asked for, and what is filled in on it."""
    form = browser.see("/operations/new").fields("/operations/plan")
    answer = browser.post("/operations/plan", {**form, "kind": "restart", **fields})
    assert answer.status_code == 200, answer.text
    page = Page(answer.text)
    return page, page.fields("/operations/begin")


@pytest.mark.parametrize(
    ("fields", "typed"),
    [
        ({"hosts": "label=role=front status=active"}, "--hosts role=front,status=active"),
        ({"hosts": f"q={TALKER}"}, f"--hosts '*{TALKER}*'"),
        ({"hosts": TALKER}, f"--hosts {TALKER}"),
        ({"kind": "upgrade", "reboot": "if_needed"}, "--reboot if-needed"),
        ({"healthy_for_s": "60", "step_timeout_s": "3600"}, "--healthy 60s --step-timeout 3600s"),
        ({"window": "nights", "gate": "alerts"}, "--window nights --gate alerts"),
        ({"starts_at": "2099-12-24T02:00"}, "--starts-at 2099-12-24T02:00:00Z"),
    ],
)
def test_the_command_beside_a_plan_means_the_same_hosts_and_the_same_care(
    admin: Browser, crowd: WebService, fields: dict[str, str], typed: str
) -> None:
    window = {"zone": "UTC", "starts": "0 22 * * *", "duration_s": 3600}
    with crowd.client() as api:
        api.put("/window/nights", json=window).raise_for_status()
    page, kept = planned(admin, cluster="talk", **fields)
    assert f"talk {typed}" in page.text
    assert kept.items() >= fields.items()


def test_a_plan_says_its_window_and_its_gate_and_the_form_keeps_them(
    admin: Browser, crowd: WebService
) -> None:
    window = {"zone": "UTC", "starts": "0 22 * * *", "duration_s": 3600}
    with crowd.client() as api:
        api.put("/window/nights", json=window).raise_for_status()
    page, _ = planned(admin, cluster="talk", window="nights", gate="alerts")
    assert "Hosts begin only while window nights is open." in page.text
    assert "Gate alerts is asked before each host." in page.text
    (again,) = (link for link in page.links if link.startswith("/operations/new?"))
    form = admin.see(again)
    assert ("option", {"selected": ""}) in form.tags
    assert "nights" in form.texts
    assert form.fields("/operations/plan")["gate"] == "alerts"


def test_an_operation_goes_from_the_form_to_its_page_and_is_steered(
    admin: Browser, crowd: WebService
) -> None:
    page, fields = planned(admin, cluster="cache", max_parallel="25%", max_failures="2")
    assert "at once; ends after more than 2 failures" in page.text
    assert "Skipped" in page.text
    assert "commctl restart cache -P 25% -F 2" in page.text
    assert "typed" not in fields
    begun = admin.post("/operations/begin", {**fields, "note": "TICKET-7 <b>"})
    assert begun.status_code == 303, begun.text
    path = begun.headers["location"]
    page = admin.see(path)
    assert "in process" in page.text
    assert "TICKET-7 <b>" in page.text
    assert "of 2 allowed" in page.text
    for state, shown in (("paused", "paused"), ("in_process", "in process")):
        sent = admin.send(path, f"{path}/state", {"state": state})
        assert sent.headers["location"] == path
        assert shown in admin.see(path).text
    admin.send(path, f"{path}/state", {"state": "cancelled"})
    name = path.rpartition("/")[2]
    assert "restart of cache" in admin.see("/operations?cluster=cache").text
    assert "restart of cache" in admin.see("/cluster/cache").text
    with crowd.client() as api:
        assert api.get(f"/operation/{name}").json()["note"] == "TICKET-7 <b>"


def test_many_hosts_are_begun_only_by_whoever_types_the_cluster(admin: Browser) -> None:
    page, fields = planned(admin, cluster="web")
    assert "type the name of the cluster" in page.text
    for typed in ("", "db"):
        answer = admin.post("/operations/begin", {**fields, "typed": typed})
        assert answer.status_code == 400
        assert "type the name of the cluster" in answer.text
    begun = admin.post("/operations/begin", {**fields, "typed": "web"})
    assert begun.status_code == 303
    assert "waiting 5" in admin.see(begun.headers["location"]).text


def test_what_is_begun_is_what_was_planned(admin: Browser, crowd: WebService) -> None:
    _, fields = planned(admin, cluster="db", hosts=f"{fleet.address(2)}, {fleet.address(5)}")
    crowd.fail(fleet.address(5), "It is gone.")
    answer = admin.post("/operations/begin", fields)
    assert answer.status_code == 409
    assert "plan" in answer.text
    crowd.settle(fleet.address(5))


def test_a_wrong_form_is_told_what_is_wrong(admin: Browser) -> None:
    for fields in ({"max_parallel": "many"}, {"healthy_for_s": "soon"}, {"cluster": "nowhere"}):
        answer = admin.post(
            "/operations/plan",
            admin.see("/operations/new").fields("/operations/plan")
            | {"kind": "restart", "cluster": "web"}
            | fields,
        )
        assert answer.status_code in (400, 404), fields
        assert answer.headers["content-type"].startswith("text/html")


def test_viewers_see_operations_and_begin_none(crowd: WebService) -> None:
    with browsing(crowd, "viewer") as viewer:
        assert "takes the role operator" in viewer.see("/operations/new").text
        token = viewer.see("/me").fields("/logout")["csrf_token"]
        form = {"csrf_token": token, "kind": "restart", "cluster": "db"}
        for action in ("/operations/plan", "/operations/begin"):
            assert viewer.post(action, form).status_code == 403
        with crowd.client() as api:
            known = api.get("/operations").json()
        for operation in known:
            path = f"/operation/{operation['id']}"
            assert viewer.see(path).text
            sent = viewer.post(f"{path}/state", {"csrf_token": token, "state": "paused"})
            assert sent.status_code == 403


def test_output_shows_what_a_terminal_would_obey(admin: Browser, crowd: WebService) -> None:
    _, fields = planned(admin, cluster="talk")
    path = admin.post("/operations/begin", fields).headers["location"]
    said = b"\x1b[31m<script>alert(1)</script>\n" + b"x" * 70_000 + b"\nend\n"
    name = path.rpartition("/")[2]
    crowd.perform(
        lambda unit: unit.write_beside(lambda tx: outputs.add(tx, name, TALKER, 0, said, AT))
    )
    answer = admin.client.get(f"{path}/hosts/{TALKER}/output")
    assert answer.status_code == 200
    assert "<script>" not in answer.text
    assert "This is the end of it." in answer.text
    assert re.search(r"xx\nend", answer.text)
    assert f"{path}/hosts/{TALKER}/output?raw" in answer.text


def test_a_crowd_makes_no_large_page(crowd: WebService, admin: Browser) -> None:
    with crowd.client() as api:
        found = api.get("/operations").json()
    for path in ("/", "/hosts", "/operations", *(f"/operation/{each['id']}" for each in found)):
        assert len(admin.client.get(path).content) < 300_000, path


def test_a_large_operation_has_no_strip_and_says_how_many_rows_it_leaves_out() -> None:
    hosts: list[dict[str, Any]] = [
        {
            "address": f"10.1.{n // 256}.{n % 256}",
            "outcome": "waiting",
            "evidence": {},
            "finished_at": None,
        }
        for n in range(CELLS_MAX + 2)
    ]
    counts = dict.fromkeys(("in_process", "done", "failed", "unknown", "skipped"), 0)
    seen = operations._seen(
        {
            "id": "1",
            "hosts": hosts,
            "counts": counts | {"waiting": len(hosts)},
            "options": {},
            "started_at": AT,
            "finished_at": None,
        },
        AT,
    )
    assert seen["strip"].rows == 0
    assert seen["more"] == len(hosts) - QUIET_ROWS


def test_what_went_wrong_is_in_the_table_of_a_large_operation_and_the_others_are_counted() -> None:
    outcomes = ("waiting",) * 300 + ("done",) * 300 + ("in_process",) * 30 + ("failed",) * 190
    hosts: list[dict[str, Any]] = [
        {
            "address": f"10.1.{n // 256}.{n % 256}",
            "outcome": outcome,
            "evidence": {},
            "finished_at": None,
        }
        for n, outcome in enumerate(outcomes)
    ]
    counts = {name: outcomes.count(name) for name in ("waiting", "done", "in_process", "failed")}
    seen = operations._seen(
        {
            "hosts": hosts,
            "counts": counts | {"unknown": 0, "skipped": 0},
            "options": {},
            "started_at": AT,
            "finished_at": None,
        },
        AT,
    )
    shown = [row["outcome"] for row in seen["rows"]]
    assert shown == ["failed"] * 190 + ["in_process"] * (ROWS_MAX - 190)
    assert seen["more"] == len(hosts) - ROWS_MAX
    assert dict(seen["strip"].paths).keys() == {"waiting", "done", "in_process", "failed"}
    assert not seen["strip"].cells
