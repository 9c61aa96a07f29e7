"""`commctl gate list`, and what `commctl status` says of an operation that waits."""

import pytest

from commctl.main import run
from tests.commctl.played import Played

GATES = [
    {"name": "go", "asks": "url", "filter": None},
    {"name": "pages", "asks": "prometheus", "filter": 'severity="page"'},
]
WAIT = {"what": "window", "until": "2027-01-01T02:00:00.000000", "reason": "Window it is closed."}
OPERATION = {
    "id": "01a22e89-3921-7391-97f7-37c1bfb8ca94", "kind": "upgrade", "cluster": "web",
    "status": "in_process", "actor": "ada", "started_at": "2026-01-02T12:00:00.000000",
    "counts": {"waiting": 6}, "waits_for": WAIT,
}  # fmt: skip
FLEET = {
    "position": 7, "hosts": {"total": 6, "status": {"active": 6}, "os": {}, "cluster": {"web": 6}},
    "failed": [], "operations": [OPERATION], "locks": [], "needs_a_person": [],
}  # fmt: skip


def test_gates_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    with Played({"GET gates": (200, GATES)}) as played:
        assert run(["gate", "list", "-s", played.url]) == 0
        told = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
        assert told == [["go", "url", ""], ["pages", "prometheus", 'severity="page"']]


def test_status_says_until_when_an_operation_waits(capsys: pytest.CaptureFixture[str]) -> None:
    with Played({"GET fleet": (200, FLEET)}) as played:
        assert run(["status", "-o", "table", "-s", played.url]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "6 waiting; Window it is closed. (until 2027-01-01T02:00:00.000000Z); by ada" in told


def test_a_reason_that_is_missing_is_asked_for_by_its_option(
    capsys: pytest.CaptureFixture[str],
) -> None:
    detail = "Say why in Commissaire-Note: the policy is overridden."
    refused = {"type": "urn:commissaire:problem:invalid", "detail": detail}
    with Played({"POST operations": (400, refused)}) as played:
        assert run(["upgrade", "web", "--override-policy", "-y", "-s", played.url]) == 1
    assert "Say why with --note: the policy is overridden." in capsys.readouterr().err
