"""A log that has grown: written by the domain's own commands, without a service or hosts."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from bench.months import pass_months
from domain.aggregates.host_events import FactsGathered
from domain.commands import fleet_commands, investigation
from domain.commands.fleet_commands import HostRequest, OfferedKey
from domain.commands.investigation import Subject
from domain.event import Act
from domain.log.engines.sqlite import SQLiteEngine
from domain.log.recorder import LogRecorder, head
from domain.log.tree.growth import grow
from domain.log.unit import Unit
from domain.log.writer import Writer
from projections.all import PROJECTIONS, beside_the_log
from projections.rebuilding.live_tables import LiveTables
from runners.security.vault import Vault, master_key
from tests.fleet import new_key

ACT = Act("bench", "bench", "2026-01-02T03:04:05.000006")
FACTS = FactsGathered("fedora", "43", 8, 16_384_000, 104_857_600, "b" * 36)
TIMEOUT_S = 120.0
CLOSED_PORT = 1
"""Whoever looks for a host of the seed learns at once that it is not there."""
COMMANDS_AT_ONCE = 512


def address(number: int) -> str:
    """The address of a host, as `scripts/hosts.lua` has it."""
    return f"127.{number // 65536}.{number // 256 % 256}.{number % 256}"


def labels(number: int) -> dict[str, str]:
    """The labels of a host."""
    return {"role": f"r{number % 7}", "zone": f"z{number % 3}", "rack": f"k{number % 40}"}


def seed(data: Path, host_count: int, event_count: int = 0, *, labelled: bool = False) -> None:
    """Fill an empty data directory: hosts that are set up, and what happens to them later.

    There are `event_count` events at least.
    """
    data.mkdir(parents=True, exist_ok=True)
    key = new_key()
    vault = Vault(master_key(None, data / "master.key"), lambda subject, reader: None)
    addresses = [address(number) for number in range(host_count)]
    with _writer(data / "commissaire.db", vault) as (engine, writer):
        offered = OfferedKey(key.private, lambda raw: key.fingerprint)
        _carry_out(
            writer,
            (
                _registered(vault, name, HostRequest(offered, ssh_port=CLOSED_PORT))
                for name in addresses
            ),
        )
        _carry_out(writer, (_settled(name) for name in addresses))
        if labelled:
            _carry_out(writer, (_labelled(name, labels(n)) for n, name in enumerate(addresses)))
        with engine.snapshot() as tx:
            missing = event_count - head(tx).position
        pass_months(engine, addresses, missing)
        grow(engine)


@contextmanager
def _writer(path: Path, vault: Vault) -> Iterator[tuple[SQLiteEngine, Writer]]:
    with closing(SQLiteEngine(path)) as engine:
        models = LiveTables(PROJECTIONS)
        LogRecorder(engine).create_table()
        models.create_tables(engine)
        engine.execute_schema(beside_the_log(engine.name))
        vault.open(engine)
        writer = Writer(engine, models, timeout_s=TIMEOUT_S)
        writer.start()
        try:
            yield engine, writer
        finally:
            writer.stop()


Command = Callable[[Unit], Any]


def _carry_out(writer: Writer, commands: Iterator[Command]) -> None:
    while some := list(islice(commands, COMMANDS_AT_ONCE)):
        waiting: list[Future[Any]] = [writer.submit(ACT, command) for command in some]
        for future in waiting:
            future.result(TIMEOUT_S)


def _registered(vault: Vault, name: str, request: HostRequest) -> Command:
    return lambda unit: fleet_commands.register_host(unit, vault, name, request)


def _labelled(name: str, given: dict[str, str]) -> Command:
    return lambda unit: unit.host(name).change_labels(given)


def _settled(name: str) -> Command:
    def settle(unit: Unit) -> None:
        subject = Subject(name, unit.host(name).incarnation)
        investigation.pin_key(unit, subject, "ssh-ed25519", "SHA256:" + "a" * 43)
        investigation.settle(unit, subject, FACTS)

    return settle
