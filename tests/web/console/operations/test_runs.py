"""Scripts and overridden policies on pages: who is offered them, the plan, and what is begun."""

import hashlib
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from tests.web.console import fleet
from tests.web.console.browser import Browser, Page, browsing
from tests.web.service import WebService, serving

PAGE_BYTES_MAX = 300_000
SCRIPT = "set -eu\n  printf '%s\\n' \"</textarea><b>$HOME\"\n"
TYPED = SCRIPT.replace("\n", "\r\n")
"""As browsers send it."""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebService]:
    """A service in which nothing runs."""
    with serving(Path(tmp_path_factory.mktemp("runs"))) as service:
        fleet.seed(service, 20)
        yield service


@pytest.fixture
def admin(small: WebService) -> Iterator[Browser]:
    """An administrator's browser there."""
    with browsing(small) as browser:
        yield browser


def cancel(browser: Browser, path: str) -> None:
    """What a test began holds up no other."""
    browser.send(path, f"{path}/state", {"state": "cancelled"})


def test_a_script_goes_from_the_form_to_the_log_as_it_was_typed(
    admin: Browser, small: WebService
) -> None:
    form = admin.see("/operations/new").fields("/operations/plan")
    asked = {**form, "kind": "run", "cluster": "cache", "script": TYPED, "max_parallel": "2"}
    answer = admin.post("/operations/plan", asked)
    assert answer.status_code == 200, answer.text
    plan = Page(answer.text)
    assert "<b>" not in answer.text.partition("Script</h2>")[2].partition("</code>")[0]
    assert "Plan: run of cache" in plan.text
    assert "commctl run cache script.sh -P 2" in plan.text
    assert not [link for link in plan.links if "script" in link], "an address is kept by proxies"
    assert ("button", {"formaction": "/operations/new", "formnovalidate": ""}) in plan.tags
    again = admin.post("/operations/new", plan.fields("/operations/begin"))
    assert SCRIPT in "".join(Page(again.text).texts)
    begun = admin.post("/operations/begin", plan.fields("/operations/begin"))
    assert begun.status_code == 303, begun.text
    cancel(admin, begun.headers["location"])
    started = next(e.event for e in reversed(small.events) if e.event.TOPIC == "operation.started")
    assert started.script == SCRIPT  # type: ignore[attr-defined]  # of that event


@pytest.mark.parametrize("script", [*"\"'&<>", "&#", "é"])
def test_no_script_makes_a_large_page(admin: Browser, small: WebService, script: str) -> None:
    script *= 64 * 1024 // len(script.encode())
    form = admin.see("/operations/new").fields("/operations/plan")
    asked = {**form, "kind": "run", "cluster": "cache", "script": script, "max_failures": "1"}
    answer = admin.post("/operations/plan", asked)
    assert answer.status_code == 200, answer.text
    plan = Page(answer.text)
    shown = max(plan.texts, key=len)
    if shown != script:
        assert script.startswith(shown), "it is cut, not changed"
        assert hashlib.sha256(script.encode()).hexdigest() in plan.text
    again = admin.post("/operations/new", plan.fields("/operations/begin"))
    assert script in "".join(Page(again.text).texts)
    begun = admin.post("/operations/begin", plan.fields("/operations/begin"))
    assert begun.status_code == 303, begun.text
    (at,) = (each for each in small.events if getattr(each.event, "script", None) == script)
    paths = (begun.headers["location"], f"/history/{at.position}", "/history", "/")
    pages = [answer, again, *map(admin.client.get, paths)]
    cancel(admin, begun.headers["location"])
    assert max(len(page.content) for page in pages) < PAGE_BYTES_MAX


def test_a_script_that_was_changed_on_its_way_is_refused(admin: Browser) -> None:
    form = admin.see("/operations/new").fields("/operations/plan")
    for coded in ("%", "/w=="):
        asked = {**form, "kind": "run", "cluster": "cache", "script_base64": coded}
        answer = admin.post("/operations/plan", asked)
        assert answer.status_code == 400
        assert "script_base64" in answer.text


@pytest.mark.skipif(shutil.which("jq") is None, reason="the line is made for jq")
def test_the_commands_beside_a_script_say_the_same(admin: Browser, tmp_path: Path) -> None:
    form = admin.see("/operations/new").fields("/operations/plan")
    asked = {**form, "kind": "run", "cluster": "db", "script": TYPED, "max_failures": "1"}
    answer = admin.post("/operations/plan", asked)
    (line,) = (text for text in Page(answer.text).texts if text.startswith("jq "))
    (tmp_path / "script.sh").write_text(SCRIPT)
    told, _, sent = line.partition(" | ")
    assert shlex.split(sent)[-2:] == ["--data", "@-"]
    made = subprocess.run(shlex.split(told), cwd=tmp_path, capture_output=True, check=True)
    body = {"kind": "run", "cluster": "db", "max_failures": 1, "script": SCRIPT}
    assert orjson.loads(made.stdout) == body


def test_who_may_run_nothing_is_offered_no_script(small: WebService) -> None:
    with browsing(small, "operator") as operator:
        page = operator.see("/operations/new")
        assert "run" not in page.texts
        assert not {"script", "override_policy"} & {of.get("name") for _, of in page.tags}
        form = page.fields("/operations/plan") | {"cluster": "web"}
        for refused in ({"kind": "run", "script": "true"}, {"override_policy": "true"}):
            answer = operator.post("/operations/plan", {"kind": "restart", **form, **refused})
            assert answer.status_code == 403
            assert "admin" in Page(answer.text).text


def test_a_policy_is_told_by_the_plan_and_overridden_with_a_reason(
    admin: Browser, small: WebService
) -> None:
    with small.client() as api:
        api.put("/cluster/db/policy", json={"max_unavailable": "10%"}).raise_for_status()
    form = admin.see("/operations/new").fields("/operations/plan")
    asked = {**form, "kind": "restart", "cluster": "db"}
    plan = Page(admin.post("/operations/plan", asked).text)
    assert "By the policy of db: at most 10% of the members away at once." in plan.text
    overrides = asked | {"override_policy": "true"}
    silent = admin.post("/operations/plan", overrides)
    assert silent.status_code == 400
    assert "Say why" in Page(silent.text).text
    plan = Page(admin.post("/operations/plan", overrides | {"note": "A hole <b>"}).text)
    assert "The policy of db does not count for it: A hole <b>" in plan.text
    assert "--override-policy --note 'A hole <b>'" in plan.text
    assert "-H 'Commissaire-Note: A hole <b>'" in plan.text
    (again,) = (link for link in plan.links if link.startswith("/operations/new?"))
    kept = admin.see(again)
    assert ("input", "checked") in {(tag, name) for tag, of in kept.tags for name in of}
    begun = admin.post("/operations/begin", plan.fields("/operations/begin"))
    assert begun.status_code == 303, begun.text
    path = begun.headers["location"]
    cancel(admin, path)
    with small.client() as api:
        record = api.get(path).json()
    assert record["options"]["override_policy"] is True
    assert record["note"] == "A hole <b>"
