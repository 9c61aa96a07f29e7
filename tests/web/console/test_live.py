"""Pages that change by themselves: rendered once for all, and not at all where nobody looks."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from domain.log.reading.search import Filter
from tests.web.console import fleet
from tests.web.console.browser import Browser
from tests.web.console.seats import HAS_SCRIPTS
from tests.web.service import TIMEOUT_S, WebService, base64_of, new_key
from web.console.frame.live import Fragment, View
from web.events.live_window import EventWindow

HOST = fleet.address(3)
SAID = "<b>It is gone.</b>"


class Frames:
    """What a live page is sent: the kind of each event, and its text."""

    def __init__(self, answer: httpx.Response) -> None:
        assert answer.headers["content-type"] == "text/event-stream"
        self._lines = answer.iter_lines()

    def __iter__(self) -> Iterator[tuple[str, str]]:
        kind, text = "", ""
        for line in self._lines:
            field, _, value = line.partition(": ")
            if field == "event":
                kind = value
            elif field == "data":
                text += f"{value}\n"
            elif not line and kind:
                yield kind, text
                kind, text = "", ""

    def until(self, kind: str, text: str) -> str:
        """The first event of a kind that has this in it; the stream's timeout is the limit."""
        return next(said for found, said in self if found == kind and text in said)


def test_now_changes_by_itself(admin: Browser, seeded: WebService) -> None:
    with admin.client.stream("GET", "/live/now") as answer:
        frames = Frames(answer)
        assert "Needs a person" in frames.until("view", "Last changes")
        seeded.fail(HOST, SAID)
        shown = frames.until("view", "It is gone.")
        assert "<b>It" not in shown
        assert "csrf_token" not in shown
    seeded.settle(HOST)


def test_an_operation_changes_by_itself_and_says_when_other_things_can_be_pressed(
    admin: Browser, seeded: WebService
) -> None:
    with seeded.client() as api:
        api.put("/cluster/cache/restart").raise_for_status()
        name = api.get("/operations").json()[0]["id"]
        page = admin.see(f"/operation/{name}")
        (live,) = [of["sse-connect"] for _, of in page.tags if "sse-connect" in of] or [
            f"/live/operation/{name}?state=in_process"
        ]
        with admin.client.stream("GET", live) as answer:
            frames = Frames(answer)
            frames.until("view", "Hosts in order of turn")
            api.put(f"/operation/{name}/state", json={"state": "paused"})
            assert frames.until("state", "paused")
        api.put(f"/operation/{name}/state", json={"state": "cancelled"})


def test_now_says_when_a_wave_can_be_approved(admin: Browser, seeded: WebService) -> None:
    body = {"kind": "restart", "cluster": "db", "waves": [{"hosts": 1, "approval": True}]}
    with seeded.client() as api, admin.client.stream("GET", "/live/now?state=") as answer:
        frames = Frames(answer)
        frames.until("view", "Last changes")
        name = api.post("/operations", json=body).raise_for_status().json()["id"]
        fleet.turn(seeded, name)
        assert frames.until("state", f"{name}-1")
        assert f"/operation/{name}/approval" in {of.get("action") for _, of in admin.see("/").tags}
        api.put(f"/operation/{name}/state", json={"state": "cancelled"}).raise_for_status()


def test_a_live_page_ends_with_the_session(admin: Browser) -> None:
    with admin.client.stream("GET", "/live/now") as answer:
        frames = Frames(answer)
        frames.until("view", "Last changes")
        assert admin.send("/me", "/logout").status_code == 303
        with suppress(httpx.RemoteProtocolError):  # where something was under way
            assert list(frames) is not None
    assert admin.client.get("/live/now").status_code == 303


async def test_a_view_is_rendered_once_for_all_who_look_and_for_nobody_not_at_all() -> None:
    window, rendered = EventWindow(), 0

    async def render() -> Fragment:
        nonlocal rendered
        rendered += 1
        return Fragment(f"<p>{rendered}</p>")

    async def shown(number: int) -> None:
        while view.number < number:
            await view.news()

    view = View(window, Filter(), render)
    for _ in range(200):
        view.begin()
    async with asyncio.timeout(TIMEOUT_S):
        await shown(1)
        window.beat()
        await shown(2)
    assert rendered == 2
    assert window.listeners == 1
    for _ in range(200):
        view.end()
    assert view.is_over
    await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()}, timeout=TIMEOUT_S)
    assert not window.listeners
    window.beat()
    assert rendered == 2


@pytest.mark.parametrize(
    "path", ["/live/now", "/live/operation/00000000-0000-0000-0000-000000000000"]
)
def test_what_is_not_there_is_not_followed(seeded: WebService, admin: Browser, path: str) -> None:
    assert httpx.get(seeded.url + path).status_code == 303
    if "operation" in path:
        assert admin.client.get(path).status_code == 404


@pytest.mark.parametrize("path", ["/cluster/brief", "/host/10.99.0.1"])
def test_what_is_removed_is_said_to_be_gone_and_comes_back(
    admin: Browser, seeded: WebService, path: str
) -> None:
    body = {"ssh_priv_key": base64_of(new_key())} if "host" in path else {}
    with seeded.client() as api:
        api.put(path, json=body).raise_for_status()
        with admin.client.stream("GET", f"/live{path}") as answer:
            frames = Frames(answer)
            frames.until("view", "")
            api.delete(path).raise_for_status()
            assert "alert" in frames.until("view", "There is no")
            api.put(path, json=body).raise_for_status()
            assert "alert" not in frames.until("view", "is there" if "host" in path else "brief")
        api.delete(path).raise_for_status()


def test_a_change_of_a_host_asks_for_its_page_once(admin: Browser) -> None:
    page = admin.see(f"/host/{HOST}")
    asking = [of for _, of in page.tags if "hx-get" in of]
    assert len(asking) == HAS_SCRIPTS
    wanted = {name for of in asking for name in of["hx-select-oob"].split(",")}
    assert {name[1:] for name in wanted} <= {of.get("id") for _, of in page.tags}
