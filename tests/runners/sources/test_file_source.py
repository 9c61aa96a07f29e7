"""An inventory in a file: each format, each shape, and changes of it."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from runners.sources.file_source import FileSource
from runners.sources.source import NoAnswer

A, B = "10.0.0.1", "2001:db8::1"
FACTS = {"os": None, "cpus": 4, "memory": None, "space": None}
SHAPES = {
    "json": '{"10.0.0.1": {"cpus": 4}, "2001:DB8:0::1": {"cpus": 8}, "not a host": 7}',
    "yaml": "10.0.0.1: {cpus: 4}\n'2001:DB8:0::1': {cpus: 8}\n7: {}\n",
    "toml": '["10.0.0.1"]\ncpus = 4\n["2001:DB8:0::1"]\ncpus = 8\n',
}


def source(path: Path, **options: object) -> FileSource:
    return FileSource.open({"path": str(path), **options}, {})


def replace(path: Path, text: str) -> None:
    """As careful writers do."""
    new = path.with_name("new")
    new.write_text(text)
    new.replace(path)


@pytest.mark.parametrize("suffix", ["json", "yaml", "toml"])
async def test_a_table_by_address_is_read_in_every_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"hosts.{suffix}"
    path.write_text(SHAPES[suffix])
    inventory = source(path)
    assert await inventory.facts(A) == FACTS
    assert await inventory.facts(B) == FACTS | {"cpus": 8}
    assert await inventory.facts("10.0.0.9") is None


async def test_a_list_names_its_hosts_in_a_field_and_may_be_inside(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text(
        '{"all": {"hosts": [{"net": {"ip": "10.0.0.1"}, "n": 4}, {"net": 7}, 3, null]}}'
    )
    inventory = source(
        path, format="json", hosts="all.hosts", address="net.ip", fields={"cpus": "n"}
    )
    assert await inventory.facts(A) == {"cpus": 4}


async def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "hosts.json"
    inventory = source(path)
    with pytest.raises(NoAnswer, match="cannot be read"):
        await inventory.facts(A)
    path.write_text('{"10.0.0.1": {"cpus": 4}}')
    assert await inventory.facts(A) == FACTS
    replace(path, '{"10.0.0.1": {"cpus": 5}}')
    assert await inventory.facts(A) == FACTS | {"cpus": 5}
    path.unlink()
    with pytest.raises(NoAnswer, match="cannot be read"):
        await inventory.facts(A)


async def test_a_file_that_is_broken_is_a_failure_each_time_until_it_is_whole(
    tmp_path: Path,
) -> None:
    path = tmp_path / "hosts.yaml"
    path.write_text("10.0.0.1: {cpus: 4}")
    inventory = source(path)
    assert await inventory.facts(A) == FACTS
    replace(path, "a: 1\npassword: [s3cret")
    for _ in range(2):
        with pytest.raises(NoAnswer, match=r"no YAML \(line \d\)") as failure:
            await inventory.facts(A)
        assert "s3cret" not in str(failure.value)
    replace(path, "10.0.0.1: {cpus: 6}")
    assert await inventory.facts(A) == FACTS | {"cpus": 6}


async def test_many_who_ask_at_once_read_it_once(tmp_path: Path) -> None:
    path = tmp_path / "hosts.json"
    path.write_text(json.dumps({f"10.0.{n // 250}.{n % 250}": {"cpus": 4} for n in range(5000)}))
    inventory = source(path)
    answers = await asyncio.gather(*(inventory.facts("10.0.19.249") for _ in range(100)))
    assert answers == [FACTS] * 100


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", "{"),
        ("a.json", "7"),
        ("a.json", "[" * 100_000),
        ("a.toml", "x = "),
        ("a.toml", "\xff"),
        ("a.yaml", "!!python/object/apply:os.getcwd []"),
        ("a.yaml", "a: [\x00]"),
    ],
)
async def test_what_is_no_inventory_is_a_failure(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="latin-1")
    with pytest.raises(NoAnswer):
        await source(tmp_path / name).facts(A)


async def test_a_fifo_in_place_of_a_file_does_not_hold_the_service_up(tmp_path: Path) -> None:
    path = tmp_path / "hosts.json"
    os.mkfifo(path)
    with pytest.raises(NoAnswer, match="no regular file"):
        await source(path).facts(A)
