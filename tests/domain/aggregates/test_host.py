"""What a host decides."""

import typing
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from domain.aggregates.host import NEXT, Host, Registration
from domain.aggregates.host_events import (
    Activated,
    Bootstrapped,
    CheckRequested,
    CredentialsRead,
    CredentialsRotated,
    FactsGathered,
    Failed,
    JoinedCluster,
    KeyApproved,
    KeyForgotten,
    KeyPinned,
    KeyRefused,
    LeftCluster,
    Recovered,
    Registered,
    Removed,
    Status,
)
from domain.event import Event
from domain.refusal import Refusal
from tests.domain.given import ACT, Given, given

ADDRESS = "10.0.0.7"
REGISTERED = Registered(ADDRESS, "root", 22, "SHA256:user")
FACTS = FactsGathered("fedora", "40", 4, 8_000_000, 50_000_000, "boot-1")
JOINED = JoinedCluster("web")
UNREACHABLE = Failed("unreachable", "It refused the connection.")

HISTORIES: dict[Status, tuple[Event, ...]] = {
    "": (),
    "investigating": (REGISTERED, JOINED),
    "bootstrapping": (REGISTERED, JOINED, FACTS),
    "disassociated": (REGISTERED, JOINED, FACTS, Bootstrapped()),
    "active": (REGISTERED, JOINED, FACTS, Bootstrapped(), Activated()),
    "failed": (REGISTERED, JOINED, UNREACHABLE),
}


def host(*events: Event) -> Given[Host]:
    """A host to which this happened."""
    return given(Host, ADDRESS, *events)


def test_a_host_that_is_new_is_registered() -> None:
    registered = host().when(Host.register, Registration("root", 22), "SHA256:user")
    assert registered.then(REGISTERED).status == "investigating"


def test_registering_a_registered_host_is_a_defect_of_the_caller() -> None:
    with pytest.raises(ValueError, match="cannot go from"):
        host(REGISTERED).when(Host.register, Registration("root", 22), "SHA256:user").then()


def test_a_first_look_leads_to_bootstrapping_and_facts_that_stay_are_no_news() -> None:
    host(REGISTERED).when(Host.gather_facts, FACTS).then(FACTS)
    host(REGISTERED, FACTS).when(Host.gather_facts, FACTS).then()


def test_facts_of_a_clock_that_was_ahead_are_news_once_it_was_set_back() -> None:
    ahead = replace(FACTS)
    ahead.stamp("host/10.0.0.7", 2, ACT._replace(at="2026-01-02T05:04:05.000006"))
    known = host(REGISTERED)
    known.subject.apply(ahead)
    known.subject.version += 1
    known.when(Host.gather_facts, FACTS).then(FACTS)
    known.when(Host.gather_facts, FACTS).then()


def test_facts_that_changed_are_news_and_do_not_change_the_status() -> None:
    more = FactsGathered("fedora", "41", 8, 8_000_000, 50_000_000, "boot-2")
    changed = host(*HISTORIES["active"]).when(Host.gather_facts, more).then(more)
    assert (changed.status, changed.facts) == ("active", more)


def test_facts_are_stamped_on_a_copy_so_that_one_look_can_be_recorded_twice() -> None:
    given(Host, "10.0.0.8", REGISTERED).when(Host.gather_facts, FACTS).then(FACTS)
    assert FACTS.originator_id == ""


def test_a_set_up_host_waits_in_no_cluster_and_works_in_one() -> None:
    host(*HISTORIES["bootstrapping"]).when(Host.finish_bootstrap).then(Bootstrapped())
    host(*HISTORIES["disassociated"]).when(Host.activate).then(Activated())
    host(REGISTERED, FACTS, Bootstrapped()).when(Host.activate).then()


def test_the_same_failure_again_is_no_news_and_another_one_is() -> None:
    other = Failed("authentication", "The key was refused.")
    host(*HISTORIES["failed"]).when(Host.fail, UNREACHABLE.kind, UNREACHABLE.reason).then()
    host(*HISTORIES["failed"]).when(Host.fail, other.kind, other.reason).then(other)


@pytest.mark.parametrize("was", ["investigating", "bootstrapping", "disassociated", "active"])
def test_a_failed_host_that_answers_is_what_it_was(was: Status) -> None:
    # What a failed host was before is the status that its history had.
    recovered = host(*HISTORIES[was], UNREACHABLE, Failed("facts", "No shell.")).when(
        Host.gather_facts, FACTS
    )
    news = (FACTS,) if was == "investigating" else ()
    assert recovered.then(Recovered(was), *news).failure is None


def test_an_active_host_that_left_its_cluster_while_it_was_failed_is_disassociated_after() -> None:
    left = host(*HISTORIES["active"], UNREACHABLE, LeftCluster("web", "taken_out"))
    left.when(Host.gather_facts, FACTS).then(Recovered("disassociated"))


def test_leaving_makes_an_active_host_disassociated() -> None:
    left = host(*HISTORIES["active"]).when(Host.leave_cluster).then(LeftCluster("web", "taken_out"))
    assert (left.status, left.cluster) == ("disassociated", "")
    host(REGISTERED).when(Host.leave_cluster).then()


def test_a_host_is_in_one_cluster_at_most() -> None:
    host(*HISTORIES["active"]).when(Host.join_cluster, "web").then()
    host(*HISTORIES["active"]).when(Host.join_cluster, "db").refuses("conflict")


def test_the_first_key_is_pinned_and_stays() -> None:
    pinned = KeyPinned("ssh-ed25519", "SHA256:one")
    host(REGISTERED).when(Host.pin_key, "ssh-ed25519", "SHA256:one").then(pinned)
    host(REGISTERED, pinned).when(Host.pin_key, "ssh-ed25519", "SHA256:two").then()


def test_a_pinned_key_outlives_the_host_unless_it_is_forgotten_with_it() -> None:
    pinned = KeyPinned("ssh-ed25519", "SHA256:one")
    removed = host(REGISTERED, pinned).when(Host.remove).then(Removed())
    assert removed.pinned == "SHA256:one"
    again = host(REGISTERED, pinned, Removed(), REGISTERED)
    again.when(Host.pin_key, "ssh-ed25519", "SHA256:two").then()
    by_administrator = partial(Host.remove, forget_key=True)
    host(REGISTERED, pinned).when(by_administrator).then(KeyForgotten(), Removed())
    approved = host(REGISTERED, pinned, Removed()).when(Host.approve_key, "SHA256:two")
    assert approved.then(KeyApproved("SHA256:two")).pinned == "SHA256:two"
    host(REGISTERED, pinned, Removed()).when(Host.forget_key).then(KeyForgotten())
    host(REGISTERED, Removed()).when(Host.forget_key).refuses("not_found")


def test_another_key_fails_the_host_once_and_is_trusted_when_it_is_approved() -> None:
    pinned = KeyPinned("ssh-ed25519", "SHA256:one")
    refused = KeyRefused("SHA256:two"), Failed("host_key", "Another key.")
    host(REGISTERED, pinned).when(Host.refuse_key, "SHA256:two", "Another key.").then(*refused)
    suspect = host(REGISTERED, pinned, *refused)
    suspect.when(Host.refuse_key, "SHA256:two", "Another key.").then()
    approved = suspect.when(Host.approve_key, "SHA256:two").then(KeyApproved("SHA256:two"))
    assert (approved.pinned, approved.refused) == ("SHA256:two", "")
    host(REGISTERED, KeyApproved("SHA256:two")).when(Host.approve_key, "SHA256:two").then()


def test_a_forgotten_key_lets_the_next_contact_pin_anew() -> None:
    pinned = KeyPinned("ssh-ed25519", "SHA256:one")
    host(REGISTERED, pinned).when(Host.forget_key).then(KeyForgotten())
    host(REGISTERED).when(Host.forget_key).then()
    again = host(REGISTERED, pinned, KeyForgotten()).when(Host.pin_key, "rsa", "SHA256:two")
    again.then(KeyPinned("rsa", "SHA256:two"))


def test_every_reading_of_credentials_is_an_event() -> None:
    host(REGISTERED, CredentialsRead()).when(Host.read_credentials).then(CredentialsRead())


def test_rotated_credentials_are_those_of_the_host_from_then_on() -> None:
    event = CredentialsRotated("SHA256:new", "ops", 2222)
    rotated = host(REGISTERED).when(Host.rotate_credentials, "SHA256:new", "ops", 2222).then(event)
    assert rotated.registration == Registration("ops", 2222)
    assert (rotated.incarnation, rotated.credentials) == (1, 2)


@pytest.mark.parametrize(
    "command",
    [
        (Host.remove,),
        (Host.rotate_credentials, "SHA256:x", "root", 22),
        (Host.approve_key, "SHA256:x"),
        (Host.forget_key,),
        (Host.read_credentials,),
    ],
)
def test_what_is_asked_of_an_unknown_host_is_refused(command: tuple[typing.Any, ...]) -> None:
    host().when(*command).refuses("not_found")
    host(REGISTERED, Removed()).when(*command).refuses("not_found")


@pytest.mark.parametrize("status", ["", "investigating", "bootstrapping", "failed"])
def test_a_host_that_is_not_set_up_is_no_newcomer(status: Status) -> None:
    refused = host(*HISTORIES[status]).when(Host.must_be_ready).refuses("conflict")
    if status == "failed":
        assert UNREACHABLE.reason in refused.sentence


def test_a_host_that_comes_back_starts_fresh_but_for_its_pinned_key() -> None:
    past = (
        *HISTORIES["active"],
        KeyPinned("rsa", "SHA256:x"),
        LeftCluster("web", "taken_out"),
        Removed(),
    )
    back = host(*past).when(Host.register, Registration("ops", 2222), "SHA256:new")
    again = back.then(Registered(ADDRESS, "ops", 2222, "SHA256:new"))
    assert again.version == len(past) + 1 == again.incarnation
    assert (again.status, again.pinned, again.facts, again.cluster, again.failure) == (
        "investigating",
        "SHA256:x",
        None,
        "",
        None,
    )


STEPS: list[Callable[[Host], object]] = [
    lambda host: host.register(Registration("root", 22), "SHA256:user"),
    lambda host: host.remove(),
    lambda host: host.leave_cluster(),
    lambda host: host.gather_facts(FACTS),
    lambda host: host.finish_bootstrap(),
    lambda host: host.activate(),
    lambda host: host.fail("facts", "No shell."),
]
FAILED_FROM: tuple[Status, ...] = ("investigating", "bootstrapping", "disassociated", "active")


def test_the_life_cycle_is_the_table_and_all_of_the_table() -> None:
    seen: dict[Status, set[Status]] = {status: set() for status in NEXT}
    histories = [HISTORIES[status] for status in NEXT if status != "failed"]
    histories += [(*HISTORIES[status], UNREACHABLE) for status in FAILED_FROM]
    for history in histories:
        for step in STEPS:
            subject = host(*history).subject
            before = subject.status
            subject.pending = []
            try:
                step(subject)
            except ValueError:
                assert "failed" not in NEXT[before] or step is STEPS[0], "a defect, not a decision"
                continue
            except Refusal:
                continue
            at = Host.replay(ADDRESS, given_events(history))
            for event in subject.pending:
                status = at.status
                at.follow([typing.cast(typing.Any, event)])
                if at.status != status:
                    seen[status].add(at.status)
    assert seen == {status: set(following) for status, following in NEXT.items()}


def given_events(history: tuple[Event, ...]) -> list[typing.Any]:
    """The same events, stamped as a stream."""
    subject = Host(ADDRESS)
    for event in history:
        subject.emit(typing.cast(typing.Any, replace(event)))
    return list(subject.pending)


@pytest.mark.parametrize(
    ("asked_at", "is_asked_again"),
    [
        ("2026-01-02T03:04:00.000005", True),
        ("2026-01-02T03:04:01.000006", False),
        ("2026-01-02T03:04:05.000006", False),
        ("2027-01-02T03:04:05.000006", True),  # by a clock that was ahead
    ],
)
def test_a_look_is_asked_for_again_after_a_while_whatever_the_clock_was(
    asked_at: str, is_asked_again: bool
) -> None:
    subject = Host(ADDRESS)
    subject.emit(replace(REGISTERED))
    subject.act = ACT._replace(at=asked_at)
    subject.emit(CheckRequested())
    subject.act, subject.pending = ACT, []
    subject.request_check("2026-01-02T03:04:00.000006")
    assert subject.pending == [CheckRequested()] * is_asked_again
