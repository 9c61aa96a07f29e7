"""kill -9 at every point of a delivery: nothing is lost, order is kept, doubles have one id."""

import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.end_to_end.processes.several import several
from tests.faults.conftest import ALONE
from tests.support.service import Service, wait_for
from tests.support.webhook_receiver import SECRET, WebhookReceiver, must_be_delivered

KILLS = 3
EVENTS = 15
RECEIVER = Path(__file__).parents[2] / "docs/examples/webhook_receiver.py"


@pytest.fixture
def there() -> Iterator[WebhookReceiver]:
    """A receiver."""
    with WebhookReceiver() as running:
        yield running


def put(service: Service, there: WebhookReceiver, **more: object) -> None:
    """Make a webhook of all events."""
    body = {"url": there.url, "secret": SECRET, **more}
    assert service.client.put("/webhook/hook", json=body).status_code == 201


def happen(service: Service, *names: str) -> None:
    """An event for each."""
    for name in names:
        assert service.client.put(f"/cluster/{name}").status_code == 201


def events(service: Service) -> list[dict[str, object]]:
    """All of the log."""
    found: list[dict[str, object]] = service.client.get("/events?limit=1000").json()
    return found


def all_there(service: Service, there: WebhookReceiver) -> None:
    """Until all events since the webhook was made were taken; then it is judged."""
    told = events(service)
    begin = next(n for n, each in enumerate(told) if each["type"] == "webhook.created")
    positions = [int(str(each["id"])) for each in told[begin:]]
    wait_for(lambda: {int(one.event["id"]) for one in there.taken} >= set(positions))
    must_be_delivered(there.taken, positions)
    for one in there.received[:3]:
        one.must_be_signed()


def killed_before_it_was_answered(service: Service, there: WebhookReceiver) -> None:
    """The receiver has it, and nobody was told so."""
    seen = len(there.received)
    there.does.append("hang")
    happen(service, f"before{seen}")
    wait_for(lambda: len(there.received) > seen)
    service.kill()


def killed_right_after_it_was_answered(service: Service, there: WebhookReceiver) -> None:
    """Most times the answer was not kept."""
    gone = threading.Event()

    def kill() -> None:
        there.afterwards = lambda: None
        service.kill()
        gone.set()

    there.afterwards = kill
    with suppress(httpx.TransportError):  # the message may be quicker than the answer
        happen(service, f"after{len(there.received)}")
    assert gone.wait(60)


def killed_between_attempts(service: Service, there: WebhookReceiver) -> None:
    """What is to be sent again has failed before."""
    seen = len(there.received)
    there.does.extend([500, 500])
    happen(service, f"between{seen}")
    wait_for(lambda: len(there.received) >= seen + 2)
    service.kill()


POINTS = [
    killed_before_it_was_answered,
    killed_right_after_it_was_answered,
    killed_between_attempts,
]


@pytest.mark.dear_on("postgresql")
def test_after_kill_9_at_every_point_nothing_is_lost_and_doubles_have_the_same_id(
    service: Service, there: WebhookReceiver
) -> None:
    put(service, there)
    for kill in POINTS:
        kill(service, there)
        service.start()
        happen(service, f"then{len(there.received)}")
        all_there(service, there)
    answer = service.client.get("/webhook/hook").json()
    assert answer["status"] == "active"


@pytest.mark.dear_on("postgresql")
@pytest.mark.parametrize(
    "seed", [1, *(pytest.param(seed, marks=pytest.mark.proof) for seed in range(2, 12))]
)
def test_after_kill_9_at_any_moment_under_load(
    seed: int, service: Service, there: WebhookReceiver
) -> None:
    chance = random.Random(seed)
    put(service, there)
    for turn in range(KILLS):
        there.does.extend(chance.choice([204, 204, 500, "cut"]) for _ in range(5))
        happen(service, *(f"turn{turn}event{number}" for number in range(EVENTS)))
        enough = len(there.received) + chance.randint(1, EVENTS)
        wait_for(lambda enough=enough: len(there.received) >= enough)  # type: ignore[misc] # bound
        service.kill()
        service.start()
    all_there(service, there)


def test_of_two_processes_one_sends_and_the_other_goes_on(
    postgres_url: str, tmp_path: Path, there: WebhookReceiver
) -> None:
    with several(2, tmp_path, [postgres_url, postgres_url], "--lease-s", "3", *ALONE) as both:
        put(both[0], there)
        happen(both[0], *(f"a{number}" for number in range(10)))
        happen(both[1], *(f"b{number}" for number in range(10)))
        all_there(both[1], there)
        assert len(there.received) == len({one.id for one in there.received})
        for number in (0, 1):  # one of them is about to send
            there.free.clear()
            there.does.append("hang")
            happen(both[0], f"c{number}")
            wait_for(lambda n=number: f"cluster/c{n}" in str(there.received[-1].body))  # type: ignore[misc] # bound
            both[number].kill()
            there.free.set()
            happen(both[1 - number], f"d{number}")
            all_there(both[1 - number], there)
            both[number].start()


@pytest.mark.proof
def test_a_process_that_was_frozen_in_the_middle_moves_nothing_back(
    postgres_url: str, tmp_path: Path, there: WebhookReceiver
) -> None:
    with several(2, tmp_path, [postgres_url, postgres_url], "--lease-s", "3", *ALONE) as both:
        put(both[0], there)
        all_there(both[0], there)  # what hangs is a later event
        for number in (0, 1):  # one of them is about to send
            frozen, other = both[number], both[1 - number]
            there.free.clear()
            there.does.append("hang")
            happen(other, f"a{number}")
            wait_for(lambda n=number: f"cluster/a{n}" in str(there.received[-1].body))  # type: ignore[misc] # bound
            frozen.send(signal.SIGSTOP)
            there.free.set()
            happen(other, f"b{number}", f"c{number}")
            all_there(other, there)
            position = other.client.get("/webhook/hook").json()["position"]
            frozen.send(signal.SIGCONT)
            # It serves again, and has found out by then what is not its own any more.
            wait_for(lambda one=frozen: one.client.get("/healthz").status_code)  # type: ignore[misc] # bound
            happen(frozen, f"d{number}")
            all_there(other, there)
            assert other.client.get("/webhook/hook").json()["position"] >= position


@pytest.mark.dear_on("postgresql")
def test_the_example_of_a_receiver_prints_each_event_once(tmp_path: Path, service: Service) -> None:
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    with subprocess.Popen(
        [sys.executable, str(RECEIVER), "0", str(secret)], stdout=subprocess.PIPE, text=True
    ) as running:
        try:
            assert running.stdout is not None
            port = running.stdout.readline().split()[-1]
            url = f"http://127.0.0.1:{port}/"
            body = {"url": url, "secret": SECRET, "types": ["cluster.created"]}
            assert service.client.put("/webhook/hook", json=body).status_code == 201
            tried = service.client.post("/webhook/hook/test", json={}).json()
            assert (tried["delivered"], tried["status"]) == (True, 204)
            assert running.stdout.readline().split()[1:3] == ["webhook.test", "webhook/hook"]
            happen(service, "a", "b")
            said = [running.stdout.readline().split()[1:3] for _ in range(2)]
            assert said == [["cluster.created", "cluster/a"], ["cluster.created", "cluster/b"]]
            wrong = body | {"secret": SECRET.replace("bWFk", "bWFl")}
            assert service.client.put("/webhook/wrong", json=wrong).status_code == 201
            tried = service.client.post("/webhook/wrong/test", json={}).json()
            assert (tried["delivered"], tried["status"]) == (False, 401)
        finally:
            running.kill()
