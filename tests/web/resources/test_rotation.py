"""`PUT /host/{address}/creds`: tried first, kept only if that worked, and who did it is known."""

import asyncio
from collections.abc import Callable

import httpx
import pytest

from domain.aggregates.host_events import CredentialsRotated
from domain.commands.credentials import Login
from domain.refusal import conflict
from tests.web.service import WebService, base64_of, new_key
from web.resources.credentials import Trust

ADDRESS = "10.0.0.1"
CREDS = f"/host/{ADDRESS}/creds"


class Trial:
    """Notes what is tried; refuses with `sentence`, if there is one."""

    def __init__(self, service: WebService, sentence: str = "") -> None:
        self.tried: list[Login] = []
        self.sentence = sentence
        self.host_key = ""
        self.meanwhile: Callable[[], None] = lambda: None
        service.try_login = self

    async def __call__(self, login: Login, private_key: bytes, trust: Trust) -> None:
        """The try."""
        self.tried.append(login)
        if self.host_key:
            await trust("ssh-ed25519", self.host_key)
        await asyncio.to_thread(self.meanwhile)
        if self.sentence:
            raise conflict(self.sentence)


def rotated(service: WebService) -> list[CredentialsRotated]:
    """What the log says of rotations."""
    return [r.event for r in service.events if isinstance(r.event, CredentialsRotated)]


@pytest.fixture
def trial(service: WebService, api: httpx.Client, key: str) -> Trial:
    """A host that is there, and a trial that always works."""
    assert api.put(f"/host/{ADDRESS}", json={"ssh_priv_key": key}).status_code == 201
    return Trial(service)


def test_credentials_that_work_are_kept_and_the_log_says_who_did_it(
    service: WebService, api: httpx.Client, trial: Trial
) -> None:
    new = base64_of(new_key())
    body = {"ssh_priv_key": new, "remote_user": "ops", "ssh_port": 2222}
    answer = api.put(CREDS, json=body, headers={"X-Request-ID": "rotate-1"})
    assert answer.status_code == 201
    assert list(answer.json()) == ["fingerprint", "remote_user", "ssh_port"]
    assert answer.headers["Cache-Control"] == "no-store"
    (event,) = rotated(service)
    assert (event.actor, event.correlation) == ("admin", "rotate-1")
    assert (event.remote_user, event.ssh_port) == ("ops", 2222)
    assert answer.json()["fingerprint"] == event.key_fingerprint
    assert api.get(CREDS).json() == {"ssh_priv_key": new, "remote_user": "ops"}
    assert [(login.remote_user, login.ssh_port) for login in trial.tried] == [("ops", 2222)]
    assert new[60:100] not in answer.text


def test_credentials_that_fail_are_409_with_what_failed_and_nothing_is_changed(
    service: WebService, api: httpx.Client, trial: Trial, key: str
) -> None:
    trial.sentence = "It did not let ops in."
    body = {"ssh_priv_key": base64_of(new_key()), "remote_user": "ops"}
    answer = api.put(CREDS, json=body)
    assert (answer.status_code, answer.json()["detail"]) == (409, "It did not let ops in.")
    assert rotated(service) == []
    assert api.get(CREDS).json() == {"ssh_priv_key": key, "remote_user": "root"}


def test_unchecked_credentials_are_kept_without_a_try(
    service: WebService, api: httpx.Client, trial: Trial
) -> None:
    trial.sentence = "never asked"
    body = {"ssh_priv_key": base64_of(new_key()), "unchecked": True}
    assert api.put(CREDS, json=body).status_code == 201
    assert trial.tried == []
    assert len(rotated(service)) == 1


def test_the_same_rotation_again_is_no_news_and_a_registration_compares_with_it(
    service: WebService, api: httpx.Client, trial: Trial, key: str
) -> None:
    new = base64_of(new_key())
    answers = [api.put(CREDS, json={"ssh_priv_key": new}) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert len(trial.tried) == len(rotated(service)) == 1
    assert api.put(f"/host/{ADDRESS}", json={"ssh_priv_key": new}).status_code == 201
    assert api.put(f"/host/{ADDRESS}", json={"ssh_priv_key": key}).status_code == 409


def test_a_host_that_was_removed_or_registered_anew_meanwhile_keeps_what_it_has(
    service: WebService, api: httpx.Client, trial: Trial
) -> None:
    third = base64_of(new_key())

    def remove() -> None:
        with service.client() as other:
            other.delete(f"/host/{ADDRESS}")

    def replace() -> None:
        remove()
        with service.client() as other:
            other.put(f"/host/{ADDRESS}", json={"ssh_priv_key": third})

    for meanwhile, status in ((replace, 409), (remove, 404)):
        trial.meanwhile = meanwhile
        assert api.put(CREDS, json={"ssh_priv_key": base64_of(new_key())}).status_code == status
        if status == 409:
            assert api.get(CREDS).json()["ssh_priv_key"] == third
    assert rotated(service) == []


def test_the_host_key_of_a_first_contact_is_pinned_before_the_try_goes_on(
    service: WebService, api: httpx.Client, trial: Trial
) -> None:
    trial.host_key = "SHA256:" + "a" * 43
    trial.sentence = "It did not let root in."
    assert api.put(CREDS, json={"ssh_priv_key": base64_of(new_key())}).status_code == 409
    assert api.get(f"/host/{ADDRESS}/hostkey").json()["fingerprint"] == trial.host_key
    trial.host_key = ""
    trial.sentence = ""
    assert api.put(CREDS, json={"ssh_priv_key": base64_of(new_key())}).status_code == 201
    assert trial.tried[-1].pinned == "SHA256:" + "a" * 43


@pytest.mark.parametrize(
    ("body", "at"),
    [
        ({"ssh_priv_key": None}, "ssh_priv_key"),
        ({"ssh_priv_key": "bm8ga2V5"}, "ssh_priv_key"),
        ({"ssh_port": 0}, "ssh_port"),
        ({"remote_user": "a b"}, "remote_user"),
        ({"unchecked": "yes"}, "unchecked"),
    ],
)
def test_a_wrong_body_is_400_and_names_the_key(
    client: httpx.Client, key: str, body: dict[str, object], at: str
) -> None:
    client.put("/host/10.9.9.9", json={"ssh_priv_key": key})
    answer = client.put("/host/10.9.9.9/creds", json={"ssh_priv_key": key, **body})
    assert answer.status_code == 400
    assert [error["key"] for error in answer.json()["errors"]] == [at]


def test_nobody_but_an_administrator_rotates_and_a_host_that_is_not_there_is_404(
    service: WebService, api: httpx.Client, trial: Trial, key: str
) -> None:
    body = {"ssh_priv_key": key, "unchecked": True}
    for user in ("viewer", "operator"):
        with service.client(user) as client:
            assert client.put(CREDS, json=body).status_code == 403
    assert api.put("/host/10.0.0.99/creds", json=body).status_code == 404
    assert api.put("/host/10.0.0.99/creds", json={"ssh_priv_key": key}).status_code == 404
