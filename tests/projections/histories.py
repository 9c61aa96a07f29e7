"""Random histories: commands of every kind on a small fleet, by a seed or by hypothesis."""

import random
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

from domain.aggregates.host_events import FactsGathered, FactsSourced
from domain.aggregates.operation import OperationRequest
from domain.aggregates.rolling_policy import Kind, Options
from domain.commands import account_commands, fleet_commands, investigation, operation_commands
from domain.commands.investigation import Subject
from domain.log.unit import Unit
from domain.refusal import Refusal
from domain.roles import standing
from projections.accounts.register import AccountRegister
from tests.domain.memory_unit import MemorySecrets, request
from tests.support.stores import ACT, WAIT_TIMEOUT_S, Store

ADDRESSES = ["10.0.0.1", "10.0.0.10", "10.0.0.2", "2001:db8::1", "a.example", "B-0".lower()]
NAMES = ["web", "Web", "db-1"]
Command = Callable[[Unit], Any]


def facts(cpus: int) -> FactsGathered:
    """What a host says of itself."""
    return FactsGathered("fedora", "40", cpus, 8_000_000, 50_000_000, "boot-1")


class AnySecrets(MemorySecrets):
    """Nobody keeps secrets here."""

    def matches(
        self,
        unit: fleet_commands.Unit,
        subject: str,
        secret: bytes,
        part: fleet_commands.Part = bytes,
    ) -> bool:
        """Always."""
        return True

    def destroy(self, unit: fleet_commands.Unit, subject: str) -> None:
        """Nothing was kept for sure: a command may have been rolled back."""
        self.kept.pop(subject, None)


SECRETS = AnySecrets()
REGISTER = AccountRegister()


def looked_at(unit: Unit, address: str, cpus: int) -> None:
    """A look that went well, or one that did not."""
    subject = Subject(address, unit.host(address).incarnation)
    if cpus == 0:
        investigation.fail(unit, subject, "unreachable", "It is off.")
    else:
        investigation.pin_key(unit, subject, "rsa", "SHA256:k")
        investigation.settle(unit, subject, facts(cpus))


def supplied(unit: Unit, address: str, cpus: int) -> None:
    """What its source says of a host, or that it knows it no more."""
    said = FactsSourced('r"ack\u00fc', cpus=cpus or None, os="rhel" if cpus % 2 else None)
    subject = Subject(address, unit.host(address).incarnation)
    investigation.supply_facts(unit, subject, said)


UPGRADE = Options(max_parallel=2, max_failures=1, healthy_for_s=1.0)


def operated(unit: Unit, name: str, number: int) -> None:
    """An operation begins on a cluster, or the one in process goes on."""
    cluster = unit.cluster(name)
    current = cluster.operation
    if not current:
        kind: Kind = "restart" if number else "upgrade"
        fresh = f"{name}-{cluster.version}"
        operation_commands.start(unit, fresh, OperationRequest(kind, name, "", UPGRADE))
        operation_commands.advance(unit, fresh)
    elif busy := unit.operation(current).with_outcome("in_process"):
        step = unit.operation(current).hosts[busy[0]].step
        if step == "reboot":
            operation_commands.request_reboot(unit, current, busy[0], "boot-1")
        if number:
            operation_commands.finish_step(
                unit, current, busy[0], step, {"exit_status": 0}, reboot=True
            )
        else:
            operation_commands.fail_host(
                unit, current, busy[0], step, "It broke.", {"exit_status": 1}
            )
    else:
        operation_commands.steer(unit, current, "cancelled")


def accounted(unit: Unit, user: str, cluster: str, number: int) -> None:
    """A user comes, is changed with what belongs to them, or goes."""
    more = standing("viewer", {cluster: "operator"})
    if not unit.user(user).exists:
        account_commands.add_user(unit, REGISTER, user, more, b"hash" if number else b"")
    elif number == 0:
        account_commands.remove_user(unit, REGISTER, user)
    elif number == 1:
        account_commands.change_user(unit, REGISTER, user, standing("operator"), b"another")
    else:
        own = {"owner": user, "expires": "2030-01-02T03:04:05.000006"}
        token = unit.token(f"{user}-{cluster}")
        if token.exists:
            account_commands.revoke_token(unit, REGISTER, token.name)
        else:
            account_commands.create_token(unit, REGISTER, token.name, more, b"digest", **own)
        name, ends = f"{user}-{unit.user(user).version}", "2026-01-02T15:04:05.000006"
        if not unit.session(name).is_open:
            account_commands.start_session(unit, REGISTER, name, user, b"digest", ends=ends)


def command(kind: str, address: str, name: str, others: list[str], number: int) -> Command:
    """One command, from plain values, so that a failing history can be read."""
    commands: dict[str, Command] = {
        "create": lambda unit: fleet_commands.create_cluster(unit, name, "default", ""),
        "register": lambda unit: fleet_commands.register_host(
            unit, SECRETS, address, request(name if number else None, source='r"ack\u00fc')
        ),
        "remove": lambda unit: fleet_commands.remove_host(unit, SECRETS, address),
        "join": lambda unit: fleet_commands.join(unit, name, address),
        "leave": lambda unit: fleet_commands.leave(unit, name, address),
        "replace": lambda unit: fleet_commands.replace_members(
            unit, name, list(unit.cluster(name).members), others
        ),
        "remove_cluster": lambda unit: fleet_commands.remove_cluster(unit, name),
        "look": lambda unit: looked_at(unit, address, number),
        "supply": lambda unit: supplied(unit, address, number),
        "operate": lambda unit: operated(unit, name, number),
        "read": lambda unit: unit.host(address).read_credentials(),
        "account": lambda unit: accounted(unit, name.lower(), "web", number),
    }
    return commands[kind]


# Looks and registrations are what most of a real history is.
KINDS = [
    "create", "create", "register", "register", "register", "look", "look", "look", "look",
    "join", "join", "leave", "replace", "replace", "remove", "remove_cluster", "supply", "supply",
    "read", "operate", "operate", "operate", "operate",
]  # fmt: skip

HISTORIES = st.lists(
    st.builds(
        command,
        st.sampled_from([*KINDS, "account", "account"]),
        st.sampled_from(ADDRESSES),
        st.sampled_from(NAMES),
        st.lists(st.sampled_from(ADDRESSES), max_size=4),
        st.integers(0, 2),
    ),
    min_size=5,
    max_size=60,
)


def random_history(seed: int, length: int) -> list[Command]:
    """A history that the seed decides; at every tenth command, an account changes as well."""
    chance, other = random.Random(seed), random.Random(seed)
    found = []
    for number in range(length):
        found.append(
            command(
                chance.choice(KINDS),
                chance.choice(ADDRESSES),
                chance.choice(NAMES),
                chance.sample(ADDRESSES, chance.randrange(4)),
                chance.randrange(3),
            )
        )
        if number % 10 == 0:
            found.append(command("account", "", other.choice(NAMES), [], other.randrange(3)))
    return found


def carry_out(store: Store, history: Sequence[Command]) -> int:
    """Everything that is not refused; gives how many were carried out."""
    with store.writer() as writer:
        futures = [writer.submit(ACT, step) for step in history]
        outcomes = [future.exception(WAIT_TIMEOUT_S) for future in futures]
    for outcome in outcomes:
        if outcome is not None and not isinstance(outcome, Refusal):
            raise outcome
    return outcomes.count(None)
