"""Read models are held against the log from a page, and the page says what came of it."""

import threading
from pathlib import Path

import pytest

from domain.refusal import Refusal
from projections.all import PROJECTIONS
from projections.rebuilding import on_demand
from projections.rebuilding.on_demand import Verifying
from tests.support.service import wait_for
from tests.web.console.browser import Browser, browsing
from tests.web.service import TIMEOUT_S, WebService, serving


def test_an_administrator_has_the_read_models_verified(
    admin: Browser, viewer: Browser, seeded: WebService
) -> None:
    token = viewer.see("/me").fields("/logout")["csrf_token"]
    assert viewer.post("/about/verify", {"csrf_token": token}).status_code == 403
    assert admin.send("/about", "/about/verify").headers["location"] == "/about"
    wait_for(lambda: "Ended" in admin.see("/about").text, TIMEOUT_S)
    text = admin.see("/about").text
    for projection in PROJECTIONS:
        assert f"{projection.name} ● yes" in text
    with seeded.engine.append(TIMEOUT_S) as appending:
        appending.tx.execute("UPDATE fleet_hosts SET os = 'plan9' WHERE address = '10.0.0.1'")
        appending.commit()
    admin.send("/about", "/about/verify")
    wait_for(lambda: "fleet ▲ no" in admin.see("/about").text, TIMEOUT_S)
    assert "plan9" in admin.see("/about").text


def test_nothing_is_claimed_before_a_verification(tmp_path: Path) -> None:
    with serving(tmp_path) as fresh, browsing(fresh) as admin:
        assert "Not verified since" in admin.see("/about").text


def test_one_is_verified_at_a_time_and_a_stop_ends_it(
    seeded: WebService, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go = threading.Event(), threading.Event()

    def slow(engine: object, projections: object, advance: object, batch: int) -> list[object]:
        assert callable(advance)
        begun.set()
        go.wait(TIMEOUT_S)
        advance(1, 2)
        return []

    monkeypatch.setattr(on_demand, "verify", slow)
    verifying = Verifying(seeded.engine, PROJECTIONS)
    verifying.begin()
    assert begun.wait(TIMEOUT_S)
    with pytest.raises(Refusal, match="already"):
        verifying.begin()
    threading.Timer(0.1, go.set).start()
    verifying.close()
    assert verifying.last is not None
    assert verifying.last.wrong == "The service stopped."


def test_a_verification_that_fell_over_is_said_to_have_failed(
    admin: Browser,
    seeded: WebService,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def falls(*_: object) -> list[object]:
        raise ZeroDivisionError

    monkeypatch.setattr(on_demand, "verify", falls)
    admin.send("/about", "/about/verify")
    wait_for(lambda: "It fell over" in admin.see("/about").text, TIMEOUT_S)
    assert "Ended" not in admin.see("/about").text
    assert "the verification fell over" in caplog.text


def test_verifying_again_and_again_takes_no_more_of_the_database(seeded: WebService) -> None:
    verifying = Verifying(seeded.engine, PROJECTIONS)
    threads = []

    def ended() -> bool:
        return verifying.last is not None and bool(verifying.last.ended)

    for _ in range(3):
        verifying.begin()
        threads.append([t for t in threading.enumerate() if t.name == "verifying"])
        wait_for(ended, TIMEOUT_S)
        assert verifying.last is not None
        assert not verifying.last.wrong
        assert verifying.last.verdicts
    assert threads[0] == threads[1] == threads[2]
    verifying.close()
