"""Waves on pages: the form, the plan, what waits for whom, and the button that approves."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.commands import operation_commands
from tests.web.console import fleet
from tests.web.console.browser import Browser, Page, browsing
from tests.web.service import WebService, serving


@pytest.fixture
def small(tmp_path: Path) -> Iterator[WebService]:
    """A service of its own: what waits on Now is of this test."""
    with serving(tmp_path) as service:
        fleet.seed(service, 8)
        yield service


@pytest.fixture
def admin(small: WebService) -> Iterator[Browser]:
    """An administrator's browser there."""
    with browsing(small) as browser:
        yield browser


def test_a_rollout_goes_from_the_form_to_its_approval(admin: Browser, small: WebService) -> None:
    form = admin.see("/operations/new").fields("/operations/plan")
    asked = {"kind": "restart", "cluster": "web", "waves": "1, 50%", "approval": "true"}
    with small.client() as api:
        for operation in api.get("/operations?cluster=web&status=in_process").json():
            state = f"/operation/{operation['id']}/state"
            api.put(state, json={"state": "cancelled"}).raise_for_status()
    answer = admin.post("/operations/plan", {**form, **asked})
    assert answer.status_code == 200, answer.text
    plan = Page(answer.text)
    assert "In 3 waves: 1, " in plan.text
    assert "--waves 1,50% --approve" in plan.text
    begun = admin.post("/operations/begin", plan.fields("/operations/begin"))
    assert begun.status_code == 303, begun.text
    page = begun.headers["location"]
    name = page.rpartition("/")[2]
    small.perform(lambda unit: operation_commands.advance(unit, name))
    assert "/approval" not in admin.client.get(page).text
    with small.client() as api:
        first = api.get(f"/operation/{name}").json()["hosts"][0]["address"]
    small.perform(lambda unit: operation_commands.finish_step(unit, name, first, "reboot", {}))
    reason = "Wave 1 is over: somebody must approve wave 2."
    now = admin.see("/")
    assert now.text.count(reason) >= 2, "under what needs a person, and beside what runs"
    assert f"commctl op approve {name}" in now.text
    assert "and 1 more" not in now.text
    assert reason in admin.see(page).text
    named = {of["data-name"] for tag, of in admin.see(page).tags if "data-name" in of}
    assert named >= {"hosts by its end", "begun", "ended"}, (
        "narrow screens have no heads of columns"
    )
    approved = admin.send(page, f"{page}/approval", {"note": "It looks well."})
    assert approved.headers["location"] == page
    with small.client() as api:
        record = api.get(f"/operation/{name}").json()
    assert record["wave"] == 2
    assert reason not in admin.see(page).text
    assert "approved by admin" in admin.see(page).text


def test_a_soak_without_waves_is_refused(admin: Browser) -> None:
    form = admin.see("/operations/new").fields("/operations/plan")
    answer = admin.post("/operations/plan", {**form, "cluster": "web", "soak_s": "60"})
    assert answer.status_code == 400
    assert "say which hosts come first" in answer.text
