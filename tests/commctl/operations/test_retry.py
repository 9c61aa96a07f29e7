"""`commctl op retry` of very many hosts, and Ctrl-C while it begins."""

import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from commctl.main import run
from tests.commctl.played import Answer, Played

NAME = "01a22c1e-c21c-7fbd-aa19-59a972511654"
NEXT = "01a22c1e-cb88-7fbd-aa19-59a972511654"
OPERATION: dict[str, Any] = {
    "id": NAME, "kind": "upgrade", "cluster": "web", "status": "failed", "predecessor": None,
    "cancelling": False, "version": None, "options": {"max_parallel": 1}, "actor": "ada",
}  # fmt: skip
TOO_LARGE = 413, {"type": "urn:commissaire:problem:body-size", "detail": "It is too large."}


def answers(hosts: int) -> dict[str, Any]:
    """Of a service with an operation that left so many hosts undone."""
    addresses = [f"host-{number}.example" for number in range(hosts)]
    return {
        f"GET operation/{NAME}": (200, OPERATION),
        f"GET operation/{NAME}/hosts": (200, [{"address": each} for each in addresses]),
        "GET operations": (200, [OPERATION]),
        "GET clusters": (200, ["web"]),
        "GET cluster/web/hosts": (200, addresses),
        "POST operations": TOO_LARGE,
        f"PUT operation/{NAME}/retry": (201, {**OPERATION, "id": NEXT}),
    }


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.parametrize(("hosts", "plans"), [(3, 1), (10_001, 0)])
def test_where_there_are_too_many_for_a_plan_their_number_is_told(
    capsys: pytest.CaptureFixture[str], hosts: int, plans: int
) -> None:
    with Played(answers(hosts)) as played:
        where = ("op", "retry", NAME, "-s", played.url)
        assert run(where) == 2
        said = capsys.readouterr().err
        assert f"again: {hosts} hosts, too many for a plan\n" in said
        assert "Go on? Nobody is here to ask: say -y." in said
        assert [line for line, _ in played.asked].count("POST operations") == plans
        assert run([*where, "--plan"]) == 1
        assert f"{hosts} hosts, too many for a plan." in capsys.readouterr().err
        played.asked.clear()
        assert run([*where, "-y", "--detach", "-o", "name"]) == 0
        assert capsys.readouterr().out == f"{NEXT}\n"
        verbs = {line.partition("?")[0] for line, _ in played.asked}
        assert verbs == {
            f"GET operation/{NAME}",
            "GET clusters",
            f"PUT operation/{NAME}/retry",
        }


def test_control_c_while_it_begins_says_that_it_may_go_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main = threading.main_thread().ident
    assert main
    over = threading.Event()

    def interrupted() -> Answer:
        signal.pthread_kill(main, signal.SIGINT)
        over.wait(60)
        return None

    begins = {**answers(1), f"PUT operation/{NAME}/retry": interrupted}
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with Played(begins) as played:
            assert run(["op", "retry", NAME, "-y", "-s", played.url]) == 130
            over.set()
    finally:
        over.set()
        signal.signal(signal.SIGINT, before)
    said = capsys.readouterr().err
    assert "It may have begun, and then it goes on: commctl op list -c web" in said
