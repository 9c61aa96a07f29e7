"""What waits for whom, on Now, on the pages of operations and clusters, and on what is planned."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from domain.commands import budget, operation_commands
from tests.web.console import fleet
from tests.web.console.browser import Browser, Page, browsing
from tests.web.service import WebService, serving

CLIENT = "c988d2509fdf5cdcbed39037c886b7c9"
RARE: dict[str, Any] = {"zone": "UTC", "starts": "0 0 29 2 *", "duration_s": 60}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebService]:
    """A service in which nothing runs; no host of the cluster db has failed."""
    with serving(Path(tmp_path_factory.mktemp("waiting"))) as service:
        fleet.seed(service, 20)
        yield service


@pytest.fixture
def admin(small: WebService) -> Iterator[Browser]:
    """An administrator's browser there."""
    with browsing(small) as browser:
        yield browser


def begun(service: WebService, cluster: str, **options: Any) -> str:
    """An operation that has gone as far as it may."""
    body = {"kind": "restart", "cluster": cluster, **options}
    with service.client() as api:
        name = str(api.post("/operations", json=body).raise_for_status().json()["id"])
    service.perform(lambda unit: operation_commands.advance(unit, name))
    return name


def cancel(service: WebService, name: str) -> None:
    """It holds up no other test."""
    with service.client() as api:
        api.put(f"/operation/{name}/state", json={"state": "cancelled"}).raise_for_status()


def forms(page: Page) -> set[str]:
    """What can be sent from a page."""
    return {of["action"] for tag, of in page.tags if tag == "form"}


def test_a_wave_is_approved_on_now_by_whoever_may_and_nobody_else_is_offered_it(
    admin: Browser, small: WebService
) -> None:
    waves = [{"hosts": 1, "approval": "second"}]
    name = begun(small, "cache", waves=waves)
    with small.client() as api:
        first = api.get(f"/operation/{name}").json()["hosts"][0]["address"]
    small.perform(lambda unit: operation_commands.finish_step(unit, name, first, "reboot", {}))
    approval, who = f"/operation/{name}/approval", "An operator of cache may approve it, but not"
    now = admin.see("/")
    assert f"{who} admin, who began it." in now.text
    assert f"commctl op approve {name}" in now.text
    assert approval not in forms(now)
    mine = admin.see(f"/operation/{name}")
    assert approval not in forms(mine)
    assert "You began it, and a second person has to approve." in mine.text
    with browsing(small, "viewer") as viewer:
        assert approval not in forms(viewer.see("/"))
        assert "takes the role operator in cache" in viewer.see(f"/operation/{name}").text
    with browsing(small, "operator") as operator:
        seen = operator.see("/")
        assert "Waits for you: restart of cache" in seen.text
        approved = operator.send("/", approval, {"note": "It looks well."})
        assert approved.status_code == 303, approved.text
        assert "Waits for you" not in operator.see("/").text
    with small.client() as api:
        assert api.get(f"/operation/{name}").json()["waves"][0]["approved_by"] == "operator"
    cancel(small, name)


def test_a_gate_is_named_with_what_it_said_and_what_it_holds_up(
    admin: Browser, small: WebService
) -> None:
    name = fleet.hold(small, "db")
    told = "Gate alerts says no: alerts fire: DiskFull."
    for path in ("/", f"/operation/{name}", "/operations", "/cluster/db", "/planned"):
        page = admin.see(path)
        assert told in page.text, path
        assert "waits since" in page.text, path
    planned = admin.see("/planned")
    assert f"/operation/{name}" in planned.links
    assert 'no alert fires with severity="page"' in planned.text
    assert "commctl gate list" in planned.text
    cancel(small, name)
    assert told not in admin.see("/planned").text


def test_a_gate_that_went_from_the_settings_is_told_where_it_still_holds(
    admin: Browser, small: WebService
) -> None:
    small.perform(lambda unit: budget.change_policy(unit, "web", None, gate="gone"))
    page = admin.see("/planned").text
    assert "gone nobody: it is not in the settings of the process that answers" in page
    small.perform(lambda unit: budget.change_policy(unit, "web", None))
    assert "gone nobody" not in admin.see("/planned").text


def test_a_window_says_when_it_opens(admin: Browser, small: WebService) -> None:
    with small.client() as api:
        opens = api.put("/window/rare", json=RARE).raise_for_status().json()["next"]
    name = begun(small, "web", window="rare")
    told = f"Its window rare is closed. It opens {opens[:19].replace('T', ' ')} UTC , in "
    for path in ("/", f"/operation/{name}", "/cluster/web"):
        assert told in admin.see(path).text, path
    cancel(small, name)


def test_who_holds_a_slot_of_the_policy_is_named_with_what_releases_it(
    admin: Browser, small: WebService
) -> None:
    with small.client() as api:
        api.put("/cluster/db/policy", json={"max_unavailable": 2}).raise_for_status()
        members = api.get("/cluster/db/hosts").json()
    holder, broken = members[-1], members[-2]
    small.perform(lambda unit: budget.take_lock(unit, "db", holder, CLIENT))
    small.fail(broken, "Nothing answers at port 22.")
    then = small.events[-1].recorded_at
    name = begun(small, "db")
    for path in ("/", f"/operation/{name}"):
        page = admin.see(path)
        assert "2 unavailable at most, as the policy of cluster db has it." in page.text, path
        assert f"Away: {holder} (holds a lock as {CLIENT}, since" in page.text, path
        assert f"{broken} (failed: Nothing answers at port 22., since" in page.text, path
    for path in ("/cluster/db", "/planned"):
        page = admin.see(path)
        assert "at most 2 members away at once" in page.text, path
        assert f"commctl lock release db {holder}" in page.text, path
        assert f"/api/v0/cluster/db/locks/{holder}" in page.text, path
        was = admin.see(f"{path}?at={then}")
        assert "at most 2 members away at once" in was.text, path
        assert CLIENT in was.text, path
        assert "lock release" not in was.text, path
    with small.client() as api:
        api.delete(f"/cluster/db/locks/{holder}").raise_for_status()
        api.put("/cluster/db/policy", json={}).raise_for_status()
    assert CLIENT not in admin.see("/planned").text
    small.settle(broken)
    cancel(small, name)
