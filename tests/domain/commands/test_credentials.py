"""Rotating the credentials of a host: what changes, what is no news, what is refused."""

from functools import partial

import pytest

from domain.aggregates.host_events import CredentialsRotated, Failed, KeyPinned
from domain.commands import credentials, fleet_commands, investigation
from domain.commands.credentials import Login, Wanted
from domain.commands.fleet_commands import OfferedKey
from domain.commands.investigation import Subject
from tests.domain.memory_unit import MemorySecrets, MemoryUnit, parse, request

ADDRESS = "10.0.0.7"


class OneHost(MemoryUnit):
    """A host that is registered as root on port 22 with `key-1`."""

    def __init__(self) -> None:
        super().__init__()
        self.secrets = MemorySecrets()
        self.register()

    def register(self, key: bytes = b"key-1") -> None:
        """Register it."""
        fleet_commands.register_host(self, self.secrets, ADDRESS, request(key=key))
        self.did()

    def login(self, asked: Wanted) -> Login:
        """What is to be tried."""
        return credentials.login(self, self.secrets, ADDRESS, asked)

    def rotate(self, asked: Wanted, tried: Login | None = None) -> Login:
        """Keep it."""
        return credentials.rotate(self, self.secrets, ADDRESS, asked, tried)


@pytest.fixture
def unit() -> OneHost:
    """A host."""
    return OneHost()


def wanted(key: bytes = b"key-2", user: str | None = None, port: int | None = None) -> Wanted:
    """Credentials."""
    return Wanted(OfferedKey(key, parse), user, port)


def test_what_was_tried_is_kept_and_its_fingerprint_is_in_the_log(unit: OneHost) -> None:
    asked = wanted(user="ops", port=2222)
    unit.rotate(asked, unit.login(asked))
    assert unit.did() == [(f"host/{ADDRESS}", CredentialsRotated("SHA256:key-2", "ops", 2222))]
    assert unit.secrets.kept == {f"host/{ADDRESS}": b"key-2"}


def test_what_was_not_said_stays_as_it_is(unit: OneHost) -> None:
    unit.rotate(wanted())
    assert unit.did() == [(f"host/{ADDRESS}", CredentialsRotated("SHA256:key-2", "root", 22))]


@pytest.mark.parametrize("asked", [wanted(b"key-1"), wanted(b"key-1", "root", 22)])
def test_the_credentials_that_it_has_are_no_news(unit: OneHost, asked: Wanted) -> None:
    login = unit.login(asked)
    assert login.in_use
    unit.rotate(asked, login)
    assert unit.did() == []


def test_after_a_rotation_a_registration_is_compared_with_the_new_credentials(
    unit: OneHost,
) -> None:
    unit.rotate(wanted(port=2222))
    unit.did()
    fleet_commands.register_host(unit, unit.secrets, ADDRESS, request(key=b"key-2", port=2222))
    assert unit.did() == []
    for old in (request(), request(key=b"key-2", port=22)):
        again = partial(fleet_commands.register_host, unit, unit.secrets, ADDRESS, old)
        assert unit.refused(again).kind == "conflict"


def test_what_was_tried_lands_on_no_other_incarnation(unit: OneHost) -> None:
    asked = wanted()
    tried = unit.login(asked)
    fleet_commands.remove_host(unit, unit.secrets, ADDRESS)
    unit.did()
    assert unit.refused(lambda: unit.rotate(asked, tried)).kind == "not_found"
    unit.register(b"key-3")
    refusal = unit.refused(lambda: unit.rotate(asked, tried))
    assert refusal.kind == "conflict"
    assert unit.secrets.kept == {f"host/{ADDRESS}": b"key-3"}


def test_what_was_tried_with_another_host_key_is_not_kept(unit: OneHost) -> None:
    host = unit.host(ADDRESS)
    host.pin_key("ssh-ed25519", "SHA256:one")
    asked = wanted()
    tried = unit.login(asked)
    host.approve_key("SHA256:two")
    unit.did()
    assert unit.refused(lambda: unit.rotate(asked, tried)).kind == "conflict"


def test_what_a_first_contact_trusted_is_what_was_tried(unit: OneHost) -> None:
    asked = wanted()
    tried = unit.login(asked).trusting("ssh-ed25519", "SHA256:one")
    investigation.pin_key(unit, Subject(ADDRESS, 1), "ssh-ed25519", "SHA256:one")
    unit.rotate(asked, tried)
    assert [event for _, event in unit.did()] == [
        KeyPinned("ssh-ed25519", "SHA256:one"),
        CredentialsRotated("SHA256:key-2", "root", 22),
    ]


def test_of_two_rotations_at_once_each_keeps_what_it_tried(unit: OneHost) -> None:
    one, other = wanted(b"key-1b"), wanted(b"key-2b", "ops")
    tried_one, tried_other = unit.login(one), unit.login(other)
    unit.rotate(other, tried_other)
    unit.rotate(one, tried_one)
    assert [event for _, event in unit.did()] == [
        CredentialsRotated("SHA256:key-2b", "ops", 22),
        CredentialsRotated("SHA256:key-1b", "root", 22),
    ]


def test_a_failure_with_the_credentials_before_says_nothing_of_those_after(unit: OneHost) -> None:
    host = unit.host(ADDRESS)
    before = Subject(ADDRESS, host.incarnation, host.credentials)
    unit.rotate(wanted())
    unit.did()
    investigation.fail(unit, before, "authentication", "It did not let root in.")
    assert unit.did() == []
    after = Subject(ADDRESS, host.incarnation, host.credentials)
    investigation.fail(unit, after, "authentication", "It did not let root in.")
    assert [event for _, event in unit.did()] == [
        Failed("authentication", "It did not let root in.")
    ]
